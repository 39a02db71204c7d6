"""The command that compares two runs: what it prints, and its exit code."""

from dataclasses import replace
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cameval import (
    CAMModel,
    GAPHead,
    PercentileBinarizer,
    Preparation,
    Sample,
    evaluate,
    evaluate_maps,
    grad_cam,
    hires_cam,
    iou,
)
from cameval.cli import main
from cameval.evaluation import Results, concat
from cameval.metrics import false_positive_rate, marked_area
from cameval.report import format_difference
from cameval.statistics import sign_flip_test


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
    text = format_difference(difference)
    assert text.startswith("-.")
    assert first.startswith(f"iou m percentile:50: new - base = {text} [-.")
    assert first.endswith("12 targets in 12 groups, of which 12 differ")
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
    assert "no group differs, 12 targets in 12 groups" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("new", "words", "message"),
    [
        ("others", "", "must have samples in common, of the same name and label, got none"),
        (
            "few",
            "--allow-unpaired",
            "six groups or more must differ for a test to show a fall, got 4",
        ),
        ("few", "", "the same in both runs, got 8 of 12 that are in one run only, and 0 whose"),
        ("partly", "", "the same in both runs, got 8 of 16 that are in one run only"),
        ("two", "", "must have one binarizer, got percentile:50, percentile:60; choose one with"),
        (
            "worse",
            "--margin 4",
            "--margin must be at most 1, the largest possible fall of iou, got 4;",
        ),
        ("worse", "--largest-fall 1.5", "0.015 for 1.5 points of 100"),
        ("worse", "--margin -1", "--margin must be a number of at least 0, got -1.0"),
        ("worse", "--largest-fall nan", "--largest-fall must be a number of at least 0, got nan"),
        ("worse", "--metric dice", "must be one of iou, false_positive_rate in"),
        ("worse", "--metric IoU", "got 'IoU'; near names: iou"),
        ("two", "--binarizer percentile-50", "got 'percentile-50'; near names: percentile:50"),
        ("worse", "--margin 2%", "--margin: must be a number, got '2%'; for 2% write 0.02; see `"),
        ("worse", "--margn .02", "unrecognized arguments: --margn .02; near names: --margin"),
    ],
)
def test_what_cannot_be_compared_has_the_code_2(runs, new, words, message, capsys) -> None:
    assert main(["compare", runs["good"], runs[new], *words.split()]) == 2
    line = capsys.readouterr().err.splitlines()[-1]  # notes come before it
    assert line.startswith("error: ")
    assert message in line


def write_classes(path, classes: list[str | int], method=grad_cam) -> str:
    """Score the maps of a small network for some target classes, and write the table."""
    torch.manual_seed(0)
    net = CAMModel(nn.Conv2d(1, 3, 3), GAPHead(nn.Linear(3, 2))).eval()
    evaluate(
        net,
        samples(8),
        methods=method,
        metrics=iou,
        binarizers=PercentileBinarizer(50),
        baselines={},
        classes=classes,
        prepare=Preparation(size=16, mean=(0.5,), std=(0.2,)),
        progress=False,
    ).to_csv(path)
    return str(path)


def test_maps_of_several_target_classes_are_chosen_by_an_option(tmp_path, capsys) -> None:
    both = write_classes(tmp_path / "both.csv", ["predicted", 1])
    one = write_classes(tmp_path / "one.csv", [1])
    assert main(["compare", both, both]) == 2
    line = capsys.readouterr().err
    assert (
        "both.csv must have one target class, got predicted, 1; choose one with --target-" in line
    )
    assert main(["compare", both, one, "--target-class", "1"]) == 0
    assert "no group differs, 8 targets in 8 groups" in capsys.readouterr().out
    assert main(["compare", both, one, "--target-class", "tru"]) == 2
    assert "--target-class must be one of predicted, 1 in" in capsys.readouterr().err


