"""The documentation names everything that is public, once, and every option of the study."""

import doctest
import importlib
import inspect
import re
import tempfile
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
import torch
from study.settings import parse

import cameval
import cameval.report
import cameval.training
from cameval.cli._parser import parse as parse_command
from cameval.protocols import CAMMethod

DOCS = Path(__file__).parents[1] / "docs"
PACKAGES = [
    *(cameval, cameval.baselines, cameval.binarizers, cameval.data, cameval.distributed),
    *(cameval.errors, cameval.evaluation, cameval.extractor, cameval.losses, cameval.maps),
    *(cameval.methods, cameval.metrics, cameval.networks, cameval.plots, cameval.protocols),
    *(cameval.report, cameval.sanity, cameval.statistics, cameval.target_classes),
    cameval.training,
]
WITH_EXAMPLES = [page for page in sorted(DOCS.glob("**/*.rst")) if ">>> " in page.read_text()]
PUBLIC = [
    (module, name)
    for module in PACKAGES
    for name in module.__all__
    if not isinstance(getattr(module, name), str | tuple)  # a constant has no entry of its own
]


def test_every_package_is_checked() -> None:
    folder = Path(cameval.__file__).parent
    paths = [*folder.glob("[!_]*.py"), *(path.parent for path in folder.glob("*/__init__.py"))]
    names = {f"cameval.{path.stem}" for path in paths} - {"cameval.cli"}  # its page is the manual
    assert {module.__name__ for module in PACKAGES} == names | {"cameval"}


def documented() -> list[object]:
    """Return the object of each autodoc directive, from the text of the API pages alone."""
    found: list[object] = []
    for page in sorted((DOCS / "api").glob("*.rst")):
        current = "cameval"
        for kind, argument in re.findall(
            r"^\.\. ([\w:]+):: ([\w.]+)", page.read_text(), re.MULTILINE
        ):
            if kind == "currentmodule":
                current = argument
            elif kind == "automodule":
                found.append(importlib.import_module(argument))
            elif kind == "py:class" and argument in importlib.import_module(current).__all__:
                found.append(getattr(importlib.import_module(current), argument))
            elif kind.startswith("auto"):
                module, _, name = argument.rpartition(".")
                found.append(getattr(importlib.import_module(module or current), name))
    return found


@pytest.mark.parametrize(
    ("module", "name"), PUBLIC, ids=[f"{module.__name__}.{name}" for module, name in PUBLIC]
)
def test_every_public_name_has_one_entry_in_the_api_pages(module: ModuleType, name: str) -> None:
    entries = sum(entry is getattr(module, name) for entry in documented())
    assert entries == 1, f"docs/api must have one autodoc directive for {name}, got {entries}"


@pytest.mark.parametrize("page", sorted((DOCS / "api").glob("*.rst")), ids=lambda page: page.stem)
def test_no_entry_has_a_private_name_or_that_of_its_package_twice(page: Path) -> None:
    # An entry that is written by hand gets the name of its package from `currentmodule`.
    for kind, name in re.findall(r"^\.\. ([\w:]+):: (\S+)", page.read_text(), re.MULTILINE):
        assert not (kind.startswith(("py:", "auto")) and re.search(r"\._(?!_)", name)), name
        assert not (kind.startswith("py:") and name.startswith("cameval.")), name


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


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_of_every_page_run(
    page: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("made")))
    torch.manual_seed(0)
    names: dict[str, object] = {}
    for hidden in re.findall(
        r"^\.\. testsetup::\n((?: {3}.*\n|\n)+)", page.read_text(), re.MULTILINE
    ):
        exec(dedent(hidden), names)
    assert doctest.testfile(str(page), module_relative=False, globs=names).failed == 0
    assert not [*tmp_path.iterdir()]


def test_the_glossary_has_the_words_of_tables_and_every_term_that_is_linked() -> None:
    glossary = (DOCS / "glossary.rst").read_text(encoding="utf-8")
    terms = set(re.findall(r"^   (\S.*)\n      \S", glossary, re.MULTILINE))
    words = {"sIoU", "informedness", "pointing game", "effect", "p value", "sign-flip test"}
    assert words <= terms
    pages = [page.read_text(encoding="utf-8") for page in DOCS.rglob("*.rst")]
    linked = [one for text in pages for one in re.findall(r":term:`(?:[^`<]*<)?([^`<>]+)>?`", text)]
    assert len(linked) > 10
    lower = {term.lower() for term in terms}
    assert not {one.lower() for one in linked} - lower


def test_examples_were_found() -> None:
    assert len(WITH_EXAMPLES) > 9
    assert sum(page.read_text().count(">>> ") for page in WITH_EXAMPLES) > 300


def test_the_method_of_the_recipes_has_the_types_and_names_of_its_protocol() -> None:
    page = (DOCS / "recipes.rst").read_text(encoding="utf-8")
    block = re.search(r"A new method\n\^+\n\n(?:[^>\n].*\n|\n)+((?:(?:>>>|\.\.\.) .*\n)+)", page)
    assert block
    names: dict[str, object] = {}
    exec(re.sub(r"^(>>>|\.\.\.) ", "", block[1], flags=re.MULTILINE), names)
    _, *expected = inspect.signature(CAMMethod.__call__).parameters.values()
    (own,) = (each for each in names.values() if inspect.isfunction(each))
    found = inspect.signature(own)
    assert [*found.parameters] == [each.name for each in expected]
    annotations = [inspect.formatannotation(each.annotation) for each in found.parameters.values()]
    assert "Activations" in annotations[0]
    assert found.parameters["target"].annotation == cameval.networks.ScoreTarget
    assert found.return_annotation is torch.Tensor


def test_the_settings_of_speed_are_options_and_their_numbers_are_measured_below(capsys) -> None:
    text = (DOCS / "cost.rst").read_text(encoding="utf-8")
    table, rest = text[text.index("Settings of speed") :].split("Device\n------", 1)
    options = set(re.findall(r"``(--[\w-]+)", table))
    assert {"--device", "--precision", "--batch-size", "--threads", "--workers"} <= options
    with pytest.raises(SystemExit):
        parse_command(["evaluate", "--help"])
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    assert options <= known
    numbers = re.findall(r"(?<![\w.-])\d+\.\d+(?:e-\d+)?|\b\d+(?= ms)", table)
    assert len(numbers) > 9
    for number in numbers:
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", rest), number
