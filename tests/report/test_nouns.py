"""What groups are called: the user's word is on the whole page, and in the terminal."""

import re
from dataclasses import replace

import numpy as np
import pytest
from pages import elsewhere, made, of_targets, says_nowhere, undefined, written

from cameval.evaluation import Results
from cameval.evaluation._contents import contents_of
from cameval.evaluation.meaning import BinarizerMeaning, ChosenOn, Origin
from cameval.report import page as writing
from cameval.report import reviewer_summary, verdict_lines, write_report
from cameval.report._browser import Browser
from cameval.report._names import Names, names_of
from cameval.report._targets import targets_of
from cameval.report.formatting import format_interval_after

PATIENT = {"group": "patient", "cam": "CAM"}
METRICS = ("pixel_auroc", "iou", "area_bound", "false_positive_rate", "zero_without_object:iou")


def chosen(results: Results, where: ChosenOn) -> Results:
    """Return results whose second binarizer was chosen."""
    origin = Origin(chosen_on=where, metric="iou", higher_is_better=True)
    binarizers = {**results.meanings.binarizers, "otsu": BinarizerMeaning("otsu", origin=origin)}
    meanings = replace(results.meanings, binarizers=binarizers).to_record()
    return replace(results, provenance={**results.provenance, "meanings": meanings})


def with_info(results: Results) -> Results:
    views = np.where(np.arange(len(results)) % 2, "side", "front")
    return replace(results, samples=results.samples.assign(view=views))


def without_groups() -> Results:
    results = made(12)
    return replace(results, samples=results.samples.assign(group=results.samples["sample"]))


def absent(i: int) -> bool:
    return i % 5 in (1, 2)


PAGES = {
    "several labels with negatives": lambda: of_targets(
        made(60, metrics=METRICS, target_class=("true",)), absent=absent
    ),
    "several models and target classes": lambda: made(
        30, groups=30, models=("a", "b"), target_class=("predicted", "true")
    ),
    "few groups": lambda: made(8, groups=3, models=("a", "b")),
    "one group": lambda: made(6, groups=1),
    "no groups given": without_groups,
    "every image alone": lambda: with_info(made(12, groups=100)),
    "other images of the same groups": lambda: chosen(
        made(models=("a", "b")), "other images of the same groups"
    ),
    "maps made elsewhere": lambda: elsewhere(made()),
    "undefined scores": lambda: undefined(made(), np.s_[::3, 2], 1),
    "many models": lambda: made(30, models=tuple("abcdef")),
}


def options_of(name: str) -> dict[str, str]:
    return {"binarizer": "otsu"} if "same groups" in name else {}


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("name", PAGES)
def test_the_word_of_the_user_is_in_every_sentence(name, tmp_path) -> None:
    results, options = PAGES[name](), options_of(name)
    page = written(results, tmp_path, names=PATIENT, **options)
    says_nowhere(page, "group")
    assert len(re.findall(r"\bpatients?\b", page.text)) > 8
    lines = " ".join(verdict_lines(results, names=PATIENT, **options))
    assert "patient" in lines
    assert not re.search(r"\bgroups?\b", lines)
    summary = reviewer_summary(results, names=PATIENT, **options)
    said = " ".join(text for one in summary["answers"].values() for text in one["run"])
    assert "patient" in said
    assert not re.search(r"\bgroups?\b", said)


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("name", PAGES)
def test_the_usual_words_are_the_default(name, tmp_path) -> None:
    results, options = PAGES[name](), options_of(name)
    usual = write_report(results, tmp_path / "usual", **options).read_bytes()
    lines = verdict_lines(results, **options)
    names = {"cam": "CAM", "group": "group", "groups": "groups"}
    page = write_report(results, tmp_path / "other", names=names, **options)
    assert page.read_bytes() == usual
    assert verdict_lines(results, names=names, **options) == lines


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("names", [{}, {"cam": "CAM"}, {"group": "group"}])
def test_names_without_a_word_for_groups_leave_the_usual_one(names, tmp_path) -> None:
    results = made(models=("a", "b"))
    usual = write_report(results, tmp_path / "usual").read_bytes()
    assert write_report(results, tmp_path / "other", names=names).read_bytes() == usual
    assert verdict_lines(results, names=names) == verdict_lines(results)


def test_figures_have_the_words_too(tmp_path, monkeypatch) -> None:
    given = []

    def plot(results: Results, *kind: object, names: object, **_: object) -> None:
        given.append(names)

    monkeypatch.setattr(Results, "plot", plot)
    monkeypatch.setattr("cameval.report._chart.fit_to_page", lambda axes: None)
    written(made(), tmp_path, names=PATIENT)
    assert given
    assert all(names == {"group": "patient"} for names in given)


def test_a_plural_may_be_of_its_own(tmp_path) -> None:
    names = {"group": "eye of a family", "groups": "eyes"}
    lines = verdict_lines(without_groups(), names=names)
    assert "12 eyes" in lines[0]
    assert "[95 % by eye of a family]" in " ".join(lines)
    assert any(line.startswith("No eyes were given") for line in lines)
    page = written(without_groups(), tmp_path, names=names)
    assert "an image without an id counts as an eye of a family of its own" in page.text
    assert "each an eye of a family of its own" in page.text


@pytest.mark.usefixtures("no_figures")
def test_a_word_stays_text(tmp_path) -> None:
    page = written(made(), tmp_path, names={"group": "</script><i>patient</i>"})
    assert "95 % interval by </script><i>patient</i>" in page.text
    assert "i" not in page.tags


def rendered(names: Names, file: str) -> str:
    browser = Browser(1, "", (), "{}")
    template = writing._environment().get_template(file)
    return template.render(names=names, browser=browser)


def test_the_browser_of_images_has_the_words() -> None:
    results = made()
    contents = contents_of(results)
    targets = targets_of(results, contents)
    usual, named = names_of(targets, contents), names_of(targets, contents, PATIENT)
    assert "<span>Group</span>" in rendered(usual, "browser.html.j2")
    assert "<span>Patient</span>" in rendered(named, "browser.html.j2")
    for names, word in ((usual, "group"), (named, "patient")):
        script = rendered(names, "browser.js")
        assert f'["", "all {word}s"]' in script
        assert f'rows.push(["{word}", data.groups' in script
    hostile = replace(named, nouns={"group": "</script>\"'"})
    assert "</script>" not in rendered(hostile, "browser.js")


def test_the_number_of_few_groups_has_the_word() -> None:
    assert format_interval_after(0.1, 0.2, 3, {"group": "eye"}) == " [.100, .200; only 3 eyes]"
