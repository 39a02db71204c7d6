"""Every public function and class has an example in its docstring, which pytest runs."""

import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_origin

import cameval

SOURCE = Path(cameval.__file__).parent


def public_modules() -> list[str]:
    """Return the names of the modules that users may import from."""
    paths = sorted(SOURCE.rglob("*.py"))
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if "._" not in name.replace("__", "")]


def is_called(thing: object) -> bool:
    """Tell whether a public name is that of a function, or of a class that users call or get.

    Not called are modules and constants; aliases, which are for annotations; errors, which the
    library raises; and protocols, which users write.
    """
    if isinstance(thing, ModuleType) or get_origin(thing) is not None:
        return False
    if isinstance(thing, type):
        return not (issubclass(thing, BaseException) or getattr(thing, "_is_protocol", False))
    return callable(thing)


def public_callables() -> Iterator[tuple[str, object]]:
    """Yield each public function and class once, after the name of its module and its own."""
    seen = set()
    for name in public_modules():
        module = importlib.import_module(name)
        for each in module.__all__:
            thing = getattr(module, each)
            if is_called(thing) and id(thing) not in seen:
                seen.add(id(thing))
                yield f"{thing.__module__}.{each}", thing


def public_methods(cls: type) -> Iterator[tuple[str, object]]:
    """Yield the public methods that a class defines; `forward` is used by calling the module."""
    fields = set(getattr(cls, "__dataclass_fields__", ()))  # of which one may be a function
    for name, value in vars(cls).items():
        method = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        is_public = not name.startswith("_") and name not in {"forward", *fields}
        if is_public and inspect.isfunction(method):
            yield name, method


def examples_of(thing: object) -> str:
    """Return the code of the examples in a docstring, without those that are skipped."""
    found = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    return "".join(each.source for each in found if not each.options.get(doctest.SKIP))


def lacking() -> list[str]:
    """Return the public callables without an example.

    A method may have its example in the docstring of its class, which then uses its name.
    """
    names = []
    for name, thing in public_callables():
        code = examples_of(thing)
        if not code:
            names.append(name)
        if isinstance(thing, type):
            for method, function in public_methods(thing):
                used = re.search(rf"\.{method}\b", code)
                if not used and not examples_of(function):
                    names.append(f"{name}.{method}")
    return names


def test_every_public_function_class_and_method_has_an_example() -> None:
    names = lacking()
    assert not names, f"{len(names)} without an example:\n" + "\n".join(names)


def test_the_rule_sees_a_function_without_an_example() -> None:
    def bare() -> None:
        """Return nothing."""

    def skipped() -> None:
        """Return nothing.

        >>> skipped()  # doctest: +SKIP
        """

    def shown() -> None:
        """Return nothing.

        >>> shown()
        """

    assert [bool(examples_of(each)) for each in (bare, skipped, shown)] == [False, False, True]
    assert [is_called(each) for each in (bare, Path, OSError, re, "text", list[int])] == [
        *(True, True),
        *(False, False, False, False),
    ]
