"""What lies where a file should be, and what a file holds that no reader expects."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cameval.data import (
    CachedDataset,
    CocoDataset,
    FigshareDataset,
    FolderDataset,
    ImageFile,
    ManifestDataset,
    MaskFile,
    cached,
    pack,
    phantom_samples,
    read_folds,
    read_slice,
    write_phantom,
    write_slice,
)
from cameval.data._shapes import run_lengths
from cameval.errors import DataError, OutputError
from cameval.networks import load_network, read_weights


@pytest.mark.parametrize("kind", [ImageFile, MaskFile])
def test_a_file_is_named_by_text_or_by_anything_with_a_path(kind, tmp_path, monkeypatch) -> None:
    class Named:
        def __fspath__(self) -> str:
            return "1.png"

    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "1.png")
    monkeypatch.chdir(tmp_path)
    by_path = kind(Path("1.png"))
    for name in ("1.png", Named()):
        file = kind(name)
        assert file().tolist() == [[0, 1]]
        assert isinstance(file.path, Path)
        assert (file, hash(file), repr(file)) == (by_path, hash(by_path), repr(by_path))
        assert replace(file, path=tmp_path / "1.png") == kind(str(tmp_path / "1.png"))
    with pytest.raises(DataError, match=r"none\.png"):
        kind("none.png")()


def of_an_image(path):
    return ImageFile(path)()


def of_a_mask(path):
    return MaskFile(path)()


def of_coco(path):
    return CocoDataset(path, path.parent)


def of_weights(path):
    return load_network("squeezenet1_1", path)


READERS = [
    *(of_an_image, of_a_mask, ManifestDataset, of_coco, CachedDataset),
    *(read_slice, read_folds, read_weights, of_weights),
]


def a_folder(path):
    path.mkdir()


def a_named_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(path.parent)  # addresses are short
        listening.bind(path.name)


def a_link_to_itself(path):
    path.symlink_to(path)


def a_loop_of_links(path):
    other = path.with_name("other")
    other.symlink_to(path)
    path.symlink_to(other)


def a_link_to_nothing(path):
    path.symlink_to(path.with_name("nothing"))


def a_link_to_a_device(path):
    path.symlink_to("/dev/zero")


def a_link_to_a_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def nothing(path):
    pass


THINGS = [
    *(a_folder, a_named_pipe, a_socket, a_link_to_itself, a_loop_of_links),
    *(a_link_to_nothing, a_link_to_a_device, a_link_to_a_pipe, nothing),
]


@pytest.fixture
def here(tmp_path):
    """Give a folder, and fail the test that waits there."""

    def too_long(*_):
        pytest.fail("waited for what will never come")

    before, alarm = Path.cwd(), signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, alarm)
    os.chdir(before)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("thing", THINGS)
def test_what_is_no_file_is_told_and_nothing_waits_for_it(here, read, thing):
    path = here / "x"
    thing(path)
    with pytest.raises(DataError, match=str(path)):
        read(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "a\0b", "\udcff\ud800"])
def test_names_that_no_file_can_have_are_told(tmp_path, read, name):
    with pytest.raises(DataError):
        read(tmp_path / name)


@pytest.mark.parametrize("thing", [thing for thing in THINGS if thing is not a_folder])
@pytest.mark.parametrize("read", [lambda path: FolderDataset(path, path), FigshareDataset])
def test_what_is_no_folder_is_told(here, read, thing):
    thing(here / "x")
    with pytest.raises(DataError, match="the folder must exist, got"):
        read(here / "x")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
@pytest.mark.parametrize("read", [lambda path: FolderDataset(path, path), FigshareDataset])
def test_names_that_no_folder_can_have_are_told(tmp_path, read, name):
    with pytest.raises(DataError, match="the folder must exist, got"):
        read(tmp_path / name)


@pytest.mark.parametrize("thing", [a_named_pipe, a_loop_of_links, a_link_to_nothing])
def test_what_is_no_image_within_a_folder_is_told(here, thing):
    for kind in ("images", "masks"):
        (here / kind).mkdir()
        Image.new("L", (6, 4)).save(here / kind / "a.png")
    thing(here / "images" / "b.png")
    Image.new("L", (6, 4)).save(here / "masks" / "b.png")
    dataset = FolderDataset(here / "images", here / "masks")
    with pytest.raises(DataError, match=r"images/b\.png"):
        dataset[1]


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("column", ["image", "mask"])
def test_what_is_no_file_within_a_manifest_is_told(here, thing, column):
    Image.new("L", (6, 4)).save(here / "a.png")
    thing(here / "x")
    row = {"image": "a.png", "mask": "a.png"} | {column: "x"}
    (here / "list.csv").write_text(f"image,mask\n{row['image']},{row['mask']}\n")
    with pytest.raises(DataError, match=rf"list\.csv, line 2: {column} must name a file, got"):
        ManifestDataset(here / "list.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("read", READERS)
def test_a_file_without_permission_is_told(tmp_path, read):
    (tmp_path / "x").write_bytes(b"x")
    (tmp_path / "x").chmod(0)
    with pytest.raises(DataError, match="permission denied"):
        read(tmp_path / "x")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "I/O")])
@pytest.mark.parametrize("read", READERS)
def test_what_the_machine_says_of_a_file_is_told(tmp_path, monkeypatch, read, error):
    def refuse(*_, **__):
        raise error

    (tmp_path / "x").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr("torch.serialization._open_file_like", refuse)
    with pytest.raises(DataError, match="x"):
        read(tmp_path / "x")


# JSON


@pytest.fixture
def content(tmp_path):
    Image.new("L", (60, 40)).save(tmp_path / "1.png")
    return {
        "images": [{"id": 1, "file_name": "1.png", "height": 40, "width": 60}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9]}],
    }


def coco(folder, content):
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    (folder / "o.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return CocoDataset(folder / "o.json", folder)


def test_whole_numbers_may_be_written_as_floats(tmp_path, content):
    for entries in content.values():
        for entry in entries:
            entry |= {key: float(value) for key, value in entry.items() if type(value) is int}
    content["annotations"][0] |= {"category_id": 2.0, "image_id": 1.0}
    dataset = coco(tmp_path, content)
    assert dataset.class_names == ("cat", "dog")
    assert dataset[0].label == 1
    assert type(dataset[0].label) is int
    assert dataset[0].mask.shape == (40, 60)


@pytest.mark.parametrize("value", ["2", 2.5, True, None, [2], 1e300, -1.0, float("nan"), 2**64])
@pytest.mark.parametrize("key", ["image_id", "category_id", "id"])
def test_numbers_of_another_kind_are_no_ids(tmp_path, content, key, value):
    content["annotations"][0][key] = value
    with pytest.raises(DataError, match=rf"annotations\[0\]\.{key}: must be"):
        coco(tmp_path, content)


@pytest.mark.parametrize("depth", [100, 900, 1100, 5000, 100_000])
@pytest.mark.parametrize("key", ["bbox", "segmentation", "category_id", "iscrowd", "id"])
def test_lists_in_lists_are_told_however_deep(tmp_path, content, depth, key):
    text = json.dumps(content).replace("}]}", f', "{key}": {"[" * depth}{"]" * depth}}}]}}')
    with pytest.raises(DataError, match=r"o\.json"):
        coco(tmp_path, text)


@pytest.mark.parametrize("digits", [20, 400, 4000, 5000])
@pytest.mark.parametrize(
    "place",
    [
        '"height": 40',
        '"width": 60',
        '"category_id": 2',
        '"image_id": 1',
        '"bbox": [0',
        '"id": 5',
    ],
)
def test_numbers_of_thousands_of_digits_are_told(tmp_path, content, digits, place):
    long = place.rstrip("0123456789") + "9" * digits
    text = json.dumps(content).replace(place, long)
    assert long in text
    if place == '"id": 5' and digits == 20:
        long += "0"
    with pytest.raises(DataError, match=r"o\.json"):
        coco(tmp_path, text)


@pytest.mark.parametrize(
    "counts",
    [
        *([10**4000, 10**4000], [2400, 0, 10**4000], [10**18] * 3000, [0] * 100_000 + [1]),
        *("P" * 200_000, "o" * 200_000, "0" * 200_000, "\x7f" * 9, "é", "P" * 199_999 + "0"),
        *([[2400]], {"2400": 1}, 2400, [True] * 2400, [None]),
    ],
)
def test_run_lengths_of_any_length_are_told(tmp_path, content, counts):
    content["annotations"][0]["segmentation"] = {"size": [40, 60], "counts": counts}
    with pytest.raises(DataError, match=r"segmentation\.counts: "):
        coco(tmp_path, content)


def test_run_lengths_of_a_large_image_are_read():
    assert run_lengths("`" * 7 + "0") == [16 * sum(32**k for k in range(7))]
    with pytest.raises(ValueError, match="too many characters"):
        run_lengths("o" * 8 + "0")


@pytest.mark.parametrize("size", [[40, 60, 1], ["40", "60"], [10**9, 10**9], "40x60", [[40], [60]]])
def test_a_size_that_is_not_the_images_is_told(tmp_path, content, size):
    content["annotations"][0]["segmentation"] = {"size": size, "counts": [2400]}
    with pytest.raises(DataError, match=r"segmentation\.size: "):
        coco(tmp_path, content)


@pytest.mark.parametrize("text", [b"\xff\xfe{", "\ud800".encode("utf-16", "surrogatepass"), b"\0"])
def test_json_that_is_no_text_is_told(tmp_path, text):
    with pytest.raises(DataError, match=r"o\.json: the file must be JSON"):
        coco(tmp_path, text)


# CSV


@pytest.mark.parametrize(
    "text",
    [
        "image,mask\n" + "x" * 200_000 + ",1.png\n",
        "image,mask\n\0,1.png\n",
        '"' * 200_000,
        "image,mask\n\ud800,1.png\n".encode("utf-8", "surrogatepass"),
        "image,mask\n1.png,1.png\n".encode("utf-16"),
        "image,mask\n" + "../" * 3000 + "1.png,1.png\n",
    ],
)
def test_tables_that_no_program_writes_are_told(tmp_path, text):
    Image.new("L", (6, 4)).save(tmp_path / "1.png")
    (tmp_path / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=r"list\.csv"):
        ManifestDataset(tmp_path / "list.csv")


# Writing


def samples():
    return phantom_samples(slices=3, patients=3, size=32)


@pytest.mark.parametrize("thing", [a_folder, a_named_pipe, a_link_to_itself, a_link_to_a_device])
def test_a_cache_does_not_replace_what_is_no_cache(here, thing):
    thing(here / "c.h5")
    with pytest.raises(DataError, match=r"c\.h5"):
        pack(samples(), here / "c.h5")


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "c.h5", tmp_path / "file" / "deep" / "c.h5"):
        with pytest.raises(OutputError, match=r"c\.h5 must be writable, got"):
            pack(samples(), path)
    with pytest.raises((OutputError, DataError), match="xxx"):
        pack(samples(), tmp_path / f"{'x' * 300}.h5")


def test_a_cache_has_a_name_as_long_as_names_can_be(tmp_path):
    path = tmp_path / f"{'x' * 250}.h5"
    pack(samples(), path)
    assert len(CachedDataset(path)) == 3


def test_slices_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file/out must be writable, got"):
        write_phantom(tmp_path / "file" / "out", slices=3, patients=3, size=32)
    with pytest.raises(OutputError, match=r"1\.mat must be writable, got"):
        write_slice(tmp_path / "none" / "1.mat", next(samples()))
    with pytest.raises(DataError, match="group must be of characters of 16 bits"):
        write_slice(tmp_path / "1.mat", replace(next(samples()), group="\N{GRINNING FACE}"))


def test_a_full_disk_is_told_and_leaves_no_part(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from cameval.data import pack, phantom_samples; from cameval.errors import OutputError\n"
        "for limit in (0, 1000, 1 << 20, 3 << 20):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "    try: pack(phantom_samples(slices=40, patients=4, size=256), Path(sys.argv[1]))\n"
        "    except OutputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "c.h5"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.count("c.h5 must be writable, got") == 4, done.stderr[-500:]
    assert list(tmp_path.iterdir()) == []


def test_samples_without_labels_come_back_from_a_cache(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for name in ("a", "b"):
            Image.fromarray(np.eye(6, dtype=np.uint8) * 255).save(tmp_path / kind / f"{name}.png")
    dataset = FolderDataset(tmp_path / "images", tmp_path / "masks")
    again = cached(dataset, tmp_path / "c.h5")
    assert [sample.label for sample in again] == [None, None]
    assert again.labels.tolist() == dataset.labels.tolist() == [None, None]
    partly = FolderDataset(tmp_path / "images", tmp_path / "masks", labels={"a": 4.0, "b": None})
    again = cached(partly, tmp_path / "c.h5")
    assert [sample.label for sample in again] == [4, None]
