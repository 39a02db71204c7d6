"""``--choose-on``: what is chosen on some images is scored on the others."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameval import choose_binarizers, concat
from cameval.cli import main
from cameval.evaluation import Results

COUNT, VALIDATION = 12, 5


def command(folder: Path, *more: object) -> list[str]:
    words = "--phantom 12 --size 64 --metric iou dice --binarizer percentile:60 otsu"
    words += " --method grad_cam layer_cam --baseline center --threads 1"
    return ["evaluate", *words.split(), *map(str, more), "--out", str(folder)]


ONE = ("--model", "squeezenet1_1", "--num-classes", "3")
TWO = ("--model", "a=squeezenet1_1", "b=squeezenet1_0", "--num-classes", "3")


@pytest.fixture
def validation(tmp_path) -> Path:
    file = tmp_path / "validation.txt"
    file.write_text("\n".join(map(str, range(1, VALIDATION + 1))))
    return file


def chosen_in_python(results: Results) -> Results:
    parts = []
    for model in results.to_pandas()["model"].unique():
        part = results.select(model=model)
        names = part.to_pandas()["sample"].unique()
        choice = choose_binarizers(part.select(sample=list(names[:VALIDATION])))
        parts.append(choice.apply(part.select(sample=list(names[VALIDATION:]))))
    return concat(parts)


@pytest.mark.parametrize("models", [ONE, TWO])
@pytest.mark.usefixtures("no_figures")
def test_it_is_the_choice_of_the_library(models, validation, tmp_path, capsys) -> None:
    assert main(command(tmp_path / "all", *models, "--no-report")) == 0
    capsys.readouterr()
    assert main(command(tmp_path / "run", *models, "--choose-on", validation)) == 0
    text = capsys.readouterr().out
    found = Results.from_csv(tmp_path / "run" / "results.csv")
    wanted = chosen_in_python(Results.from_csv(tmp_path / "all" / "results.csv"))
    assert found.to_pandas().equals(wanted.to_pandas())
    assert found.meanings.origin("validated") == wanted.meanings.origin("validated")
    told = re.findall(
        rf"chosen on {VALIDATION} other images: method (\w+) \(the best of 2\); grad_cam ", text
    )
    assert len(told) == len(models) - 3
    assert f"{COUNT - VALIDATION} images" in text
    assert "validated" in text
    assert "pairs of method and binarizer" not in text


@pytest.mark.usefixtures("no_figures")
def test_the_page_and_its_images_are_about_the_choice(validation, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main(command(out, *ONE, "--choose-on", validation)) == 0
    first = capsys.readouterr().out.splitlines()
    tuning = json.loads((out / "reviewers.json").read_text("utf-8"))["answers"]["tuning"]["values"]
    assert tuning["fixed_binarizer"] == "validated"
    method = tuning["fixed_method"]
    assert method in ("grad_cam", "layer_cam")
    assert tuning["method_chosen"][0]["method"] == method
    page = (out / "report.html").read_text("utf-8")
    said = f"The method {method} (the best of 2) and the binarizer of each map were chosen on 5 "
    assert said in page
    assert "method and threshold chosen on other images" in page
    assert "given to the report as fixed" not in page
    assert main(["report", str(out)]) == 0
    assert said in (out / "report.html").read_text("utf-8")
    again = capsys.readouterr().out.splitlines()
    assert [line for line in again if "squeezenet1_1 " in line] == [
        line for line in first if "squeezenet1_1 " in line
    ]


@pytest.mark.usefixtures("no_figures")
def test_maps_made_elsewhere_are_chosen_alike(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    for part in ("images", "masks", "maps"):
        (tmp_path / part).mkdir()
    for k in range(6):
        mask = np.zeros((32, 32), np.uint8)
        mask[8:20, 8 + k : 20 + k] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{k}.png")
        Image.fromarray(mask // 2).save(tmp_path / "images" / f"{k}.png")
        np.save(tmp_path / "maps" / f"{k}.npy", mask + 99 * rng.random(mask.shape))
    (tmp_path / "names.txt").write_text("0\n3\n")
    words = [f"--{part}={tmp_path / part}" for part in ("images", "masks", "maps")]
    words += ["--binarizer", "percentile:20", "otsu", "--metric", "iou", "--baseline", "center"]
    words += ["--choose-on", str(tmp_path / "names.txt"), "--out", str(tmp_path / "run")]
    assert main(["score", *words]) == 0
    assert "chosen on 2 other images: maps otsu" in capsys.readouterr().out
    names = Results.from_csv(tmp_path / "run" / "results.csv").to_pandas()["sample"].unique()
    assert [str(name) for name in names] == ["1", "2", "4", "5"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("1\nscan 7", "got 'scan 7'; their names are such as '1', '2'"),
        ("\n".join(map(str, range(1, COUNT + 1))), "leave others to be scored, got 12"),
        ("\n", "must name some of the 12 images"),
    ],
)
def test_the_file_is_checked_before_the_work(names, reason, validation, tmp_path, capsys) -> None:
    validation.write_text(names)
    assert main(command(tmp_path / "run", *ONE, "--choose-on", validation)) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "run" / "runs").exists()
