"""The two short examples run from a folder of the user's, and print what they say."""

import re
import runpy
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cameval
from cameval.data import phantom_samples

EXAMPLES = Path(cameval.__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs a script in the folder, and returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def printed(script: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    return printed


def lines_of_code(script: str) -> int:
    body = (EXAMPLES / script).read_text().split('"""')[2]
    return sum(bool(line.strip()) for line in body.splitlines())


@pytest.mark.parametrize(("script", "most"), [("first_map.py", 25), ("evaluate_your_data.py", 50)])
def test_it_is_short(script, most):
    assert lines_of_code(script) <= most


def test_the_first_map_is_of_an_espresso_and_less_exact_than_the_middle_of_the_frame(
    shared_data, run, tmp_path
):
    weights = shared_data / "weights" / "mobilenet_v2-imagenet-fp16.pth"
    printed = run("first_map.py", str(weights))
    assert printed == "class espresso, IoU 0.35\ncenter of the image: IoU 0.60\n"
    with Image.open(tmp_path / "first_map.png") as picture:
        assert picture.size == (600, 400)


@pytest.mark.usefixtures("no_figures")
def test_your_data_are_a_table_of_files(run, tmp_path):
    rows = ["image,mask,label,group"]
    for i, sample in enumerate(islice(phantom_samples(seed=0, size=64), 18)):
        Image.fromarray(np.uint8(255 * sample.image)).save(tmp_path / f"{i}.png")
        Image.fromarray(np.uint8(255 * sample.mask)).save(tmp_path / f"mask{i}.png")
        rows.append(f"{i}.png,mask{i}.png,{i % 2},patient {i // 2}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    printed = run("evaluate_your_data.py", "table.csv")
    assert re.search(r"grad_cam +18 +9 +0\.\d+", printed)
    assert re.search(r"class_mean +18 +9 +0\.\d+", printed)
    page = (tmp_path / "runs" / "your-data" / "report.html").read_text()
    assert "class_mean" in page
    assert "grad_cam" in page
    assert "Optimistic" not in page
    assert "chosen on other images by the highest mean IoU" in page
