"""The command that draws the maps of a network on photos."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from medical_files import write_dicom
from PIL import Image

from cameval import CAMExtractor, Preparation, Sample, hires_cam
from cameval.cli import main
from cameval.data import read_dicom
from cameval.evaluation import evaluate
from cameval.networks import adapt, load_network

CODE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, outputs=3):
        torch.manual_seed(0)
        super().__init__(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, outputs))

def three():
    return Net()

def one():
    return Net(1)

def sigmoids():
    return nn.Sequential(*Net(), nn.Sigmoid())

def softmax():
    return nn.Sequential(*Net(), nn.Softmax(1))

def grid():
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(),
                         nn.Linear(16, 3))
"""

NET = "--model nets.py:three --size 64 --layer 1"

HEIGHT, WIDTH = 40, 56


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Write two photos and a file of networks to the working directory."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "nets.py").write_text(CODE)
    (tmp_path / "classes.txt").write_text("tabby\nbeagle\ntabby cat\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sample(name: str) -> Sample:
    image = np.asarray(Image.open(f"{name}.png"), np.float32) / 255
    return Sample(name, image, np.ones((HEIGHT, WIDTH), np.bool_))


def expected(name: str, classes: int | None = None) -> np.ndarray:
    """Return the map of a photo in the pixels of the photo."""
    net = adapt(load_network("nets.py:three"), layer="1")
    image, _ = Preparation(size=64)(sample(name))
    result = CAMExtractor(net, hires_cam)(image[None], classes, size=(HEIGHT, WIDTH))
    return result.maps[0].numpy()


def told(capsys, words: str) -> str:
    assert main(["map", *words.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


def test_each_photo_has_a_picture_and_a_line(folder, capsys) -> None:
    words = f"map cat.png dog.png {NET} --method hires_cam --npy"
    assert main(words.split()) == 0
    table = evaluate(
        adapt(load_network("nets.py:three"), layer="1"),
        [sample("cat"), sample("dog")],
        prepare=Preparation(size=64),
        baselines={},
        progress=False,
    ).samples
    weights, remark, *lines = capsys.readouterr().out.splitlines()
    assert weights == "weights: as nets.py:three returns them; --weights FILE loads others"
    assert remark.startswith(
        "images are normalized with ImageNet's mean and std; --mean and --std, "
    )
    for name, line, row in zip(("cat", "dog"), lines, table.itertuples(), strict=True):
        known = f"{name}.png  class {row.predicted} {row.probability:.3f}  maps/{name}_map.png"
        assert line == known
        np.testing.assert_array_equal(np.load(f"maps/{name}_map.npy"), expected(name))
        with Image.open(f"maps/{name}_map.png") as picture:
            assert picture.width > picture.height
    assert {path.suffix for path in (folder / "maps").iterdir()} == {".png", ".npy"}


def test_the_picture_is_the_gray_photo_with_the_map_in_orange(folder) -> None:
    assert main(f"map cat.png {NET}".split()) == 0
    assert [path.name for path in (folder / "maps").iterdir()] == ["cat_map.png"]
    pixels = np.asarray(Image.open("maps/cat_map.png").convert("RGB"), np.int16)
    red, blue = pixels[..., 0], pixels[..., 2]
    assert (red - blue).max() > 60
    assert (red - blue).min() >= -10  # nothing is blue
    columns = (red - blue > 60).any(0).nonzero()[0]
    assert np.diff(columns).max() > 10  # between the photo and the bar


@pytest.mark.parametrize(("word", "index"), [("1", 1), ("beagle", 1), ("tabby", 0)])
def test_the_class_is_an_index_or_a_name(folder, capsys, word, index) -> None:
    words = f"map cat.png {NET} --method hires_cam --npy --output own --class-names classes.txt"
    assert main([*words.split(), "--target-class", word]) == 0
    np.testing.assert_array_equal(np.load("own/cat_map.npy"), expected("cat", index))
    name = ["tabby", "beagle"][index]
    line = capsys.readouterr().out
    assert re.search(rf" \(\d\) 0\.\d+, map of {name} \({index}\)  own/cat_map\.png$", line)


@pytest.mark.parametrize(
    ("fit", "size"), [("--fit crop", (40, 40)), ("--fit pad", (40, 56)), ("--crop .5", (20, 20))]
)
def test_the_map_is_of_the_part_that_the_network_sees(folder, fit, size) -> None:
    assert main(f"map cat.png {NET} --npy {fit}".split()) == 0
    assert np.load("maps/cat_map.npy").shape == size


@pytest.mark.parametrize(
    ("model", "task", "link"),
    [
        ("one", "binary", lambda z: torch.cat([-z, z], 1).sigmoid()),
        ("three", "multilabel", torch.sigmoid),
        ("three", "multiclass", lambda z: z.softmax(1)),
        ("sigmoids", "multilabel", lambda p: p),
        ("softmax", "auto", lambda p: p),
    ],
)
@pytest.mark.filterwarnings("ignore::cameval.extractor.ProbabilityWarning")
def test_the_probability_is_that_of_the_task(folder, capsys, model, task, link) -> None:
    words = f"map cat.png --model nets.py:{model} --size 64 --layer 1 --task {task}"
    assert main(words.split()) == 0
    with torch.no_grad():
        found = link(load_network(f"nets.py:{model}")(Preparation(size=64)(sample("cat"))[0][None]))
    best = int(found.argmax())
    assert f"cat.png  class {best} {found[0, best]:.3f}  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cow.png", "cow.png must be an image file, got none there"),
        (".", r"of a folder name the files, as in photos/\*\.jpg"),
        ("nets.py", "nets.py"),
        ("cat.png ./cat.png", r"must have different names, got cat.png and ./cat.png"),
        (
            "cat.png --target-class 3",
            "--target-class must be below 3, the number of classes, got 3",
        ),
        ("cat.png --target-class cow", "got 'cow'; the names are not known: .* --class-names"),
        ("cat.png --target-class Beagel --class-names classes.txt", "near names: beagle"),
        ("cat.png --class-names nets.py", "--class-names must have a name for each of 3 classes"),
        ("cat.png --out cat.png", r"--out must be a folder, got a name that ends in '\.png'"),
        ("cat.png --out nets.py", "'nets.py' must be writable, got"),
        ("cat.png --method cam grad_cam", "arguments: grad_cam; an option takes fewer words"),
        ("cat.png --method cam", "got an inner layer; use a method that .* --method grad_cam"),
        ("cat.png --method otsu", "--method must be one of its own words, got 'otsu'"),
        ("cat.png --mean 1 1 --std 1 1", "channels"),
    ],
)
def test_mistakes_are_told_in_one_line(folder, capsys, words, message) -> None:
    line = told(capsys, f"{words} {NET}")
    assert line.startswith("error: ")
    assert re.search(message, line), line


