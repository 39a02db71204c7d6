"""DICOM input that is not what it should be: an error of ours that names the file, and no memory.

A case writes one broken input into a folder and returns what reads it.
"""

import os
import pickle
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medical_files import (
    SEGMENTATION,
    group,
    make_dicom,
    make_segmentation,
    place,
    save,
    source,
    write_dicom,
    write_series,
)
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from cameval.data import DicomDataset, Scan, read_dicom
from cameval.errors import (
    ArrayTypeError,
    CamevalError,
    DataError,
    MissingPackageError,
    SettingError,
)

RAMP = np.arange(12, dtype=np.int16).reshape(3, 4)
VOLUME = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
MOST_MEMORY = 2**26

CASES = {}


def case(words):
    """Keep a case: what it reads must fail with these words."""

    def keep(build):
        CASES[build.__name__] = (build, words)
        return build

    return keep


@pytest.mark.parametrize(("build", "words"), CASES.values(), ids=CASES)
def test_what_is_malformed_is_told(tmp_path, build, words):
    read = build(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=words) as raised:
            read()
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert str(raised.value).startswith(str(tmp_path))


def written(path, **elements):
    """Return what reads a small image with these elements."""
    return partial(read_dicom, write_dicom(path / "1.dcm", RAMP, **elements))


# Files


@case("must exist, got no such file")
def missing(path):
    return partial(read_dicom, path / "1.dcm")


@case("must be DICOM, with DICM after 128 bytes, got b'Findings: none")
def text(path):
    (path / "1.dcm").write_text("Findings: none\n" * 99)
    return partial(read_dicom, path / "1.dcm")


@case("must be DICOM, .* got b''")
def empty(path):
    (path / "1.dcm").touch()
    return partial(read_dicom, path / "1.dcm")


class Code:
    """An object whose pickle runs code."""

    def __reduce__(self):
        return os._exit, (1,)


@case("must be DICOM")
def pickled(path):
    (path / "1.dcm").write_bytes(pickle.dumps([Code(), *range(999)]))
    return partial(read_dicom, path / "1.dcm")


@case("folder must hold the files of one series, got none")
def empty_folder(path):
    (path / "series").mkdir()
    return partial(read_dicom, path / "series")


@case("a DICOM file is needed, got a folder")
def folder_in_a_series(path):
    folder = write_series(path / "series", VOLUME)
    (folder / "0more").mkdir()
    return partial(read_dicom, folder)


@case("a DICOM file is needed, got too many levels of symbolic links")
def loop_of_links(path):
    (path / "1.dcm").symlink_to(path / "1.dcm")
    return partial(read_dicom, path / "1.dcm")


@case("a DICOM file is needed, got a named pipe")
def named_pipe(path):
    os.mkfifo(path / "1.dcm")
    return partial(read_dicom, path / "1.dcm")


def shortened(path, size):
    """Return what reads an image whose last bytes are missing."""
    file = write_dicom(path / "1.dcm", np.zeros((64, 64), np.int16))
    file.write_bytes(file.read_bytes()[:size])
    return partial(read_dicom, file)


@case("must hold the pixels that it declares, got .* in 8092 bytes")
def truncated_pixels(path):
    return shortened(path, -100)


@case("must hold the pixels that it declares, got 1 frames of 64 x 64")
def truncated_more(path):
    return shortened(path, 2000)


@case("must be complete and valid|with the element Rows, got none")
def truncated_header(path):
    return shortened(path, 400)


@case("must name its transfer syntax|must be complete and valid")
def truncated_start(path):
    return shortened(path, 140)


@case("must not be deflated")
def deflated(path):
    file = path / "1.dcm"
    file.write_bytes(Path(get_testdata_file("image_dfl.dcm", download=False)).read_bytes())
    return partial(read_dicom, file)


@case("transfer syntax must be one that pydicom decodes, got 1.2.3.4")
def unknown_transfer_syntax(path):
    made = make_dicom(RAMP)
    file = save(made, path / "1.dcm")
    old, new = str(made.file_meta.TransferSyntaxUID).encode(), b"1.2.3.4"
    file.write_bytes(file.read_bytes().replace(old, new.ljust(len(old), b"\0"), 1))
    return partial(read_dicom, file)