def test_maps_of_different_kinds_are_refused_in_words_of_the_command_line(tmp_path, capsys) -> None:
    paths = [
        write_classes(tmp_path / "predicted.csv", ["predicted"]),
        write_classes(tmp_path / "first.csv", [1]),
        write_classes(tmp_path / "hires.csv", ["predicted"], hires_cam),
    ]
    for new, differing in ((1, "target class, got predicted in"), (2, "method, got grad_cam in")):
        assert main(["compare", paths[0], paths[new]]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"both runs must have the same {differing} {paths[0]} and" in line
        assert f"of the same --{'classes' if new == 1 else 'method'} of `cameval evaluate`" in line
        assert "Column(" not in line
        assert "results." not in line


@pytest.mark.parametrize("words", [["compar"], ["compare", "run"], ["models", "--size", "big"]])
def test_a_mistake_in_the_options_is_one_line_for_all_commands(words, capsys) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "--help`" in line


# --- Too few groups that differ -------------------------------------------------------------------


def write_scores(path, values, metric: str = "iou") -> str:
    """Write a run of one score for each image."""
    run = evaluate_maps(
        {"m": lambda one: one.image},
        samples(len(values)),
        binarizers=PercentileBinarizer(50),
        metrics=METRICS[metric],
        baselines={},
        progress=False,
    )
    replace(run, values=np.array(values, float)[:, None]).to_csv(path)
    return str(path)


METRICS = {"iou": iou, "false_positive_rate": false_positive_rate}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("fallen", "words", "code"),
    [
        (0, "", 0),
        (5, "", 2),
        (6, "", 1),
        (5, "--margin .4", 2),
        (5, "--margin .5", 0),  # the mean fell by .417, which is accepted
        (5, "--largest-fall .4", 1),
        (5, "--largest-fall .5", 0),
        (6, "--largest-fall .9", 1),
        (6, "--margin .1 --largest-fall .4", 1),
        (6, "--margin .4 --largest-fall .9", 0),
    ],
)
def test_a_fall_in_fewer_groups_than_a_test_needs_does_not_pass(
    metric, fallen, words, code, tmp_path, capsys
) -> None:
    worst = 1 - (METRICS[metric] is iou)
    base = write_scores(tmp_path / "base.csv", [1 - worst] * 12, metric)
    new = write_scores(tmp_path / "new.csv", [worst] * fallen + [1 - worst] * (12 - fallen), metric)
    assert main(["compare", base, new, "--metric", metric, *words.split()]) == code
    if code == 2:
        said = f"six groups or more must differ for a test to show a fall, got {fallen} of 12"
        error = capsys.readouterr().err
        assert said in error
        assert "no p below .062 is possible" in error


def test_few_groups_that_are_better_pass_but_runs_of_few_groups_do_not(tmp_path, capsys) -> None:
    low, high = [0.2] * 12, [0.4] * 5 + [0.2] * 7
    base, new = (write_scores(tmp_path / f"{k}.csv", v) for k, v in enumerate((low, high)))
    assert main(["compare", base, new]) == 0
    assert "of which 5 differ" in capsys.readouterr().out
    base, new = (write_scores(tmp_path / f"{k}.csv", v[:5]) for k, v in enumerate((low, high)))
    assert main(["compare", base, new]) == 2
    assert main(["compare", base, new, "--largest-fall", "0"]) == 0
    assert "new is not tested" in capsys.readouterr().out


def compared(tmp_path, capsys, base, new, *words: str) -> list[str]:
    """Return the lines that the comparison of such scores prints."""
    paths = [write_scores(tmp_path / f"{k}.csv", v) for k, v in (("base", base), ("new", new))]
    main(["compare", *paths, *words])
    return capsys.readouterr().out.splitlines()


