"""What a release needs: absolute links, files that parse, one version, targets that exist."""

import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cameval

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
URLS = PROJECT["urls"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\]\(([^)\s]+)[^)]*\)", README) + re.findall(r"(?:src|href)=\"([^\"]+)", README)

FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
YAML = [
    *(
        ROOT / name
        for name in ("CITATION.cff", ".pre-commit-config.yaml", ".github/dependabot.yml")
    ),
    *FORMS,
    *WORKFLOWS,
]


def names(paths: list[Path]) -> list[str]:
    """Return the paths in the repository, as names of tests."""
    return [str(path.relative_to(ROOT)) for path in paths]


def parse(path: Path) -> Any:
    """Return the content of a YAML file."""
    yaml = pytest.importorskip("yaml", reason="PyYAML, of the extra test, is not installed")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """Return the script of `make release`."""
    spec = spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def targets_of_make() -> set[str]:
    """Return the targets that the Makefile declares."""
    (line,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(line.split())


# --- README.md ------------------------------------------------------------------------------------


def test_no_link_of_the_readme_is_relative() -> None:
    assert len(LINKS) > 10
    assert not [link for link in LINKS if not re.match(r"https://|#", link)]


def is_page(path: str) -> bool:
    """Return whether the documentation has a page, written or generated from a script."""
    written, generated, name = path.partition("generated/")
    if not generated:
        return (ROOT / "docs" / f"{path}.rst").exists()
    return written == "api/" or name.endswith("/index") or (ROOT / "docs" / f"{name}.py").exists()


def test_links_of_the_readme_lead_to_files_that_are_here() -> None:
    checked = 0
    for link in LINKS:
        home, _, rest = link.partition(URLS["Source"] + "/")
        if not home and (path := re.fullmatch(r"(?:blob|raw|tree)/main/([^#]+)(#.*)?", rest)):
            assert (ROOT / path[1]).exists(), link
            checked += 1
        home, _, rest = link.partition(URLS["Documentation"] + "/")
        if not home and (path := re.fullmatch(r"([\w/-]+)\.html(#.*)?", rest)):
            assert is_page(path[1]), link
            checked += 1
    assert checked > 10


def test_pictures_of_the_readme_are_fetched_as_files() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", README)
    assert pictures
    assert all(one.startswith(URLS["Source"] + "/raw/main/") for one in pictures)


def test_programs_of_the_readme_are_found_with_their_outputs(release: ModuleType) -> None:
    text = "```python\nimport this\n```\n\n```\nZen\n```\n```python\nf(x)\n```\n```\nno\n```\n"
    assert release.programs(text) == [("import this\n", "Zen\n")]
    assert release.programs("```python\nfrom a import b\n```\ntext\n```\nother\n```\n") == [
        ("from a import b\n", None)
    ]
    assert release.programs(README)


def test_relative_links_of_a_page_are_found(release: ModuleType) -> None:
    page = '<a href="docs/x.rst">x</a><a href="#y">y</a><img src="https://z"><img src="z.png">'
    assert release.relative_links(page) == ["docs/x.rst", "z.png"]


# --- The home of the project ----------------------------------------------------------------------


def test_every_file_names_the_same_home() -> None:
    home = re.compile(r"https://(?:github\.com/cameval|cameval\.github\.io)[\w./#-]*")
    known = (URLS["Source"], URLS["Documentation"])
    assert URLS["Homepage"] == URLS["Source"]
    for path in [ROOT / "README.md", ROOT / "SECURITY.md", *YAML]:
        for link in home.findall(path.read_text(encoding="utf-8")):
            assert link.startswith(known), f"{path.name}: {link}"
    for name in ("Changelog", "Issues"):
        assert URLS[name].startswith(URLS["Source"] + "/")


# --- Citation -------------------------------------------------------------------------------------


def test_the_citation_is_of_this_version_and_its_day() -> None:
    """Before CHANGELOG.md has an entry of the version, there is no day of release."""
    citation = parse(ROOT / "CITATION.cff")
    assert citation["version"] == cameval.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## \[(\d[^\]]*)\] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    if entries:
        assert entries[0][0] == cameval.__version__
    day = dict(entries).get(cameval.__version__)
    assert str(citation.get("date-released")) == str(day)


def test_the_citation_has_what_its_format_requires() -> None:
    citation = parse(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["repository-code"] == URLS["Source"]
    assert citation["url"] == URLS["Documentation"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def test_the_paper_is_cited_as_the_readme_does() -> None:
    (paper,) = parse(ROOT / "CITATION.cff")["references"]
    *first, last = [author["family-names"] for author in paper["authors"]]
    text = " ".join(README.split())
    assert f'{", ".join(first)} and {last}, "{paper["title"]}"' in text


# --- Forms, workflows and hooks -------------------------------------------------------------------


@pytest.mark.parametrize("path", YAML, ids=names(YAML))
def test_it_parses(path: Path) -> None:
    assert isinstance(parse(path), dict)


@pytest.mark.parametrize("path", FORMS, ids=names(FORMS))
def test_a_form_has_a_name_and_questions(path: Path) -> None:
    form = parse(path)
    if path.name == "config.yml":
        assert all(link["url"].startswith("https://") for link in form["contact_links"])
        return
    assert form["name"]
    assert form["description"]
    ids = [item["id"] for item in form["body"]]
    assert len(set(ids)) == len(ids) > 0
    assert all(item["attributes"]["label"] for item in form["body"])


def commands_of(path: Path) -> list[str]:
    """Return the commands of a workflow, with each value of its matrix in place of the name."""
    found = []
    for job in parse(path)["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for step in job["steps"]:
            commands = [step.get("run", "")]
            for key, values in matrix.items():
                name = "${{ matrix." + key + " }}"
                commands = [c.replace(name, value) for c in commands for value in values]
            found += commands
    return sorted({command for command in found if command})


@pytest.mark.parametrize("path", WORKFLOWS, ids=names(WORKFLOWS))
def test_a_workflow_calls_targets_that_exist(path: Path) -> None:
    called = {
        target
        for command in commands_of(path)
        for target in re.findall(r"^make ([\w-]+)", command, re.MULTILINE)
    }
    assert called
    assert called <= targets_of_make()


def test_the_documentation_is_published_after_all_other_jobs() -> None:
    jobs = parse(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert set(jobs["publish-docs"]["needs"]) == set(jobs) - {"publish-docs"}


def called_locally() -> list[str]:
    """Return the targets that the local check calls, in their order."""
    lines = re.findall(r"^make ([\w ]+\w)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    return " ".join(lines).split()


def test_contributing_names_what_the_local_check_calls() -> None:
    said = re.search(r"`\.ci/run` calls (.*?);", (ROOT / "CONTRIBUTING.md").read_text())
    assert said is not None
    assert re.split(r", | and ", said[1]) == called_locally()


def test_the_workflow_calls_all_that_the_local_check_calls() -> None:
    local = set(called_locally())
    there = " ".join(commands_of(ROOT / ".github" / "workflows" / "ci.yml"))
    assert len(local) > 4
    assert local <= set(re.findall(r"make (\w+)", there))


def test_the_tests_run_with_every_declared_python() -> None:
    declared = {
        line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)
    }
    jobs = parse(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    tested = set(jobs["test"]["strategy"]["matrix"]["python"])
    debian = re.search(r"Python (3\.\d+)", jobs["debian"]["name"])
    assert debian is not None
    assert tested | {debian[1]} == declared


def test_hooks_run_the_tools_of_the_environment() -> None:
    (repository,) = parse(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert all(hook["entry"].startswith(".venv/bin/") for hook in repository["hooks"])