@case("must hold whole PixelData, got none")
def truncated_compression(path):
    content = Path(get_testdata_file("MR_small_RLE.dcm", download=False)).read_bytes()
    (path / "1.dcm").write_bytes(content[:-3000])
    return partial(read_dicom, path / "1.dcm")


@case("compressed pixels .RLE Lossless. must be undamaged")
def damaged_compression(path):
    made = pydicom.dcmread(get_testdata_file("MR_small_RLE.dcm", download=False))
    content = bytearray(made.PixelData)
    content[20:28] = b"\x09\0\0\0\xff\xff\xff\xff"  # segments, and where the first one is
    made.PixelData = bytes(content)
    return partial(read_dicom, save(made, path / "1.dcm"))


@case("compressed pixels .JPEG Extended.* must be .* that an installed decoder knows")
def compression_of_a_rare_kind(path):
    content = Path(get_testdata_file("JPGExtended.dcm", download=False)).read_bytes()
    (path / "1.dcm").write_bytes(content)
    syntax = pydicom.dcmread(path / "1.dcm").file_meta.TransferSyntaxUID
    decoder = pydicom.pixels.get_decoder(syntax)

    def read():
        with pytest.MonkeyPatch.context() as patch:
            only = {k: v for k, v in decoder._available.items() if k == "pillow"}
            patch.setattr(decoder, "_available", only)
            return read_dicom(path / "1.dcm")

    return read


@case("must be complete and valid")
def deep_sequences(path):
    start = b"\x28\x00\x10\x30SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    file = write_dicom(path / "1.dcm", RAMP)
    content = file.read_bytes()
    file.write_bytes(content[: content.index(b"\x08\x00\x16\x00UI")] + start * 2000)
    return partial(read_dicom, file)


# Sizes


@case("must have at most 536870912 values, got 2147483647 frames of 65535 x 65535")
def terabytes(path):
    return written(path, Rows=65535, Columns=65535, NumberOfFrames=2**31 - 1)


@case(r"must hold the pixels that it declares, got 1 frames of 20000 x 20000 .* of 16 bits")
def more_than_the_file(path):
    return written(path, Rows=20000, Columns=20000)


@case("must have at most 536870912 values, got 1 of 2147483647 frames of 65535")
def one_frame_of_terabytes(path):
    return partial(written(path, Rows=65535, Columns=65535, NumberOfFrames=2**31 - 1), frame=0)


@case("must have at most 536870912 values")
def compressed_terabytes(path):
    name = get_testdata_file("MR_small_RLE.dcm", download=False)
    made = pydicom.dcmread(name)
    made.Rows, made.Columns = 65535, 65535
    return partial(read_dicom, save(made, path / "1.dcm"))


@case("must have at most 11 values, got 1 frames of 3 x 4 .* or set max_values higher")
def larger_than_the_limit(path):
    return partial(written(path), max_values=11)


@case("files|the volume must have at most 50 values, got 60")
def series_larger_than_the_limit(path):
    return partial(read_dicom, write_series(path / "series", VOLUME), max_values=50)


@case("with the element Rows, got none")
def no_rows(path):
    return written(path, Rows=None)


@case("with the element BitsAllocated, got none")
def no_bits(path):
    return written(path, BitsAllocated=None)


@case("must hold whole PixelData, got none")
def no_pixels(path):
    made = make_dicom(np.zeros((1, 1), np.uint8))
    del made.PixelData
    return partial(read_dicom, save(made, path / "1.dcm"))


@case(r"with the element Rows, got none \(modality SR\)")
def structured_report(path):
    content = Path(get_testdata_file("test-SR.dcm", download=False)).read_bytes()
    (path / "1.dcm").write_bytes(content)
    return partial(read_dicom, path / "1.dcm")


@case("must have pixels of 1 or 3 samples, got 1 frames of 0 x 4")
def rows_of_zero(path):
    return written(path, Rows=0)


@case("BitsAllocated must be 1, 8, 16, 32 or 64, and BitsStored at most as many, got 12")
def bits_of_twelve(path):
    return written(path, BitsAllocated=12)


