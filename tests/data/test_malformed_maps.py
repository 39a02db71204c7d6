"""Files of maps that are not what they should be: each is told by an error of ours; no code is run.

A case writes one broken input into a folder and returns what reads the map of sample 'scan' of
class 1.
"""

import pickle
import struct
import warnings
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cameval.data import MapFile, MapFolder, Sample
from cameval.data._map_arrays import MAP_SUFFIXES
from cameval.errors import CamevalError, DataError, NonFiniteError, ShapeError

MAP = np.array([[0.5, -1.0, 2.0], [3.0, 4.0, -7.25]], np.float32)


def sample(name="scan", label=None, shape=(4, 6)):
    image = np.zeros(shape, np.float32)
    return Sample(name, image, image > 0, label)


def write(path, array=MAP):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, map=array)
    elif path.suffix in (".pt", ".pth"):
        torch.save(torch.as_tensor(array), path)
    else:
        Image.fromarray(np.asarray(array).astype(np.uint8)).save(path)
    return path


CASES = {}


def case(words, error=DataError):
    def keep(build):
        CASES[build.__name__] = (build, words, error)
        return build

    return keep


class Weapon:
    """A pickle of it writes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def map_of_folder(folder):
    return lambda: MapFolder(folder)(sample(label=1))


@case("maps: the folder must exist, got no such folder")
def no_folder(folder):
    return map_of_folder(folder / "maps")


@case("scan.npy: the folder must exist, got a file")
def a_file_for_a_folder(folder):
    return map_of_folder(write(folder / "scan.npy"))


@case(r"the folder must hold maps \(.npy, .* got no files$")
def an_empty_folder(folder):
    return map_of_folder(folder)


@case(r"the folder must hold maps .* got 'scan.pkl'; a pickle can run any code .* np.save\('scan")
def a_folder_of_pickles(folder):
    (folder / "scan.pkl").write_bytes(pickle.dumps(Weapon(folder / "ran")))
    return map_of_folder(folder)


@case("the folder must hold maps .* got 'scan.jpg'; this format is not read as a map; save")
def a_folder_of_photographs(folder):
    Image.new("L", (3, 2)).save(folder / "scan.jpg")
    return map_of_folder(folder)


@case("sample 'scan' of class 1 must have a map, got none named scan or .*, and 'scan.pkl'; a pic")
def a_pickle_beside_maps(folder):
    (folder / "scan.pkl").write_bytes(pickle.dumps(Weapon(folder / "ran")))
    return map_of_folder(write(folder / "other.npy").parent)


@case("sample 'scan' of class 1 must have a map, got none named scan or scan_1 or scan/1 or 1/sc")
def no_map_of_the_sample(folder):
    return map_of_folder(write(folder / "other.npy").parent)


@case("sample 'scan' must have a map, .*; the sample has no label, so no map of a class is looked")
def no_label(folder):
    write(folder / "scan_1.npy")
    return lambda: MapFolder(folder)(sample())


@case("sample 'scan' must have a class that pattern '{name}_{label}' names, got label None")
def no_label_for_a_pattern(folder):
    write(folder / "scan_1.npy")
    return lambda: MapFolder(folder, pattern="{name}_{label}")(sample())


@case("must have a class that pattern '{class}/{name}' names, got label 1 of 1 class names")
def no_name_of_a_class(folder):
    write(folder / "bone" / "scan.npy")
    return lambda: MapFolder(folder, pattern="{class}/{name}", class_names=["bone"])(
        sample(label=1)
    )


@case("scan.npy: the array must be of numbers, got dtype object, .* can run any code")
def an_array_of_objects(folder):
    np.save(folder / "scan.npy", np.array([[Weapon(folder / "ran")]], object), allow_pickle=True)
    return map_of_folder(folder)


@case("scan.npz: array 'map': the array must be of numbers, got dtype object")
def an_archive_of_objects(folder):
    np.savez(folder / "scan.npz", map=np.array([[Weapon(folder / "ran")]], object))
    return map_of_folder(folder)


@case("scan.pt: the file must hold tensors alone, got other objects, which need code")
def a_torch_file_with_code(folder):
    torch.save({"1": Weapon(folder / "ran")}, folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the file must hold tensors alone, got other objects")
def a_torch_file_of_a_numpy_array(folder):
    torch.save(MAP, folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the file must be a tensor, or a dict of tensors, written by torch.save, got: ")
def a_pickle_under_the_name_of_a_torch_file(folder):
    (folder / "scan.pt").write_bytes(pickle.dumps(Weapon(folder / "ran")))
    return map_of_folder(folder)


@case("scan.pt: the file must be a tensor, or a dict of tensors, written by torch.save, got: ")
def a_torch_file_of_the_old_format(folder):
    torch.save(torch.ones(2, 3), folder / "scan.pt", _use_new_zipfile_serialization=False)
    return map_of_folder(folder)


@case("scan.pt: the file must be .*, got: compressed parts, which torch.save does not write")
def a_compressed_torch_file(folder):
    torch.save(torch.zeros(99, 99), folder / "plain")
    with zipfile.ZipFile(folder / "plain") as old:
        new = zipfile.ZipFile(folder / "scan.pt", "w", zipfile.ZIP_DEFLATED)
        with new:
            for info in old.infolist():
                new.writestr(info.filename, old.read(info))
    return map_of_folder(folder)


@case("scan.pt: the file must be a tensor, .* got: ")
def a_torch_file_that_declares_a_terabyte(folder):
    torch.save(torch.arange(4.0), folder / "plain")
    many = b"\x8a\x08" + struct.pack("<q", 10**12)
    with (
        zipfile.ZipFile(folder / "plain") as old,
        zipfile.ZipFile(folder / "scan.pt", "w") as new,
    ):
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("data.pkl"):
                changed = data.replace(b"K\x04tq\x05Q", many + b"tq\x05Q")
                changed = changed.replace(b"K\x00K\x04\x85", b"K\x00" + many + b"\x85")
                assert changed.count(many) == 2
                data = changed
            new.writestr(info.filename, data)
    return map_of_folder(folder)


@case(r"scan.pt: the array must have at most \d+ values, got shape \(1000000, 1000000\)")
def a_tensor_that_repeats_one_number(folder):
    torch.save(torch.ones(1, 1).expand(1_000_000, 1_000_000), folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the file must hold every number of the tensor, got .* save tensor.contiguous")
def a_tensor_that_repeats_a_few(folder):
    torch.save(torch.ones(1, 1).expand(4, 4), folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the tensor must be dense, got torch.sparse_coo")
def a_sparse_tensor(folder):
    torch.save(torch.eye(3).to_sparse(), folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the tensor must be dense, got torch.strided on meta")
def a_tensor_without_storage(folder):
    torch.save(torch.ones(2, 3, device="meta"), folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the array must be of real numbers, got complex64")
def a_complex_tensor(folder):
    torch.save(torch.ones(2, 3, dtype=torch.complex64), folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the file must hold a tensor, or a dict of tensors by name or class, got list")
def a_list_of_tensors(folder):
    torch.save([torch.ones(2, 3)], folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the file must hold tensors of different names, got 'none|scan.pt: .* got none")
def a_dict_of_nothing(folder):
    torch.save({}, folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the file must hold tensors of different names, got '1', '1'")
def a_dict_with_two_of_a_name(folder):
    torch.save({1: torch.ones(2, 3), "1": torch.zeros(2, 3)}, folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.pt: the names of tensors must be texts or class indices, got 0.5")
def a_dict_with_a_fraction_for_a_class(folder):
    torch.save({0.5: torch.ones(2, 3)}, folder / "scan.pt")
    return map_of_folder(folder)


@case("scan.npy: the array must be of numbers, got bool; a mask is no map")
def a_mask_for_a_map(folder):
    return map_of_folder(write(folder / "scan.npy", MAP > 0).parent)


@case("scan.png: the array must be of numbers, got bool; a mask is no map")
def a_picture_of_single_bits(folder):
    Image.new("1", (3, 2)).save(folder / "scan.png")
    return map_of_folder(folder)


@case("scan.npy: the array must be of real numbers, got <U4")
def an_array_of_text(folder):
    return map_of_folder(write(folder / "scan.npy", np.array([["high"]])).parent)


@case("scan.npy: the array must be of real numbers, got complex64")
def a_complex_array(folder):
    return map_of_folder(write(folder / "scan.npy", MAP + 1j).parent)


@case(r"scan.npy: the array must have at least one value, got shape \(0, 3\)")
def an_array_of_nothing(folder):
    return map_of_folder(write(folder / "scan.npy", np.empty((0, 3))).parent)


def npy_that_claims(path, shape, dtype="<f8", data=b"", version=(1, 0)):
    head = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b"\n"
    size = struct.pack("<H", len(head)) if version == (1, 0) else struct.pack("<I", len(head))
    path.write_bytes(b"\x93NUMPY" + bytes(version) + size + head + data)
    return path


@case(r"scan.npy: the array must have at most \d+ values, got shape \(1000000, 1000000\)")
def an_array_that_declares_terabytes(folder):
    npy_that_claims(folder / "scan.npy", (10**6, 10**6))
    return map_of_folder(folder)


@case(r"scan.npy: .* the size that its header declares, .* or 128000000 bytes, got 16 bytes")
def an_array_that_declares_more_than_it_holds(folder):
    npy_that_claims(folder / "scan.npy", (4000, 4000), data=bytes(16))
    return map_of_folder(folder)


@case("scan.npy: the array must have the size that its header declares, .* got 40 bytes")
def an_array_cut_off(folder):
    path = write(folder / "scan.npy", np.ones((3, 4)))
    path.write_bytes(path.read_bytes()[:-56])
    return map_of_folder(folder)


@case("scan.npy: the array must have the size that its header declares")
def two_arrays_in_a_file(folder):
    path = write(folder / "scan.npy")
    path.write_bytes(path.read_bytes() * 2)
    return map_of_folder(folder)


@case(r"scan.npy: the array must have at least one value, got shape \(-2, -3\)")
def an_array_of_negative_size(folder):
    npy_that_claims(folder / "scan.npy", (-2, -3), data=bytes(48))
    return map_of_folder(folder)


@case("scan.npy: the file must be an array written by np.save, got: ")
def a_page_for_an_array(folder):
    (folder / "scan.npy").write_text("<html>Not found")
    return map_of_folder(folder)


@case("scan.npy: the file must be an array written by np.save, got: version .9, 9.")
def an_array_of_another_version(folder):
    npy_that_claims(folder / "scan.npy", (1, 1), data=bytes(8), version=(9, 9))
    return map_of_folder(folder)


@case("scan.npy: the file must be an array written by np.save, got: ")
def a_header_with_code(folder):
    npy_that_claims(folder / "scan.npy", (1, 1), data=bytes(8))
    content = (folder / "scan.npy").read_bytes()
    (folder / "scan.npy").write_bytes(content.replace(b"False", b"len()"))
    return map_of_folder(folder)


@case("scan.npz: the file must be an archive written by np.savez, got: ")
def an_archive_cut_off(folder):
    path = write(folder / "scan.npz", np.ones((9, 9)))
    path.write_bytes(path.read_bytes()[:-30])
    return map_of_folder(folder)


@case("scan.npz: the file must hold arrays of different names, as np.savez writes it, got 'readme'")
def an_archive_of_anything(folder):
    with zipfile.ZipFile(folder / "scan.npz", "w") as archive:
        archive.writestr("readme", "maps")
    return map_of_folder(folder)


@case("scan.npz: the file must have one array for sample 'scan' of class 1, .* got 'a', 'b'")
def an_archive_without_the_class(folder):
    np.savez(folder / "scan.npz", a=MAP, b=MAP)
    return map_of_folder(folder)


@case("scan.npz: the file must have one array .* got '1', 'scan'")
def an_archive_with_two_of_the_class(folder):
    np.savez(folder / "scan.npz", **{"1": MAP, "scan": MAP})
    return map_of_folder(folder)


@case("scan.npz: array 'map': the array must have the size that its header declares")
def a_member_of_an_archive_that_declares_more_than_it_holds(folder):
    path = npy_that_claims(folder / "head", (4000, 4000), data=bytes(16))
    with zipfile.ZipFile(folder / "scan.npz", "w") as archive:
        archive.write(path, "map.npy")
    return map_of_folder(folder)


@case("scan.npz: array 'map': the file must be an array written by np.savez?, got: ")
def a_member_of_an_archive_with_other_bytes(folder):
    path = write(folder / "scan.npz", np.full((9, 9), 7.5))
    content = path.read_bytes()
    start = content.index(np.full(4, 7.5).tobytes())
    path.write_bytes(content[:start] + bytes(32) + content[start + 32 :])
    return map_of_folder(folder)


@case("scan.png: a map is one number per pixel, got a picture of mode RGB; save the numbers")
def a_picture_in_colors(folder):
    Image.new("RGB", (3, 2), "red").save(folder / "scan.png")
    return map_of_folder(folder)


@case("scan.png: a map is one number per pixel, got a picture of mode P")
def a_picture_with_a_palette(folder):
    Image.new("P", (3, 2)).save(folder / "scan.png")
    return map_of_folder(folder)


@case("scan.png: a map must be a PNG or TIFF file, got JPEG under this name")
def a_photograph_under_another_name(folder):
    Image.new("L", (3, 2)).save(folder / "scan.jpg")
    (folder / "scan.jpg").rename(folder / "scan.png")
    return map_of_folder(folder)


def png_that_claims(path, width, height):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@case(r"scan.png: the image must have at most \d+ pixels")
def a_decompression_bomb(folder):
    png_that_claims(folder / "scan.png", 60_000, 60_000)
    return map_of_folder(folder)


@case(r"scan.png: the image must have at most \d+ pixels")
def a_picture_over_the_limit(folder):
    png_that_claims(folder / "scan.png", 12_000, 9_000)
    return map_of_folder(folder)


@case("scan.tif: the file must hold one picture, got 2")
def two_pages(folder):
    page = Image.new("L", (3, 2))
    page.save(folder / "scan.tif", save_all=True, append_images=[page])
    return map_of_folder(folder)


@case(r"scan.npy: a map must have 2 axes, .* got \(5, 2, 3\); set per_class=True", ShapeError)
def a_stack_of_maps(folder):
    return map_of_folder(write(folder / "scan.npy", np.ones((5, 2, 3))).parent)


@case(r"scan.npy: a map must have 2 axes, as the image has, got \(6,\)$", ShapeError)
def a_row_of_numbers(folder):
    return map_of_folder(write(folder / "scan.npy", np.ones(6)).parent)


@case("scan.npy: the map of sample 'scan' must be finite, got 2 NaN or inf", NonFiniteError)
def values_that_are_not_finite(folder):
    return map_of_folder(write(folder / "scan.npy", np.array([[np.nan, np.inf, 1]])).parent)


@case("scan.tif: the map of sample 'scan' must be finite, got 1 NaN or inf", NonFiniteError)
def a_picture_that_is_not_finite(folder):
    Image.fromarray(np.array([[np.nan, 1]], np.float32)).save(folder / "scan.tif")
    return map_of_folder(folder)


@case("maps.nii: a map must be a file of .npy, .npz, .* got .nii; this format is not read")
def a_file_of_another_format(folder):
    (folder / "maps.nii").touch()
    return lambda: MapFile(folder / "maps.nii")


@case("maps.pkl: a map must be a file of .* got .pkl; a pickle can run any code when it is read")
def a_pickle_of_all_maps(folder):
    (folder / "maps.pkl").write_bytes(pickle.dumps(Weapon(folder / "ran")))
    return lambda: MapFile(folder / "maps.pkl")


@case("maps.npz: the file must exist, got no such file")
def no_file(folder):
    return lambda: MapFile(folder / "maps.npz")


@case("maps.npy: the file must hold an array for each sample by its name, got one array")
def one_array_for_all_samples(folder):
    write(folder / "maps.npy", np.ones((5, 2, 3)))
    return lambda: MapFile(folder / "maps.npy")


@pytest.mark.parametrize(("build", "words", "error"), CASES.values(), ids=CASES)
def test_what_is_malformed_is_told_and_runs_no_code(tmp_path, build, words, error):
    with pytest.raises(error, match=words) as raised:
        build(tmp_path)()
    assert str(raised.value).startswith(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_there_are_many_kinds():
    assert len(CASES) >= 50


def test_the_weapon_of_the_tests_works(tmp_path):
    pickle.loads(pickle.dumps(Weapon(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_large_picture_is_an_error_and_no_warning_as_well(tmp_path):
    png_that_claims(tmp_path / "scan.png", 12_000, 9_000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DataError):
            MapFolder(tmp_path)(sample())
    assert not caught


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("maps")


@pytest.mark.parametrize("suffix", sorted(MAP_SUFFIXES))
@given(data=st.data())
def test_no_damaged_byte_gets_past_the_errors_of_ours(place, suffix, data):
    folder = place / f"damaged{suffix}"
    path = write(folder / f"scan{suffix}", np.arange(30.0).reshape(5, 6))
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 4))
    content[start : start + 4] = data.draw(st.binary(min_size=4, max_size=4))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), start + 4]))])
    with suppress(CamevalError):
        MapFolder(folder)(sample())
