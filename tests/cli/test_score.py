"""``cameval score``: maps made elsewhere, and ``cameval evaluate`` with several targets."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from evaluations import same, samples
from PIL import Image

import cameval
from cameval import evaluate, evaluate_maps
from cameval.baselines import LeaveGroupOutBaseline, center_baseline
from cameval.cli import main
from cameval.data import CocoDataset, FolderDataset, MapFolder, Sample, read_labels
from cameval.evaluation import Preparation, Results
from cameval.metrics import false_positive_rate, marked_area
from cameval.networks import load_network

COUNT = 6
CLASSES = ("round", "square", "long")


def map_of(sample: Sample, label: int | None = None) -> Any:
    """Return a map of 16 x 16 values of 8 bits for a sample and a class."""
    cells = np.array(Image.fromarray((sample.image * 255).astype(np.uint8)).resize((16, 16)))
    return np.roll(cells, 0 if label is None else label, 1)


def save(path: Path, array: Any) -> None:
    """Save a map in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".pt":
        torch.save(torch.from_numpy(array), path)
    else:
        Image.fromarray(array).save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Make a folder of images, masks, labels, and maps in several formats and layouts."""
    folder = tmp_path_factory.mktemp("score")
    rows, arrays = ["name,label,patient"], {}
    for part in ("images", "masks", "some"):
        (folder / part).mkdir()
    for k, sample in enumerate(samples(COUNT, sizes=(64, 72))):
        pixels = (sample.image * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{sample.name}.png")
        Image.fromarray(sample.mask).save(folder / "masks" / f"{sample.name}.png")
        if k < 4:
            Image.fromarray(sample.mask).save(folder / "some" / f"{sample.name}.png")
        rows.append(f"{sample.name},{sample.label},{sample.group}")
        arrays[sample.name] = map_of(sample)
        for suffix in ("npy", "png", "pt", "tif"):
            save(folder / suffix / f"{sample.name}.{suffix}", map_of(sample))
        every = np.stack([map_of(sample, label) for label in range(3)])
        save(folder / "stacks" / f"{sample.name}.npy", every)
        for label, name in enumerate(CLASSES):
            save(folder / "by index" / str(label) / f"{sample.name}.npy", every[label])
            save(folder / "by name" / f"{sample.name}_{name}.npy", every[label])
    np.savez(folder / "all.npz", **arrays)
    (folder / "labels.csv").write_text("\n".join(rows))
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return folder


def words(root: Path, out: Path, **changes: object) -> list[str]:
    """Return the words of a small command."""
    options: dict[str, object] = {
        "maps": root / "npy",
        "images": root / "images",
        "masks": root / "masks",
        "labels": root / "labels.csv",
        "group_column": "patient",
        "binarizer": "percentile:80 otsu",
        "metric": "iou pointing_game",
        "baseline": "center",
        "batch_size": 4,
        "out": out,
        "no_report": True,
    } | changes
    found: list[Any] = ["score"]
    for name, value in options.items():
        if value is not None and value is not False:
            found.append("--" + name.replace("_", "-"))
            several = value.split() if isinstance(value, str) else [value]
            found += [] if value is True else value if isinstance(value, list) else several
    return [str(word) for word in found]


def run(root: Path, out: Path, **changes: object) -> Results:
    """Run the command, and read the table that it writes."""
    assert main(words(root, out, **changes)) == 0
    return Results.from_csv(out / "results.csv")


def fill(value: Any, root: Path) -> Any:
    """Return a value, or the words of a list, with the path of the folder for ``@``."""
    if isinstance(value, list):
        return [fill(one, root) for one in value]
    return value.replace("@", f"{root}/") if isinstance(value, str) else value


def dataset(root: Path, masks: str = "masks", **settings: Any) -> FolderDataset:
    """Return the samples of the usual options."""
    labels, groups = read_labels(root / "labels.csv", group="patient")
    return FolderDataset(
        root / "images", root / masks, labels=labels, groups=groups.__getitem__, **settings
    )


def expected(root: Path, maps: Any, **changes: Any) -> Results:
    """Return what `evaluate_maps` returns for the usual options."""
    options: dict[str, Any] = {
        "binarizers": {
            "percentile:80": cameval.PercentileBinarizer(80),
            "otsu": cameval.OtsuBinarizer(),
        },
        "metrics": {"iou": cameval.iou, "pointing_game": cameval.pointing_game},
        "baselines": {"center": center_baseline},
        "batch_size": 4,
        "progress": False,
    } | changes
    return evaluate_maps(maps, dataset(root), **options)


# --- What is scored -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["npy", "png", "pt", "tif"])
def test_score_is_evaluate_maps_to_the_bit(root, tmp_path, suffix) -> None:
    found = run(root, tmp_path, maps=f"theirs={root}/{suffix}")
    wanted = expected(root, {"theirs": lambda sample: map_of(sample)})
    assert same(found, wanted)
    assert found.samples["model"].unique().tolist() == ["maps"]
    assert {column.target_class for column in found.columns} == {"given"}


def test_one_file_of_all_maps_and_several_sources(root, tmp_path) -> None:
    maps = [f"all={root}/all.npz", f"{root}/png"]
    found = run(root, tmp_path, maps=maps, name=["their tool"], binarizer="otsu", seed=3)
    wanted = expected(
        root,
        {"all": root / "all.npz", "png": root / "png"},
        binarizers={"otsu": cameval.OtsuBinarizer()},
        name="their tool",
        seed=3,
    )
    assert same(found, wanted)
    assert found.provenance["settings"]["seed"] == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"maps": ["m=@by index"]},
        {"maps": ["m=@by index"], "pattern": "{label}/{name}.npy"},
        {"maps": ["m=@by name"], "class_names": "@classes.txt"},
        {"maps": ["m=@by name"], "class_names": "@classes.txt", "pattern": "{name}_{class}"},
        {"maps": ["m=@stacks"], "per_class": True},
    ],
)
def test_the_map_of_the_class_of_each_target(root, tmp_path, changes) -> None:
    found = run(root, tmp_path, **{name: fill(value, root) for name, value in changes.items()})
    wanted = expected(root, {"m": lambda sample: map_of(sample, sample.label)})
    assert same(found, wanted)
    assert not np.array_equal(found.values, expected(root, {"m": root / "npy"}).values)


def test_every_option_reaches_the_table(root, tmp_path) -> None:
    found = run(
        root,
        tmp_path,
        baseline="mean_mask random:seed=2",
        metric="dice false_positive_rate",
        masks=f"{root}/some",
        missing_masks="negative",
        batch_size=3,
        workers=1,
        threads=torch.get_num_threads(),
        parquet=True,
    )
    data = dataset(root, "some", missing_masks="negative")
    truth = {"truth": lambda sample: Preparation(size=None)(sample)[1]}
    wanted = evaluate_maps(
        {"npy": MapFolder(root / "npy")},
        data,
        binarizers={
            "percentile:80": cameval.PercentileBinarizer(80),
            "otsu": cameval.OtsuBinarizer(),
        },
        metrics={"dice": cameval.dice, "false_positive_rate": false_positive_rate},
        baselines={
            "mean_mask": LeaveGroupOutBaseline.of(data, **truth),
            "random:seed=2": cameval.baselines.RandomBaseline(seed=2),
        },
        batch_size=3,
        progress=False,
    )
    assert same(found, wanted)
    assert same(Results.from_parquet(tmp_path / "results.parquet"), wanted)
    assert found.provenance["settings"]["batch_size"] == 3


def test_maps_of_another_aspect_ratio_need_a_word(root, tmp_path, capsys) -> None:
    for sample in samples(COUNT, sizes=(64, 72)):
        save(tmp_path / "wide" / f"{sample.name}.npy", map_of(sample)[:8])
    maps = f"theirs={tmp_path}/wide"
    assert main(words(root, tmp_path / "out", maps=maps)) == 2
    said = capsys.readouterr().err
    assert "the map must have the aspect ratio of the image" in said
    assert "set MapFolder(..., stretch=True), or --stretch; if" in said
    found = run(root, tmp_path / "stretched", maps=maps, stretch=True)
    wanted = expected(root, {"theirs": MapFolder(tmp_path / "wide", stretch=True)})
    assert same(found, wanted)


def test_predictions_are_read_from_a_table(root, tmp_path) -> None:
    rows = [f"image {k},{name},0.{k + 1}" for k, name in enumerate((*CLASSES, *CLASSES[::-1]))]
    table = tmp_path / "predictions.csv"
    table.write_text("\n".join(["name,predicted,probability", *rows]))
    found = run(root, tmp_path / "out", predictions=table, class_names=f"{root}/classes.txt")
    assert found.samples["predicted"].tolist() == [0, 1, 2, 2, 1, 0]
    np.testing.assert_allclose(found.samples["probability"], np.arange(1, 7) / 10)
    assert found.class_names == CLASSES


# --- What is said ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
def test_nothing_is_said_of_a_classifier_without_predictions(root, tmp_path, capsys) -> None:
    run(root, tmp_path, maps=f"theirs={root}/npy", no_report=False, baseline=None, metric=None)
    said = capsys.readouterr().out
    assert re.match(r"6 images, .*\d groups \u00b7 mean IoU \[95 % by group\]\n", said)
    assert said.endswith(f"tables  {tmp_path}/results.csv, {tmp_path}/summary.csv\n")
    assert f"\nreport  {tmp_path}/report.html\n" in said
    lines = said.splitlines()[:-2]
    assert max(map(len, lines)) <= 80
    assert not re.search(r"classif|accura|predict|model|network", said)
    assert (tmp_path / "report.html").is_file()
    first = (tmp_path / "report.html").read_text()
    (tmp_path / "report.html").unlink()
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_text() == first


@pytest.mark.parametrize(
    ("changes", "patterns"),
    [
        (
            {"metric": "iou marked_area"},
            [
                r"6 images \(4 with an object, 2 without\)",
                r"mean IoU with an object \[95 % by group\]",
                r"maps +\? [\d.]+ \[[\d., ]+\] npy (otsu|percentile:80)",
                r"The masks have a mark on .* of 2 images without an object.",
            ],
        ),
        ({"metric": "iou"}, [r"No metric tells what is marked on the images without an object"]),
        (
            {"metric": "iou marked_area", "masks": None},
            [r"6 images \(0 with an object, 6 without\)", r"\? No image has a defined score"],
        ),
    ],
)
def test_positives_and_negatives_are_told_apart(root, tmp_path, capsys, changes, patterns) -> None:
    run(root, tmp_path, **{"masks": f"{root}/some", "missing_masks": "negative"} | changes)
    said = capsys.readouterr().out
    places = [match.start() for p in patterns if (match := re.search(p, said))]
    assert len(places) == len(patterns), said
    assert places == sorted(places)


@pytest.mark.parametrize("metric", ["iou marked_area", "pointing_game pixel_auroc", "dice iou"])
def test_the_mean_that_is_printed_is_that_of_the_targets_with_an_object(
    root, tmp_path, capsys, metric
) -> None:
    options = {"masks": root / "some", "missing_masks": "negative", "binarizer": "otsu"}
    found = run(root, tmp_path, **options, metric=metric)
    (shown,) = re.findall(r"^  maps +\S ([\d.]+)", capsys.readouterr().out, re.MULTILINE)
    present = found.samples["present"].to_numpy()
    first = metric.split()[0]
    (at,) = (k for k, c in enumerate(found.columns) if (c.method, c.metric) == ("npy", first))
    assert float(shown) == pytest.approx(found.values[present, at].mean(), abs=6e-4)


def test_where_the_output_is_not_unicode_the_symbols_are_ascii(root, tmp_path) -> None:
    command = [sys.executable, "-m", "cameval", *words(root, tmp_path / "out", no_report=True)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    text = done.stdout.decode("ascii")
    assert " | mean IoU [95 % by group]" in text
    assert "\n? " in text or "\n~ " in text or "\n+ " in text or "\n- " in text
    assert "?mean" not in text


def test_the_summary_has_no_mean_of_targets_with_and_without_an_object(root, tmp_path) -> None:
    options = {"masks": root / "some", "missing_masks": "negative", "metric": "iou marked_area"}
    mixed = run(root, tmp_path / "mixed", **options)
    table = pd.read_csv(tmp_path / "mixed" / "summary.csv")
    assert len(table) == 2 * len(mixed.columns)
    assert table.groupby("present")["n"].max().to_dict() == {False: 2, True: 4}
    for present, part in table.groupby("present"):
        alone = mixed.select(present=bool(present)).summary()
        np.testing.assert_allclose(part["mean"], alone["mean"])
    whole = run(root, tmp_path / "whole")
    table = pd.read_csv(tmp_path / "whole" / "summary.csv")
    assert "present" not in table
    assert len(table) == len(whole.columns)


def test_patients_with_a_folder_of_masks_for_each_class(root, tmp_path) -> None:
    (tmp_path / "people.csv").write_text(
        "\n".join(
            [
                "name,patient,sex",
                *(f"image {k},person {k // 2},{'fm'[k % 2]}" for k in range(COUNT)),
            ]
        )
    )
    options = {"masks": [f"long={root}/masks", f"round={root}/some"], "missing_masks": "negative"}
    options |= {"labels": tmp_path / "people.csv", "info": "sex", "maps": [f"m={root}/by name"]}
    found = run(root, tmp_path / "out", **options, class_names=root / "classes.txt")
    assert found.samples["label"].tolist() == [0, 2] * COUNT
    assert found.class_names == CLASSES
    assert found.samples["group"].tolist() == [f"person {k // 4}" for k in range(2 * COUNT)]
    assert found.samples["sex"].tolist() == ["fm"[k // 2 % 2] for k in range(2 * COUNT)]
    assert found.summary()["n_groups"].max() == 3


# --- What is refused ------------------------------------------------------------------------------


def one_line(capsys: Any) -> str:
    """Return the mistake, which is one line without a traceback."""
    said: str = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": ["@nowhere"]}, "nowhere"),
        ({"maps": ["@npy", "@npy"]}, "--maps must have names that differ, got 'npy'"),
        ({"maps": ["theirs="]}, "--maps must be NAME=PATH or PATH, got 'theirs='"),
        ({"maps": ["center=@npy"]}, "must have different labels, got ['center'] twice"),
        ({"maps": ["@npy/image 0.npy"]}, "the file must hold an array for each sample"),
        ({"maps": ["@labels.csv"]}, "labels.csv"),
        ({"maps": ["@stacks"]}, "a map must have 2 axes, as the image has, got (3, 16"),
        ({"pattern": "{name}_{label}"}, "must have a map, got none named image 0_0"),
        ({"pattern": "maps"}, "pattern must have the field {name}"),
        ({"per_class": True}, "image 0.npy"),
        ({"predictions": "@nowhere.csv"}, "nowhere.csv"),
        ({"predictions": "@labels.csv"}, "labels.csv: the columns must be name and predicte"),
        ({"metric": "insertion"}, "--metric must need no network, got 'insertion'"),
        ({"metric": "iou road:(50,)"}, "--metric must need no network, got 'road:(50,)'"),
        ({"baseline": "center truth"}, "--baseline must need no network, got 'truth'"),
        ({"baseline": "untrained"}, "--baseline must need no network, got 'untrained'"),
        ({"baseline": "magic"}, "--baseline must be one of center, edges"),
        ({"masks": None}, "the images must be given by one of"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
    ],
)
def test_a_mistake_is_one_line(root, tmp_path, capsys, changes, message) -> None:
    changes = {name: fill(value, root) for name, value in changes.items()}
    assert main(words(root, tmp_path / "out", **changes)) == 2
    assert message in one_line(capsys)


@pytest.mark.parametrize("option", ["model", "method", "size", "layer", "device", "classes"])
def test_no_option_is_about_a_network(root, tmp_path, capsys, option) -> None:
    assert main([*words(root, tmp_path), f"--{option}", "1"]) == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_a_missing_map_is_told_with_its_sample(root, tmp_path, capsys) -> None:
    for sample in samples(COUNT)[:4]:
        save(tmp_path / "maps" / f"{sample.name}.npy", map_of(sample))
    assert main(words(root, tmp_path / "out", maps=f"{tmp_path}/maps")) == 2
    said = one_line(capsys)
    assert "sample 'image 4' of class 1" in said
    assert "must have a map, got none named" in said


def test_a_pickle_is_refused_with_the_way_to_convert_it(root, tmp_path, capsys) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "image 0.pkl").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    assert main(words(root, tmp_path / "out", maps=f"{tmp_path}/maps")) == 2
    said = one_line(capsys)
    assert "a pickle can run any code when it is read" in said
    assert "np.save('image 0.npy'" in said


# --- How a run is done ----------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_from_its_last_batch(
    root, tmp_path, capsys, monkeypatch
) -> None:
    read: list[str] = []
    read_map = MapFolder.__call__

    def interrupted(maps: MapFolder, sample: Sample) -> Any:
        read.append(sample.name)
        if len(read) == 6:
            raise KeyboardInterrupt
        return read_map(maps, sample)

    monkeypatch.setattr(MapFolder, "__call__", interrupted)
    assert main(words(root, tmp_path / "out", batch_size=2)) == 130
    assert "the same command continues from there" in capsys.readouterr().err
    read.clear()
    again = run(root, tmp_path / "out", batch_size=2)
    assert read == ["image 4", "image 5"]
    monkeypatch.undo()
    assert same(again, run(root, tmp_path / "whole", batch_size=2))


def test_other_maps_are_another_run(root, tmp_path, capsys) -> None:
    run(root, tmp_path)
    assert main(words(root, tmp_path, maps=f"npy={root}/png")) == 2
    assert "other maps" in one_line(capsys)


@pytest.mark.slow
def test_two_processes_write_the_table_of_one(root, tmp_path) -> None:
    command = words(root, tmp_path / "two", batch_size=2, threads=1)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *("-m", "cameval", *command),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run(root, tmp_path / "one", batch_size=2, threads=1)
    one, two = (tmp_path / name / "results.csv" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("command", [[], ["evaluate"], ["score"], ["report"], ["models"]])
def test_help_fits_a_terminal_of_80_columns(command, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80] == []


# --- Several targets, and maps beside those of a network ------------------------------------------


@pytest.fixture(scope="module")
def coco(root) -> Path:
    """Write objects of two classes in the images, several in one image, and return the file."""
    sides = [sample.image.shape[0] for sample in samples(COUNT, sizes=(64, 72))]
    content = {
        "images": [
            {"id": k, "file_name": f"image {k}.png", "height": side, "width": side}
            for k, side in enumerate(sides)
        ],
        "annotations": [
            {"image_id": k, "category_id": c, "bbox": [4 + 20 * c, 5 + 30 * c, 9 + k, 12]}
            for k in range(COUNT)
            for c in range(1 + k % 2)
        ],
        "categories": [{"id": 0, "name": "effusion"}, {"id": 1, "name": "edema"}],
    }
    file = root / "objects.json"
    file.write_text(json.dumps(content))
    return file


def test_evaluate_scores_every_target_of_a_multi_label_task(root, coco, tmp_path, capsys) -> None:
    command = (
        f"evaluate --model squeezenet1_1 --num-classes 2 --size 64 --task multilabel --images "
        f"{root}/images --coco {coco} --negatives --metric iou marked_area --binarizer otsu "
        f"--baseline center --batch-size 4 --fit pad --out {tmp_path} --no-report --maps "
        f"theirs={root}/npy"
    )
    assert main(command.split()) == 0
    found = Results.from_csv(tmp_path / "results.csv")
    wanted = evaluate(
        load_network("squeezenet1_1", num_classes=2, seed=0),
        CocoDataset(coco, root / "images", negatives=True),
        methods={"grad_cam": cameval.grad_cam},
        maps={"theirs": root / "npy"},
        binarizers={"otsu": cameval.OtsuBinarizer()},
        metrics={"iou": cameval.iou, "marked_area": marked_area},
        baselines={"center": center_baseline},
        task="multilabel",
        prepare=Preparation(size=64, fit="pad"),
        batch_size=4,
        name="squeezenet1_1",
        progress=False,
    )
    assert same(found, wanted)
    assert {column.target_class for column in found.columns} == {"true"}
    assert found.samples["label"].tolist() == [0, 1] * COUNT
    assert found.class_names == ("effusion", "edema")
    said = capsys.readouterr().out
    assert "6 images, 12 targets (9 with an object, 3 without), " in said
    assert "mean IoU with an object [95 % by group]" in said
    assert re.search(r"a mark on .* of 3 targets without an object", " ".join(said.split()))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--pattern {name}", "--pattern must go with --maps, got none"),
        ("--stretch", "--stretch must go with --maps, got none"),
        ("--per-class", "--per-class must go with --maps, got none"),
        ("--maps m --model alexnet vgg11", "--maps must go with one --model, got 2"),
    ],
)
def test_options_of_maps_go_with_maps_of_one_network(tmp_path, capsys, more, message) -> None:
    command = f"evaluate --phantom 2 --model squeezenet1_1 --out {tmp_path} --size 64 {more}"
    assert main(command.split()) == 2
    assert message in one_line(capsys)