@case("BitsStored at most as many, got 16 and 20")
def more_bits_than_there_are(path):
    return written(path, BitsStored=20)


@case("NumberOfFrames must be 1 or more, got -4")
def negative_frames(path):
    return written(path, NumberOfFrames=-4)


@case("frame must be below 1, the number of frames, got 3")
def frame_that_is_not_there(path):
    return partial(written(path), frame=3)


# Values


@case("photometric interpretation must be one of .* got HSV with 1")
def unknown_colors(path):
    return written(path, PhotometricInterpretation="HSV")


@case("got MONOCHROME2 with 3")
def gray_of_three_samples(path):
    colors = np.zeros((3, 4, 3), np.uint8)
    made = make_dicom(colors, PhotometricInterpretation="MONOCHROME2")
    return partial(read_dicom, save(made, path / "1.dcm"))


@case("RescaleSlope must not be 0")
def slope_of_zero(path):
    return written(path, RescaleSlope=0)


@case("must be complete and valid|RescaleSlope must be")
def slope_of_text(path):
    file = write_dicom(path / "1.dcm", RAMP, RescaleSlope="12345678")
    file.write_bytes(file.read_bytes().replace(b"12345678", b"a number"))
    return partial(read_dicom, file)


@case("RescaleIntercept must be 1 finite numbers")
def intercept_of_nan(path):
    file = write_dicom(path / "1.dcm", RAMP, RescaleIntercept="1234")
    file.write_bytes(file.read_bytes().replace(b"1234", b"nan "))
    return partial(read_dicom, file)


@case("WindowWidth must be 1 or more for LINEAR, got 0; set window=None or value_range")
def window_of_width_zero(path):
    return written(path, WindowCenter=3, WindowWidth=0)


@case("WindowWidth must be above 0 for SIGMOID, got -3")
def window_of_negative_width(path):
    return written(path, WindowCenter=3, WindowWidth=-3, VOILUTFunction="SIGMOID")


@case("must have as many values, got .3.0, 4.0. and .5.0.")
def window_without_width(path):
    return written(path, WindowCenter=[3, 4], WindowWidth=5)


@case("VOILUTFunction must be LINEAR, LINEAR_EXACT or SIGMOID, got 'CUBIC'")
def unknown_window_function(path):
    return written(path, WindowCenter=3, WindowWidth=5, VOILUTFunction="CUBIC")


@case("window must be the index of one of the file's windows, got 2 and no window")
def window_that_is_not_there(path):
    return partial(written(path), window=2)


@case("some pixels must not be padding")
def nothing_but_padding(path):
    file = write_dicom(path / "1.dcm", np.full((3, 4), 7, np.int16), PixelPaddingValue=7)
    return partial(read_dicom, file)


@case("pixels must be finite, got NaN")
def pixels_of_nan(path):
    made = make_dicom(np.zeros((2, 2), np.float32))
    made.FloatPixelData = np.array([0, 1, np.nan, 2], np.float32).tobytes()
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    return partial(read_dicom, save(made, path / "1.dcm"))


@case("an image is needed, got a segmentation")
def segmentation_as_image(path):
    return written(path, SOPClassUID=SEGMENTATION)


# Places


@case("distance between pixels must be positive, got .0.0, 1.0.")
def spacing_of_zero(path):
    return written(path, PixelSpacing=[0, 1])


@case("PixelSpacing must be 2 finite numbers")
def spacing_of_one_number(path):
    return written(path, PixelSpacing=[1, 1, 1])


@case("must be two unit vectors at a right angle")
def orientation_that_is_none(path):
    return written(path, ImageOrientationPatient=[1, 0, 0, 1, 0, 0])


def changed_series(path, change):
    """Return what reads a series of which one file is changed."""
    folder = write_series(path / "series", VOLUME)
    file = sorted(folder.iterdir())[1]
    made = pydicom.dcmread(file)
    change(made)
    made.save_as(file)
    return partial(read_dicom, folder)


@case("must be of one series, got 9.9 and 1.2.3")
def two_series(path):
    return changed_series(path, lambda made: setattr(made, "SeriesInstanceUID", "9.9"))


@case("must be of one size")
def sizes_that_differ(path):
    def change(made):
        made.Rows, made.Columns = made.Columns, made.Rows

    return changed_series(path, change)