def test_a_dicom_image_is_read_as_its_window_shows_it(folder) -> None:
    pixels = np.random.default_rng(1).integers(0, 400, (HEIGHT, WIDTH)).astype(np.int16)
    written = write_dicom(folder / "scan.dcm", pixels, WindowCenter=200, WindowWidth=200)
    assert main(f"map scan.dcm {NET} --npy --method hires_cam".split()) == 0
    one = Sample("scan", read_dicom(written).image, np.ones((HEIGHT, WIDTH), np.bool_))
    net = adapt(load_network("nets.py:three"), layer="1")
    image, _ = Preparation(size=64)(one)
    found = CAMExtractor(net, hires_cam)(image[None], size=(HEIGHT, WIDTH)).maps[0]
    np.testing.assert_allclose(np.load("maps/scan_map.npy"), found.numpy(), rtol=1e-4, atol=1e-5)
    assert (folder / "maps" / "scan_map.png").exists()


def test_a_volume_is_refused_with_what_to_do(folder, capsys) -> None:
    pixels = np.zeros((3, HEIGHT, WIDTH), np.int16)
    write_dicom(folder / "frames.dcm", pixels, NumberOfFrames=3)
    line = told(capsys, f"frames.dcm {NET}")
    assert "frames.dcm: the file must hold one image, got 3; save the one as PNG" in line


@pytest.mark.parametrize("name", ["brain.nii", "brain.NII.GZ", "1.mat", "map.npy"])
def test_files_of_arrays_are_refused_before_the_network_is_made(
    name, folder, capsys, monkeypatch
) -> None:
    (folder / name).write_bytes(b"array")
    monkeypatch.setattr("cameval.cli._photo_maps.load_networks", pytest.fail)
    line = told(capsys, f"{name} {NET}")
    assert f"{name} must be a picture" in line
    assert "save the slice as PNG, or read it in Python" in line


def test_a_name_of_two_classes_is_refused(folder, capsys) -> None:
    Path("classes.txt").write_text("crane\nbeagle\ncrane\n")
    line = told(capsys, f"cat.png {NET} --class-names classes.txt --target-class crane")
    assert "the name of the classes 0, 2; give the index" in line


def test_a_layer_that_is_not_proved_is_named_by_an_option(folder, capsys) -> None:
    line = told(capsys, "cat.png --model nets.py:grid --size 64")
    assert "Name it: --layer 2, with a gradient method" in line


def test_names_of_torchvision_are_known(folder, capsys) -> None:
    words = "map cat.png --model squeezenet1_1 --size 64 --target-class goldfish"
    assert main(words.split()) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("weights: none (random)")
    assert "map of goldfish (1)" in last


def test_a_missing_package_is_told_before_the_work(folder, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr("cameval.cli._photo_maps.load_networks", pytest.fail)
    line = told(capsys, f"cat.png {NET}")
    assert "cameval map needs matplotlib, which is not installed" in line
    assert not (folder / "maps").exists()


def test_one_network_and_one_method_leave_the_words_after_them_to_the_photos(folder) -> None:
    words = "map --size 64 --layer 1 --method hires_cam --model nets.py:three cat.png dog.png"
    assert main(words.split()) == 0
    assert len([*(folder / "maps").iterdir()]) == 2
