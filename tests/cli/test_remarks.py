"""What a command says before and below its table, and which folders it refuses."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from cameval import PercentileBinarizer, Sample, evaluate_maps, iou
from cameval.cli import main
from cameval.cli._inputs import group_column, load_samples
from cameval.cli._output import check_output
from cameval.cli._parser import parse
from cameval.cli._remarks import (
    describe_classes,
    describe_columns,
    describe_grid,
    describe_groups,
    describe_order,
    describe_subfolders,
    describe_weights,
)
from cameval.errors import DataError, SettingError
from cameval.evaluation import Results
from cameval.networks import load_network

RUN = ["--model", "resnet18", "--out", "run"]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Make six images with masks, maps, and tables of labels."""
    folder = tmp_path_factory.mktemp("remarks")
    for part in ("images", "masks", "maps"):
        (folder / part).mkdir()
    rng, rows = np.random.default_rng(0), []
    for k in range(6):
        mask = np.zeros((24, 32), np.uint8)
        mask[4 : 12 + k, 2 * k : 2 * k + 12] = 255
        pixels = (rng.random(mask.shape) * 120 + mask / 2).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{k}.png")
        Image.fromarray(pixels).save(folder / "images" / f"{k}.png")
        np.save(folder / "maps" / f"{k}.npy", pixels[::2, ::2].astype(np.float32))
        rows.append(f"{k},{k % 2},p{k // 2},{50 + k}")
    for last in ("group", "patient"):
        text = "\n".join([f"name,label,{last},age", *rows])
        (folder / f"{last}.csv").write_text(text)
    text = "\n".join(["name,label,group,area,age", *(f"{row},7" for row in rows)])
    (folder / "area.csv").write_text(text)
    (folder / "predictions.csv").write_text("name,predicted\n" + "0,0\n1,1\n2,0\n3,1\n4,0\n5,0\n")
    return folder


def score(root: Path, out: Path, *more: str) -> int:
    words = f"score --maps {root}/maps --images {root}/images --masks {root}/masks --no-report"
    words += " --binarizer otsu --metric iou --baseline center"
    return main([*words.split(), "--out", str(out), *more])


def options(*words: str) -> Any:
    return parse(["evaluate", *RUN, *words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "weights: none (random); "),
        ("--weights DEFAULT", None),
        ("--model resnet18 timm:resnet18 --weights none x.pth", "weights for resnet18: none "),
        ("--model resnet18 timm:resnet18", "weights for resnet18, timm:resnet18: none "),
    ],
)
def test_random_weights_are_said(words, said) -> None:
    lines = describe_weights(options(*words.split()))
    assert [line.startswith(str(said)) for line in lines] == ([] if said is None else [True])


def test_weights_of_a_function_are_said() -> None:
    (line,) = describe_weights(options("--model", "mine=file.py:net"))
    assert line == "weights: as file.py:net returns them; --weights FILE loads others"
    random, own = describe_weights(options("--model", "a=resnet18", "b=file.py:net"))
    assert random.startswith("weights for a: none (random); ")
    assert own.startswith("weights for b: as file.py:net returns them; ")
    assert describe_weights(options("--model", "file.py:net", "--weights", "x.pth")) == []


def test_random_weights_are_in_the_results(root, tmp_path) -> None:
    words = f"evaluate --images {root}/images --masks {root}/masks --no-report --size 64"
    words += " --num-classes 2 --binarizer otsu --metric iou --baseline center"
    words += f" --out {tmp_path} --model squeezenet1_1 a=squeezenet1_1 --weights none"
    assert main([*words.split(), str(_weights(tmp_path))]) == 0
    results = Results.from_csv(tmp_path / "results.csv")
    first, second = results.provenance["parts"]
    assert first["weights_are"] == "random"
    assert "weights_are" not in second
    text = results.methods_text()
    assert "The networks are squeezenet1_1 (random weights, hash " in text
    assert " and a (weights " in text


def _weights(folder: Path) -> Path:
    file = folder / "weights.pth"
    torch.save(load_network("squeezenet1_1", num_classes=2, seed=3).state_dict(), file)
    return file


@pytest.mark.parametrize(
    ("table", "words", "group", "said"),
    [
        ("group", "", "group", "column age is not used; --info age keeps it in the tables"),
        ("group", "--info age", "group", None),
        (
            "area",
            "",
            "group",
            "columns area, age are not used; --info age keeps these in the tables",
        ),
        (
            "area",
            "--info age",
            "group",
            "column area is not used; other names and --info keep it in the tables",
        ),
        (
            "patient",
            "",
            None,
            "columns patient, age are not used; --group-column one of them takes it as groups",
        ),
        (
            "patient",
            "--info age",
            None,
            "column patient is not used; --group-column patient takes it as groups",
        ),
        ("patient", "--group-column patient --info age", "patient", None),
    ],
)
def test_columns_without_use_are_said(root, table, words, group, said) -> None:
    given = options("--labels", str(root / f"{table}.csv"), *words.split())
    assert group_column(given) == group
    assert describe_columns(given) == ([] if said is None else [said])


