"""The runs of the documentation: their commands, and the pages that are written from them."""

import csv
import re
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest
import study_runs
from pages import not_drawn
from PIL import Image
from study import catalog, charts, records, rst
from study.catalog import COMPARED_AT, COMPARISONS, RUNS, SEEDS, Maps, PlannedRun
from study.evaluation import MAP
from study.quotes import QUOTES, Quote
from study.settings import parse

from cameval.errors import DataError
from cameval.report import _chart, format_number

QUICK = ("--slices", "45", "--folds", "3", "--epochs", "1", "--size", "32")
SMALL = {
    one.name: one
    for one in (
        PlannedRun("first", "The first run", (*QUICK, "--known-patients")),
        PlannedRun("second", "The second run", (*QUICK, "--known-patients", "--patience", "1")),
        PlannedRun("slice", "By slice", (*QUICK, "--protocol", "paper", "--switches", "none")),
        PlannedRun("absent", "A run that is not there", QUICK),
    )
}
ROOT = Path(__file__).parents[2]
OF_THE_PAPER = {".95", ".153", ".928", ".950", ".040", ".089"}
SCORE = re.compile(r"(?<![\w.])-?\.\d+")
IOU = Quote("first", "thresholds-small_cnn_8px", {"threshold": "percentile:95"}, "IoU")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small runs, all of the same phantom."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_chart, "draw_twice", not_drawn)
        for name in ("first", "second", "slice"):
            out = ["--models", "small_cnn_8px", "--out", str(folder / name)]
            assert study_runs.brain_tumor_study.main([*SMALL[name].options, *out]) == 0
    return folder


