"""Every option of ``cameval evaluate`` changes the table, or the files beside it."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import samples
from PIL import Image

import cameval
from cameval import CAMExtractor, adapt, evaluate
from cameval.baselines import LeaveGroupOutBaseline, UntrainedBaseline, center_baseline
from cameval.cli import main
from cameval.cli._parser import parse
from cameval.data import CLASS_NAMES, FolderDataset, Sample, write_phantom
from cameval.evaluation import Preparation, Results
from cameval.networks import load_network
from cameval.sanity import untrained_copy

COUNT = 4


def write_folder(root: Path, data: list[Sample], orientation: int = 1) -> None:
    """Write images and masks, and tables of them: a CSV file, COCO boxes, a list of names."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    rows = []
    for i, sample in enumerate(data):
        file = f"{sample.name}.png"
        pixels = (sample.image * 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / file, exif=exif)
        Image.fromarray(sample.mask).save(root / "masks" / file)
        rows.append(
            {
                "name": sample.name,
                "label": sample.label,
                "image": f"images/{file}",
                "mask": f"masks/{file}",
                "group": f"manifest {i}",
                "doctor": f"doctor {i % 2}",
                "alias": data[i - 1].name,
                "second": (sample.label + 1) % 3,
            }
        )
    with (root / "table.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    (root / "names.txt").write_text("image 2\nimage 0\nimage 1\n")
    sizes = [dict(zip(("height", "width"), sample.mask.shape, strict=True)) for sample in data]
    objects = {
        "images": [
            {"id": i, "file_name": f"{sample.name}.png", **sizes[i]}
            for i, sample in enumerate(data)
        ],
        "annotations": [
            {"image_id": i, "category_id": 1, "bbox": [3, 4, 9, 9 + i]} for i in range(len(data))
        ],
        "categories": [{"id": 1, "name": "box"}],
    }
    (root / "objects.json").write_text(json.dumps(objects))
    (root / "classes.txt").write_text("left\nmiddle\nright\n")
    (root / "maps").mkdir()
    for sample in data:
        np.save(root / "maps" / f"{sample.name}.npy", sample.image)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Write the files of the options: folders of images, one of them upside down, and weights."""
    root = tmp_path_factory.mktemp("data")
    write_folder(root, samples(COUNT, sizes=(64, 72)))
    write_folder(root / "other", samples(9, sizes=(64, 72))[-COUNT:])
    write_folder(root / "turned", samples(COUNT, sizes=(64,)), orientation=3)
    wide = [replace(s, image=s.image[:52], mask=s.mask[:52]) for s in samples(COUNT, sizes=(64,))]
    write_folder(root / "wide", wide)
    write_phantom(root / "mat", slices=3, patients=3, size=32)
    for seed, classes in ((0, 3), (1, 3), (2, 2)):
        torch.manual_seed(seed)
        net = load_network("squeezenet1_1", num_classes=classes)
        torch.save(net.state_dict(), root / f"{seed}.pth")
    return root


Options = dict[str, Any]


def usual_options(data: Path) -> Options:
    """Return the options that a case changes."""
    return {
        "model": "squeezenet1_1",
        "weights": data / "0.pth",
        "num_classes": 3,
        "images": data / "images",
        "masks": data / "masks",
        "labels": data / "table.csv",
        "method": "grad_cam",
        "binarizer": "percentile:80",
        "metric": "iou",
        "baseline": "center",
        "size": 64,
        "batch_size": 2,
        "threads": 1,
        "no_report": True,
    }


def run(data: Path, out: Path, **changes: Any) -> Results:
    """Run the command with changed options, and read the table that it writes."""
    words = ["evaluate", "--out", str(out)]
    for name, value in (usual_options(data) | changes).items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words += value.split() if isinstance(value, str) else [str(value)]
    assert main(words) == 0
    return Results.from_csv(out / "results.csv")


Reading = Callable[[Results], Any]


def numbers(results: Results) -> Any:
    return np.nan_to_num(results.values, nan=-1).tolist()


def column(name: str) -> Reading:
    """Return a function that reads a column of the samples."""
    return lambda results: results.samples[name].astype(str).tolist()


def setting(name: str) -> Reading:
    """Return a function that reads a setting in the record of a run."""
    return lambda results: results.provenance["settings"][name]


def labels(kind: str) -> Reading:
    """Return a function that reads the labels of the methods, of the metrics, and so on."""
    return lambda results: list(dict.fromkeys(getattr(c, kind) for c in results.columns))


@dataclass(frozen=True)
class Case:
    """A value of an option, and in what the tables with and without it differ."""

    value: Any
    differ: tuple[Reading, ...] = (numbers,)
    others: Options = field(default_factory=dict)
    """Options of both commands."""
    instead: Options = field(default_factory=dict)
    """Options that must change with it, such as the folder of masks with that of images."""


def cases(data: Path) -> dict[str, Case]:
    """Return a case for each option, given the folder of the files."""
    none = dict.fromkeys(("images", "masks", "labels"))
    turned = {"images": data / "turned" / "images", "masks": data / "turned" / "masks"}
    turned |= {"mask_orientation": "stored", "labels": None}
    wide = {"images": data / "wide" / "images", "masks": data / "wide" / "masks"}
    two_classes = {"weights": data / "2.pth", "num_classes": 2, "labels": None}
    untrained = {"weights": "none"}
    normalized = {"mean": "0.5 0.5 0.5", "std": "0.2 0.2 0.2"}
    names = column("sample")
    return {
        "model": Case("squeezenet1_0", (numbers, column("model")), untrained),
        "weights": Case(data / "1.pth", (numbers, setting("weights"))),
        "num_classes": Case(5, (numbers, setting("weights")), untrained),
        "layer": Case("features.7", (numbers, setting("layer"))),
        "images": Case(
            data / "other" / "images",
            (numbers, names),
            {"labels": None},
            {"masks": data / "other" / "masks"},
        ),
        "masks": Case(
            data / "other" / "masks",
            (numbers, column("area")),
            {"labels": None},
            {"images": data / "other" / "images"},
        ),
        "manifest": Case(data / "table.csv", (column("group"),), {"labels": None}, none),
        "coco": Case(
            data / "objects.json",
            (numbers, column("area"), setting("class_names")),
            {},
            {"masks": None, "labels": None},
        ),
        "figshare": Case(data / "mat", (numbers, names), {}, none),
        "phantom": Case(3, (numbers, names), {}, none),
        "labels": Case(None, (column("label"),)),
        "name_column": Case("alias", (column("label"),)),
        "label_column": Case("second", (column("label"),)),
        "group_column": Case("doctor", (column("group"),)),
        "mask_orientation": Case("upright", (numbers,), turned),
        "class_names": Case(data / "classes.txt", (setting("class_names"),)),
        "names": Case(data / "names.txt", (numbers, names)),
        "method": Case("eigen_cam", (numbers, labels("method"))),
        "binarizer": Case("percentile:60", (numbers, labels("binarizer"))),
        "metric": Case("dice", (numbers, labels("metric"))),
        "baseline": Case("intensity", (numbers, labels("method"))),
        "classes": Case("true", (numbers, labels("target_class"))),
        "choose_on": Case(data / "names.txt", (names, labels("binarizer"))),
        "largest_component": Case(True, (numbers, labels("binarizer"))),
        "mean": Case("0.4 0.5 0.5", (numbers, setting("prepare")), normalized),
        "std": Case("0.4 0.2 0.2", (numbers, setting("prepare")), normalized),
        "task": Case("binary", (setting("task"),), two_classes),
        "maps": Case(data / "maps", (numbers, labels("method"))),
        "alignment": Case("receptive_field", (numbers, setting("alignment"))),
        "precision": Case("channels_last", (setting("precision"),)),
        "size": Case(80, (numbers, setting("prepare"))),
        "fit": Case("pad", (numbers, setting("prepare")), wide),
        "crop": Case(0.5, (numbers, setting("prepare"))),
        "batch_size": Case(3, (setting("batch_size"),)),
        "seed": Case(7, (numbers, setting("seed")), {"baseline": "untrained"}),
    }


NOT_IN_THE_TABLE = {"device", "cache", "workers", "threads", "out", "parquet", "no_report"}
NOT_IN_THE_TABLE |= {
    "config",
    "report_images",
    "report_single_file",
    "group_name",
}  # tested in files of their own
"""Options that change no table; each has a test of its own below."""

OF_FORMS = {
    *("voc", "chexlocalize", "dicom", "nifti", "missing_masks", "negatives", "largest"),
    *("segmentation", "rows", "info", "value_range", "mask_suffix", "mask_value"),
    *("mask_threshold", "resize_masks", "stretch_contrast", "image_column", "mask_column"),
}
"""Options of forms of data, which are tested in ``test_forms.py``."""

OF_SANITY = {"sanity", "sanity_samples", "checkpoints"}
"""Options of sanity checks, which are tested in ``test_sanity_option.py``."""

OF_MAPS = {"pattern", "per_class", "stretch"}
"""Options of maps made elsewhere, which are tested in ``test_score.py``."""


def test_every_option_has_a_case() -> None:
    options = vars(parse(["evaluate", "--model", "resnet18", "--out", "run"]))
    tested = {*cases(Path())} | NOT_IN_THE_TABLE | OF_FORMS | OF_MAPS | OF_SANITY
    assert {*options} - {"command"} == tested


@pytest.fixture(scope="module")
def usual(data, tmp_path_factory) -> Callable[[Options], Results]:
    """Return a function that runs the command without the option of a case, once for all cases."""
    known: dict[str, Results] = {}

    def run_once(others: Options) -> Results:
        key = repr(others)
        if key not in known:
            known[key] = run(data, tmp_path_factory.mktemp("usual"), **others)
        return known[key]

    return run_once


@pytest.mark.parametrize("name", cases(Path()))
def test_every_option_changes_the_table(name: str, data: Path, usual, tmp_path: Path) -> None:
    case = cases(data)[name]
    before = usual(case.others)
    after = run(data, tmp_path, **case.others | case.instead | {name: case.value})
    for read in case.differ:
        assert read(before) != read(after)


def test_the_words_of_a_command_are_the_labels_of_the_table(data, tmp_path) -> None:
    words = {
        "method": ["layer_cam", "random_cam:3"],
        "binarizer": ["mean", "adaptive:31,mean"],
        "metric": ["dice", "pointing_game:tolerance=3"],
        "baseline": ["center", "random:seed=2", "mean_mask", "untrained"],
    }
    options = {name: " ".join(each) for name, each in words.items()}
    results = run(data, tmp_path, **options, classes="true predicted")
    assert labels("method")(results) == [*words["method"], *words["baseline"]]
    assert labels("binarizer")(results.select(metric="dice")) == words["binarizer"]
    assert {*labels("metric")(results)} == {*words["metric"]}
    assert labels("target_class")(results) == ["true", "predicted"]


def test_a_run_of_each_network_is_written_to_the_folder_out(data, tmp_path) -> None:
    form = {"images": None, "masks": None, "labels": None, "phantom": 3}
    models = ["squeezenet1_0", "squeezenet1_1"]
    results = run(data, tmp_path, **form, model=" ".join(models), weights="none")
    assert results.class_names == CLASS_NAMES
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {*models}
    for model in models:
        one = Results.load(tmp_path / "runs" / model)
        assert column("model")(one) == [model] * 3
        assert numbers(one) == numbers(results.select(model=model))


def test_the_device_is_that_of_the_network(data, tmp_path, capsys) -> None:
    words = "evaluate --model squeezenet1_1 --phantom 2 --size 64 --no-report"
    command = [*words.split(), "--out", str(tmp_path)]
    assert main([*command, "--device", "no-such-device"]) == 2
    assert "--device must be available, got 'no-such-device'" in capsys.readouterr().err


def test_the_cache_is_written_and_read(data, usual, tmp_path) -> None:
    tables, times = [], []
    for name in ("first", "second"):
        tables.append(run(data, tmp_path / name, cache=tmp_path / "cache.h5"))
        times.append((tmp_path / "cache.h5").stat().st_mtime_ns)
    assert numbers(tables[0]) == numbers(tables[1]) == numbers(usual({}))
    assert times[0] == times[1]


def test_workers_read_the_images(data, tmp_path, monkeypatch) -> None:
    read = []
    read_one = FolderDataset.__getitem__

    def note(dataset: FolderDataset, index: int) -> Sample:
        read.append(index)
        return read_one(dataset, index)

    monkeypatch.setattr(FolderDataset, "__getitem__", note)
    before = run(data, tmp_path / "usual")
    assert read == [0, 1, 2, 3]
    read.clear()
    found = run(data, tmp_path / "out", workers=1)
    assert read == [0]  # the first, on which the network is tried
    assert numbers(found) == numbers(before)


def test_the_number_of_threads_is_set_for_the_run_alone(data, tmp_path, monkeypatch) -> None:
    counts, before = [], torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    run(data, tmp_path, threads=7, names=data / "names.txt")
    assert counts == [7, before]


@pytest.mark.usefixtures("no_figures")
def test_a_report_and_parquet_are_written_if_they_are_wanted(data, tmp_path) -> None:
    run(data, tmp_path / "bare", names=data / "names.txt")
    assert not (tmp_path / "bare" / "report.html").exists()
    assert not (tmp_path / "bare" / "results.parquet").exists()
    results = run(data, tmp_path / "all", no_report=False, parquet=True)
    assert (tmp_path / "all" / "report.html").is_file()
    again = Results.from_parquet(tmp_path / "all" / "results.parquet")
    assert numbers(again) == numbers(results)


def test_options_of_the_run_are_those_of_its_baselines(data, tmp_path) -> None:
    options = {"size": 80, "crop": 0.6, "seed": 5, "alignment": "receptive_field"}
    options |= {"method": "eigen_cam", "labels": None}
    options |= {"baseline": "center mean_mask mean_mask:by_class=True untrained"}
    options |= {"threads": torch.get_num_threads()}  # as those of `evaluate` below
    found = run(data, tmp_path / "out", **options)
    prepare = Preparation(size=80, crop=0.6)
    net = adapt(load_network("squeezenet1_1", data / "0.pth", num_classes=3))
    dataset = FolderDataset(data / "images", data / "masks")
    truth = {"truth": lambda sample: prepare(sample)[1]}
    again = CAMExtractor(untrained_copy(net, 5), cameval.eigen_cam, "receptive_field")
    expected = evaluate(
        CAMExtractor(net, alignment="receptive_field"),
        dataset,
        methods={"eigen_cam": cameval.eigen_cam},
        binarizers={"percentile:80": cameval.PercentileBinarizer(80)},
        metrics={"iou": cameval.iou},
        baselines={
            "center": center_baseline,
            "mean_mask": LeaveGroupOutBaseline.of(dataset, **truth),
            "mean_mask:by_class=True": LeaveGroupOutBaseline.of(dataset, by_class=True, **truth),
            "untrained": UntrainedBaseline(again),
        },
        prepare=prepare,
        batch_size=2,
        progress=False,
    )
    assert found.columns == expected.columns
    assert numbers(found) == numbers(expected)
    everything = {"eigen_cam", "center", "mean_mask", "untrained"}
    for change, changed in (
        ({"crop": None}, everything),
        ({"seed": 6}, {"untrained"}),
        ({"alignment": "half_pixel"}, {"eigen_cam", "untrained"}),
    ):
        other = run(data, tmp_path / str(change), **options | change)
        for label in everything:
            one, two = (numbers(results.select(method=label)) for results in (found, other))
            assert (one != two) == (label in changed)


def test_the_slices_of_the_phantom_are_those_of_the_seed(data, tmp_path) -> None:
    options = {"images": None, "masks": None, "labels": None, "phantom": 2, "method": "eigen_cam"}
    first, again, other = (
        column("area")(run(data, tmp_path / str(k), seed=seed, **options))
        for k, seed in enumerate((0, 0, 1))
    )
    assert first == again != other


def test_images_are_drawn_with_the_options_of_the_run(data, tmp_path, monkeypatch) -> None:
    drawn: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "cameval.report.draw_images", lambda *args, **options: drawn.append(options)
    )
    monkeypatch.setattr("cameval.report.write_report", lambda results, folder, **_: folder)
    options = {"alignment": "receptive_field", "crop": 0.5, "size": 80}
    things = {"method": "eigen_cam hires_cam", "binarizer": "otsu percentile:80"}
    run(data, tmp_path, **options, **things, names=data / "names.txt", no_report=False)
    [removed, asked] = drawn
    assert (removed["limit"], asked["limit"]) == (0, 5000)
    assert asked["alignment"] == "receptive_field"
    assert asked["prepare"] == Preparation(size=80, crop=0.5)
    assert asked["methods"] == {"eigen_cam": cameval.eigen_cam, "hires_cam": cameval.hires_cam}
    otsu, percentile = cameval.OtsuBinarizer(), cameval.PercentileBinarizer(80)
    assert asked["binarizers"] == {"otsu": otsu, "percentile:80": percentile}


def test_none_is_no_whole_number_and_the_error_says_where_it_is_one(capsys) -> None:
    assert main(["evaluate", "--phantom", "3", "--out", "x", "--size", "none"]) == 2
    said = capsys.readouterr().err
    assert "--size: must be a whole number, got 'none'; leave the option out" in said
    assert "cameval.Preparation in Python" in said
