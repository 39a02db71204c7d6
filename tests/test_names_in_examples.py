"""An example can be copied: it imports each name that it uses, and nothing else."""

import ast
import builtins
import doctest
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import cameval

SOURCE = Path(cameval.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"

Import = ast.Import | ast.ImportFrom
Scope = (
    *(ast.FunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def names_bound(node: ast.AST, *, inside: bool) -> Iterator[str]:
    """Yield the names that code binds; with `inside`, those in its functions, too."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            yield name
        case ast.ExceptHandler(name=str(name)):
            yield name
    if inside or not isinstance(node, Scope):
        for child in ast.iter_child_nodes(node):
            yield from names_bound(child, inside=inside)


def names_read(code: ast.AST) -> set[str]:
    """Return the names that code reads."""
    nodes = ast.walk(code)
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def parsed(text: str) -> list[ast.Module]:
    """Return the code of each example in a text, with that of skipped ones."""
    return [ast.parse(each.source) for each in doctest.DocTestParser().get_examples(text)]


def imports_in(examples: Iterable[ast.Module]) -> list[Import]:
    """Return the import statements of examples."""
    return [n for code in examples for n in ast.walk(code) if isinstance(n, Import)]


def unknown(text: str) -> list[str]:
    """Return the names that the examples of a text use before they bind them."""
    known, missing = set(dir(builtins)), []
    for code in parsed(text):
        missing += sorted(names_read(code) - known - {*names_bound(code, inside=True)})
        known |= {*names_bound(code, inside=False)}
    return missing


def unused(text: str) -> list[str]:
    """Return the names that the examples of a text import, and do not use."""
    examples = parsed(text)
    imported = {name for each in imports_in(examples) for name in names_bound(each, inside=True)}
    return sorted(imported.difference(*map(names_read, examples)))


def from_private_modules(text: str) -> list[str]:
    """Return the private modules that the examples of a text import from."""
    modules = []
    for each in imports_in(parsed(text)):
        of = each.module if isinstance(each, ast.ImportFrom) else None
        modules += [of] if of else [alias.name for alias in each.names]
    return [name for name in modules if name.startswith("cameval.") and "._" in name]


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each text with examples in a module, after its line: not all are docstrings yet."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Constant(value=str(text)) if ">>> " in text:
                yield node.lineno, text


def hidden_setup(text: str) -> str:
    """Return the code that Sphinx runs before the examples of a page, and does not show."""
    found = re.findall(r"^\.\. testsetup::\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    return dedent("".join(found))


MODULES = sorted(SOURCE.rglob("*.py"))
PAGES = sorted(
    path
    for path in [*DOCS.glob("*.rst"), *DOCS.glob("api/*.rst"), *DOCS.glob("jobs/*.rst")]
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("package", sorted({path.parent for path in MODULES}), ids=lambda p: p.name)
def test_the_examples_of_docstrings_import_what_they_use(package: Path) -> None:
    for path in sorted(package.glob("*.py")):
        is_private = path.stem.startswith("_") and path.stem != "__init__"
        for line, text in texts(path):
            where = f"{path.relative_to(SOURCE)}, text of line {line}"
            assert not unknown(text), f"{where}: the examples must import {unknown(text)}"
            assert not unused(text), f"{where}: the examples need not import {unused(text)}"
            if not is_private:
                private = from_private_modules(text)
                assert not private, f"{where}: users do not import from {private}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_examples_of_a_page_import_what_they_use(path: Path) -> None:
    text = path.read_text()
    setup = ast.parse(hidden_setup(text))
    made = {*names_bound(setup, inside=False)} - {
        name for each in imports_in([setup]) for name in names_bound(each, inside=True)
    }
    missing = [name for name in unknown(text) if name not in made]
    assert not missing, f"the examples must import {missing}"
    needless = [name for name in unused(text) if f"= {name}(" not in text]  # ``x = Path("...")``
    assert not needless, f"the examples need not import {needless}"
    assert not from_private_modules(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (">>> import torch\n>>> torch.zeros(2)\n", []),
        (">>> torch.zeros(2)\n", ["torch"]),
        (">>> torch.zeros(2)\n>>> import torch\n", ["torch"]),
        (">>> iou(masks)  # doctest: +SKIP\n", ["iou", "masks"]),
        (">>> print(f'{score:.2f}')\n", ["score"]),
        (">>> [x + y for x in range(3)]\n>>> x\n", ["y", "x"]),
        (">>> def f(a):\n...     b = a\n...     return b, np\n>>> f(1), b\n", ["np", "b"]),
        (">>> try:\n...     open('')\n... except OSError as error:\n...     print(error)\n", []),
    ],
)
def test_names_without_a_binding_are_seen(text: str, names: list[str]) -> None:
    assert unknown(text) == names


def test_imports_without_use_and_of_private_modules_are_seen() -> None:
    text = """
    >>> import numpy as np
    >>> from cameval import iou
    >>> from cameval.data._shapes import run_lengths
    >>> iou(run_lengths)
    """
    assert unused(text) == ["np"]
    assert from_private_modules(text) == ["cameval.data._shapes"]