def test_columns_of_a_manifest_without_use_are_said(tmp_path) -> None:
    table = tmp_path / "table.csv"
    for last, way in (
        ("name", "--group-column patient takes it as groups"),
        ("group", "--info patient keeps it"),
    ):
        table.write_text(f"image,mask,{last},patient\n")
        (line,) = describe_columns(options("--manifest", str(table)))
        assert line.startswith(f"column patient is not used; {way}")
        for option in ("--info", "--group-column"):
            left = describe_columns(options("--manifest", str(table), option, "patient"))
            assert left == (
                ["column group is not used; other names and --info keep it in the tables"]
                if (option, last) == ("--group-column", "group")
                else []
            )


def test_the_order_of_sorted_classes_is_said(tmp_path) -> None:
    for name in ("one", "two"):
        Image.new("L", (6, 4), 255).save(tmp_path / f"{name}.png")
    table, names = tmp_path / "table.csv", tmp_path / "names.txt"
    table.write_text("image,mask,label\none.png,one.png,meningioma\ntwo.png,two.png,glioma\n")
    names.write_text("meningioma\nglioma\n")
    given = options("--manifest", str(table))
    (line,) = describe_order(load_samples(given), given)
    assert line.startswith("classes, in the order of their names: 0 glioma, 1 meningioma; ")
    named = options("--manifest", str(table), "--class-names", str(names))
    assert describe_order(load_samples(named), named) == []
    table.write_text("image,mask,label\none.png,one.png,0\n")
    assert describe_order(load_samples(given), given) == []


@pytest.fixture
def subfolders(tmp_path) -> Path:
    """Make an image and a mask in the folder of each of two patients."""
    for part in ("images", "masks"):
        for patient in ("p04", "p00"):
            (tmp_path / part / patient).mkdir(parents=True)
            Image.new("L", (6, 4), 255).save(tmp_path / part / patient / "1.png")
    return tmp_path


def test_subfolders_that_are_taken_as_classes_are_said(subfolders) -> None:
    words = ["--images", f"{subfolders}/images", "--masks", f"{subfolders}/masks"]
    given = options(*words)
    (line,) = describe_subfolders(load_samples(given), given)
    assert line.startswith(
        f"classes: the subfolders of {subfolders}/images, in the order of their names: 0 p00, 1 "
        "p04 (2); if the network has another order, --class-names FILE gives it; if they are no "
    )
    healthy = options(*words[:2], "--missing-masks", "negative")
    assert len(describe_subfolders(load_samples(healthy), healthy)) == 1
    (subfolders / "names.txt").write_text("p00\np04\n")
    (subfolders / "labels.csv").write_text("name,label\np00/1,0\np04/1,0\n")
    for more in (("--class-names", "names.txt"), ("--labels", "labels.csv")):
        told = options(*words, more[0], str(subfolders / more[1]))
        assert describe_subfolders(load_samples(told), told) == []
    flat = options(*(f"{word}/p00" if "/" in word else word for word in words))
    assert describe_subfolders(load_samples(flat), flat) == []


def test_parts_of_a_data_set_are_no_classes(subfolders) -> None:
    for part in ("images", "masks"):
        for old, new in (("p00", "Train"), ("p04", "val")):
            (subfolders / part / old).rename(subfolders / part / new)
    words = ["--images", f"{subfolders}/images", "--masks", f"{subfolders}/masks"]
    with pytest.raises(DataError, match=r"got 'Train', 'val', named as parts .*images/Train, or "):
        load_samples(options(*words))
    (subfolders / "labels.csv").write_text("name,label\nTrain/1,0\n")
    (subfolders / "some.txt").write_text("Train/1\n")
    words += ["--labels", f"{subfolders}/labels.csv", "--names", f"{subfolders}/some.txt"]
    assert len(load_samples(options(*words))) == 1


def test_the_order_of_the_classes_of_scans_is_said(tmp_path) -> None:
    for name in ("image", "mask"):
        nibabel.save(nibabel.Nifti1Image(np.ones((3, 4, 5)), np.eye(4)), tmp_path / f"{name}.nii")
    (tmp_path / "scans.csv").write_text("image,mask,label\nimage.nii,mask.nii,tumor\n")
    given = options("--nifti", str(tmp_path / "scans.csv"))
    (line,) = describe_order(load_samples(given), given)
    assert line.startswith("classes, in the order of their names: 0 tumor; ")


def test_it_is_said_where_ids_of_patients_are_shown(tmp_path) -> None:
    table = tmp_path / "scans.csv"
    table.write_text("image,mask\n")
    given = ["evaluate", "--model", "resnet18", "--dicom", str(table), "--out", "run"]
    (line,) = describe_groups(parse(given))
    assert line.startswith("groups: the PatientID of each file, which tables and page then show")
    table.write_text("image,mask,group\n")
    assert describe_groups(parse(given)) == []
    assert describe_groups(options()) == []


