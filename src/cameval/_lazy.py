"""Packages whose names are imported when they are first used (PEP 562)."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from sys import modules
from typing import Any, TypeAlias

from cameval._extras import needed_by
from cameval._names import near_names
from cameval._other_names import describe_method

Homes: TypeAlias = Mapping[str, Sequence[str]]
"""The modules of a package, and the public names that each of them has."""


def import_when_used(
    package: str, homes: Homes
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions ``__getattr__`` and ``__dir__`` of a package.

    A module, or a name of a module, is imported when it is first read from the package, and kept
    there. No name may be that of a module of the package too: whoever imports that module would
    replace the name.

    Where a module needs an optional package that is not installed, reading a name raises
    `MissingPackageError`. The error of a name of another library's method has the name here.

    Parameters
    ----------
    package
        The full name of the package.
    homes
        The names by the modules they are in, below the package.

    Examples
    --------
    >>> from cameval._lazy import import_when_used
    >>> read, names = import_when_used("cameval.data", {"targets": ["Target"]})
    >>> read("Target"), read("targets").__name__
    (<class 'cameval.data.targets.Target'>, 'cameval.data.targets')
    """
    module_of = {name: module for module, names in homes.items() for name in names}

    def read(name: str) -> Any:
        if name in module_of:
            with needed_by(f"{package}.{name} needs"):
                value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        elif name in homes:
            value = import_module(f"{package}.{name}")
        else:
            if (written := describe_method(name)) is not None:
                hint = f"; it is: {written}"
            else:
                near = near_names(name, [*module_of, *homes], least=0.7)
                hint = f"; near names: {', '.join(near)}" if near else ""
            message = f"module {package!r} has no attribute {name!r}{hint}"
            raise AttributeError(message, name=name, obj=modules[package])
        setattr(modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(modules[package]), *module_of, *homes})

    return read, list_names