@pytest.fixture(scope="module")
def kept(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep for the documentation what it shows of these runs."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "RUNS", SMALL)
        assert study_runs.main(["keep", "--runs", str(runs), "--docs", str(folder)]) == 0
    return folder / study_runs.RECORDS


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (catalog, rst):
        monkeypatch.setattr(module, "RUNS", SMALL)
    first, second, absent = (Maps(name, "small_cnn_8px") for name in ("first", "second", "absent"))
    monkeypatch.setattr(rst, "COMPARISONS", ((second, first), (absent, first)))
    monkeypatch.setattr(rst, "SEEDS", ("first", "second", "absent"))
    monkeypatch.setattr(rst, "QUOTES", {"IoU of the first": IOU})


@pytest.mark.parametrize("name", list(RUNS))
def test_every_planned_run_can_be_run(name: str) -> None:
    settings, run = parse(RUNS[name].arguments("data", "weights", "runs"))
    assert run.out == Path("runs") / name
    assert (settings.data, settings.pretrained) == ("data", "weights")
    networks = RUNS[name].networks_of
    assert networks is None or list(RUNS).index(networks) < list(RUNS).index(name)


def test_what_is_compared_has_the_same_slices_and_networks() -> None:
    names = {maps.run for pair in COMPARISONS for maps in pair} | set(SEEDS)
    assert all(RUNS[name].intervals for name in names)
    assert len(COMPARED_AT) == 2


def test_all_tables_are_on_the_page(kept: Path, small: None) -> None:
    page = rst.tables_page(kept)
    for name in ("first", "second", "slice"):
        for file in (kept / name / "tables").glob("*.csv"):
            rows = list(csv.reader(file.read_text().splitlines()))
            title = rst.escape(rows[0][0]) or "\\ "
            assert f"   {title}" in page, file
    assert "- A run that is not there" in page
    assert "$ python examples/brain_tumor_study.py --data DIR --pretrained WEIGHTS" in page
    by_slice = page[page.index("By slice\n--------") :]
    assert "[" not in by_slice[by_slice.index(".. csv-table::") : by_slice.index("Not run")]


def test_tables_are_kept_as_the_runs_wrote_them(runs: Path, kept: Path) -> None:
    assert sorted(one.name for one in kept.iterdir()) == ["first", "second", "slice"]
    for name in ("first", "second", "slice"):
        written = {file.name: file.read_text() for file in (runs / name / "tables").iterdir()}
        copies = {file.name: file.read_text() for file in (kept / name / "tables").iterdir()}
        assert copies == written
    assert not (kept / "slice" / records.IOUS).exists()


def test_patients_are_kept_as_numbers(runs: Path, kept: Path) -> None:
    table = pd.read_csv(kept / "first" / records.IOUS)
    scores = pd.read_csv(runs / "first" / "scores.csv", dtype={"group": str})
    patients = scores.drop_duplicates("sample").set_index("sample")["group"]
    pairs = {
        (patients[row.sample_], row.patient)
        for row in table.rename(columns={"sample": "sample_"}).itertuples()
    }
    assert len(pairs) == table["patient"].nunique() == patients.nunique() == 15


def test_differences_of_runs_are_paired_by_slice(runs: Path, kept: Path, small: None) -> None:
    table = rst.comparisons(kept)
    assert table["threshold"].tolist() == list(COMPARED_AT)
    tables = [pd.read_csv(runs / name / "scores.csv") for name in ("second", "first")]
    for row in table.to_dict("records"):
        query = f"metric == 'iou' and method == '{MAP}' and binarizer == '{row['threshold']}'"
        means = [one.query(query)["value"].mean() for one in tables]
        assert row["difference"].split()[0] == format_number(means[0] - means[1])
        assert row["patients"] == "15"


def test_seeds_have_their_mean_and_deviation(runs: Path, kept: Path, small: None) -> None:
    accuracy = rst.seeds(kept).iloc[0]
    values = [
        float((one["label"] == one["predicted"]).mean())
        for one in (pd.read_csv(runs / name / "predictions.csv") for name in ("first", "second"))
    ]
    assert accuracy["mean"] == format_number(float(np.mean(values)))
    assert accuracy["sd"] == format_number(float(np.std(values, ddof=1)))


def test_other_slices_are_not_compared(kept: Path, small: None, tmp_path: Path) -> None:
    copytree(kept, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "first" / records.IOUS
    pd.read_csv(file).iloc[1:].to_csv(file, index=False)
    with pytest.raises(DataError, match="second and first must have the same slices"):
        rst.comparisons(tmp_path)


def test_quoted_numbers_are_those_of_the_tables(kept: Path, small: None) -> None:
    text = "An IoU of |IoU\nof the first|."
    table = records.read_table(kept / "first", IOU.table)
    cell = table.set_index("threshold")["IoU"]["percentile:95"]
    assert f".. |IoU of the first| replace:: {cell.split()[0]}\n" in rst.numbers_file(kept, text)
    assert "replace" not in rst.numbers_file(kept, "nothing | is quoted")
    frame = rst.quoted_table(kept, IOU.run, IOU.table)
    assert rst.cell_of(frame, IOU._replace(interval=True)) == cell
    with pytest.raises(DataError, match="must be one cell, got 0 rows"):
        rst.cell_of(frame, IOU._replace(row={"threshold": "percentile:96"}))
    of_slice = Quote("slice", "thresholds", {"threshold": "mean"}, "IoU", interval=True)
    assert "[" not in rst.cell_of(rst.quoted_table(kept, "slice", "thresholds"), of_slice)
    of_runs = Quote(None, "seeds", {"measure": "accuracy"}, "mean")
    mean = rst.seeds(kept)["mean"][0]
    assert rst.cell_of(rst.quoted_table(kept, None, "seeds"), of_runs) == mean
    tests = pd.DataFrame({"p": ["< .001", ".042"], "of": ["a", "b"], "n": ["5.6 % (34/612)", ""]})
    small, other = (Quote(None, "", {"of": name}, "p") for name in "ab")
    assert [rst.cell_of(tests, one) for one in (small, other)] == ["p < .001", "p = .042"]
    assert rst.cell_of(tests, small._replace(column="n")) == "5.6 %"


def test_pages_are_written(runs: Path, kept: Path, small: None, tmp_path: Path) -> None:
    copytree(kept, tmp_path / study_runs.RECORDS)
    (tmp_path / "study.rst").write_text("|IoU of the first|")
    assert study_runs.main(["pages", "--docs", str(tmp_path)]) == 0
    assert (tmp_path / "study_tables.rst").read_text() == rst.tables_page(kept)
    numbers = rst.numbers_file(kept, "|IoU of the first|")
    assert (tmp_path / "study_numbers.txt").read_text() == numbers
    copied = kept.parent / "images" / "study-paper-figure-1.jpg"
    drawn = runs / "slice" / "figures" / "paper-figure-1.png"
    with Image.open(copied) as copy, Image.open(drawn) as picture:
        assert copy.size == picture.size


def test_the_pages_of_the_documentation_are_those_of_what_is_kept() -> None:
    docs, kept = ROOT / "docs", ROOT / "docs" / study_runs.RECORDS
    assert (docs / "study_tables.rst").read_text() == rst.tables_page(kept)
    text = (docs / "study.rst").read_text()
    assert (docs / "study_numbers.txt").read_text() == rst.numbers_file(kept, text)


def test_runs_are_made_in_their_order_until_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def record(arguments: list[str]) -> int:
        made.append(arguments[arguments.index("--out") + 1])
        return 2 if made[-1] == "there/patient" else 0

    monkeypatch.setattr(study_runs.brain_tumor_study, "main", record)
    folders = ["--data", "d", "--weights", "w", "--runs", "there"]
    assert study_runs.main(["run", "patient", "slice", "gain", *folders]) == 2
    assert made == ["there/slice", "there/patient"]
    assert study_runs.main(["run", "all", *folders]) == 0


def test_no_character_of_a_cell_is_markup() -> None:
    assert rst.escape("a_ |b| *c* `d` vgg16_bn") == r"a\_ \|b\| \*c\* \`d\` vgg16_bn"


def test_quotes_are_of_planned_runs() -> None:
    assert {quote.run for quote in QUOTES.values()} <= {*RUNS, None}
    assert {quote.table for quote in QUOTES.values() if quote.run is None} <= set(rst.OF_RUNS)


def test_charts_are_drawn_of_the_runs_that_are_there(runs: Path, tmp_path: Path) -> None:
    copies = {"slice": "slice", "slice-frozen": "slice", "patient": "first"}
    for name, source in copies.items():
        copytree(runs / source / "tables", tmp_path / name / "tables")
    charts.draw_charts(tmp_path, tmp_path / "images")
    drawn = [file.name for file in (tmp_path / "images").iterdir()]
    assert drawn == ["study-thresholds.png"]
    copytree(runs / "second" / "tables", tmp_path / "patient-frozen" / "tables")
    charts.draw_charts(tmp_path, tmp_path / "images")
    with Image.open(tmp_path / "images" / "study-classes.png") as picture:
        colors = {tuple(color) for color in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert {(0, 114, 178), (0, 158, 115), (213, 94, 0)} <= colors


def test_numbers_are_read_from_cells() -> None:
    frame = pd.DataFrame({"x": [".116 [.100, .130]", "\u2212.010 [\u2212.020, .001]", "\u2013"]})
    np.testing.assert_array_equal(charts.values_of(frame, "x"), [0.116, -0.01, np.nan])
    low, high = charts.intervals_of(frame, "x")
    np.testing.assert_array_equal(low, [0.1, -0.02, np.nan])
    np.testing.assert_array_equal(high, [0.13, 0.001, np.nan])


@pytest.mark.parametrize("page", ["README.md", "docs/study.rst"])
def test_the_text_has_no_other_numbers_than_the_tables_and_the_paper(page: str) -> None:
    """Scores in the text are quoted; the 95th percentile and the like are no scores."""
    text = (ROOT / page).read_text()
    if page == "README.md":
        text = text[text.index("## The brain-tumor study") : text.index("## Documentation")]
    known = set(SCORE.findall((ROOT / "docs" / "study_numbers.txt").read_text()))
    found = set(SCORE.findall(text)) - {".5", ".01", ".05"}
    assert found
    assert found <= known | OF_THE_PAPER


def test_every_number_that_the_text_quotes_is_known() -> None:
    text = (ROOT / "docs" / "study.rst").read_text()
    quoted = {" ".join(name.split()) for name in re.findall(r"\|([^|]+)\|", text)}
    assert quoted
    assert quoted <= set(QUOTES)
