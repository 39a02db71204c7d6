"""The command line: what it writes, what it says, and how it ends."""

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluations import samples
from PIL import Image

from cameval import choose_binarizers
from cameval.cli import _inputs as inputs
from cameval.cli import main
from cameval.cli._networks import load_networks
from cameval.cli._parser import parse
from cameval.errors import DataError
from cameval.evaluation import Results
from cameval.networks import adapt, describe_network, load_network, network_names, read_weights
from cameval.report import write_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Make a folder of images, masks, labels and weights of a small network."""
    root = tmp_path_factory.mktemp("data")
    for part in ("images", "masks", "weights"):
        (root / part).mkdir()
    with (root / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "class", "patient"])
        for sample in samples(6):
            pixels = (sample.image * 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "images" / f"{sample.name}.png")
            Image.fromarray(sample.mask).save(root / "masks" / f"{sample.name}.png")
            table.writerow([sample.name, sample.label, sample.group])
    torch.manual_seed(0)
    net = load_network("squeezenet1_1", num_classes=3)
    half = {name: tensor.half() for name, tensor in net.state_dict().items()}
    torch.save(half, root / "weights" / "squeezenet1_1-half.pth")
    return root


NO_TABLE = dict.fromkeys(("labels", "name_column", "label_column", "group_column"))
"""The options of the table of labels, left out."""


def words(folder: Path, **changes: object) -> list[str]:
    """Return the words of a small evaluation."""
    options: dict[str, object] = {
        "model": "squeezenet1_1",
        "weights": folder / "weights",
        "num-classes": 3,
        "images": folder / "images",
        "masks": folder / "masks",
        "labels": folder / "labels.csv",
        "name-column": "id",
        "label-column": "class",
        "group-column": "patient",
        "method": "grad_cam layer_cam",
        "binarizer": "percentile:80 otsu",
        "metric": "iou area_bound pixel_auroc",
        "baseline": "center mean_mask",
        "size": 64,
        "batch-size": 4,
        "out": folder / "out",
    }
    options |= {name.replace("_", "-"): value for name, value in changes.items()}
    found = ["evaluate"]
    for name, value in options.items():
        if value is True:
            found.append(f"--{name}")
        elif value is not None and value is not False:
            value = value.split() if isinstance(value, str) else [str(value)]
            found += [f"--{name}", *value]
    return found


@pytest.fixture(scope="module")
def finished(folder) -> Path:
    """Run the small evaluation with its report."""
    assert main(words(folder, parquet=True)) == 0
    return folder / "out"


def test_one_command_writes_tables_and_report(finished, capsys) -> None:
    results = Results.from_csv(finished / "results.csv")
    assert results.samples["group"].tolist() == [f"person {i // 2}" for i in range(6)]
    assert results.samples["label"].tolist() == [0, 1, 2, 0, 1, 2]
    methods = list(dict.fromkeys(column.method for column in results.columns))
    assert methods == ["grad_cam", "layer_cam", "center", "mean_mask"]
    again = Results.from_parquet(finished / "results.parquet")
    assert np.array_equal(again.values, results.values)
    with (finished / "summary.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(results.columns)
    with (finished / "summary_by_class.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows[:: len(results.columns)]] == ["0", "1", "2"]
    means = results.summary("label")["mean"]
    assert [row["mean"] for row in rows] == ["" if np.isnan(m) else str(m) for m in means]
    assert (finished / "report.html").is_file()
    assert list((finished / "report_files").glob("*.webp"))


def test_the_same_command_goes_on_and_another_is_refused(folder, finished, capsys) -> None:
    kept = (finished / "results.csv").read_bytes()
    assert main(words(folder, no_report=True)) == 0
    told = capsys.readouterr()
    assert "tables  " in told.out
    assert told.err.count("evaluate is resumed: 6 of 6 samples were scored before") == 1
    assert (finished / "results.csv").read_bytes() == kept
    assert main(words(folder, no_report=True, seed=1)) == 2
    assert "another seed (0 and 1)" in capsys.readouterr().err


def test_the_report_can_be_made_again(finished, capsys) -> None:
    (finished / "report.html").unlink()
    assert main(["report", str(finished), "--title", "A <b>title"]) == 0
    text = (finished / "report.html").read_text()
    assert "A &lt;b&gt;title" in text
    assert str(finished / "report.html") in capsys.readouterr().out


@pytest.mark.usefixtures("no_figures")
def test_the_report_keeps_the_binarizer_and_method_it_was_written_with(finished, capsys) -> None:
    results = Results.from_csv(finished / "results.csv")
    label = next(c.binarizer for c in reversed(results.columns) if c.binarizer)
    method = next(c.method for c in reversed(results.columns) if c.kind == "method")
    write_report(results, finished, binarizer=label, method=method)
    assert main(["report", str(finished)]) == 0
    tuning = json.loads((finished / "reviewers.json").read_text())["answers"]["tuning"]["values"]
    assert (tuning["fixed_binarizer"], tuning["fixed_method"]) == (label, method)
    chosen = choose_binarizers(results, metric="iou").apply(results, label="optimum")
    write_report(chosen, finished, binarizer="optimum")
    before = (finished / "report.html").read_bytes()
    capsys.readouterr()
    assert main(["report", str(finished)]) == 2
    said = capsys.readouterr().err
    assert "was written with binarizer='optimum', which the scores of" in said
    assert "write_report(..., facts=StudyFacts.read(file))" in said
    assert (finished / "report.html").read_bytes() == before
    (finished / "reviewers.json").write_text("[]")
    assert main(["report", str(finished)]) == 0


def test_only_the_named_images(folder, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("image 4\n\nimage 1\n")
    changes = {
        "names": tmp_path / "names.txt",
        "cache": tmp_path / "cache.h5",
        "metric": "iou size_standardized_iou:0.3",
        "out": tmp_path / "out",
        "no_report": True,
    }
    assert main(words(folder, **changes)) == 0
    meanings = Results.from_csv(tmp_path / "out" / "results.csv").meanings
    assert {label: meaning.setting for label, meaning in meanings.metrics.items()} == {
        "iou": "iou",
        "size_standardized_iou:0.3": "size_standardized_iou(reference=0.3)",
    }
    results = Results.from_csv(tmp_path / "out" / "results.csv")
    assert results.samples["sample"].tolist() == ["image 4", "image 1"]


def test_several_models_layers_and_an_untrained_network(tmp_path) -> None:
    command = (
        f"evaluate --phantom 3 --model squeezenet1_0 squeezenet1_1 --num-classes 3 --size 64 "
        f"--method grad_cam other_class:grad_cam --layer features.10 --metric iou "
        f"--baseline untrained --classes predicted true --out {tmp_path} --no-report"
    )
    assert main(command.split()) == 0
    results = Results.from_csv(tmp_path / "results.csv")
    assert results.samples["model"].unique().tolist() == ["squeezenet1_0", "squeezenet1_1"]
    assert {column.target_class for column in results.columns} == {"predicted", "true"}


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let torch have two threads, which a command may have set otherwise for itself alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_two_processes_write_the_table_of_one(folder, finished, two_threads, tmp_path) -> None:
    command = words(folder, out=tmp_path / "two", no_report=True, batch_size=2, threads=1)
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
    alone = words(folder, out=tmp_path / "one", no_report=True, batch_size=2, threads=1)
    assert main(alone) == 0
    assert torch.get_num_threads() == 2
    one, two = (tmp_path / name / "results.csv" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet5000"}, "one of torchvision's classifiers, got 'resnet5000'; near names"),
        ({"model": "squeezenet1_1 squeezenet1_1"}, "--model must name each network once"),
        ({"weights": "a b c"}, "--weights must be one for all or one for each of 1 models, got 3"),
        ({"weights": "missing.pth"}, "a file or a folder, got 'missing.pth', which does not exist"),
        ({"weights": "{folder}/labels.csv"}, "labels.csv must be a file of weights"),
        (
            {"weights": "{folder}/images"},
            "must hold one file squeezenet1_1.pth or squeezenet1_1-*.pth",
        ),
        (
            {"num_classes": 4},
            "squeezenet1_1-half.pth must hold the weights of squeezenet1_1 with 4",
        ),
        ({"num_classes": 0}, "num_classes must be a positive integer, got 0"),
        ({"device": "toaster"}, "--device must be available, got 'toaster'"),
        ({"layer": "attic"}, "attic"),
        ({"masks": None}, "the images must be given by one of"),
        ({"manifest": "m.csv"}, "the images must be given by one of"),
        (
            NO_TABLE | {"images": None, "masks": None, "phantom": 0},
            "--phantom must be at leas",
        ),
        (
            {"images": None, "masks": None, "phantom": 2},
            "--labels must go with --images and --masks",
        ),
        ({"images": "{folder}/nowhere"}, "nowhere"),
        ({"labels": "{folder}/nowhere.csv"}, "nowhere.csv must be a table of labels"),
        (
            {"label_column": "breed"},
            "labels.csv must have a column 'breed', got id, class, patient",
        ),
        (
            {"label_column": "patient"},
            "labels.csv, line 2: patient must be a class index, got 'per",
        ),
        (
            {"names": "{folder}/labels.csv"},
            "more; their names are such as 'image 0', 'image 1'",
        ),
        ({"method": "magic"}, "--method must be one of ablation_cam, "),
        ({"method": "grad_cam grad_cam"}, "--method must be named once, got 'grad_cam' twice"),
        ({"method": "grad_cam:3"}, "grad_cam:3: settings must fit"),
        ({"binarizer": "percentile:120"}, "percentile must be in [0, 100), got 120"),
        ({"binarizer": "percentile"}, "percentile: settings must fit, got: missing 1 required"),
        ({"binarizer": "otsu:width=3"}, "otsu:width=3: settings must fit"),
        ({"metric": "iou:reference=2"}, "iou:reference=2: settings must fit"),
        ({"metric": "size_standardized_iou:reference=2"}, "reference must be in (0, 1), got 2"),
        ({"baseline": "magic"}, "--baseline must be one of center, edges"),
        ({"alignment": "receptive_field", "layer": "features.3"}, "cell centers must be known"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"size": 4}, "--size must be large enough for the network, got 4"),
        ({"method": "random_cam:x"}, "seed must be an integer, got 'x'"),
        (
            NO_TABLE | {"images": None, "masks": None, "phantom": 2, "cache": "c.h5"},
            "--cache must go with images in files, got --phantom",
        ),
        ({"threads": 0}, "--threads must be at least 1 and at most 1024, got 0"),
        ({"size": 0}, "size must be"),
        ({"crop": 2}, "crop must be in (0, 1]"),
    ],
)
def test_a_mistake_is_said_in_one_line(folder, tmp_path, capsys, changes, message) -> None:
    changes = {
        name: value.format(folder=folder) if isinstance(value, str) else value
        for name, value in changes.items()
    }
    assert main(words(folder, **({"out": tmp_path / "out"} | changes))) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1


# --- What the machine says ------------------------------------------------------------------------


def said_in_one_line(capsys, *patterns: str) -> None:
    """Check what was said: one line that begins as mistakes do, without a traceback."""
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    for pattern in patterns:
        assert re.search(pattern, said), said


PHANTOM = NO_TABLE | {"images": None, "masks": None, "phantom": 3}


@pytest.mark.parametrize(
    "name",
    ["results.csv", "results.json", "summary.csv", "summary_by_class.csv", "report.html"],
)
def test_a_folder_in_the_place_of_a_table_is_told_before_the_work(
    folder, tmp_path, capsys, monkeypatch, name
) -> None:
    monkeypatch.setattr("cameval.cli._commands.load_networks", pytest.fail)
    (tmp_path / name).mkdir()
    assert main(words(folder, **PHANTOM, out=tmp_path)) == 2
    said_in_one_line(capsys, rf"{name} must be a file or not be there, got a folder")


def test_a_pipe_in_the_place_of_a_table_is_told(folder, tmp_path, capsys) -> None:
    os.mkfifo(tmp_path / "results.csv")
    assert main(words(folder, **PHANTOM, out=tmp_path)) == 2
    said_in_one_line(capsys, r"results\.csv must be a file or not be there, got a named pipe")


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, loop])
@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_place_that_is_no_folder_is_told(folder, tmp_path, capsys, make, below) -> None:
    make(tmp_path / "x")
    assert main(words(folder, **PHANTOM, out=tmp_path / "x" / below)) == 2
    said_in_one_line(capsys, "x.* must be writable, got")


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "a\0b", "\udc80\ud800"])
def test_a_place_that_no_folder_can_have_is_told(folder, tmp_path, capsys, name) -> None:
    assert main(words(folder, **PHANTOM, out=tmp_path / name)) == 2
    said_in_one_line(capsys)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize(
    "place",
    [
        "pathlib.Path.mkdir",
        "cameval.cli._output.TemporaryFile",
        "pandas.DataFrame.to_csv",
        "cameval.evaluation.results.Results.to_csv",
        "cameval.report.write_report",
        "cameval.report.draw_images",
        "numpy.savez",
    ],
)
def test_a_disk_that_is_full_or_read_only_is_told(
    folder, tmp_path, capsys, monkeypatch, number, place
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    monkeypatch.setattr(place, refuse)
    small = {"method": "grad_cam", "metric": "iou", "baseline": "center", "phantom": 2}
    assert main(words(folder, **PHANTOM | small, out=tmp_path / "out")) == 2
    said_in_one_line(capsys, f"(?i){os.strerror(number)}")


def test_too_little_memory_is_told(folder, tmp_path, capsys, monkeypatch) -> None:
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory.\nTried")):

        def fail(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("cameval.cli._commands.evaluate", fail)
        assert main(words(folder, **PHANTOM, out=tmp_path / "out")) == 2
        said_in_one_line(capsys, "memory must suffice, got: .*; use a smaller --batch-size")


def test_output_that_cannot_be_printed_is_told() -> None:
    command = [sys.executable, "-m", "cameval", "models", "resnet18"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_enough_is_no_mistake() -> None:
    command = f"{sys.executable} -m cameval models resnet18 | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.fixture
def impatient() -> Iterator[None]:
    """Fail a test that waits for a pipe."""

    def too_long(*_: object) -> None:
        pytest.fail("waited for what will never come")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make_nothing(path: Path) -> None:
    """Leave a path empty."""


@pytest.mark.parametrize("make", [os.mkfifo, loop, Path.mkdir, make_nothing])
@pytest.mark.parametrize(
    "changes",
    [
        {"weights": "{x}"},
        {"labels": "{x}"},
        {"names": "{x}"},
        {"cache": "{x}"},
        {"images": "{x}"},
        {"masks": "{x}"},
        {"manifest": "{x}", "images": None, "masks": None} | NO_TABLE,
        {"coco": "{x}", "masks": None} | NO_TABLE,
        {"figshare": "{x}", "images": None, "masks": None} | NO_TABLE,
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_input_that_is_none_is_told(folder, tmp_path, capsys, impatient, make, changes) -> None:
    if "cache" in changes and make is make_nothing:
        pytest.skip("a cache is made where there is none")
    make(tmp_path / "x")
    changes = {
        name: value.format(x=tmp_path / "x") if isinstance(value, str) else value
        for name, value in changes.items()
    }
    assert main(words(folder, out=tmp_path / "out", **changes)) == 2
    said_in_one_line(capsys)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\udc80"])
@pytest.mark.parametrize("option", ["weights", "labels", "names", "cache", "images", "masks"])
def test_an_input_of_a_name_that_cannot_be_is_told(folder, tmp_path, capsys, option, name) -> None:
    if (option, name) == ("cache", "\udc80"):
        pytest.skip("such names are names of files")
    assert main(words(folder, out=tmp_path / "out", **{option: str(tmp_path / name)})) == 2
    said_in_one_line(capsys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed must be in"),
        ({"seed": 2**70}, "seed must be in"),
        ({"threads": 10**12}, "--threads must be at least 1"),
        ({"num_classes": 10**13, "weights": "none"}, "num_classes must be a number of classes"),
        ({"method": "other_class:3"}, "other_class:3"),
        ({"binarizer": "percentile:" + "(" * 5000}, "percentile"),
        ({"binarizer": "percentile:1e400"}, "percentile must be in"),
        ({"binarizer": "percentile:1j"}, "percentile"),
        ({"metric": "surface_dice:{}"}, "surface_dice"),
        ({"method": "score_cam:batch_size=1e400"}, "batch_size"),
        ({"labels": "bad.csv"}, "must be a table of labels"),
        ({"names": "bad.csv"}, "must be a list of names"),
        ({"mask_orientation": "stored"} | PHANTOM, "--mask-orientation must go with photographs"),
    ],
)
def test_settings_that_python_itself_would_refuse(
    folder, tmp_path, capsys, changes, message
) -> None:
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\0")
    changes = {n: tmp_path / v if v == "bad.csv" else v for n, v in changes.items()}
    assert main(words(folder, **({"out": tmp_path / "out"} | changes))) == 2
    said_in_one_line(capsys, re.escape(message))


def test_labels_of_a_table_are_read_by_value(folder, tmp_path, capsys) -> None:
    rows = ["id,class,patient", *(f"image {i},{i}.0,p{i}" for i in range(5)), "image 5,,p5"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    options = parse(words(folder, labels=tmp_path / "labels.csv"))
    assert inputs.load_samples(options).labels.tolist() == [0, 1, 2, 3, 4, None]
    for wrong in ("1.5", "cat", "nan", "3,0"):
        (tmp_path / "labels.csv").write_text("\n".join(rows).replace("4.0", f'"{wrong}"'))
        with pytest.raises(DataError, match=r"line 6: class must be a class index"):
            inputs.load_samples(options)


# --- One command, one run -------------------------------------------------------------------------


def test_the_network_that_is_drawn_is_that_of_the_seed(folder, tmp_path, capsys) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.rand(3)  # whatever was drawn before
        options = parse(words(folder, **PHANTOM, weights="none", seed=seed))
        return load_networks(options)["squeezenet1_1"].net.features[0].weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_the_same_command_with_a_drawn_network_goes_on(folder, tmp_path, capsys) -> None:
    small = {"method": "grad_cam", "metric": "iou", "baseline": "center", "weights": "none"}
    command = words(folder, **PHANTOM | small, out=tmp_path, no_report=True)
    tables = []
    for _ in range(2):
        assert main(command) == 0
        tables.append((tmp_path / "results.csv").read_bytes())
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (None, None),
        ("auto", None),
        *((task, task) for task in ("binary", "multiclass", "multilabel")),
    ],
)
def test_the_task_is_passed_on(folder, tmp_path, monkeypatch, given, passed) -> None:
    class Enough(Exception):
        pass

    def noting(*_: object, task: str | None, **__: object) -> None:
        seen.append(task)
        raise Enough

    seen: list[str | None] = []
    monkeypatch.setattr("cameval.cli._commands.evaluate", noting)
    with pytest.raises(Enough):
        main(words(folder, **PHANTOM, out=tmp_path, task=given))
    assert seen == [passed]


def test_the_true_class_needs_labels(folder, tmp_path, capsys) -> None:
    changes = NO_TABLE | {"classes": "true", "baseline": "center"}
    assert main(words(folder, out=tmp_path, **changes)) == 2
    said_in_one_line(capsys, "label")


def test_an_interrupt_says_how_to_go_on(folder, monkeypatch, capsys) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cameval.cli._commands.evaluate", interrupted)
    assert main(words(folder)) == 130
    assert "the same command continues from there" in capsys.readouterr().err


def test_a_report_of_nothing_is_a_mistake(tmp_path, capsys) -> None:
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "results.csv must be the table of a finished run, got no such file" in said


def test_help_names_every_option(capsys) -> None:
    for command in ([], ["evaluate"], ["score"], ["report"], ["models"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
    shown = capsys.readouterr().out
    names = ("--model", "--figshare", "percentile:95", "torchrun", "mean_mask", "FOLDER")
    for name in (*names, "--maps NAME=PATH", "--predictions", "--fit"):
        assert name in shown


# --- Networks by name -----------------------------------------------------------------------------


def test_models_are_listed(capsys) -> None:
    assert main(["models", "resnet18", "vgg11", "vit_b_16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == [
        "resnet18",
        "GAPHead",
        "exact",
        *["7", "x", "7"],
        "512",
        "0.5",
        "32",
    ]
    assert "new head" in lines[3]
    assert lines[4].split() == [
        *("vit_b_16", "of", "the", "class", "token", "new", "head", "14", "x", "14", "768")
    ]
    assert main(["models", "resnet5000"]) == 2
    assert main(["models", "vgg11", "--size", "8"]) == 2
    assert "size must be large enough for vgg11, got 8" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["alexnet", "regnet_y_400mf", "googlenet", "swin_t", "maxvit_t"])
def test_facts_are_those_of_the_network(name) -> None:
    facts = describe_network(name)
    model = adapt(load_network(name))
    with torch.no_grad():
        features = model.features(torch.zeros(1, 3, 224, 224))
    assert facts.cells == tuple(features.shape[2:])
    assert facts.channels == features.shape[1]
    assert facts.head == type(model.head).__name__
    assert facts.cell_centers == model.cell_centers


@pytest.mark.slow
@pytest.mark.parametrize("name", network_names())
def test_every_network_can_be_described(name) -> None:
    facts = describe_network(name)
    assert min(facts.cells) > 1
    assert (facts.cell_centers is None) == name.startswith(("vit", "maxvit"))


def test_weights_of_a_network_with_a_new_head(tmp_path) -> None:
    model = adapt(load_network("squeezenet1_1"), num_classes=5).eval()
    torch.save(model.state_dict(), tmp_path / "new.pth")
    again = load_network("squeezenet1_1", tmp_path / "new.pth")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(images), again(images))


def test_weights_that_are_no_state_dict(tmp_path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match=r"list\.pth must hold a state dict .* got list"):
        read_weights(tmp_path / "list.pth")
    torch.save({"a": 1}, tmp_path / "numbers.pth")
    with pytest.raises(DataError, match=r"numbers\.pth must hold a state dict"):
        read_weights(tmp_path / "numbers.pth")
    torch.save(load_network("squeezenet1_1"), tmp_path / "pickled.pth")
    with pytest.raises(DataError, match=r"pickled\.pth must be a file of weights"):
        read_weights(tmp_path / "pickled.pth")
