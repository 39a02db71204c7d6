"""Images that are almost black, as 12 bits in files of 16: the warning, the record, the report."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluations import PLAN, SMALL, samples, small_network
from PIL import Image

from cameval import Preparation, Results, Sample, Target, concat, evaluate, evaluate_maps
from cameval.cli import main
from cameval.data import FolderDataset, ImageFile
from cameval.errors import DataError
from cameval.evaluation import DarkImagesWarning, Prepared
from cameval.evaluation.dark_images import DARK, DarkImages
from cameval.report import verdict_lines, write_report

SAID = (
    "The images are almost black: 7 of 7 images have no value above 1/8 of the range that the "
    "network expects. Evaluate again with stretch=True (on the command line: --stretch-contrast), "
    "which scales each image by its own range."
)


def dark(count: int = 7, by: float = 255) -> list[Sample]:
    """Make images that were divided once more."""
    return [replace(one, image=one.image / np.float32(by)) for one in samples(count)]


def run(data, **options) -> Results:
    options = {**PLAN, "prepare": SMALL, "baselines": {}, "batch_size": 2} | options
    return evaluate(small_network(), data, progress=False, **options)


def warned(data, message: str = "stretch=True", **options) -> Results:
    """Evaluate, with one warning at this line."""
    with pytest.warns(DarkImagesWarning) as told:
        results = run(data, **options)
    assert [one.category for one in told] == [DarkImagesWarning]
    assert told[0].filename == __file__
    assert message in str(told[0].message)
    return results


def said(results: Results) -> str:
    return " ".join(verdict_lines(results))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Write 12 bits in files of 16, with masks."""
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for one in samples():
        values = (one.image * 4095).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / "images" / f"{one.name}.png")
        Image.fromarray(one.mask).save(tmp_path / "masks" / f"{one.name}.png")
    return tmp_path


def test_12_bits_in_files_of_16_warn_once_and_the_report_says_so(folder) -> None:
    read = FolderDataset(folder / "images", folder / "masks")
    assert max(sample.image.max() for sample in read) <= 1 / 16
    message = (
        "images must use the range [0, 1] that the network expects, got 7 of 7 images without a "
        "value above 1/8; read files with stretch=True (--stretch-contrast on the command line)"
    )
    results = warned(read, message=message)
    assert SAID in said(results)
    write_report(results, folder / "page")
    page = (folder / "page" / "report.html").read_text(encoding="utf-8")
    (caution,) = re.findall(r'<p class="caution">(.*?)</p>', page, re.DOTALL)
    assert re.sub(r"<[^>]+>", "", caution).startswith(SAID)


def test_with_stretch_there_is_no_warning(folder) -> None:
    stretched = run(FolderDataset(folder / "images", folder / "masks", stretch=True))
    assert "black" not in said(stretched)
    assert DarkImages.of(stretched.provenance) == DarkImages(0, 7, 0)


def test_arrays_that_were_divided_twice_warn() -> None:
    assert SAID in said(warned(dark()))


@pytest.mark.parametrize("kind", ["pairs", "sanity"])
def test_all_kinds_of_samples_warn_once(kind) -> None:
    if kind == "pairs":
        found = warned([(one.image, one.mask, one.label) for one in dark()])
    else:
        found = warned(dark(), sanity=True)
    assert DarkImages.of(found.provenance) == DarkImages(7, 7, 0)


@pytest.mark.parametrize(("count", "warns"), [(1, False), (3, False), (4, True), (6, True)])
def test_more_than_half_of_the_images_must_be_dark(count, warns) -> None:
    data = [*dark(count), *samples()[count:]]
    results = warned(data) if warns else run(data)
    assert (f"Most of the images are almost black: {count} of 7 images" in said(results)) is warns


def test_exactly_half_do_not_suffice() -> None:
    results = run([*dark(3), *samples(6)[3:]])
    assert DarkImages.of(results.provenance) == DarkImages(3, 6, 0)
    assert "black" not in said(results)


def test_the_limit_is_an_eighth() -> None:
    def of(greatest: float) -> list[Sample]:
        return [
            replace(one, image=one.image / one.image.max() * np.float32(greatest))
            for one in samples()
        ]

    assert max(one.image.max() for one in of(DARK)) == DARK
    assert DarkImages.of(warned(of(DARK)).provenance).dark == 7
    assert (
        DarkImages.of(run(of(float(np.nextafter(np.float32(DARK), np.float32(1))))).provenance).dark
        == 0
    )


def test_black_images_do_not_count() -> None:
    black = [replace(one, image=0 * one.image) for one in samples()]
    assert "black" not in said(run(black))
    assert "black" not in said(run([*black[:3], *samples()[3:]]))
    mixed = warned([*black[:5], *dark()[5:]])
    assert DarkImages.of(mixed.provenance) == DarkImages(2, 2, 5)
    assert "The images are almost black: 7 of 7 images have no value above 1/8" in said(mixed)


def _own(sample: Sample) -> Prepared:
    image, truth = SMALL(replace(sample, image=255 * sample.image))
    return Prepared(image, truth)


class _Brighter(Preparation):
    """A preparation of a user's."""


@pytest.mark.parametrize(
    "prepare",
    [_own, _Brighter(size=32), Preparation(size=32, mean=(0.003,) * 3, std=(0.002,) * 3)],
    ids=["a function", "a subclass", "the mean of dark images"],
)
def test_what_the_network_expects_must_be_known(prepare: Callable) -> None:
    assert DarkImages.of(run(dark(), prepare=prepare).provenance) == DarkImages()


def test_maps_made_elsewhere_are_not_judged() -> None:
    scores = evaluate_maps(lambda one: one.image, dark(), progress=False, baselines={})
    assert "dark_images" not in scores.provenance


