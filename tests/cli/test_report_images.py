"""`--report-images`, `--report-single-file`: pictures that the command line draws and removes."""

import re
from pathlib import Path

import pytest

from cameval.cli import main
from cameval.cli._parser import parse
from cameval.report import page, write_report
from cameval.report._image_choice import MOST_IN_PAGE
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


# --- A single file --------------------------------------------------------------------------------
SMALL = ("--method", "eigen_cam", "--binarizer", "otsu")


def test_a_report_as_one_file_is_written_and_written_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("cameval.report.write_report", write_report)
    monkeypatch.setattr(page, "sections_of", lambda _: [])
    report, pictures = tmp_path / "report.html", 'id="image-files"'
    assert evaluate(tmp_path, *SMALL) == 0
    assert pictures not in report.read_text()
    assert main(["report", str(tmp_path), "--report-single-file"]) == 0  # the folder moves in
    assert pictures in report.read_text()
    assert not (tmp_path / "report_files").exists()
    assert evaluate(tmp_path, *SMALL, "--report-single-file", "--report-images", "3") == 0
    first = report.read_text()
    assert not (tmp_path / "report_files").exists()
    assert "3 of 4 images are shown" in first
    assert main(["report", str(tmp_path)]) == 0  # as it was
    assert report.read_text() == first
    assert not (tmp_path / "report_files").exists()
    assert main(["report", str(tmp_path), "--report-images", "0"]) == 0
    assert pictures not in report.read_text()
    assert main(["report", str(tmp_path), "--report-single-file"]) == 0  # they are gone
    assert pictures not in report.read_text()


def test_one_file_has_a_hundred_images_at_most(tmp_path, capsys) -> None:
    assert evaluate(tmp_path, "--report-single-file", "--report-images", "300") == 2
    said = r"--report-images must be at most 100 with --report-single-file, got 300"
    assert re.search(said, capsys.readouterr().err)
    assert not (tmp_path / "results.csv").exists()


def test_the_number_of_images_is_that_of_the_form(tmp_path, monkeypatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr(
        "cameval.report.draw_images", lambda *_, limit, **__: limits.append(limit) if limit else 0
    )
    once = ("--model", "a=squeezenet1_1", *SMALL)
    assert evaluate(tmp_path, *once) == 0
    assert evaluate(tmp_path, *once, "--report-single-file") == 0
    assert evaluate(tmp_path, *once, "--report-single-file", "--report-images", "7") == 0
    assert limits == [5000, MOST_IN_PAGE, 7]
    config = str(tmp_path / "settings.toml")
    words = ["evaluate", "--config", config]
    assert parse(words).report_single_file
    assert not parse([*words, "--no-report-single-file"]).report_single_file
