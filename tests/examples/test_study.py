"""Both protocols of the brain-tumor study run, nothing leaks, and what is killed goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import brain_tumor_study as study
import numpy as np
import pandas as pd
import pytest
from pages import Page
from study import tables, training
from study.data import Slices, Study
from study.evaluation import BINARIZERS, MAP, OPTIMUM, VALIDATED
from study.networks import Candidate

from cameval import Results
from cameval.data import Fold
from cameval.report import format_number

QUICK = ["--slices", "45", "--folds", "3", "--epochs", "1", "--size", "32"]


def run(out: Path, *arguments: str) -> int:
    return study.main([*QUICK, "--models", "small_cnn_8px", "--out", str(out), *arguments])


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "strict"
    assert run(out) == 0
    return out


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "paper"
    assert run(out, "--protocol", "paper", "--switches", "all") == 0
    return out


def load(out: Path, fold: int, part: str) -> Results:
    return Results.load(out / "evaluation" / f"small_cnn_8px-fold{fold}-{part}")


# --- The strict protocol --------------------------------------------------------------------------


def test_the_strict_study_writes_its_page_and_tables(strict: Path) -> None:
    page = (strict / "report.html").read_text()
    titles = ("Classification", "Thresholds", "Planned and paired tests", "Kinds of tumor")
    places = [page.index(f"<h2>{title}</h2>") for title in (*titles, "Resolution", "All scores")]
    assert places == sorted(places)
    assert {file.stem for file in (strict / "tables").iterdir()} == {
        *("classification", "confusion", "thresholds-small_cnn_8px", "choices", "tests"),
        *("classes-validated", "classes-percentile-95", "resolution"),
        *("methods-small_cnn_8px", "sizes", "baselines-validated", "baselines-percentile-95"),
        "captions",
    }
    summary = (strict / "summary.txt").read_text()
    for words in ("the paper's vgg19", "test optimum", "an optimism of", "CAM \u2212 intensity"):
        assert words in summary
    against = pd.read_csv(strict / "tables" / "baselines-validated.csv")
    assert against["baseline"].unique().tolist() == ["center", "class mean", "intensity"]
    of_all = against[(against["class"] == "all") & (against["baseline"] == "center")].iloc[0]
    difference = of_all["map"] - of_all["of the baseline"]
    assert float(of_all["difference"].split()[0].replace("\u2212", "-")) == pytest.approx(
        difference, abs=0.0011
    )
    methods = pd.read_csv(strict / "tables" / "methods-small_cnn_8px.csv").set_index("map")
    means = pd.read_csv(strict / "summary.csv").query(
        "metric == 'iou' and binarizer == 'validated'"
    )
    kept = load(strict, 0, "test").meanings.baselines
    assert methods["knows"].dropna().to_dict() == {name: one.knows for name, one in kept.items()}
    for label, mean in means.set_index("method")["mean"].items():
        assert methods.loc[label, "IoU"].startswith(format_number(mean))
    grid = pd.read_csv(strict / "tables" / "resolution.csv").iloc[0]
    assert grid["some map, at least"] >= grid["truth, best threshold"]


def p_values(out: Path, table: str) -> dict[str, str]:
    """Return the p of the differences between the map and baselines, of all slices."""
    rows = pd.read_csv(out / "tables" / f"{table}.csv", dtype=str)
    if "class" in rows:
        rows = rows[rows["class"] == "all"]
        return {
            f"{MAP} \u2212 {one}": p for one, p in zip(rows["baseline"], rows["p"], strict=True)
        }
    rows = rows[rows["metric"] == "iou"]
    return dict(zip(rows["comparison"], rows["p"], strict=True))


@pytest.mark.parametrize(
    ("protocol", "part"), [("strict", "baselines-validated"), ("paper", "baselines")]
)
def test_a_comparison_has_one_p_on_the_page(
    protocol: str, part: str, request: pytest.FixtureRequest
) -> None:
    out: Path = request.getfixturevalue(protocol)
    every, against = p_values(out, "tests"), p_values(out, part)
    assert len(against) == 3
    assert against == {pair: every[pair] for pair in against}
    tested = [t for t in Page(out / "report.html").tables if t.caption.startswith("Paired diff")]
    for pair, p in against.items():
        baseline = pair.partition(" \u2212 ")[2]
        shown = [
            cells[table.titles.index("p") - 1]
            for table in tested
            for block, head, cells in table.rows
            if head == MAP and block.startswith(f"minus {baseline} (")
        ]
        assert shown == [p]


def test_the_headline_joins_accuracy_and_maps_below_a_banner(strict: Path, paper: Path) -> None:
    for out in (strict, paper):
        page = Page(out / "report.html")
        predictions = pd.read_csv(out / "predictions.csv")
        opening = tables.describe_accuracy(predictions, "small_cnn_8px")
        folds = tables.fold_scores(predictions)["accuracy"]
        assert format_number(folds.mean()) in opening
        assert page.headline.startswith(f"{opening} The maps ")
        banner = page.source.index(">Phantom: nothing clinical follows</p>")
        assert banner < page.source.index("<h1>")
    assert "against the paper" not in (strict / "report.html").read_text().lower()


def test_the_section_against_the_paper_is_right_after_the_first_screen(paper: Path) -> None:
    page = Page(paper / "report.html")
    assert [one for one in page.ids if one != "theme"][:3] == ["summary", "paper", "classification"]
    figure, kept = (
        page.table("Mean IoU of small_cnn_8px"),
        pd.read_csv(paper / "tables" / "thresholds.csv", dtype=str).set_index("threshold"),
    )
    columns = {"this study": "IoU", "class mean": "class mean", "bound": "area bound"}
    for threshold, row in kept.iterrows():
        for shown, column in columns.items():
            assert figure.find(str(threshold), shown).split()[0] == row[column].split()[0]
    assert figure.find("percentile:95", "the paper") == ".153 | (VGG-19)"
    source = page.source
    for title in ("Mean IoU of small_cnn_8px", "Slices with an IoU above", "Table 2"):
        start = source.index(f"<h3>{title}")
        assert source[start:].index('role="img" aria-label="') < source[start:].index("</svg>")


def test_every_slice_is_tested_once_by_a_network_that_has_not_seen_its_patient(
    strict: Path,
) -> None:
    folds = json.loads((strict / "start.json").read_text())["folds of the slices"]
    table = pd.read_csv(strict / "predictions.csv").astype({"sample": str, "group": str})
    assert sorted(table["sample"]) == sorted(folds)
    assert table["fold"].tolist() == [folds[name] for name in table["sample"]]
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    for fold in range(3):
        validated, tested = (load(strict, fold, part).samples for part in ("validation", "test"))
        assert set(validated["group"]) & set(tested["group"]) == set()
        assert {folds[name] for name in validated["sample"]} == {(fold + 1) % 3}


def test_the_threshold_is_the_best_of_the_validation_patients(strict: Path) -> None:
    """Computed again from the kept scores of each part."""
    expected = []
    for fold in range(3):
        validation = load(strict, fold, "validation").select(method=MAP)
        means = {one: np.nanmean(validation.select(binarizer=one).values) for one in BINARIZERS}
        best = max(means, key=lambda one: means[one])
        of_test = {"method": MAP, "binarizer": best, "metric": "iou", "target_class": "predicted"}
        expected.append(load(strict, fold, "test").select(**of_test).values[:, 0])
    summary = pd.read_csv(strict / "summary.csv")
    means = summary[summary["metric"] == "iou"].pivot(
        index="method", columns="binarizer", values="mean"
    )
    assert means.loc[MAP, VALIDATED] == pytest.approx(np.nanmean(np.concatenate(expected)))
    assert (means[OPTIMUM] >= means[VALIDATED]).all()
    assert (means[OPTIMUM] >= means[list(BINARIZERS)].max(axis=1) - 1e-12).all()


def test_every_baseline_says_what_it_knows(strict: Path) -> None:
    known = load(strict, 0, "test").meanings.baselines
    assert {label: meaning.knows for label, meaning in known.items()} == {
        "center": "nothing",
        "random": "nothing",
        "class mean": "labels",
        "intensity": "image",
        "edges": "image",
        "untrained": "image",
        "truth": "truth",
    }


@pytest.mark.usefixtures("no_figures")
def test_a_study_that_was_killed_is_resumed_to_the_same_result(
    strict: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evaluate, fine_tune = study.evaluate, training.fine_tune
    calls: list[int] = []

    def stop_at(count: int) -> None:
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "fine_tune", lambda *a: (stop_at(3), fine_tune(*a)))
    assert run(tmp_path) == 130
    assert "continue with --resume" in capsys.readouterr().err
    assert len(list((tmp_path / "checkpoints").glob("*.pth"))) == 2
    monkeypatch.setattr(study, "evaluate", lambda *a, **k: (stop_at(6), evaluate(*a, **k))[1])
    assert run(tmp_path, "--resume") == 130
    monkeypatch.setattr(study, "evaluate", evaluate)
    monkeypatch.setattr(training, "fine_tune", fine_tune)
    assert run(tmp_path, "--resume") == 0
    for name in ("scores.csv", "predictions.csv", "summary.csv", "summary.txt"):
        assert (tmp_path / name).read_bytes() == (strict / name).read_bytes()


def test_a_study_is_not_overwritten_nor_resumed_as_another(
    strict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (strict / "scores.csv").read_bytes()
    assert run(strict) == 2
    assert "which holds a study; give --resume" in capsys.readouterr().err
    assert run(strict, "--resume", "--seed", "1") == 2
    assert "must have the seed of" in capsys.readouterr().err
    kept = strict / "start.json"
    start = kept.read_text()
    others = {"folds of the slices": {"1": 7}, "starting weights": {}, "kind of device": "cuda"}
    for name, value in (others | {"number of threads": 99, "version of torch": "1.0"}).items():
        kept.write_text(json.dumps(json.loads(start) | {name: value}))
        assert run(strict, "--resume") == 2
        assert f"must have the {name} of" in capsys.readouterr().err
    kept.write_text(start)
    assert (strict / "scores.csv").read_bytes() == before


# --- The paper's protocol -------------------------------------------------------------------------


def test_the_papers_protocol_prints_the_papers_numbers_beside_its_own(paper: Path) -> None:
    page = (paper / "report.html").read_text()
    for title in ("Table 2: classification", "IoU at the five thresholds", "All images"):
        assert f"<h2>{title}</h2>" in page
    assert "an optimistic choice" in page
    thresholds = pd.read_csv(paper / "tables" / "thresholds.csv").set_index("threshold")
    assert list(thresholds.index) == [
        "mean",
        "median",
        "percentile:75",
        "percentile:90",
        "percentile:95",
    ]
    assert float(thresholds.loc["percentile:95", "paper"]) == 0.153
    classification = pd.read_csv(paper / "tables" / "classification.csv").set_index("model")
    assert classification.loc["the paper's vgg19", "accuracy"] == ".950 (.040)"


def test_the_switches_are_beside_the_study_as_it_was_run(paper: Path) -> None:
    switches = pd.read_csv(paper / "tables" / "switches.csv").fillna("")
    assert switches["question"].drop_duplicates().tolist() == [
        "as run",
        "where the threshold is taken",
        "which pixels are in the mask",
        "grid of the IoU",
        "how the map is aligned with the slice",
        "crop (trained again)",
        "order of the slices in the folds (trained again)",
        "classes in the folds (trained again)",
        "head (trained again)",
        "epochs (trained again)",
        "highest learning rate (trained again)",
        "seed of the training (trained again)",
        "which slices",
    ]
    trained = {path.parent.parent.name for path in (paper / "switches").glob("*/checkpoints/*")}
    # a crop, two orders, classes as they come, a head, two numbers of epochs, two rates, two seeds
    assert len(trained) == 10


def test_the_papers_scores_are_those_of_evaluate(paper: Path) -> None:
    kept = load(paper, 2, "test")
    own = pd.read_csv(paper / "scores.csv").astype({"slice": str})
    for name, rows in own.groupby("threshold"):
        metrics = ["iou", "coverage", "area_bound"]
        theirs = kept.select(method=MAP, binarizer=name, metric=metrics)
        assert rows["slice"].tolist() == theirs.samples["sample"].tolist()
        columns = [column.metric for column in theirs.columns]
        np.testing.assert_allclose(rows[columns], theirs.values, rtol=1e-6, atol=1e-7)


@pytest.mark.usefixtures("no_figures")
def test_other_masks_than_those_of_the_library_are_told_apart(tmp_path: Path) -> None:
    arguments = ["--protocol", "paper", "--switches", "none", "--inclusive"]
    arguments += ["--threshold-on", "coarse-mask", "--truth-grid", "native"]
    assert run(tmp_path / "out", *arguments) == 0
    assert "have the masks that --threshold-on" in (tmp_path / "out" / "summary.txt").read_text()


def test_patients_in_several_folds_are_reported(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, cell_centers = study.parse(["--protocol", "paper", "--folds", "3"])
    slices = Slices(next(paper.glob("phantom-*")), tmp_path / "x.h5")
    folds = study.divide(settings, slices)
    study.warn_of_folds(Study(settings, cell_centers, slices, folds))
    shared = {patient for fold in folds for patient in fold.shared}
    assert f"WARNING: {len(shared)} of 15 patients" in capsys.readouterr().err


@pytest.mark.parametrize("order", ["shuffled", "numeric", "lexicographic"])
def test_slices_are_divided_in_the_order_asked_for(paper: Path, tmp_path: Path, order: str) -> None:
    slices = Slices(next(paper.glob("phantom-*")), tmp_path / "x.h5")
    arguments = ["--protocol", "paper", "--folds", "3", "--no-stratified", "--fold-order", order]
    first: Fold = study.divide(study.parse(arguments)[0], slices)[0]
    names = [slices.names[i] for i in first.test]
    if order == "lexicographic":
        assert sorted(names) == sorted(slices.names)[:15]
    else:
        assert (names == [str(k + 1) for k in range(15)]) == (order == "numeric")


# --- What goes wrong ------------------------------------------------------------------------------


def test_a_wrong_name_folder_or_size_is_one_line_and_makes_no_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit):
        study.main([*QUICK, "--models", "resnet81", "--out", str(out)])
    assert "resnet81" in capsys.readouterr().err
    assert study.main([*QUICK, "--models", "resnet18", "--pretrained", "x", "--out", str(out)]) == 2
    assert "'x', which does not exist" in capsys.readouterr().err
    for model in ("alexnet@64", "alexnet@32"):
        arguments = ["--models", model, "--pretrained", "none", "--out", str(out)]
        assert study.main([*QUICK, *arguments]) == 2
        assert "the input must be large enough" in capsys.readouterr().err
    assert not out.exists()
    assert run(out, "--data", str(tmp_path / "nowhere")) == 2
    message = capsys.readouterr().err
    assert message.startswith("error:")
    assert "nowhere" in message
    assert not (out / "settings.json").exists()


def test_a_trained_network_is_loaded_as_it_was(strict: Path, tmp_path: Path) -> None:
    settings, cell_centers = study.parse([*QUICK, "--out", str(strict)])
    slices = Slices(next(strict.glob("phantom-*")), tmp_path / "x.h5")
    whole = Study(settings, cell_centers, slices, study.divide(settings, slices))
    candidate, images = Candidate("small_cnn_8px"), slices.pictures(32, None)[0]
    predictions = pd.read_csv(strict / "predictions.csv").astype({"sample": str})
    for fold in whole.folds:
        logits = training.predict(study.load_model(whole, candidate, fold), images[fold.test])
        rows = predictions.set_index("sample").loc[[slices.names[i] for i in fold.test]]
        assert rows["predicted"].tolist() == logits.argmax(1).tolist()


# --- Recipes and processes ------------------------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
def test_another_alignment_takes_the_networks_of_a_study(
    strict: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trains(*arguments: object) -> None:
        raise AssertionError("every network is trained")

    monkeypatch.setattr(training, "fine_tune", trains)
    given = ["--checkpoints", str(strict / "checkpoints")]
    assert run(tmp_path / "aligned", *given, "--alignment", "receptive_field") == 0
    own, aligned = (pd.read_csv(out / "predictions.csv") for out in (strict, tmp_path / "aligned"))
    pd.testing.assert_frame_equal(own, aligned)
    capsys.readouterr()
    assert run(tmp_path / "longer", *given, "--learning-rate", "0.01") == 2
    assert "must have the learning_rate of" in capsys.readouterr().err


@pytest.mark.slow
def test_recipes_are_compared(tmp_path: Path) -> None:
    models = ["small_cnn_8px", "small_cnn_8px+longer", "small_cnn_8px+gain"]
    arguments = ["--models", *models, "--gain", "10", "0.5", "--out", str(tmp_path / "out")]
    assert study.main([*QUICK, *arguments]) == 0
    summary = (tmp_path / "out" / "summary.txt").read_text()
    assert "GAIN with omega and sigma [10.0, 0.5]" in summary
    assert "small_cnn_8px+longer \u2212 small_cnn_8px+gain" in summary


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [["strict"], ["paper", "--switches", "all"]])
def test_two_processes_give_the_tables_of_one(tmp_path: Path, protocol: list[str]) -> None:
    models = ["--models", "small_cnn_8px", "small_cnn_16px"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, launcher in {"one": [], "two": torchrun}.items():
        arguments = [*QUICK, *models, "--protocol", *protocol, "--out", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, *launcher, study.__file__, *arguments],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("report: ") == 1
    for file in ("scores.csv", "predictions.csv", "summary.txt", "tables.txt"):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two