@case("must have ImagePositionPatient and ImageOrientationPatient, got none")
def slice_without_position(path):
    return changed_series(path, lambda made: delattr(made, "ImagePositionPatient"))


@case("must be parallel")
def localizer(path):
    return changed_series(
        path, lambda made: setattr(made, "ImageOrientationPatient", [0, 1, 0, 0, 0, -1])
    )


@case("must be at different positions")
def slices_at_one_position(path):
    return changed_series(path, lambda made: setattr(made, "ImagePositionPatient", [-10, 20, -3]))


@case("must have equal distances, got 5 to 10; a file is missing")
def missing_slice(path):
    folder = write_series(path / "series", np.concatenate([VOLUME, VOLUME]))
    positions = {f: float(pydicom.dcmread(f).ImagePositionPatient[2]) for f in folder.iterdir()}
    next(f for f, z in positions.items() if z == 7).unlink()
    return partial(read_dicom, folder)


@case("must lie along their normal, got some that are shifted sideways by 1 .* resample")
def tilted_gantry(path):
    items = [place([0, z / 5, z])[0] for z in (0, 5, 10)]
    made = make_dicom(VOLUME, NumberOfFrames=3, PerFrameFunctionalGroupsSequence=items)
    return partial(read_dicom, save(made, path / "1.dcm"))


@case("each file of a series must have one frame, got 3")
def frames_in_a_series(path):
    files = [write_dicom(path / f"{k}.dcm", VOLUME, NumberOfFrames=3) for k in range(2)]
    return partial(read_dicom, files)


@case("must be at different positions")
def frames_at_some_positions(path):
    items = [place([0, 0, z])[0] for z in (0, 0, 5)]
    made = make_dicom(VOLUME, NumberOfFrames=3, PerFrameFunctionalGroupsSequence=items)
    return partial(read_dicom, save(made, path / "1.dcm"))


# Masks


def masked(path, make, image_elements=None, **options):
    """Return what reads an image with the mask that a function makes of it."""
    image = make_dicom(RAMP, **(image_elements or {}))
    made = make(image)
    mask = made if isinstance(made, Path) else save(made, path / "seg.dcm")
    return lambda: DicomDataset([Scan(save(image, path / "1.dcm"), mask)], **options)[0]


def segmented(image, frame=RAMP > 5, numbers=(1,), places=None, **elements):
    """Return a segmentation of an image."""
    places = [source(image.SOPInstanceUID) for _ in numbers] if places is None else places
    frames = np.stack([frame] * len(numbers))
    return make_segmentation(frames, numbers, places, **elements)


@case(
    r"seg.dcm: the segmentation must have the rows and columns of its image .*1.dcm, got \(4, 3\)"
)
def segmentation_of_another_size(path):
    return masked(path, lambda image: segmented(image, RAMP.T > 5))


@case("must have segments with numbers that differ, got none")
def segmentation_without_segments(path):
    return masked(path, lambda image: segmented(image, SegmentSequence=[]))


@case("must have segments with numbers that differ, got .1, 1.")
def segments_of_one_number(path):
    items = [group(SegmentNumber=1, SegmentLabel="a")[0] for _ in range(2)]
    return masked(path, lambda image: segmented(image, SegmentSequence=items))


@case("must name its source image or its position, got neither in frame 0")
def segmentation_without_source(path):
    return masked(path, lambda image: segmented(image, places=[pydicom.Dataset()]))


@case("must be one of|of one of the segments .1., got 4 in frame 0")
def frame_of_an_unknown_segment(path):
    return masked(path, lambda image: segmented(image, numbers=(4,)))


@case("SegmentationType must be BINARY, FRACTIONAL or LABELMAP, got 'SURFACE'")
def unknown_segmentation(path):
    return masked(path, lambda image: segmented(image, SegmentationType="SURFACE"))


@case("must have the position, orientation and pixel spacing of its image")
def segmentation_on_another_grid(path):
    lies = {
        "ImagePositionPatient": [1, 2, 3],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [2, 2],
    }
    return masked(path, lambda image: segmented(image, places=[place([1, 2, 3])]), lies)


