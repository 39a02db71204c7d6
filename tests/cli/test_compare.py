"""The command that compares two runs: what it prints, and its exit code."""

import numpy as np
import pytest

from cameval import PercentileBinarizer, Sample, evaluate_maps, iou
from cameval.cli import main
from cameval.evaluation import Results
from cameval.metrics import false_positive_rate, marked_area


def samples(count: int = 12, *, start: int = 0, rows: int = 8) -> list[Sample]:
    """Make images with an object in the first rows."""
    mask = np.zeros((16, 16), np.bool_)
    mask[:rows] = True
    rng = np.random.default_rng(0)
    images = rng.random((start + count, 16, 16), np.float32)[start:]
    return [Sample(f"image {k}", image, mask) for k, image in enumerate(images, start)]


def write(path, signal: float, made: list[Sample] | None = None, **parts) -> str:
    """Score maps that are right up to noise, and write the table."""

    def maps(sample: Sample):
        return signal * sample.mask + sample.image

    settings = {"binarizers": PercentileBinarizer(50), "metrics": [iou, false_positive_rate]}
    given = made or samples()
    run = evaluate_maps({"m": maps}, given, baselines={}, progress=False, **settings | parts)
    run.to_csv(path)
    return str(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, str]:
    """Write a run that is good, one that is worse, and one of other images."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "good").mkdir()
    write(folder / "good" / "results.csv", 0.6)
    return {
        "good": str(folder / "good"),
        "worse": write(folder / "worse.csv", 0.3),
        "others": write(folder / "others.csv", 0.6, samples(12, start=20)),
        "partly": write(folder / "partly.csv", 0.6, samples(12, start=4)),
        "other truths": write(folder / "truths.csv", 0.6, samples(rows=7)),
        "few": write(folder / "few.csv", 0.3, samples(4)),
        "two": write(
            folder / "two.csv", 0.3, binarizers=[PercentileBinarizer(50), PercentileBinarizer(60)]
        ),
    }


def test_a_run_that_is_worse_has_the_code_1(runs, capsys) -> None:
    assert main(["compare", runs["good"], runs["worse"]]) == 1
    first, last = capsys.readouterr().out.splitlines()
    good, worse = (
        Results.from_csv(path).select(metric="iou")
        for path in (f"{runs['good']}/results.csv", runs["worse"])
    )
    difference = (worse.values - good.values).mean()
    assert first.startswith(f"iou m percentile:50: new - base = {difference:+.3f} [-")
    assert first.endswith("12 targets in 12 groups")
    assert last == "new is worse"
    assert main(["compare", runs["worse"], runs["good"]]) == 0
    assert "new is not shown to be worse" in capsys.readouterr().out


def test_the_margin_is_for_the_whole_interval(runs, capsys) -> None:
    assert main(["compare", runs["good"], runs["worse"]]) == 1
    text = capsys.readouterr().out
    low, high = (float(end) for end in text.partition("[")[2].partition("]")[0].split(","))
    assert low < high < 0
    for margin, code in [(-high - 0.002, 1), (-high + 0.002, 0), (-low, 0)]:
        words = ["compare", runs["good"], runs["worse"], "--margin", str(margin)]
        assert main(words) == code


def test_of_a_score_of_which_less_is_better_more_is_worse(runs) -> None:
    words = ["--metric", "false_positive_rate"]
    assert main(["compare", runs["good"], runs["worse"], *words]) == 1
    assert main(["compare", runs["worse"], runs["good"], *words]) == 0


def test_equal_runs_have_the_code_0(runs, capsys) -> None:
    assert main(["compare", runs["good"], runs["good"]]) == 0
    assert "no score differs, 12 targets in 12 groups" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("new", "words", "message"),
    [
        ("others", "", "must have samples in common, of the same name and label, got none"),
        ("few", "", "six groups or more must differ, got 4"),
        ("two", "", "must have one binarizer, got percentile:50, percentile:60; choose one with"),
        ("worse", "--margin -1", "--margin must be a number of at least 0, got -1.0"),
        ("worse", "--metric dice", "metric"),
    ],
)
def test_what_cannot_be_compared_has_the_code_2(runs, new, words, message, capsys) -> None:
    assert main(["compare", runs["good"], runs[new], *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_what_is_in_one_run_only_is_said(runs, capsys) -> None:
    assert main(["compare", runs["good"], runs["partly"]]) == 0
    assert "note: 8 of 16 samples and labels are in one model only" in capsys.readouterr().err
    assert main(["compare", runs["good"], runs["other truths"]]) == 1
    assert "12 of 12 samples and labels have truths of different area" in capsys.readouterr().err


def test_a_score_without_a_direction_is_refused(tmp_path, capsys) -> None:
    path = write(tmp_path / "area.csv", 0.5, metrics=marked_area)
    assert main(["compare", path, path, "--metric", "marked_area"]) == 2
    assert "whether more is better" in capsys.readouterr().err
