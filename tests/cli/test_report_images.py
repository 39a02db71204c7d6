"""`--report-images`: the pictures of the images that the command line draws and removes."""

import re
from pathlib import Path

import pytest

from cameval.cli import main
from cameval.report._image_index import read_index

RUN = (
    "evaluate --model a=squeezenet1_1 b=squeezenet1_1 --phantom 4 --size 64 --num-classes 3 "
    "--method eigen_cam layer_cam --binarizer percentile:90 otsu --metric iou --baseline center "
    "--threads 1 --batch-size 4"
)


@pytest.fixture(autouse=True)
def _no_report(monkeypatch) -> None:
    monkeypatch.setattr("cameval.report.write_report", lambda results, folder, **_: folder)


def evaluate(out: Path, *words: str) -> int:
    return main([*RUN.split(), "--out", str(out), *words])


def drawn(out: Path) -> dict[str, int]:
    return {one.model: len(one.tiles) for one in read_index(out / "report_files")}


def test_images_of_every_network_method_and_binarizer_are_drawn(tmp_path) -> None:
    assert evaluate(tmp_path) == 0
    assert drawn(tmp_path) == {"a": 4, "b": 4}
    first, _ = read_index(tmp_path / "report_files")
    assert [pair[1:3] for pair in first.pairs] == [
        (method, binarizer)
        for method in ("eigen_cam", "layer_cam")
        for binarizer in ("percentile:90", "otsu")
    ]
    assert evaluate(tmp_path, "--report-images", "2") == 0
    assert drawn(tmp_path) == {"a": 2, "b": 2}
    assert main(["report", str(tmp_path), "--report-images", "0"]) == 0
    assert not (tmp_path / "report_files").exists()
    assert (tmp_path / "results.csv").exists()


def test_no_image_is_drawn_if_none_is_wanted(tmp_path) -> None:
    words = ["--report-images", "0", "--binarizer", "otsu", "--method", "eigen_cam"]
    assert evaluate(tmp_path, *words) == 0
    assert not (tmp_path / "report_files").exists()


def test_other_numbers_are_refused(tmp_path, capsys) -> None:
    assert evaluate(tmp_path, "--report-images", "-1") == 2
    assert "--report-images must be at least 0, got -1" in capsys.readouterr().err
    assert evaluate(tmp_path, "--no-report") == 0
    capsys.readouterr()
    assert main(["report", str(tmp_path), "--report-images", "3"]) == 2
    said = r"--report-images must be 0, got 3; the images are drawn by cameval evaluate"
    assert re.search(said, capsys.readouterr().err)