@case("must have the position, orientation and pixel spacing of its image")
def segmentation_that_names_an_image_elsewhere(path):
    def make(image):
        named = source(image.SOPInstanceUID)[0]
        named.update(place([1, 2, 30])[0])
        return segmented(image, places=[named])

    lies = {
        "ImagePositionPatient": [1, 2, 3],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.5, 0.25],
    }
    return masked(path, make, lies)


@case("must be of its image .*1.dcm, got frames and references of other images")
def segmentation_in_another_space(path):
    def make(image):
        return segmented(image, places=[place([1, 2, 3])], FrameOfReferenceUID="1.9")

    return masked(path, make, {"ImagePositionPatient": [1, 2, 3]})


@case("must name its source image or its position, got neither in frame 0")
def segmentation_of_all_slices_at_once(path):
    folder = write_series(path / "series", VOLUME)
    uids = [pydicom.dcmread(file).SOPInstanceUID for file in folder.iterdir()]
    named = group(
        DerivationImageSequence=group(
            SourceImageSequence=[group(ReferencedSOPInstanceUID=uid)[0] for uid in uids]
        )
    )
    made = make_segmentation((VOLUME[:1] > 5), [1], [named])
    return lambda: DicomDataset([Scan(folder, save(made, path / "seg.dcm"))])[0]


@case("must be of its image .*1.dcm, got frames and references of other images")
def segmentation_of_another_image(path):
    return masked(path, lambda image: segmented(image, places=[source("1.2.9")]))


@case("must hold the pixels that it declares, got 2000000 frames")
def segmentation_of_terabytes(path):
    return masked(path, lambda image: segmented(image, NumberOfFrames=2000000))


@case("the mask must be a DICOM segmentation .SEG., got modality CT")
def image_as_mask(path):
    return masked(path, lambda image: make_dicom(RAMP))


@case(r"must have the size of its image .*1.dcm, got \(2, 5\) and \(3, 4\)")
def picture_of_another_size(path):
    Image.new("L", (5, 2)).save(path / "mask.png")
    return masked(path, lambda image: path / "mask.png")


@case("the file must be a PNG, JPEG, TIFF, BMP or WebP image")
def mask_of_text(path):
    (path / "mask.png").write_text("nothing")
    return masked(path, lambda image: path / "mask.png")


@case("the mask must exist|the file must exist, got no such file")
def missing_mask(path):
    return masked(path, lambda image: path / "mask.dcm")


@case("the mask of a volume must be a DICOM segmentation")
def picture_of_a_volume(path):
    Image.new("L", (5, 4)).save(path / "mask.png")
    folder = write_series(path / "series", VOLUME)
    return lambda: DicomDataset([Scan(folder, path / "mask.png")])[0]


@case("a mask that is no segmentation must have a label beside segments")
def picture_without_its_class(path):
    Image.new("L", (4, 3)).save(path / "mask.png")
    return masked(path, lambda image: path / "mask.png", segments={0: 1})


@case("info must have other names than the columns of the tables, got 'label'")
def column_that_is_taken(path):
    return lambda: DicomDataset([write_dicom(path / "1.dcm", RAMP)], tags={"label": "Modality"})[0]


# Tables


def table(path, text):
    """Return what reads a table."""
    (path / "index.csv").write_text(text)
    return partial(DicomDataset, path / "index.csv")


@case("must have a column image, names that differ and one row")
def table_without_images(path):
    return table(path, "picture,mask\n1.dcm,\n")


@case("index.csv, line 3: the row must have 2 cells")
def row_that_is_short(path):
    return table(path, "image,mask\n1.dcm,\n2.dcm\n")


@case("line 3: label must be all whole numbers or all names, got 'edema'")
def labels_of_two_kinds(path):
    return table(path, "image,label\n1.dcm,0\n2.dcm,edema\n")


@case("line 3: an image must have one row for each class, got 0 twice for '1'")
def class_that_comes_twice(path):
    return table(path, "image,label\n1.dcm,0\n1.dcm,0\n")


@case("line 3: site must be as in line 2, which has the same name '1', got 'B' and 'A'")
def rows_that_contradict(path):
    return table(path, "image,label,site\n1.dcm,0,A\n1.dcm,1,B\n")