def test_numbers_have_one_format_and_few_groups_are_marked(tmp_path, capsys) -> None:
    base = np.full(12, 0.3)
    for differing in (8, 10):
        new = base + 0.1 * (np.arange(12) < differing)
        line, _ = compared(tmp_path, capsys, base, new)
        assert f"new - base = +{format_difference((new - base).mean())} [+" in line
        low, high = line.partition("[")[2].partition("]")[0].split(", ")
        assert float(low) < float(high)
        assert low[:2] == high[:2] == "+."
        few = "of which 8 differ: with fewer than 10 the interval may be too narrow"
        assert line.endswith(few if differing == 8 else "of which 10 differ")
    *_, last = compared(tmp_path, capsys, base, base - 0.05, "--largest-fall", "0.02")
    assert last == "new is worse"
    up_and_down = base - 0.2 * np.resize([1, 1, -1], 12)
    *_, last = compared(tmp_path, capsys, base, up_and_down, "--largest-fall", "0.001")
    assert last == "new is worse: the mean fell by .067, --largest-fall is .001"
    *_, last = compared(tmp_path, capsys, base, base, "--margin", "0.001")
    assert last.endswith("no group differs, 12 targets in 12 groups")
    *_, last = compared(tmp_path, capsys, base, up_and_down, "--margin", "0.0002")
    assert last == "new is not shown to be worse by more than .0002"


def test_an_interval_of_all_possible_differences_is_not_shown(tmp_path, capsys) -> None:
    base = np.array([0.0, 1.0] * 3)
    line, _ = compared(tmp_path, capsys, base, 1 - base)
    assert "(the 95 % interval by group has all possible differences), 6 targets" in line
    assert "[" not in line
    line, _ = compared(tmp_path, capsys, base * 0.9, 0.9 - base * 0.9)
    assert "[-.900, +.900]" in line


def test_six_is_the_number_that_the_test_needs(tmp_path) -> None:
    zeros, ones = np.zeros(12), np.ones(12)
    for fallen, shown in [(5, False), (6, True)]:
        new = np.r_[zeros[:fallen], ones[fallen:]]
        test = sign_flip_test(new, ones, np.arange(12))
        assert (test.high < 0) == (test.p < 0.05) == shown


def test_a_score_that_is_undefined_in_one_run_is_not_left_out_silently(tmp_path, capsys) -> None:
    base = write_scores(tmp_path / "base.csv", [1] * 12)
    new = write_scores(tmp_path / "new.csv", [np.nan] * 3 + [1] * 9)
    assert main(["compare", base, new]) == 2
    assert "0 of 12 that are in one run only, and 3 whose" in capsys.readouterr().err
    assert main(["compare", base, new, "--allow-unpaired"]) == 0
    assert "3 of 12 targets have a score in one run only" in capsys.readouterr().err
    assert main(["compare", new, new]) == 0
    nothing = write_scores(tmp_path / "nothing.csv", [np.nan] * 12)
    assert main(["compare", base, nothing, "--allow-unpaired"]) == 2
    assert "must have a score in both runs, got none of 12" in capsys.readouterr().err


