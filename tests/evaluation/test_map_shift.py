"""Half-pixel maps that lie far from the receptive fields of their cells are told."""

import numpy as np
import pytest
from evaluations import samples
from torchvision.models import mobilenet_v2, vgg11

from cameval import CAMExtractor, concat, evaluate, grad_cam, iou
from cameval.evaluation import Preparation, Results
from cameval.evaluation._map_shift import MapShift
from cameval.maps import CellCenters
from cameval.report import verdict_lines, write_report

WORDS = "Half-pixel alignment places the maps"


def run(net, name="net", alignment="half_pixel", size=96) -> Results:
    return evaluate(
        CAMExtractor(net, alignment=alignment),
        samples(6, sizes=(64,)),
        methods=[grad_cam],
        metrics=[iou],
        prepare=Preparation(size=size),
        name=name,
        progress=False,
    )


def said(results: Results) -> str:
    return " ".join(" ".join(verdict_lines(results)).split())


@pytest.fixture(scope="module")
def mobile() -> Results:
    return run(mobilenet_v2(num_classes=3).eval(), "mobile")


def test_the_page_and_the_terminal_tell_a_shift_of_half_a_cell(mobile, tmp_path) -> None:
    text = f"{WORDS} 15.5 of 96 pixels too far right and down in the middle of the image."
    assert text in said(mobile)
    assert text in write_report(mobile, tmp_path).read_text("utf-8")
    mobile.to_csv(tmp_path / "results.csv")
    assert text in said(Results.from_csv(tmp_path / "results.csv"))


def test_nothing_is_told_of_receptive_fields_and_of_small_shifts() -> None:
    aligned = run(mobilenet_v2(num_classes=3).eval(), alignment="receptive_field")
    assert WORDS not in said(aligned)
    assert WORDS not in said(run(vgg11(num_classes=3).eval()))  # 0 px


def test_networks_with_other_shifts_may_differ_by_them(mobile) -> None:
    both = concat([mobile, run(vgg11(num_classes=3).eval(), "vgg")])
    assert f"{WORDS} of mobile 15.5 of 96 pixels" in said(both)
    assert "A part of the differences between networks may be due to it." in said(both)
    twice = concat([mobile, run(mobilenet_v2(num_classes=3).eval(), "other")])
    assert f"{WORDS} of mobile and other 15.5 of 96 pixels" in said(twice)
    assert "may be due to it" not in said(twice)


def test_the_shift_is_that_of_the_interpolated_centers() -> None:
    centers, size, cells = CellCenters(offset=17.5, stride=16), 224, 13
    shift = MapShift.of_cells(centers, (size, size), (cells, cells))
    evenly = (np.arange(cells) + 0.5) * size / cells
    middle = evenly[cells // 2] - centers.centers(cells)[cells // 2].item()
    assert shift.pixels == (middle, middle)
    assert not shift.is_far
    left = MapShift((-9.0, 3.0), (96, 64), (3, 2))
    assert str(left) == "shifted by \u22129.0 x +3.0 of 96 x 64 pixels"
    assert left.is_far
    assert MapShift.of_run(left.to_record()) == left