def test_images_of_several_targets_count_once() -> None:
    data = [
        Sample(one.name, one.image, targets=[Target(k, one.mask) for k in range(count)])
        for count, one in zip((1, 3, 2, 1, 1, 2, 1), [*dark(3), *samples()[3:]], strict=True)
    ]
    results = run(data, task="multiclass")
    assert len(results) == 11
    assert DarkImages.of(results.provenance) == DarkImages(3, 7, 0)


# --- What is kept ---------------------------------------------------------------------------------


def test_files_keep_it(tmp_path) -> None:
    results = warned(dark(), out=tmp_path / "run")
    results.to_csv(tmp_path / "t.csv")
    results.to_parquet(tmp_path / "t.parquet")
    kept = [
        Results.load(tmp_path / "run"),
        Results.load(tmp_path / "run", name="other"),
        Results.from_csv(tmp_path / "t.csv"),
        Results.from_parquet(tmp_path / "t.parquet"),
        results.select(group="person 0"),
    ]
    assert [SAID in said(one) for one in kept] == [True] * 5


def test_a_run_that_goes_on_warns_and_says_so(tmp_path) -> None:
    warned(dark(), out=tmp_path / "run")
    (tmp_path / "run" / "batches" / "000002.npz").unlink()
    again = warned(dark(), out=tmp_path / "run")
    assert DarkImages.of(again.provenance) == DarkImages(7, 7, 0)
    assert SAID in said(again)


def test_a_batch_without_it_is_refused(tmp_path) -> None:
    warned(dark(), out=tmp_path / "run")
    file = tmp_path / "run" / "batches" / "000001.npz"
    arrays = dict(np.load(file))
    del arrays["brightest"]
    np.savez(file, **arrays)
    with pytest.raises(DataError, match=r"brightest.*delete it"):
        Results.load(tmp_path / "run")


def test_results_that_are_concatenated_say_of_which_network() -> None:
    black, bright = warned(dark(), name="one"), run(samples(), name="two")
    assert "almost black: 7 of 7 images (one) have no value" in said(concat([bright, black]))
    assert "black" not in said(concat([bright, black]).select(model="two"))
    assert SAID in said(concat([black, warned(dark(), name="two")]))
    first, second = warned(dark()[:4], name="one"), warned(dark()[4:], name="one")
    assert SAID in said(concat([first, second]))
    mixed = concat([first, run(samples()[4:], name="one")])
    assert "Most of the images are almost black: 4 of 7 images have" in said(mixed)


@pytest.mark.parametrize("record", [None, 3, {"dark": "7"}, {"dark": -1, "judged": 2}])
def test_a_record_of_something_else_says_nothing(record) -> None:
    results = run(samples())
    strange = replace(results, provenance={**results.provenance, "dark_images": record})
    assert "black" not in said(strange)


CODE = """
import sys, warnings
sys.path[:0] = sys.argv[1:]
import torch
from evaluations import PLAN, SMALL, small_network
from test_dark_images import dark
from cameval import evaluate
from cameval.distributed import process_group, rank
from cameval.evaluation.dark_images import DarkImages

torch.set_num_threads(1)
with process_group(), warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    options = {**PLAN, "prepare": SMALL, "baselines": {}, "batch_size": 2}
    found = DarkImages.of(evaluate(small_network(), dark(), **options).provenance)
    warned = sum(one.category.__name__ == "DarkImagesWarning" for one in told)
    print(f"process {rank()}: {found.dark} of {found.judged}, warned {warned} times", flush=True)
"""


def test_processes_count_together_and_the_first_warns(tmp_path) -> None:
    script, here = tmp_path / "script.py", Path(__file__).parent
    script.write_text(CODE)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*start, str(script), str(here), str(here.parent)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "process 0: 7 of 7, warned 1 times" in done.stdout
    assert "process 1: 7 of 7, warned 0 times" in done.stdout


# --- The command line -----------------------------------------------------------------------------

NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, 3))
"""


@pytest.fixture
def there(folder, monkeypatch) -> None:
    (folder / "nets.py").write_text(NET)
    monkeypatch.chdir(folder)


@pytest.mark.usefixtures("there")
def test_the_command_says_so_in_its_verdict(capsys) -> None:
    words = "evaluate --model nets.py:net --layer 1 --size 32 --images images --masks masks"
    words += " --method grad_cam --binarizer otsu --metric iou --baseline center --no-report"
    assert main([*words.split(), "--out", "run"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert output.count("almost black") == 1
    assert SAID in output
    assert main([*words.split(), "--out", "stretched", "--stretch-contrast"]) == 0
    assert "black" not in capsys.readouterr().out


@pytest.mark.usefixtures("there")
def test_the_command_of_photos_names_those_that_are_dark(capsys) -> None:
    Image.fromarray(np.full((9, 9), 200, np.uint8)).save("bright.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("zeros.png")
    words = "--model nets.py:net --layer 1 --size 32"
    name = "images/image 0.png"
    photos = ["map", "bright.png", "zeros.png"]
    line = (
        "almost black, without a value above 1/8 of the range that the network expects: "
        f"{name}; --stretch-contrast scales each photo by its own range"
    )
    assert main([*photos, name, *words.split(), "--out", "a", "--npy"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert main([*photos, name, *words.split(), "--out=b", "--npy", "--stretch-contrast"]) == 0
    assert "black" not in capsys.readouterr().out
    assert main([*photos, *words.split(), "--out", "c"]) == 0
    assert "black" not in capsys.readouterr().out

    maps = [np.load(f"{out}/image 0_map.npy") for out in ("a", "b")]
    assert np.abs(maps[0] - maps[1]).max() > 1e-3
    torch.testing.assert_close(ImageFile(name, stretch=True)().max(), np.float32(1))