def test_a_folder_of_python_is_read(runs, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    write(tmp_path / "table.csv", 0.3, out=run)
    assert not (run / "results.csv").exists()
    assert main(["compare", runs["good"], str(run)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "new is worse"
    assert main(["compare", runs["good"], str(tmp_path)]) == 2
    assert "must hold a run" in capsys.readouterr().err


def test_what_is_in_one_run_only_is_said(runs, capsys) -> None:
    assert main(["compare", runs["good"], runs["partly"], "--allow-unpaired"]) == 0
    assert "note: 8 of 16 samples and labels are in one model only" in capsys.readouterr().err
    assert main(["compare", runs["good"], runs["other truths"]]) == 2
    told = capsys.readouterr().err
    assert "12 of 12 samples and labels have truths of different area" not in told
    assert "the truths of both runs must be the same, got others in 12 of 12 targets" in told


def test_a_score_without_a_direction_is_refused(tmp_path, capsys) -> None:
    path = write(tmp_path / "area.csv", 0.5, metrics=marked_area)
    assert main(["compare", path, path, "--metric", "marked_area"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("whether more is better, got 'marked_area', of which it is not known")


def test_the_direction_is_taken_from_the_run_that_has_recorded_it(runs, tmp_path, capsys) -> None:
    table = tmp_path / "results.csv"
    copyfile(f"{runs['good']}/results.csv", table)
    for base in (str(table), str(tmp_path)):
        assert main(["compare", base, runs["worse"]]) == 1
        (note,) = capsys.readouterr().err.splitlines()
        missing = tmp_path / "results.json"
        assert note == f"note: {missing} is missing, so settings and weights are not compared"
        assert main(["compare", runs["worse"], base]) == 0
        capsys.readouterr()
    words = ["--metric", "false_positive_rate"]  # of which less is better
    assert main(["compare", str(table), runs["worse"], *words]) == 1


def test_a_record_that_both_runs_lack_is_named(runs, tmp_path, capsys) -> None:
    for name in ("good", "worse"):
        (tmp_path / name).mkdir()
    copyfile(f"{runs['good']}/results.csv", tmp_path / "good" / "results.csv")
    copyfile(runs["worse"], tmp_path / "worse" / "table.csv")
    base, new = tmp_path / "good", tmp_path / "worse" / "table.csv"
    assert main(["compare", str(base), str(new)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "whether more is better, got 'iou', of which it is not known; results.json is" in line
    assert f"results.json is missing beside {base / 'results.csv'}; copy it too" in line
    assert f"table.json is missing beside {new}; copy it too" in line


def test_a_path_without_a_run_is_named(runs, tmp_path, capsys) -> None:
    for words in ([runs["good"], str(tmp_path / "nope")], [str(tmp_path / "nope"), runs["good"]]):
        assert main(["compare", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "nope must be the folder of a run or a file results.csv" in line
        assert line.endswith("got no such file or folder")


def test_one_of_several_models_is_chosen(tmp_path, capsys) -> None:
    path, values, parts = tmp_path / "both.csv", {}, []
    for name, signal in (("good", 0.6), ("worse", 0.3)):
        one = Results.from_csv(write(tmp_path / f"{name}.csv", signal))
        parts.append(replace(one, samples=one.samples.assign(model=name)))
        values[name] = str(tmp_path / f"{name}.csv")
        parts[-1].to_csv(values[name])
    concat(parts).to_csv(path)
    assert main(["compare", str(path), str(path)]) == 2
    line = capsys.readouterr().err
    assert "must hold one model, got good, worse; choose one with --model" in line
    call = line.partition("in Python: ")[2].strip()
    assert call.endswith(".compare('iou', over='model')")
    table = eval(call, {"Results": Results})  # the way out that is named
    assert {"good", "worse"} <= set(table.iloc[0])
    several = Results.from_csv(path)
    other = [replace(column, method="other") for column in several.columns]
    twice = {
        name: np.hstack([getattr(several, name)] * 2) for name in ("values", "codes", "weights")
    }
    both = replace(several, columns=(*several.columns, *other), **twice)
    both.to_csv(tmp_path / "methods.csv")
    assert main(["compare", str(tmp_path / "methods.csv"), str(path)]) == 2
    call = capsys.readouterr().err.partition("in Python: ")[2].strip()
    assert len(eval(call, {"Results": Results})) == 1
    for model in ("good", "worse"):
        assert main(["compare", str(path), values[model], "--model", model]) == 0
        assert "no group differs" in capsys.readouterr().out
    assert main(["compare", str(path), str(path), "--model", "wors"]) == 2
    assert "--model must be one of good, worse in" in capsys.readouterr().err
    assert main(["compare", values["good"], str(path), "--model", "worse"]) == 2
    assert "--model must be one of good in" in capsys.readouterr().err


# --- Settings that differ -------------------------------------------------------------------------


def write_network(path, prepare: Any, seed: int = 0, **settings) -> Results:
    """Evaluate a small network, with weights of a seed."""
    torch.manual_seed(seed)
    features = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU())
    run = evaluate(
        CAMModel(features, GAPHead(nn.Linear(6, 2))),
        samples(8),
        prepare=prepare,
        binarizers=PercentileBinarizer(50),
        metrics=iou,
        baselines={},
        progress=False,
        **settings,
    )
    run.to_csv(path)
    return run


def test_settings_that_differ_are_said_and_do_not_change_the_code(tmp_path, capsys) -> None:
    paths = [str(tmp_path / f"{k}.csv") for k in range(3)]
    base = write_network(paths[0], Preparation(size=32))
    other = Preparation(size=(24, 32), crop=0.5, fit="crop")
    write_network(paths[1], other, name="other", batch_size=3, precision="channels_last")
    write_network(paths[2], Preparation(size=32), name="other", batch_size=3)
    main(["compare", paths[0], paths[1], "--largest-fall", "1"])
    notes = capsys.readouterr().err.splitlines()
    assert notes == [
        "note: the runs differ in size (32 x 32 and 24 x 32); crop (none and 0.5); "
        "fit (squeeze and crop); precision (exact and channels_last)",
        SAME_WEIGHTS,
    ]
    assert main(["compare", paths[0], paths[2]]) == 0
    assert capsys.readouterr().err.splitlines() == [SAME_WEIGHTS]  # nor name nor size of a batch
    replace(base, provenance={"meanings": base.provenance["meanings"]}).to_csv(paths[2])
    assert main(["compare", paths[2], paths[0]]) == 0
    assert not capsys.readouterr().err  # not recorded in both


SAME_WEIGHTS = "note: both runs have the same weights"


def own_preparation(sample: Sample):
    """Prepare a sample as a function of a user may."""
    return Preparation(size=32)(sample)


def test_a_preparation_whose_fields_are_not_known_is_shown_as_it_was_recorded(
    tmp_path, capsys
) -> None:
    paths = [str(tmp_path / f"{k}.csv") for k in range(2)]
    write_network(paths[0], Preparation(size=32))
    write_network(paths[1], own_preparation)
    assert main(["compare", *paths]) == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith("note: the runs differ in prepare (Preparation(size=(32, 32)")
    assert "own_preparation" in line


def test_equal_weights_are_said_and_others_are_not(tmp_path, capsys) -> None:
    paths = [str(tmp_path / f"{k}.csv") for k in range(2)]
    for path, seed in zip(paths, (0, 1), strict=True):
        write_network(path, Preparation(size=32), seed=seed)
    main(["compare", *paths, "--largest-fall", "1"])
    assert not capsys.readouterr().err
    assert main(["compare", paths[1], paths[1]]) == 0
    assert capsys.readouterr().err.splitlines() == [SAME_WEIGHTS]
    maps = write(tmp_path / "maps.csv", 0.6)  # without a network
    assert main(["compare", maps, maps]) == 0
    assert not capsys.readouterr().err


def test_the_accuracy_of_both_runs_is_in_a_note_and_is_not_tested(tmp_path, capsys) -> None:
    paths = [str(tmp_path / f"{k}.csv") for k in range(3)]
    labels = {one.name: k % 2 for k, one in enumerate(samples())}
    data = [replace(one, label=labels[one.name]) for one in samples()]
    wrong = labels | {samples()[0].name: 1}
    for path, predictions in zip(paths, (labels, wrong, None), strict=True):
        write(path, 0.6, data, predictions=predictions)
    assert main(["compare", *paths[:2]]) == 0
    assert "note: accuracy 100.0 % and 91.7 % (not tested)" in capsys.readouterr().err.splitlines()
    assert main(["compare", paths[0], paths[2]]) == 0  # one has no predictions
    assert "accuracy" not in capsys.readouterr().err
    assert main(["compare", *paths[:2], "--metric", "accuracy"]) == 2
    message = capsys.readouterr().err
    assert "the accuracy of two runs with labels is in a note, it is not tested" in message


def test_only_the_settings_of_the_model_count(tmp_path, capsys) -> None:
    both = concat(
        [
            write_network(tmp_path / "a.csv", Preparation(size=32), name="a"),
            write_network(tmp_path / "b.csv", Preparation(size=24), name="b"),
        ]
    )
    for model, notes in (("a", 0), ("b", 1)):
        both.select(model=model).to_csv(tmp_path / "one.csv")
        main(["compare", str(tmp_path / "a.csv"), str(tmp_path / "one.csv"), "--largest-fall", "1"])
        assert (
            capsys.readouterr().err.count("note: the runs differ in size (32 x 32 and 24 x 24)")
            == notes
        )
