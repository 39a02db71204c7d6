"""Input that is not what it should be: each kind is told by an error of ours that names the place.

A case writes one broken input into a folder and returns what reads it.
"""

import json
import os
import re
import shutil
import struct
import zlib
from contextlib import suppress

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameval.data import (
    CachedDataset,
    CocoDataset,
    FolderDataset,
    ImageFile,
    ManifestDataset,
    MaskFile,
    cached,
    pack,
    phantom_samples,
)
from cameval.errors import CamevalError, DataError

GRAY = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)

CASES = {}


def case(words):
    """Keep a case: what it reads must fail with these words, which begin with the place."""

    def keep(build):
        CASES[build.__name__] = (build, words)
        return build

    return keep


@pytest.mark.parametrize(("build", "words"), CASES.values(), ids=CASES)
def test_what_is_malformed_is_told(tmp_path, build, words):
    read = build(tmp_path)
    with pytest.raises(DataError, match=words) as raised:
        read()
    assert str(raised.value).startswith(str(tmp_path))


# Picture files


def image(path):
    return lambda: ImageFile(path)()


def mask(path, **settings):
    return lambda: MaskFile(path, **settings)()


def save(path, picture=GRAY, **options):
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def cut(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def png_that_claims(path, width, height):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@case("1.png: the image must be complete and undamaged")
def png_cut_off(folder):
    return image(cut(save(folder / "1.png", NOISE)))


@case("1.jpg: the image must be complete and undamaged")
def jpeg_cut_off(folder):
    return image(cut(save(folder / "1.jpg", NOISE)))


@case("1.tif: the image must be complete and undamaged")
def tiff_cut_off(folder):
    return image(cut(save(folder / "1.tif", NOISE, compression="tiff_lzw")))


@case("1.tif: the (image|file) must be")
def tiff_cut_off_in_its_pixels(folder):
    return image(cut(save(folder / "1.tif", NOISE)))


@case("1.bmp: the image must be complete and undamaged")
def bmp_cut_off(folder):
    return image(cut(save(folder / "1.bmp", NOISE)))


@case("1.webp: the (image|file) must be")
def webp_cut_off(folder):
    return image(cut(save(folder / "1.webp", NOISE, lossless=True)))


@case("1.png: the image must be complete and undamaged")
def png_with_a_damaged_chunk(folder):
    path = save(folder / "1.png", NOISE)
    content = bytearray(path.read_bytes())
    start = content.index(b"IDAT") + 10
    content[start : start + 300] = bytes(300)
    path.write_bytes(content)
    return image(path)


@case("1.png: the file must be a PNG, JPEG, .* got b'<html>Not found' at its start")
def a_page_for_an_image(folder):
    (folder / "1.png").write_text("<html>Not found")
    return image(folder / "1.png")


@case("1.png: the file must be a PNG, .* got b'' at its start")
def no_bytes(folder):
    (folder / "1.png").touch()
    return image(folder / "1.png")


@case("1.png: the file must be a PNG, .*GIF8")
def a_format_that_is_not_read(folder):
    save(folder / "1.gif").rename(folder / "1.png")
    return image(folder / "1.png")


@case("1.png: an image file is needed, got a folder")
def a_folder_for_an_image(folder):
    (folder / "1.png").mkdir()
    return image(folder / "1.png")


@case("1.png: the file must exist, got no such file")
def no_image(folder):
    return image(folder / "1.png")


@case("1.png: the file must exist, got no such file")
def a_file_for_a_folder(folder):
    (folder / "images").touch()
    return image(folder / "images" / "1.png")


@case(r"1.png: the image must have at most \d+ pixels, .*MAX_IMAGE_PIXELS")
def a_decompression_bomb(folder):
    return image(png_that_claims(folder / "1.png", 60_000, 60_000))


@case(r"1.png: the image must have at most \d+ pixels, .*MAX_IMAGE_PIXELS")
def an_image_over_the_limit(folder):
    return image(png_that_claims(folder / "1.png", 12_000, 9_000))


@case(r"1.png: the image must be complete and undamaged")
def a_png_without_pixels(folder):
    return image(png_that_claims(folder / "1.png", 12, 9))


@case("1.tif: the file must hold one picture, got 2")
def two_pages(folder):
    pages = [Image.fromarray(GRAY), Image.fromarray(NOISE)]
    pages[0].save(folder / "1.tif", save_all=True, append_images=pages[1:])
    return image(folder / "1.tif")


@case("1.png: the file must hold one picture, got 2")
def an_animation(folder):
    pages = [Image.fromarray(GRAY), Image.fromarray(NOISE)]
    pages[0].save(folder / "1.png", save_all=True, append_images=pages[1:])
    return image(folder / "1.png")


@case("1.tif: pixels must be finite, got NaN or infinite values")
def nan_in_an_image(folder):
    return image(save(folder / "1.tif", np.full((4, 6), np.nan, np.float32)))


@case("1.tif: pixels must be finite")
def infinity_in_a_mask(folder):
    return mask(save(folder / "1.tif", np.full((4, 6), np.inf, np.float32)), threshold=1)


@case(r"1.tif: floating-point pixels must be in \[0, 1\], got \[0, 300\]; set stretch")
def floats_beyond_one(folder):
    return image(save(folder / "1.tif", np.array([[0, 300]], np.float32)))


@case("1.tif: integer pixels must be unsigned, of 8 or 16 bits, .* got int32; set stretch")
def integers_without_a_range(folder):
    return image(save(folder / "1.tif", np.array([[0, 70000]], np.int32)))


@case("1.tif: the image must be gray or of color, got mode LAB")
def an_image_in_lab(folder):
    return image(save(folder / "1.tif", Image.new("LAB", (6, 4))))


@case(
    r"1.png: the mask must hold 0 and one of 1, 255 and 65535, got 3 values \(0, 1, 2\); set mask"
)
def three_values_in_a_mask(folder):
    return mask(save(folder / "1.png", np.array([[0, 1, 2]], np.uint8)))


@case(r"1.png: the mask must hold 0 and one of .* got 2 values \(0, 128\)")
def a_value_that_says_nothing(folder):
    return mask(save(folder / "1.png", np.array([[0, 128]], np.uint8)))


@case(
    r"1.png: the mask must hold .* got 6\d+ values \(0, 1, .*, \.\.\.\)|got 2\d\d values \(0, 1, "
)
def a_picture_for_a_mask(folder):
    return mask(save(folder / "1.png", NOISE))


@case(
    "1.jpg: the mask must hold 0 and one of .* mask_threshold, or --mask-threshold, if it has "
    "compression noise"
)
def a_mask_with_compression_noise(folder):
    return mask(save(folder / "1.jpg", (GRAY > 99).astype(np.uint8) * 255, quality=50))


@case(r"1.png: the mask must have one channel, got colors \(RGB\)")
def a_mask_in_red(folder):
    return mask(save(folder / "1.png", Image.new("RGB", (6, 4), "red")))


@case("1.png: the mask must have one channel, got transparency")
def a_mask_with_transparency(folder):
    return mask(save(folder / "1.png", Image.new("RGBA", (6, 4), (0, 0, 0, 9))))


# Folders


def pairs(folder, images=("a", "b"), masks=("a", "b"), **settings):
    for kind, names in (("images", images), ("masks", masks)):
        (folder / kind).mkdir()
        for name in names:
            save(folder / kind / (name if "." in name else f"{name}.png"), GRAY > 99)
    return lambda: FolderDataset(folder / "images", folder / "masks", **settings)


@case("masks: every image must have a mask, got none for 'b'; if they have no object, set")
def an_image_without_a_mask(folder):
    return pairs(folder, masks=("a",))


@case("masks: every image must have a mask, got none for 'b', 'c', 'd' and 2 more; if they")
def images_without_masks(folder):
    return pairs(folder, images="abcdef", masks=("a",))


@case("images: every mask must have an image, got none for 'b'$")
def a_mask_without_an_image(folder):
    return pairs(folder, images=("a",))


@case("masks: every image must have a mask, got none for 'b'; if they have no object, set")
def a_mask_of_the_wrong_suffix(folder):
    return pairs(folder, masks=("a", "b.gif"))


@case("b.png: names without suffix must differ, got 'b.bmp' as well")
def two_images_of_one_name(folder):
    return pairs(folder, images=("a", "b.png", "b.bmp"))


@case("b.tif: names without suffix must differ, got 'b.png' as well")
def two_masks_of_one_name(folder):
    return pairs(folder, masks=("a", "b.png", "b.tif"))


@case("images: the folder must hold images, got none of")
def an_empty_folder(folder):
    return pairs(folder, images=())


@case("masks: the folder must exist, got no such folder")
def no_folder_of_masks(folder):
    read = pairs(folder)
    shutil.rmtree(folder / "masks")
    return read


@case("images: the folder must exist, got a file")
def a_file_for_the_folder_of_images(folder):
    (folder / "masks").mkdir()
    (folder / "images").touch()
    return lambda: FolderDataset(folder / "images", folder / "masks")


@case("images: images must lie in the folder or in subfolders, .*'a.png' beside the folder 'x'")
def images_beside_classes(folder):
    read = pairs(folder)
    save(folder / "images" / "x" / "c.png")
    return read


@case("deep: the folder of a class must hold no folders")
def folders_in_folders(folder):
    read = pairs(folder, images=(), masks=())
    save(folder / "images" / "x" / "deep" / "c.png")
    return read


@case("masks: names of masks must end in '_mask', got 'a', 'b'")
def masks_without_the_mask_suffix(folder):
    return pairs(folder, mask_suffix="_mask")


@case("b.png: labels must have every image, got none for 'b'")
def no_label(folder):
    return pairs(folder, labels={"a": 0})


@case("a.png: the label of 'a' must be a class index counted from 0, got 'cat'")
def a_label_of_text(folder):
    return pairs(folder, labels={"a": "cat", "b": "dog"})


@case("a.png: groups must give a text that is not empty, got None for 'a'")
def no_group(folder):
    return pairs(folder, groups=lambda name: None)


@case(
    r"masks/a.png: the mask must have .* of its image .*images/a.png, got \(8, 9\) and \(40, 60\)"
)
def a_mask_of_another_size(folder):
    read = pairs(folder)
    save(folder / "masks" / "a.png", np.zeros((8, 9), np.uint8))
    return lambda: read()[0]


# Manifests


def manifest(folder, text):
    for name in ("1.png", "2.png"):
        save(folder / name, GRAY > 99)
    path = folder / "index.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return lambda: ManifestDataset(path)


@case("index.csv: the file must exist, got no such file")
def no_manifest(folder):
    return lambda: ManifestDataset(folder / "index.csv")


@case("manifest: a CSV file is needed, got a folder|: a CSV file is needed, got a folder")
def a_folder_for_a_manifest(folder):
    return lambda: ManifestDataset(folder)


@case("index.csv: the file must begin with the names of its columns, got nothing")
def a_manifest_of_nothing(folder):
    return manifest(folder, "\n\n")


@case("index.csv: the file must hold at least one row")
def a_manifest_of_a_header(folder):
    return manifest(folder, "image,mask\n")


@case(r"index.csv, line 1: the columns must have one 'image', got '1.png', '2.png'; .*\.\.\.")
def no_header(folder):
    return manifest(folder, "1.png,2.png\n2.png,2.png\n")


@case("index.csv, line 1: the columns must have one 'mask', got 'image', 'label'; rename")
def a_missing_column(folder):
    return manifest(folder, "image,label\n1.png,1\n")


@case("index.csv, line 1: the columns must have one 'label', got .*; give the others")
def a_column_twice(folder):
    return manifest(folder, "image,mask,label,label\n1.png,1.png,1,2\n")


@case(
    "index.csv: the columns must be separated by commas, got columns separated by semicolons; save"
)
def semicolons(folder):
    return manifest(folder, "image;mask\n1.png;1.png\n")


@case("index.csv, line 3: group must not be empty")
def an_empty_cell(folder):
    return manifest(folder, "image,mask,group\n1.png,1.png,a\n2.png,2.png, \n")


@case("index.csv, line 3: the row must have 2 cells, got 1")
def a_short_row(folder):
    return manifest(folder, "image,mask\n1.png,1.png\n2.png\n")


@case("index.csv, line 2: the row must have 2 cells, got 3")
def a_long_row(folder):
    return manifest(folder, "image,mask\n1.png,1.png,\n")


@case("index.csv, line 3: label must be all whole numbers or all names, got 'cat' after whole")
def labels_of_two_kinds(folder):
    return manifest(folder, "image,mask,label\n1.png,1.png,1\n2.png,2.png,cat\n")


@case("index.csv, line 3: label must be all whole numbers or all names, got '1' after names")
def labels_of_two_kinds_again(folder):
    return manifest(folder, "image,mask,label\n1.png,1.png,cat\n2.png,2.png,1\n")


@case("index.csv, line 3: label must be a class index from 0, got 3.5; leave it empty")
def a_label_between_two_classes(folder):
    return manifest(folder, "image,mask,label\n1.png,1.png,3.0\n2.png,2.png,3.5\n")


@pytest.mark.parametrize("text", ["nan", "inf", "1_0", '"3,0"', "3.0000000000000001", "1e400", "٣"])
def test_no_number_becomes_the_name_of_a_class(tmp_path, text):
    with pytest.raises(DataError, match="line 2: label must be a class index from 0"):
        manifest(tmp_path, f"image,mask,label\n1.png,1.png,{text}\n")()


@case("index.csv, line 2: label must be a class index from 0, got -1")
def a_negative_label(folder):
    return manifest(folder, "image,mask,label\n1.png,1.png,-1\n")


@case("index.csv, line 2: label must be a class index from 0, got 99999999999")
def a_label_beyond_all_classes(folder):
    return manifest(folder, "image,mask,label\n1.png,1.png,99999999999\n")


@case("index.csv, line 3: the file must be UTF-8, got byte 0xfc; save it again")
def latin_1(folder):
    return manifest(folder, b"image,mask,group\n1.png,1.png,a\n2.png,2.png,M\xfcller\n")


@case("index.csv, line 2: the line must be CSV")
def a_quote_that_does_not_end(folder):
    return manifest(folder, 'image,mask\n"1.png,1.png\n')


@case("index.csv, line 2: image must name a file, got no such file: .*3.png")
def a_row_without_its_image(folder):
    return manifest(folder, "image,mask\n3.png,1.png\n")


@case("index.csv, line 2: mask must name a file, got a folder")
def a_row_with_a_folder(folder):
    return manifest(folder, "image,mask\n1.png,.\n")


@case("index.csv, line 2: mask must name a file, got ")
def a_name_longer_than_names_can_be(folder):
    return manifest(folder, f"image,mask\n1.png,{'x' * 9999}\n")


@case("index.csv, line 3: name must differ from the others, got 'a' as in line 2")
def a_name_twice(folder):
    return manifest(folder, "image,mask,name\n1.png,1.png,a\n2.png,2.png,a\n")


@case("index.csv, line 3: name must differ from the others, got '1' as in line 2")
def an_image_twice(folder):
    return manifest(folder, "image,mask\n1.png,1.png\n1.png,2.png\n")


# COCO


def objects(folder, change=None, text=None, **annotation):
    """Write a correct file of one image and one box, changed in one place."""
    save(folder / "1.png", GRAY)
    content = {
        "images": [{"id": 1, "file_name": "1.png", "height": 40, "width": 60}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    }
    content["annotations"][0] |= annotation
    if change:
        change(content)
    (folder / "o.json").write_text(json.dumps(content) if text is None else text)
    return lambda: CocoDataset(folder / "o.json", folder)


def again(key, **changes):
    return lambda content: content[key].append(content[key][0] | changes)


def put(key, **changes):
    return lambda content: content[key][0].update(changes)


def drop(key, name):
    return lambda content: content[key][0].pop(name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text": "{"}, r": the file must be JSON, .*line 1 column 2"),
        ({"text": "[" * 100_000}, ": the file must be JSON, "),
        ({"text": "[]"}, ": the file must hold an object .* got list"),
        ({"text": "{}"}, ": categories must be a list, got nothing"),
        ({"change": lambda c: c.update(images={})}, ": images must be a list, got dict"),
        ({"change": lambda c: c["annotations"].append(3)}, r": annotations\[1\] must be an object"),
        ({"change": drop("images", "width")}, r": images\[0\].width: must be .* got nothing"),
        (
            {"change": put("images", height=0)},
            r": images\[0\].height: must be a whole number from 1",
        ),
        ({"change": put("images", height="40")}, r"images\[0\].height: must be .*, got '40'"),
        ({"change": put("images", height=10**9)}, r"images\[0\]: an image must have at most"),
        ({"change": put("images", file_name=7)}, r"images\[0\].file_name: must be a text"),
        ({"change": put("images", file_name="2.png")}, r"file_name: must name a file, .*2.png"),
        ({"change": put("images", file_name="\0")}, r"file_name: must name a file"),
        ({"change": put("images", file_name="x" * 9999)}, r"file_name: must name a file"),
        (
            {"change": again("images")},
            r": images\[1\].id: must differ from the others, got 1 again",
        ),
        ({"change": again("images", id=2)}, r"images\[1\].file_name: must differ from the others"),
        ({"change": again("categories", id=9)}, r"categories\[2\].name: must differ .*'cat' again"),
        ({"change": again("categories", name="cow")}, r"categories\[2\].id: must differ"),
        ({"change": put("categories", name="")}, r"categories\[0\].name: must be a text"),
        ({"change": again("annotations")}, r"annotations\[1\].id: must differ .* got 5 again"),
        ({"change": lambda c: c.update(annotations=[])}, ": at least one image must have objects"),
        ({"category_id": 7}, r"annotations\[0\].category_id: must be the id of a category, got 7"),
        ({"category_id": True}, r"category_id: must be a whole number from 0, got True"),
        ({"image_id": 7}, r"annotations\[0\].image_id: must be the id of an image, got 7"),
        ({"image_id": "1"}, r"image_id: must be a whole number from 0, got '1'"),
        ({"iscrowd": 2}, r"annotations\[0\].iscrowd: must be 0 or 1, got 2"),
        ({"bbox": [0, 0, -9, 9]}, r"annotations\[0\].bbox: width and height .* above 0"),
        ({"bbox": [0, 0, 9]}, "bbox: an object without segmentation must have a box of four"),
        ({"bbox": [0, 0, 9, "9"]}, "bbox: .* four finite numbers"),
        ({"bbox": [0, 0, 9, float("inf")]}, "bbox: .* four finite numbers"),
        ({"bbox": None}, "bbox: .* got None"),
        ({"bbox": [50, 0, 30, 9]}, "bbox: x must be within the image, 0 to 60, got 50 to 80"),
        ({"segmentation": "runs"}, r"annotations\[0\].segmentation: must be a list of polygons"),
        ({"segmentation": [[1, 1, 5, 1, 5]]}, r"segmentation\[0\]: a polygon must be pairs"),
        ({"segmentation": [[1, 1, 5, 1]]}, r"at least 3 points, got 4 numbers"),
        ({"segmentation": [[1, 1, 5, 1, 5, float("nan")]]}, "a list of finite numbers"),
        ({"segmentation": [1, 1, 5, 1, 5, 5]}, r"segmentation\[0\]: a polygon must be a list"),
        ({"segmentation": [[1, 1, 5, 1, 5, 44]]}, "y must be within the image, 0 to 40, got 1 to"),
        ({"segmentation": [[-9, 1, 5, 1, 5, 4]]}, "x must be within the image, 0 to 60, got -9"),
        ({"segmentation": {"size": [60, 40], "counts": [2400]}}, "segmentation.size: must be"),
        ({"segmentation": {"counts": [2400]}}, "segmentation.size: .* got None"),
        ({"segmentation": {"size": [40, 60], "counts": [1, 2]}}, "add up to 40 x 60 = 2400 .* 3$"),
        ({"segmentation": {"size": [40, 60], "counts": [2401, -1]}}, "counts: must be run lengths"),
        ({"segmentation": {"size": [40, 60], "counts": [2400.0]}}, "counts: must be run lengths"),
        ({"segmentation": {"size": [40, 60]}}, "counts: must be run lengths, .* got None"),
        ({"segmentation": {"size": [40, 60], "counts": "~!"}}, "counts: must be compressed run"),
        ({"segmentation": {"size": [40, 60], "counts": "P"}}, "counts: .* last number is cut off"),
    ],
)
def test_a_malformed_coco_file_is_told(tmp_path, settings, words):
    with pytest.raises(DataError, match=words) as raised:
        objects(tmp_path, **settings)()
    assert str(raised.value).startswith(str(tmp_path / "o.json"))


def test_the_file_that_the_malformed_ones_are_made_from_is_read(tmp_path):
    assert objects(tmp_path)()[0].mask.sum() == 81


@case("o.json: the file must exist, got no such file")
def no_objects(folder):
    return lambda: CocoDataset(folder / "o.json", folder)


@case(": a JSON file is needed, got a folder")
def a_folder_for_objects(folder):
    return lambda: CocoDataset(folder, folder)


@case(r"o.json: boxes must be for an image of the size of .*1.png, got \(40, 60\) and \(8, 9\)")
def an_image_of_another_size_than_its_entry(folder):
    read = objects(folder)
    save(folder / "1.png", np.zeros((8, 9), np.uint8))
    return lambda: read()[0]


# Caches


def cache(folder):
    pack(phantom_samples(slices=3, patients=3, size=32), folder / "c.h5")
    return folder / "c.h5"


def changed(folder, change):
    path = cache(folder)
    with h5py.File(path, "r+") as file:
        change(file)
    return lambda: CachedDataset(path)[0]


def replaced(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def rewritten(**changes):
    def change(file):
        text = json.loads(file["text"][()].tobytes()) | changes
        replaced("text", np.frombuffer(json.dumps(text).encode(), np.uint8))(file)

    return change


@case("c.h5: the file must exist, got no such file; write it with pack")
def no_cache(folder):
    return lambda: CachedDataset(folder / "c.h5")


@case(": a cache is needed, got a folder")
def a_folder_for_a_cache(folder):
    return lambda: CachedDataset(folder)


@case("c.h5: the file must be a cache written by pack, got no HDF5 signature")
def a_cache_of_nothing(folder):
    (folder / "c.h5").touch()
    return lambda: CachedDataset(folder / "c.h5")


@case("c.h5: the file must be a cache written by pack, got format None")
def another_kind_of_hdf5(folder):
    with h5py.File(folder / "c.h5", "w") as file:
        file["x"] = 1
    return lambda: CachedDataset(folder / "c.h5")


@case("c.h5: the file must be a cache written by pack, got format None")
def packing_onto_another_kind_of_hdf5(folder):
    with h5py.File(folder / "c.h5", "w") as file:
        file["x"] = 1
    return lambda: cache(folder)


@case("c.h5: the version of the cache must be 2, got 3; .* delete it and pack again")
def a_cache_of_a_newer_version(folder):
    return changed(folder, lambda file: file.attrs.update(version=3))


@case("c.h5: the version of the cache must be 2, got 1; .* delete it and pack again")
def a_cache_of_an_older_version(folder):
    return changed(folder, lambda file: file.attrs.update(version=1))


@case("c.h5: the file must be readable, got .*truncated.*; delete the file and pack again")
def a_cache_cut_off(folder):
    path = cut(cache(folder))
    return lambda: CachedDataset(path)


@case("c.h5: pixels must be an array of uint8, got none; delete")
def a_cache_without_pixels(folder):
    return changed(folder, lambda file: file.pop("pixels"))


@case("c.h5: index must be an array, got a group")
def a_cache_with_a_group_for_an_array(folder):
    def change(file):
        del file["index"]
        file.create_group("index")

    return changed(folder, change)


@case(r"c.h5: index must be an array of int64, got float64 \(3, 2\)")
def a_cache_of_the_wrong_dtype(folder):
    return changed(folder, replaced("index", np.zeros((3, 2))))


@case(r"c.h5: index must be an array of int64, got int64 \(3, 5\)")
def a_cache_of_the_wrong_shape(folder):
    return changed(folder, replaced("index", np.zeros((3, 5), np.int64)))


@case("c.h5: index must hold offset, size of samples, got others")
def a_cache_of_negative_sizes(folder):
    return changed(folder, replaced("index", np.full((3, 2), -1)))


@case("c.h5: index must hold offset, size of samples, got others")
def a_cache_without_samples(folder):
    return changed(folder, replaced("index", np.zeros((0, 2), np.int64)))


@case("c.h5: pixels must hold sample '1', got an end at 10 before")
def a_cache_with_too_few_pixels(folder):
    return changed(folder, lambda file: file["pixels"].resize((10,)))


@case("c.h5: pixels of sample '1' must be those that were packed; got .*bytes where")
def a_cache_with_other_pixels(folder):
    def change(file):
        file["pixels"][...] = 255

    return changed(folder, change)


@case(r"c.h5: text must hold names, .* got \[2, 3, 3\] names, groups and labels for 3 samples")
def a_cache_with_too_few_names(folder):
    return changed(folder, rewritten(names=["1", "2"]))


@case("c.h5: text must hold names, groups, labels and sources")
def a_cache_with_numbers_for_names(folder):
    return changed(folder, rewritten(names=[1, 2, 3]))


@pytest.mark.parametrize("labels", [[[0], [1]], [[0], [1], []], [[0], [1], ["2"]], [0, 1, 2]])
def test_a_cache_with_other_labels_is_told(tmp_path, labels):
    with pytest.raises(DataError, match=r"c.h5: text must hold names, groups, labels and sources"):
        changed(tmp_path, rewritten(labels=labels))()


@case("c.h5: text must hold names, groups, labels and sources, got JSONDecodeError")
def a_cache_with_broken_text(folder):
    return changed(folder, replaced("text", np.full(9, 123, np.uint8)))


@case("c.h5: the cache must be of the dataset as it is now, got .*a.png', which was changed since")
def a_cache_that_was_overtaken(folder):
    dataset = pairs(folder)()
    cached(dataset, folder / "c.h5")
    os.utime(folder / "images" / "a.png", ns=(0, 0))
    return lambda: CachedDataset(folder / "c.h5", sources=dataset)


@case("a.png: the source must exist, got no such file")
def a_source_that_vanished(folder):
    dataset = pairs(folder)()
    cached(dataset, folder / "c.h5")
    (folder / "images" / "a.png").unlink()
    return lambda: CachedDataset(folder / "c.h5", sources=dataset)


def test_packing_nothing_or_anything_else_is_told(tmp_path):
    with pytest.raises(DataError, match="samples to pack must be one or more, got none"):
        pack([], tmp_path / "c.h5")
    with pytest.raises(DataError, match="samples must be Sample records, got tuple"):
        pack([(GRAY, 1)], tmp_path / "c.h5")
    assert not list(tmp_path.iterdir())


# All of them


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def packed(place):
    return cache(place).read_bytes()


def test_there_are_many_kinds():
    assert len(CASES) >= 50


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
@pytest.mark.filterwarnings("ignore")  # the errors are no mere warnings
@given(data=st.data())
def test_no_damaged_byte_of_a_picture_gets_past_the_errors_of_ours(place, suffix, data):
    path = save(place / f"1.{suffix}", NOISE[:8, :9])
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 4))
    content[start : start + 4] = data.draw(st.binary(min_size=4, max_size=4))
    path.write_bytes(content)
    for read in (ImageFile(path), MaskFile(path, threshold=99)):
        with suppress(CamevalError):
            read()


@settings(max_examples=50)  # each writes a megabyte
@given(data=st.data())
def test_no_damaged_byte_of_a_cache_gets_past_the_errors_of_ours(place, packed, data):
    path = place / "damaged.h5"
    content = bytearray(packed)
    interesting = [i for i in range(0, len(content), 64) if any(content[i : i + 64])]
    start = data.draw(st.sampled_from(interesting)) + data.draw(st.integers(0, 60))
    content[start : start + 4] = data.draw(st.binary(min_size=4, max_size=4))
    path.write_bytes(content)
    with suppress(CamevalError):
        list(CachedDataset(path))


@given(st.binary(max_size=200))
def test_no_bytes_of_a_manifest_get_past_the_errors_of_ours(place, content):
    path = place / "index.csv"
    for head in (b"", b"image,mask,label\n"):
        path.write_bytes(head + content)
        with pytest.raises(DataError, match=re.escape(str(path))):
            ManifestDataset(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


FIELDS = """
    id file_name height width name image_id category_id bbox segmentation iscrowd
"""


@given(
    key=st.sampled_from(["images", "categories", "annotations"]),
    name=st.sampled_from(FIELDS.split()),
    value=JSON,
)
def test_no_value_of_a_coco_file_gets_past_the_errors_of_ours(place, key, name, value):
    with suppress(CamevalError):
        list(objects(place, put(key, **{name: value}))())
