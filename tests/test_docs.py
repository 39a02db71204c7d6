"""The documentation names everything that is public, once, and every option of the study."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest
from study.settings import parse

import cameval
import cameval.report

DOCS = Path(__file__).parents[1] / "docs"
PUBLIC = [
    (room, name)
    for room in (
        *(cameval, cameval.baselines, cameval.data, cameval.errors, cameval.evaluation),
        *(cameval.losses, cameval.metrics, cameval.plots, cameval.report, cameval.sanity),
        *(cameval.statistics,),
    )
    for name in room.__all__
    if not isinstance(getattr(room, name), str | tuple)  # a constant has no entry of its own
]


def documented() -> list[object]:
    """Return the object of each autodoc directive, from the text of the API pages alone."""
    found: list[object] = []
    for page in sorted((DOCS / "api").glob("*.rst")):
        module: ModuleType = cameval
        for kind, argument in re.findall(r"^\.\. (\w+):: ([\w.]+)", page.read_text(), re.MULTILINE):
            if kind == "currentmodule":
                module = importlib.import_module(argument)
            elif kind == "automodule":
                found.append(importlib.import_module(argument))
            elif kind.startswith("auto"):
                found.append(getattr(module, argument))
    return found


@pytest.mark.parametrize(
    ("room", "name"), PUBLIC, ids=[f"{room.__name__}.{name}" for room, name in PUBLIC]
)
def test_every_public_name_has_one_entry_in_the_api_pages(room: ModuleType, name: str) -> None:
    entries = sum(entry is getattr(room, name) for entry in documented())
    assert entries == 1, f"docs/api must have one autodoc directive for {name}, got {entries}"


def test_every_page_is_in_a_table_of_contents() -> None:
    text = "\n".join(page.read_text() for page in DOCS.glob("**/*.rst"))
    listed = set(re.findall(r"^   ([\w/]+)$", text, re.MULTILINE))
    pages = {page.stem for page in DOCS.glob("*.rst")} | {p.stem for p in DOCS.glob("api/*.rst")}
    assert pages - {"index"} <= listed


def test_every_option_of_the_study_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    text, page = capsys.readouterr().out, (DOCS / "study_options.rst").read_text()
    options = set(re.findall(r"^  (--[\w-]+)", text, re.MULTILINE))
    assert set(re.findall(r"^   \* - ``(--[\w-]+)", page, re.MULTILINE)) == options
    defaults = set(re.findall(r"^  (--[\w-]+) .*\((\d+)\)$", text, re.MULTILINE))
    assert len(defaults) > 2
    assert defaults <= set(re.findall(r"``(--\w+) \w+``\n.* Default: (\d+)\.$", page, re.MULTILINE))


def test_every_recipe_runs() -> None:
    torch.manual_seed(0)
    failed, tried = doctest.testfile(str(DOCS / "recipes.rst"), module_relative=False)
    assert failed == 0
    assert tried > 100
