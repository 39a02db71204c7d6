"""The brain-tumor study: both protocols run, nothing leaks, and what is killed goes on the same."""

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import brain_tumor_study as study
import numpy as np
import pandas as pd
import pytest
import torch
from study import looking, training
from study.candidates import Candidate
from study.looking import BINARIZERS, MAP, OPTIMUM, VALIDATED

from cameval import Results
from cameval.evaluation._identity import weights_hash

SCRIPT = Path(study.__file__)
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


def part(out: Path, fold: int, which: str) -> Results:
    return Results.load(out / "evaluation" / f"small_cnn_8px-fold{fold}-{which}")


# --- the strict protocol ------------------------------------------------------------------------


def test_the_strict_study_writes_what_it_promises(strict: Path) -> None:
    page = (strict / "report.html").read_text()
    sections = ("Classification", "Thresholds", "Kinds of tumor", "Small tumors", "Resolution")
    places = [page.index(f"<h2>{title}</h2>") for title in (*sections, "Masks", "Figures")]
    assert places == sorted(places)
    assert "optimism" in page
    assert "the paper&#39;s vgg19" in page
    assert (strict / "figures" / "thresholds.png").exists()
    assert len(pd.read_csv(strict / "predictions.csv")) == 45
    assert set(pd.read_csv(strict / "summary.csv")["binarizer"].dropna()) >= {
        VALIDATED,
        OPTIMUM,
        *BINARIZERS,
    }
    assert "threshold" in (strict / "summary.txt").read_text()
    assert {file.stem for file in (strict / "tables").iterdir()} == {
        *("classification", "confusion", "thresholds-small_cnn_8px", "choices", "classes-p95"),
        *("classes-validated", "small-tumors", "outcomes", "resolution"),
    }
    assert "IoU, and what the grid can hold" in (strict / "tables.txt").read_text()


def test_every_slice_is_tested_once_by_a_network_that_has_not_seen_its_patient(
    strict: Path,
) -> None:
    folds = json.loads((strict / "folds.json").read_text())
    patients = pd.read_csv(strict / "predictions.csv").astype({"sample": str, "group": str})
    assert sorted(patients["sample"]) == sorted(folds)
    assert patients["fold"].tolist() == [folds[name] for name in patients["sample"]]
    assert (patients.groupby("group")["fold"].nunique() == 1).all()
    for fold in range(3):
        validated = part(strict, fold, "validation").samples
        tested = part(strict, fold, "test").samples
        assert set(validated["group"]) & set(tested["group"]) == set()
        assert {folds[name] for name in validated["sample"]} == {(fold + 1) % 3}
        kept = Candidate("small_cnn_8px").build("none", 3)
        kept.load_state_dict(
            torch.load(strict / "checkpoints" / f"small_cnn_8px-fold{fold}.pth", weights_only=True)
        )
        record = json.loads(
            (strict / "evaluation" / f"small_cnn_8px-fold{fold}-test" / "run.json").read_text()
        )
        assert record["settings"]["weights"] == weights_hash(kept)


def test_the_threshold_is_the_best_of_the_validation_patients(strict: Path) -> None:
    """Worked out again from the kept scores of each part."""
    expected = []
    for fold in range(3):
        means = {
            name: np.nanmean(
                part(strict, fold, "validation").select(method=MAP, binarizer=name).values
            )
            for name in BINARIZERS
        }
        best = max(means, key=lambda name: means[name])
        test = part(strict, fold, "test").select(
            method=MAP, binarizer=best, metric="iou", target_class="predicted"
        )
        expected.append(test.values[:, 0])
    summary = pd.read_csv(strict / "summary.csv")
    row = summary[
        (summary["binarizer"] == VALIDATED)
        & (summary["method"] == MAP)
        & (summary["metric"] == "iou")
        & (summary["target_class"] == "predicted")
    ]
    assert row["mean"].item() == pytest.approx(np.nanmean(np.concatenate(expected)), rel=1e-12)


def test_a_choice_on_the_test_is_never_worse(strict: Path) -> None:
    summary = pd.read_csv(strict / "summary.csv")
    of = summary[(summary["metric"] == "iou") & (summary["target_class"] == "predicted")]
    means = of.pivot(index="method", columns="binarizer", values="mean")
    assert (means[OPTIMUM] >= means[VALIDATED]).all()
    assert (means[OPTIMUM] >= means[list(BINARIZERS)].max(axis=1) - 1e-12).all()


