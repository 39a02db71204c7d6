"""Every public function and class has an example in its docstring, which pytest runs."""

import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_origin

import cameval

# Temporary: modules that other branches change now. Their lacks are listed by
# `test_no_module_is_left_out_that_lacks_nothing` as soon as there are none.
LEFT_OUT_FOR_NOW = {
    "cameval.evaluation.results",
    "cameval.extractor",
    "cameval.report",
}

SOURCE = Path(cameval.__file__).parent


def public_modules() -> list[str]:
    """Return the names of the modules that users may import from."""
    paths = sorted(SOURCE.rglob("*.py"))
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if "._" not in name.replace("__", "")]


def is_used_by_calling(thing: object) -> bool:
    """Tell whether a public name is that of a function or a class of which objects are made.

    Errors are raised by the library, protocols are implemented by users, and aliases are for
    annotations: none of them is called.
    """
    if isinstance(thing, ModuleType) or get_origin(thing) is not None or not callable(thing):
        return False
    if isinstance(thing, type):
        return not (issubclass(thing, BaseException) or getattr(thing, "_is_protocol", False))
    return True


def public_callables() -> Iterator[tuple[str, object]]:
    """Yield each public function and class once, with the name of its module and its own."""
    seen = set()
    for name in public_modules():
        module = importlib.import_module(name)
        for each in module.__all__:
            thing = getattr(module, each)
            if is_used_by_calling(thing) and id(thing) not in seen:
                seen.add(id(thing))
                yield f"{thing.__module__}.{each}", thing


def has_example(thing: object) -> bool:
    """Tell whether a docstring has an example, and one that is not skipped."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    return any(not each.options.get(doctest.SKIP, False) for each in examples)


def is_left_out(name: str) -> bool:
    return any(name.startswith(f"{module}.") for module in LEFT_OUT_FOR_NOW)


def test_every_public_function_and_class_has_an_example() -> None:
    lacking = [name for name, thing in public_callables() if not has_example(thing)]
    lacking = [name for name in lacking if not is_left_out(name)]
    assert not lacking, f"{len(lacking)} without an example:\n" + "\n".join(lacking)


def test_no_module_is_left_out_that_lacks_nothing() -> None:
    lacking = [name for name, thing in public_callables() if not has_example(thing)]
    for module in LEFT_OUT_FOR_NOW:
        assert any(name.startswith(f"{module}.") for name in lacking), module