@pytest.mark.parametrize(
    ("count", "known", "given", "words", "said"),
    [
        (3, None, "abc", "", None),
        (1, None, "ab", "", None),  # binary
        (5, None, "abc", "--task multilabel", None),
        (5, "vwxyz", None, "", None),
        (
            1000,
            [f"c{k:,}" for k in range(1000)],
            "abc",
            "",
            "the network has 1,000 classes, the data have 3, and no name is in both; maps are for "
            "the class that it predicts",
        ),
        (
            5,
            "aexyz",
            "abc",
            "--classes true",
            "the network has 5 classes, the data have 3, and 1 name is in both",
        ),
        (
            5,
            None,
            "abc",
            "",
            "the network has 5 classes, the data have 3; maps are for the class that it predicts",
        ),
    ],
)
def test_other_classes_than_those_of_the_data_are_said(count, known, given, words, said) -> None:
    lines = describe_classes("net", count, known, given, options(*words.split()))
    assert lines == ([] if said is None else [said])


def test_class_names_of_another_number_than_the_outputs_are_refused() -> None:
    given = options("--class-names", "names.txt")
    with pytest.raises(SettingError, match="a name for each of 5 classes of the network, got 3"):
        describe_classes("net", 5, None, "abc", given)
    assert len(describe_classes("net", 5, "vwxyz", "abc", given)) == 1


def test_a_grid_of_one_cell_is_said() -> None:
    (line,) = describe_grid((1, 1))
    assert line == "every map is constant: the grid of the maps is 1 x 1; a larger --size has more"
    assert describe_grid((1, 2)) == []


def test_a_column_of_groups_is_used_and_its_lack_is_said(root, tmp_path, capsys) -> None:
    predictions = ["--predictions", str(root / "predictions.csv")]
    assert score(root, tmp_path / "a", "--labels", str(root / "group.csv"), *predictions) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "column age is not used; --info age keeps it in the tables"
    assert "6 images, 2 classes, 3 groups" in lines[1]
    assert not any("No groups" in line for line in lines)
    assert "are right for 83.3 %" in " ".join(" ".join(lines).split())
    groups = Results.load(tmp_path / "a").samples["group"]
    assert groups.tolist() == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert score(root, tmp_path / "b") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "No groups were given: each of 6 images counts as its own; the intervals may be" in out


def test_results_of_another_command_are_not_replaced(root, tmp_path, capsys) -> None:
    assert score(root, tmp_path / "run") == 0
    kept = (tmp_path / "run" / "results.csv").read_bytes()
    capsys.readouterr()
    assert score(root, tmp_path / "run", "--name", "other") == 2
    assert "--out must be a new folder or one of the same run" in (said := capsys.readouterr().err)
    assert "with the results of maps" in said
    assert (tmp_path / "run" / "results.csv").read_bytes() == kept
    assert Results.load(tmp_path / "run").values.tobytes() == (
        Results.from_csv(tmp_path / "run" / "results.csv").values.tobytes()
    )
    with pytest.raises(SettingError, match="with the results of maps; name another folder"):
        check_output(tmp_path / "run", ["resnet18"], options())
    check_output(tmp_path / "run", ["maps"], options())


def test_a_run_of_python_is_not_replaced(root, tmp_path, capsys) -> None:
    image = np.random.default_rng(0).random((16, 16), np.float32)
    made = evaluate_maps(
        {"itself": lambda sample: sample.image},
        [Sample(name, image, image > 0.8) for name in "ab"],
        binarizers=PercentileBinarizer(80),
        metrics=iou,
        out=tmp_path / "run",
        progress=False,
    )
    assert score(root, tmp_path / "run") == 2
    assert "a run of Python (run.json)" in capsys.readouterr().err
    (tmp_path / "table").mkdir()
    made.to_csv(tmp_path / "table" / "results.csv")
    assert score(root, tmp_path / "table") == 2
    assert "a results.csv that no command has written" in capsys.readouterr().err


def test_errors_name_what_to_do(tmp_path, capsys) -> None:
    assert main(["report", str(tmp_path / "nothing")]) == 2
    said = capsys.readouterr().err
    assert "nothing/results.csv must be the table of a finished run, got no such file" in said
    assert "Errno" not in said
    words = ["evaluate", *RUN[:2], "--phantom", "2", "--out", str(tmp_path / "run")]
    assert main([*words, "--binarizer", "95"]) == 2
    assert "got '95'; near names: percentile:95" in capsys.readouterr().err


def test_a_folder_without_finished_results_names_its_runs(tmp_path) -> None:
    (tmp_path / "runs" / "resnet18").mkdir(parents=True)
    with pytest.raises(DataError, match=r"finished run \(results.csv\), .* are in .*resnet18"):
        Results.load(tmp_path)


def test_images_that_are_left_out_are_counted_in_the_verdict(root, tmp_path, capsys) -> None:
    assert score(root, tmp_path / "all") == 0
    assert "that --names does not name" not in capsys.readouterr().out
    names = Results.load(tmp_path / "all").samples["sample"].tolist()
    (tmp_path / "some.txt").write_text("\n".join(names[:4]))
    assert score(root, tmp_path / "some", "--names", str(tmp_path / "some.txt")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "4 images are in the table, without 2 that --names does not name." in out