def test_what_is_killed_goes_on_to_the_same_result(
    strict: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    trained, scored = [], []

    def killed_in_training(*arguments, **settings) -> None:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(1)
        training.fine_tune(*arguments, **settings)

    def killed_in_scoring(*arguments, **settings) -> Results:
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append(1)
        return evaluate(*arguments, **settings)

    evaluate = looking.evaluate
    monkeypatch.setattr(study, "fine_tune", killed_in_training)
    assert run(tmp_path) == 130
    assert "go on with --resume" in capsys.readouterr().err
    assert len(list((tmp_path / "checkpoints").glob("*.pth"))) == 2
    monkeypatch.undo()
    monkeypatch.setattr(looking, "evaluate", killed_in_scoring)
    assert run(tmp_path, "--resume") == 130
    monkeypatch.undo()
    assert run(tmp_path, "--resume") == 0
    for name in ("scores.csv", "predictions.csv", "summary.csv", "summary.txt"):
        assert (tmp_path / name).read_bytes() == (strict / name).read_bytes()


def test_a_study_is_not_overwritten_nor_resumed_with_other_settings(
    strict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (strict / "scores.csv").read_bytes()
    assert run(strict) == 2
    assert "which holds a study; give --resume" in capsys.readouterr().err
    assert run(strict, "--resume", "--seed", "1") == 2
    assert "got others for seed" in capsys.readouterr().err
    assert (strict / "scores.csv").read_bytes() == before


def words_of(page: Path) -> str:
    """Return the text of a page, without its markup and pictures."""
    text = re.sub(r"<style.*?</style>|<script.*?</script>", " ", page.read_text(), flags=re.S)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


def test_each_comparison_has_one_p_on_the_page(strict: Path) -> None:
    """A difference in IoU in the study's own sentences has the p value of the page's table."""
    text = words_of(strict / "report.html")
    p = r"p (?:= )?(< \.001|[\d.]+)"
    numbers = rf"difference ([^ ,]+)(?: \[[^]]*\])?, {p}, both corrected for (\d+) tests"
    found = re.findall(numbers, text)
    assert len({size for _, _, size in found}) == 2  # of the page, and of what it does not test
    by_difference: dict[tuple[str, str], set[str]] = {}
    for difference, p_holm, size in found:
        by_difference.setdefault((difference.lstrip("-"), size), set()).add(p_holm)
    assert all(len(several) == 1 for several in by_difference.values())
    best = re.search(rf"The best map made without the image \((.*?)\) has .*?{numbers}", text)
    assert best is not None
    table = text[text.index("Paired tests Paired differences") :]
    row = re.search(rf"{best[1]}.*? CAM (\S+)(?: \[[^]]*\])? (< \.001|\S+) ", table)
    assert row is not None
    assert row.groups() == best.groups()[1:3]


def test_the_truth_on_the_grid_is_called_no_bound(strict: Path, paper: Path) -> None:
    for out in (strict, paper):
        text = words_of(out / "report.html").lower()
        assert "ceiling" not in text
        assert " allows" not in text
        assert "oracle" not in text
    tables = (strict / "tables.txt").read_text()
    assert "truth" in tables
    assert "area cap (at most)" in tables
    grid = pd.read_csv(strict / "tables" / "resolution.csv").iloc[0]
    assert grid["some map, at least"] >= grid["truth on grid, best threshold"]
    assert grid["some map, at least"] >= grid["truth"]


def test_the_class_mean_is_not_called_blind(strict: Path) -> None:
    """It knows the class that the network predicts; every baseline says what it knows."""
    known = part(strict, 0, "test").meanings.baselines
    assert {label: meaning.knows for label, meaning in known.items()} == {
        "center": "nothing",
        "random": "nothing",
        "class mean": "labels",
        "intensity": "image",
        "edges": "image",
        "untrained": "image",
        "truth": "truth",
    }
    assert not re.search(r"blind map \(class.mean", words_of(strict / "report.html"))


# --- the paper's protocol -----------------------------------------------------------------------


def test_the_papers_protocol_prints_the_papers_tables(paper: Path) -> None:
    page = (paper / "report.html").read_text()
    pictures = ("Maps on single slices", "Thresholds on single slices")
    assert "on which slices the paper chose, it does not say" in page
    for title in ("Table 2: classification", "IoU at the five thresholds", *pictures):
        assert f"<h2>{title}</h2>" in page
    thresholds = pd.read_csv(paper / "tables" / "thresholds.csv").set_index("threshold")
    assert list(thresholds.index) == ["mean", "median", "p75", "p90", "p95"]
    assert float(thresholds.loc["p95", "paper"]) == 0.153
    for picture in ("slices-maps.png", "slices-thresholds.png"):
        assert (paper / "figures" / picture).read_bytes().startswith(b"\x89PNG")
    classification = pd.read_csv(paper / "tables" / "classification.csv").set_index("model")
    assert classification.loc["the paper's vgg19", "accuracy"] == ".950 (.040)"


def test_the_switches_stand_beside_the_study_as_it_was_run(paper: Path) -> None:
    switches = pd.read_csv(paper / "tables" / "switches.csv").fillna("")
    assert switches["question"].iloc[0] == "as run"
    assert set(switches["question"]) == {
        "as run",
        "where the threshold is taken",
        "which pixels are in the mask",
        "grid of the IoU",
        "how the map is aligned with the slice",
        "crop (trained again)",
        "order of the slices in the folds (trained again)",
        "classes in the folds (trained again)",
        "head (trained again)",
        "which slices",
    }
    trained = {path.parent.parent.name for path in (paper / "switches").glob("*/checkpoints/*")}
    assert len(trained) == 5  # one crop, two orders, classes as they come, one head


def test_a_threshold_chosen_on_the_tested_slices_is_called_optimistic(paper: Path) -> None:
    assert "an optimistic choice" in (paper / "report.html").read_text()


def test_other_masks_than_the_librarys_are_told_apart(tmp_path: Path) -> None:
    arguments = ["--protocol", "paper", "--switches", "none", "--inclusive"]
    native = ["--threshold-on", "coarse-mask", "--truth-grid", "native"]
    assert run(tmp_path / "out", *arguments, *native) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "is the library&#39;s evaluation of the same maps" in page
    untested = r"The best map made without the image \(.*?\) has (\.\d+|1\.000)\. "
    assert re.search(untested, words_of(tmp_path / "out" / "report.html"))


def test_the_papers_scores_are_those_of_evaluate(paper: Path) -> None:
    """Two ways to the same numbers: the study's own masks, and the library's evaluation."""
    kept = part(paper, 2, "test")
    own = pd.read_csv(paper / "scores.csv").astype({"slice": str})
    for name, rows in own.groupby("threshold"):
        theirs = kept.select(method=MAP, binarizer=name, metric=["iou", "coverage", "area_bound"])
        assert rows["slice"].tolist() == theirs.samples["sample"].tolist()
        columns = [column.metric for column in theirs.columns]
        np.testing.assert_allclose(rows[columns], theirs.values, rtol=1e-6, atol=1e-7)


def test_a_leak_is_reported(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "tested on patients that they were trained on" in (paper / "report.html").read_text()
    slices = study.Slices(next(paper.glob("phantom-*")), tmp_path / "x.h5")
    splits = study.splits_by_slice(slices, 3, "shuffled", 0)
    study.warn_of_folds(study.parse(["--protocol", "paper"])[0], slices, splits)
    shared = {patient for split in splits for patient in split.shared}
    assert f"WARNING: {len(shared)} of 15 patients" in capsys.readouterr().err


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_wrong_name_or_folder_is_one_line_and_makes_no_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit):
        study.main([*QUICK, "--models", "resnet81", "--out", str(out)])
    assert "resnet81" in capsys.readouterr().err
    assert run(out, "--data", str(tmp_path / "nowhere")) == 2
    message = capsys.readouterr().err
    assert message.startswith("error:")
    assert "nowhere" in message
    assert study.main([*QUICK, "--models", "resnet18", "--pretrained", "x", "--out", str(out)]) == 2
    assert "'x', which does not exist" in capsys.readouterr().err
    assert not (out / "settings.json").exists()


def test_a_study_of_other_slices_does_not_go_on(
    strict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = strict / "folds.json"
    folds = kept.read_text()
    kept.write_text(json.dumps(json.loads(folds) | {"1": 7}))
    assert run(strict, "--resume") == 2
    assert "has the data changed?" in capsys.readouterr().err
    kept.write_text(folds)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": {"small_cnn_8px": "other"}}, "have the files of --pretrained changed?"),
        ({"threads": 99}, "threads was 99"),
        ({"device": "cuda"}, "device was cuda, got cpu; give --device"),
        ({"torch": "1.0"}, "torch was 1.0"),
    ],
)
def test_a_study_does_not_go_on_from_other_weights_or_with_other_arithmetic(
    strict: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, object], message: str
) -> None:
    kept = strict / "starts.json"
    starts = kept.read_text()
    kept.write_text(json.dumps(json.loads(starts) | changed))
    assert run(strict, "--resume") == 2
    assert message in capsys.readouterr().err
    kept.write_text(starts)


