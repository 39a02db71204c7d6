"""The section of sanity checks: its numbers are those of the results, and its words no more."""

from pathlib import Path

import numpy as np
import pytest
import torch
from evaluations import SMALL, samples, small_network
from pages import Page, says_nowhere

import cameval
from cameval import CAMModel, evaluate
from cameval.evaluation import Results, SanityChecks, concat
from cameval.metrics import ROAD
from cameval.report import format_interval, format_number, write_report


def evaluated(name: str = "first", seed: int = 5, **checks: object) -> Results:
    """Evaluate the small network, with another training."""
    other = small_network()
    generator = torch.Generator().manual_seed(seed)
    for tensor in other.parameters():
        tensor.data = torch.randn(tensor.shape, generator=generator)
    settings = {"samples": 6, "faithfulness": {"road": ROAD((30.0,))}, "checkpoints": {"b": other}}
    return evaluate(
        CAMModel(other.features, small_network().head) if name == "second" else small_network(),
        samples(8),
        methods={"cam": cameval.cam, "grad": cameval.grad_cam},
        binarizers={"p80": cameval.PercentileBinarizer(80)},
        metrics={"iou": cameval.iou, "pixel_auroc": cameval.pixel_auroc},
        prepare=SMALL,
        name=name,
        sanity=SanityChecks(**settings | checks),
    )


@pytest.fixture(scope="module")
def results() -> Results:
    return evaluated()


@pytest.fixture(scope="module")
def page(results: Results, tmp_path_factory) -> Page:
    return Page(write_report(results, tmp_path_factory.mktemp("report")))


def cell_of(row: object, measure: str) -> str:
    low, high = getattr(row, f"{measure}_low"), getattr(row, f"{measure}_high")
    return f"{format_number(getattr(row, measure))} | {format_interval(low, high)}"


def test_the_similarities_are_those_of_the_summary(results: Results, page: Page) -> None:
    summary = results.sanity.summary()
    table = page.table("Similarity of maps to those with random weights")
    assert table.titles == ["map", "1 module", "2 modules", "different images"]
    for measure, block in (("spearman", "rank correlation"), ("ssim", "SSIM")):
        for row in summary.itertuples():
            titles = {"other image": "different images", "random weights": None}
            if row.check not in titles:
                continue
            count = row.random_modules
            title = titles[row.check] or f"{count} module{'s' if count > 1 else ''}"
            found = table.find(row.method, title, block)
            assert " ".join(found.split()).startswith(cell_of(row, measure))
    trainings = page.table("Similarity of maps to those of other trainings")
    assert trainings.titles[-1] == "same prediction"
    assert len(trainings.rows) == 2


def test_faithfulness_is_beside_the_agreement_with_the_truth(results: Results, page: Page) -> None:
    table = page.table("Agreement with the truth, and faithfulness")
    assert table.titles == ["map", "IoU", "AUROC", "ROAD (percentiles 30)"]
    scores = results.sanity.scores.summary()
    for row in scores.itertuples():
        title = {"iou": "IoU", "pixel_auroc": "AUROC", "road": "ROAD (percentiles 30)"}[row.metric]
        found = " ".join(table.find(row.method, title).split())
        assert found.startswith(f"{format_number(row.mean)} | {format_interval(row.low, row.high)}")
    assert {head.split()[0] for _, head, _ in table.rows} >= {"cam", "grad", "random"}


def test_the_text_gives_numbers_and_no_verdict(results: Results, page: Page) -> None:
    text = page.text
    summary = results.sanity.summary()
    last = summary[(summary["random_modules"] == 2) & (summary["method"] == "cam")].iloc[0]
    assert (
        f"cam: with all weights random, the maps have a mean rank correlation of "
        f"{format_number(last['spearman'])}" in text
    )
    assert "It cannot show that maps are right" in text
    for word in ("passed", "failed", "trustworthy", "fails the", "passes the"):
        assert word not in text[text.index("These checks are of") :].lower().split("undefined")[0]


def test_the_figure_is_in_the_page_and_in_its_folder(results: Results, tmp_path: Path) -> None:
    write_report(results, tmp_path)
    assert (tmp_path / "figures" / "random-weights.png").is_file()


def test_the_word_of_the_user_for_groups_is_in_the_section(results, tmp_path: Path) -> None:
    page = Page(write_report(results, tmp_path, names={"group": "patient"}))
    says_nowhere(page, "group")
    assert "In brackets: 95 % intervals by patient." in page.text
    assert "Bars: 95 % intervals by patient." in page.text


def test_a_report_without_checks_has_no_section(tmp_path: Path) -> None:
    plain = evaluated(faithfulness={}, checkpoints={}).select(method=["cam", "center", "random"])
    assert 'id="sanity"' not in write_report(plain, tmp_path).read_text()


def test_several_models_have_a_table_and_a_figure_each(results: Results, tmp_path: Path) -> None:
    both = concat([results, evaluated("second", seed=7)])
    page = Page(write_report(both, tmp_path))
    assert page.table("second: Similarity of maps to those with random weights")
    assert {path.name for path in (tmp_path / "figures").glob("random-weights*")} == {
        "random-weights-1.png",
        "random-weights-2.png",
    }
    assert np.isfinite(both.sanity.summary()["ssim"]).all()