@case("index.csv: the table must be CSV in UTF-8")
def table_of_bytes(path):
    (path / "index.csv").write_bytes(b"image\n\xff\xfe\n")
    return partial(DicomDataset, path / "index.csv")


# Everything else


def test_there_are_enough_cases():
    assert len(CASES) > 60


@pytest.mark.parametrize(
    "name", ["MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm", "JPEG-lossy.dcm"]
)
def test_compressed_pixels_without_a_decoder_are_refused(name, monkeypatch):
    path = get_testdata_file(name, download=False)
    decoder = pydicom.pixels.get_decoder(pydicom.dcmread(path).file_meta.TransferSyntaxUID)
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(DataError, match=r"a decoder must be installed.*pip install 'pylibjpeg"):
        read_dicom(path)


@pytest.mark.parametrize("read", [lambda: read_dicom("1.dcm"), lambda: DicomDataset(["1.dcm"])[0]])
def test_without_pydicom_the_way_to_install_it_is_told(monkeypatch, read):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingPackageError, match=r"need pydicom, .*extra 'medical'"):
        read()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": -1}, "window must be a whole number from 0 or None"),
        ({"window": True}, "window must be a whole number"),
        ({"value_range": (3, 3)}, "value_range must be two finite numbers"),
        ({"value_range": (0, float("nan"))}, "value_range must be two finite numbers"),
        ({"max_values": 0}, "max_values must be a whole number from 1"),
        ({"slice_tolerance": -1}, "slice_tolerance must be in"),
        ({"tags": {"view": 3}}, "must be keywords of elements"),
    ],
)
def test_settings_out_of_range_are_told(options, words):
    with pytest.raises(SettingError, match=words):
        read_dicom("1.dcm", **options)
    with pytest.raises(SettingError, match=words):
        DicomDataset(["1.dcm"], **options)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Scan(3), ArrayTypeError, "image of a scan must be a path"),
        (lambda: Scan([]), DataError, "at least one path"),
        (lambda: Scan("1.dcm", 3), ArrayTypeError, "mask of a scan must be a path"),
        (lambda: Scan("1.dcm", {}), DataError, "must have its labels as keys"),
        (lambda: Scan("1.dcm", {0: None}, 1), DataError, "must have its labels as keys"),
        (lambda: Scan("1.dcm", {-1: None}), DataError, "must be a class index"),
        (lambda: Scan("1.dcm", frame=-1), SettingError, "frame must be a whole number"),
        (lambda: DicomDataset([]), DataError, "at least one scan"),
        (lambda: DicomDataset(["a/1.dcm", "b/1.dcm"]), DataError, "names must differ"),
        (lambda: DicomDataset([Scan("1.dcm", label=2)], ["a"]), DataError, "labels must be below"),
        (lambda: DicomDataset(["1.dcm"], segments={}), SettingError, "segments must be"),
        (lambda: DicomDataset(["1.dcm"], segments={"a": 1}), SettingError, "class index"),
        (lambda: DicomDataset(["1.dcm"], segments={0: 1.5}), SettingError, "segments must have"),
    ],
)
def test_scans_that_cannot_be_are_told(make, error, words):
    with pytest.raises(error, match=words):
        make()


@settings(max_examples=60)
@given(st.data())
def test_damaged_bytes_give_an_image_or_an_error_of_ours(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    items = place([0, 0, 0]) + place([0, 0, 5]) + place([0, 0, 10])
    made = make_dicom(
        VOLUME, NumberOfFrames=3, PerFrameFunctionalGroupsSequence=items, WindowCenter=3,
        WindowWidth=9, SOPInstanceUID="1.2.5",
    )  # fmt: skip
    content = bytearray(save(made, folder / "1.dcm").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "1.dcm").write_bytes(content[: data.draw(st.integers(140, len(content)))])
    try:
        image = read_dicom(folder / "1.dcm").image
    except CamevalError:
        return
    assert 0 <= image.min() <= image.max() <= 1


def test_the_transfer_syntaxes_that_expand_are_refused_by_their_numbers():
    assert UID("1.2.840.10008.1.2.1.99").is_deflated