def test_an_input_that_is_too_small_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for model in ("alexnet@64", "alexnet@32"):
        arguments = ["--models", model, "--pretrained", "none", "--out", str(out)]
        assert study.main([*QUICK, *arguments]) == 2
        assert "the input must be large enough" in capsys.readouterr().err
    assert not out.exists()


# --- recipes and processes ----------------------------------------------------------------------


@pytest.mark.slow
def test_recipes_are_compared(tmp_path: Path) -> None:
    models = ["small_cnn_8px", "small_cnn_8px+longer", "small_cnn_8px+gain"]
    arguments = ["--models", *models, "--gain", "10", "0.5", "--out", str(tmp_path / "out")]
    assert study.main([*QUICK, *arguments]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "attention mining (GAIN, omega 10, sigma 0.5)" in page
    assert "with as many passes through the network and no mining" in page
    assert "<h2>Networks and recipes</h2>" in page


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [["strict"], ["paper", "--switches", "all"]])
def test_two_processes_give_the_tables_of_one(tmp_path: Path, protocol: list[str]) -> None:
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    models = ["--models", "small_cnn_8px", "small_cnn_16px"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, launcher in {"one": [], "two": torchrun}.items():
        arguments = [*QUICK, *models, "--protocol", *protocol, "--out", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, *launcher, str(SCRIPT), *arguments],
            env=one_thread,
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
