"""Networks of your own: a function or class in a module or a file of Python that returns one."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from cameval._names import list_near_names
from cameval.data._files import check_file
from cameval.errors import CamevalError, SettingError, UnsupportedModelError

_FORMS = "package.module:function or file.py:function"


@dataclass(frozen=True)
class OwnNetwork:
    """The network that ``package.module:function`` or ``path/file.py:function`` stands for.

    The function is a function or class that is called without arguments, or with `num_classes`; or
    it is a network, of which a copy is used.
    """

    name: str

    def __post_init__(self) -> None:
        """Check that both parts are there; a file must exist."""
        place, function = self._parts
        if not place or not function:
            raise UnsupportedModelError(f"a network must be {_FORMS}, got {self.name!r}")
        if _is_path(place):
            check_file(Path(place), "a file of Python")

    @property
    def _parts(self) -> tuple[str, str]:
        place, _, function = self.name.rpartition(":")
        return place, function

    @property
    def entries(self) -> tuple[str, ...]:
        """No weights can be downloaded."""
        return ()

    def download(self, entry: str, num_classes: int | None) -> nn.Module:
        """Raise an error."""
        raise AssertionError(entry)

    def build(self, num_classes: int | None, *, filled: bool) -> nn.Module:
        """Return the network that the function returns."""
        place, function = self._parts
        with _importing(place):
            module = _import_file(Path(place)) if _is_path(place) else _import_module(place)
            thing = _find(module, function, place)
            if isinstance(thing, nn.Module):
                self._check_taken(num_classes, {})
                return deepcopy(thing)
            if not callable(thing):
                raise UnsupportedModelError(
                    f"{self.name} must be a function, a class or a network, "
                    f"got {type(thing).__name__}"
                )
            return self._call(thing, num_classes)

    def _call(self, function: Callable[..., object], num_classes: int | None) -> nn.Module:
        """Return what the function returns, which must be a network."""
        parameters = _parameters_of(function)
        self._check_taken(num_classes, parameters)
        if needed := [n for n, one in parameters.items() if _is_needed(one)]:
            if needed != ["num_classes"]:
                raise UnsupportedModelError(
                    f"{self.name} must be callable without arguments, or with num_classes alone, "
                    f"got one that also needs {', '.join(n for n in needed if n != 'num_classes')}"
                    "; write a function without arguments that calls it"
                )
            if num_classes is None:
                raise SettingError(
                    f"{self.name} needs num_classes, got none; give the number of classes"
                )
        try:
            net = function() if num_classes is None else function(num_classes=num_classes)
        except CamevalError:
            raise
        except Exception as error:
            raise UnsupportedModelError(
                f"{self.name} must return a network, got {_described(error)}; call it in Python "
                "to see all of the error"
            ) from error
        if not isinstance(net, nn.Module):
            raise UnsupportedModelError(
                f"{self.name} must return a network (torch.nn.Module), got {type(net).__name__}"
            )
        return net

    def _check_taken(self, num_classes: int | None, parameters: dict[str, Any]) -> None:
        any_name = [one for one in parameters.values() if one.kind is one.VAR_KEYWORD]
        if num_classes is not None and "num_classes" not in parameters and not any_name:
            raise SettingError(
                f"num_classes must not be given for {self.name}, which does not take it, "
                f"got {num_classes}"
            )


def _is_path(place: str) -> bool:
    return place.endswith(".py")


def _parameters_of(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # of code that is not Python
        return {}


def _is_needed(parameter: inspect.Parameter) -> bool:
    several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not several


# --- Import ---------------------------------------------------------------------------------------


@contextmanager
def _importing(place: str) -> Iterator[None]:
    """Look for modules where a script would find them, and undo that at the end.

    These are the modules beside a file of Python, or those in the working directory. Modules that
    were imported from beside a file are dropped at the end, since another file may have others of
    the same names beside it.
    """
    of_file = _is_path(place)
    folder = str(Path(place).resolve().parent) if of_file else str(Path.cwd())
    before = set(sys.modules)
    if of_file:
        sys.path.insert(0, folder)
    else:
        sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
        for name in set(sys.modules) - before if of_file else ():
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).resolve().is_relative_to(folder):
                del sys.modules[name]


def _import_file(path: Path) -> ModuleType:
    # A class finds its module by this name while the file runs.
    name = f"{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a file that ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _not_importable(str(path), error) from error
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name != missing and not name.startswith(f"{missing}."):
            raise _not_importable(name, error) from error  # one that the module imports
        raise UnsupportedModelError(
            f"{_FORMS}: the module must exist, got {missing!r}, which neither an installed "
            "package nor the working directory has; near names: "
            f"{list_near_names(missing.rpartition('.')[2], _modules_beside(missing), 4)}"
        ) from error
    except Exception as error:
        raise _not_importable(name, error) from error


def _modules_beside(name: str) -> list[str]:
    """Return the names of the modules in the package of a module, or in the working directory."""
    package = name.rpartition(".")[0]
    if not package:
        return [one.name for one in pkgutil.iter_modules([str(Path.cwd())])]
    places = getattr(sys.modules.get(package), "__path__", [])
    return [one.name for one in pkgutil.iter_modules(places)]


def _find(module: ModuleType, function: str, place: str) -> object:
    try:
        return attrgetter(function)(module)
    except AttributeError as error:
        known = [name for name, one in vars(module).items() if _may_be_meant(one, name)]
        raise UnsupportedModelError(
            f"{place} must have the function {function!r}, got none; near names: "
            f"{list_near_names(function, known, 4)}"
        ) from error


def _may_be_meant(thing: object, name: str) -> bool:
    return not name.startswith("_") and (callable(thing) or isinstance(thing, nn.Module))


def _not_importable(name: str, error: Exception) -> UnsupportedModelError:
    return UnsupportedModelError(f"{name} must be importable, got {_described(error)}")


def _described(error: Exception) -> str:
    """Return an error in words, with the last line of Python in which it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if not frames or isinstance(error, SyntaxError):  # its text has the line
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
