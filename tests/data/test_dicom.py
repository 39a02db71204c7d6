"""DICOM images, series and segmentations give the values, places and masks that they state."""

import pickle
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medical_files import (
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
from pydicom.pixels.processing import apply_windowing

from cameval.data import DicomDataset, MaskFile, Scan, cached, read_dicom
from cameval.data._dicom_values import Window
from cameval.errors import DataError

RAMP = np.arange(12, dtype=np.int16).reshape(3, 4)
VOLUME = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)


def unit(values):
    low, high = values.min(), values.max()
    return ((values.astype(np.float64) - low) / (high - low)).astype(np.float32)


# Values


def test_without_a_window_an_image_has_its_own_range(tmp_path):
    path = write_dicom(tmp_path / "1.dcm", RAMP, RescaleSlope=2, RescaleIntercept=-1024)
    scan = read_dicom(path)
    np.testing.assert_array_equal(scan.image, unit(RAMP))
    assert (scan.ignore, scan.spacing, scan.group) == (None, None, "patient 7")


def test_a_negative_slope_makes_high_stored_values_dark(tmp_path):
    path = write_dicom(tmp_path / "1.dcm", RAMP, RescaleSlope=-2, RescaleIntercept=5)
    np.testing.assert_allclose(read_dicom(path).image, 1 - unit(RAMP), atol=1e-6)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@given(center=st.floats(-300, 300), width=st.floats(1.5, 500), seed=st.integers(0, 99))
def test_windows_are_those_of_pydicom(function, center, width, seed):
    values = np.random.default_rng(seed).integers(-500, 500, (6, 7)).astype(np.int16)
    made = make_dicom(
        values,
        WindowCenter=pydicom.valuerep.DSfloat(center, auto_format=True),
        WindowWidth=pydicom.valuerep.DSfloat(width, auto_format=True),
        VOILUTFunction=function,
    )
    window = Window(float(made.WindowCenter), float(made.WindowWidth), function)
    with np.errstate(over="ignore"):
        wanted = (apply_windowing(values, made) + 2.0**15) / (2**16 - 1)
    np.testing.assert_allclose(window(values.astype(np.float64)), wanted, atol=1e-9)


def test_a_window_of_width_one_is_a_step():
    found = Window(10, 1, "LINEAR")(np.array([9.0, 9.5, 9.6, 10.0]))
    np.testing.assert_array_equal(found, [0, 0, 1, 1])


def test_a_window_applies_to_rescaled_values_and_is_chosen_by_index(tmp_path):
    path = write_dicom(
        tmp_path / "1.dcm",
        RAMP,
        RescaleSlope=10,
        RescaleIntercept=-50,
        WindowCenter=[0, 20],
        WindowWidth=[40, 60],
        VOILUTFunction="LINEAR_EXACT",
    )
    values = RAMP * 10.0 - 50
    for index, (center, width) in enumerate([(0, 40), (20, 60)]):
        wanted = np.clip((values - center) / width + 0.5, 0, 1)
        found = read_dicom(path, window=index).image
        np.testing.assert_allclose(found, wanted, atol=1e-7)
        ends = (center - width / 2, center + width / 2)
        np.testing.assert_allclose(read_dicom(path, value_range=ends).image, wanted, atol=1e-7)
    np.testing.assert_array_equal(read_dicom(path, window=None).image, unit(RAMP))
    with pytest.raises(DataError, match=r"1\.dcm: window must be below 2"):
        read_dicom(path, window=2)


def test_bright_is_near_one_also_where_low_values_are_bright(tmp_path):
    window = {"WindowCenter": 5, "WindowWidth": 6}
    first = write_dicom(tmp_path / "1.dcm", RAMP, **window)
    second = write_dicom(
        tmp_path / "2.dcm", RAMP, PhotometricInterpretation="MONOCHROME1", **window
    )
    np.testing.assert_array_equal(read_dicom(second).image, 1 - read_dicom(first).image)


def test_padding_is_zero_ignored_and_out_of_the_range(tmp_path):
    pixels = RAMP.copy()
    pixels[0] = -2000
    path = write_dicom(
        tmp_path / "1.dcm", pixels, PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1"
    )
    scan = read_dicom(path)
    np.testing.assert_array_equal(scan.ignore, pixels == -2000)
    np.testing.assert_array_equal(scan.image[0], 0)
    np.testing.assert_array_equal(scan.image[1:], 1 - unit(pixels[1:]))
    assert read_dicom(path, ignore_padding=False).ignore is None


def test_padding_can_be_a_range(tmp_path):
    path = write_dicom(tmp_path / "1.dcm", RAMP, PixelPaddingValue=3, PixelPaddingRangeLimit=0)
    np.testing.assert_array_equal(read_dicom(path).ignore, RAMP <= 3)


def test_unused_high_bits_are_no_values(tmp_path):
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    made = make_dicom(pixels | 0xF000, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_dicom(save(made, tmp_path / "1.dcm")).image, unit(pixels))


def test_a_table_of_values_is_used_where_there_is_no_window(tmp_path):
    table = group(
        LUTDescriptor=[12, 0, 16], LUTData=(np.arange(12, dtype=np.uint16) * 5000).tobytes()
    )
    path = write_dicom(tmp_path / "1.dcm", RAMP.astype(np.uint16), VOILUTSequence=table)
    np.testing.assert_allclose(read_dicom(path).image, RAMP.astype(float) * 5000 / 65535, atol=1e-7)


def test_a_modality_table_replaces_slope_and_intercept(tmp_path):
    table = group(
        LUTDescriptor=[12, 0, 16],
        LUTData=(np.arange(12, dtype=np.uint16) ** 2).tobytes(),
        ModalityLUTType="US",
    )
    path = write_dicom(tmp_path / "1.dcm", RAMP.astype(np.uint16), ModalityLUTSequence=table)
    np.testing.assert_array_equal(read_dicom(path).image, unit(RAMP.astype(float) ** 2))


def test_colors_are_divided_by_their_range(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    path = write_dicom(tmp_path / "1.dcm", colors, WindowCenter=3, WindowWidth=4)
    np.testing.assert_allclose(read_dicom(path).image, colors / 255, atol=1e-7)
    assert read_dicom(path).size == (3, 4)


@pytest.mark.parametrize(
    "name", ["examples_palette.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_rle_16bit.dcm"]
)
def test_palettes_and_other_color_spaces_become_rgb(name):
    scan = read_dicom(get_testdata_file(name, download=False))
    assert scan.image.ndim == 3
    assert scan.image.shape[2] == 3
    assert 0 <= scan.image.min() < 0.1 < 0.5 < scan.image.max() <= 1


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_bigendian.dcm"])
def test_other_transfer_syntaxes_give_the_same_image(name):
    plain, other = (
        read_dicom(get_testdata_file(n, download=False)) for n in ("MR_small.dcm", name)
    )
    np.testing.assert_array_equal(plain.image, other.image)
    assert plain.spacing == other.spacing == (0.3125, 0.3125)


def test_radiographs_have_the_spacing_of_their_detector(tmp_path):
    path = write_dicom(tmp_path / "1.dcm", RAMP, ImagerPixelSpacing=[0.2, 0.1])
    assert read_dicom(path).spacing == (0.2, 0.1)
    path = write_dicom(
        tmp_path / "2.dcm", RAMP, ImagerPixelSpacing=[0.2, 0.1], PixelSpacing=[0.4, 0.3]
    )
    assert read_dicom(path).spacing == (0.4, 0.3)


def test_elements_become_columns(tmp_path):
    path = write_dicom(
        tmp_path / "1.dcm", RAMP, ViewPosition="PA", PatientAge="006M", SeriesNumber=3, KVP="120.5"
    )
    assert dict(read_dicom(path).info) == {
        **{"view": "PA", "modality": "CT", "manufacturer": None, "sex": None, "age": 0.5}
    }
    tags = {"series": "SeriesNumber", "kv": "KVP"}
    assert dict(read_dicom(path, tags=tags).info) == {"series": 3, "kv": 120.5}
    assert read_dicom(path, group="Modality").group == "CT"


# Volumes


def test_a_series_is_in_the_order_of_its_positions(tmp_path):
    folder = write_series(tmp_path / "series", VOLUME)
    (folder / ".hidden").write_text("no slice")
    for path in (folder, sorted(folder.glob("*.dcm"))):
        scan = read_dicom(path)
        np.testing.assert_array_equal(scan.image, unit(VOLUME))
        assert scan.spacing == (5.0, 0.5, 0.25)
        assert scan.size == VOLUME.shape


def test_slices_may_be_in_any_plane(tmp_path):
    files = []
    for k, pixels in enumerate(VOLUME):
        # coronal: rows to the left, columns to the feet; the normal is to the back
        elements = {
            "ImageOrientationPatient": [1, 0, 0, 0, 0, -1],
            "ImagePositionPatient": [3, 50 - 2.5 * k, 7],
            "PixelSpacing": [1, 1],
        }
        files.append(write_dicom(tmp_path / f"{k}.dcm", pixels, **elements))
    scan = read_dicom(files)
    np.testing.assert_array_equal(scan.image, unit(VOLUME)[::-1])
    assert scan.spacing == (2.5, 1, 1)


def test_a_list_of_one_file_is_a_volume_and_a_file_is_not(tmp_path):
    path = write_dicom(tmp_path / "1.dcm", RAMP, PixelSpacing=[1, 1], SliceThickness=3)
    assert read_dicom([path]).image.shape == (1, 3, 4)
    assert read_dicom([path]).spacing == (3, 1, 1)
    assert read_dicom(path).image.shape == (3, 4)


def enhanced(tmp_path, order):
    """Write frames in another order than they lie, each with its slope and window."""
    items = []
    for k in order:
        items += place([-10, 20, 5 * k])
        items[-1].PixelValueTransformationSequence = group(
            RescaleSlope=k + 1, RescaleIntercept=10 * k
        )
        items[-1].FrameVOILUTSequence = group(WindowCenter=100 * k, WindowWidth=1500)
    made = make_dicom(VOLUME[list(order)], NumberOfFrames=4, PerFrameFunctionalGroupsSequence=items)
    return made, save(made, tmp_path / "enhanced.dcm")


def test_frames_have_their_own_slope_window_and_place(tmp_path):
    _, path = enhanced(tmp_path, [2, 0, 3, 1])
    scan = read_dicom(path)
    assert scan.spacing == (5, 0.5, 0.25)
    for k in range(4):
        values = VOLUME[k] * (k + 1.0) + 10 * k
        wanted = np.clip((values - (100 * k - 0.5)) / 1499 + 0.5, 0, 1)
        np.testing.assert_allclose(scan.image[k], wanted, atol=1e-6)
    values = np.stack([VOLUME[k] * (k + 1.0) + 10 * k for k in range(4)])
    np.testing.assert_allclose(read_dicom(path, window=None).image, unit(values), atol=1e-6)
    assert read_dicom(path, frame=0).size == (5, 6)
    np.testing.assert_array_equal(read_dicom(path, frame=0).image, scan.image[2])


def test_frames_without_a_place_keep_their_order(tmp_path):
    path = write_dicom(tmp_path / "cine.dcm", VOLUME, NumberOfFrames=4)
    np.testing.assert_array_equal(read_dicom(path).image, unit(VOLUME))
    np.testing.assert_array_equal(read_dicom(path, frame=3).image, unit(VOLUME[3]))
    assert read_dicom(path).spacing is None


# Segmentations

TRUTH = np.random.default_rng(1).random((4, 5, 6)) > 0.6


def test_frames_are_matched_to_the_files_that_they_name(tmp_path):
    folder = write_series(tmp_path / "series", VOLUME)
    uids = [plane.instance for plane in read_dicom(folder).planes]
    order = [3, 1, 0]  # of the slice 2 no frame is written
    truth = TRUTH.copy()
    truth[2] = False
    made = make_segmentation(truth[order], [1, 1, 1], [source(uids[k]) for k in order])
    dataset = DicomDataset([Scan(folder, save(made, tmp_path / "seg.dcm"), label=2)])
    sample = dataset[0]
    np.testing.assert_array_equal(sample.mask, truth)
    assert (sample.label, sample.name, sample.group) == (2, "series", "patient 7")
    assert sample.spacing == (5, 0.5, 0.25)
    one = next(path for path in folder.iterdir() if pydicom.dcmread(path).SOPInstanceUID == uids[1])
    np.testing.assert_array_equal(DicomDataset([Scan(one, tmp_path / "seg.dcm")])[0].mask, truth[1])


def test_frames_are_matched_to_frames_by_number_or_by_position(tmp_path):
    image, path = enhanced(tmp_path, [2, 0, 3, 1])
    named = [source(image.SOPInstanceUID, frame) for frame in (1, 2, 3, 4)]
    lies = [place([-10, 20, 5 * k + 0.01]) for k in (2, 0, 3, 1)]
    for places in (named, lies):
        made = make_segmentation(TRUTH[[2, 0, 3, 1]], [1] * 4, places)
        dataset = DicomDataset([Scan(path, save(made, tmp_path / "seg.dcm"))])
        np.testing.assert_array_equal(dataset[0].mask, TRUTH)
        dataset = DicomDataset([Scan(path, tmp_path / "seg.dcm", frame=2)])
        np.testing.assert_array_equal(dataset[0].mask, TRUTH[3])


def two_segments(tmp_path, **elements):
    """Write an image, and a segmentation with a lesion that overlaps an organ."""
    image = make_dicom(RAMP)
    lesion, organ = RAMP > 8, RAMP > 4
    frames = np.stack([lesion, organ])
    named = [source(image.SOPInstanceUID) for _ in range(2)]
    made = make_segmentation(frames, [1, 2], named, ["lesion", "organ"], **elements)
    return (
        save(image, tmp_path / "1.dcm"),
        save(made, tmp_path / "seg.dcm"),
        lesion,
        organ,
    )


def test_segments_are_classes_by_number_or_label(tmp_path):
    image, seg, lesion, organ = two_segments(tmp_path)
    dataset = DicomDataset([Scan(image, seg)], segments={0: "organ", 3: 1, 5: (1, 2)})
    masks = {target.label: target.mask for target in dataset[0].targets}
    for label, wanted in ((0, organ), (3, lesion), (5, organ)):
        np.testing.assert_array_equal(masks[label], wanted)
    one = DicomDataset([Scan(image, seg, label=3)], segments={0: "organ", 3: 1})[0]
    np.testing.assert_array_equal(one.mask, lesion)
    negative = DicomDataset([image], segments={0: "organ", 3: 1})[0]
    assert [target.label for target in negative.targets] == [0, 3]
    assert not negative.mask.any()


def test_a_segmentation_with_several_segments_needs_classes(tmp_path):
    image, seg, *_ = two_segments(tmp_path)
    with pytest.raises(DataError, match=r"seg\.dcm: .* got 1 'lesion', 2 'organ'; set segments"):
        DicomDataset([Scan(image, seg)])[0]
    with pytest.raises(DataError, match=r"seg\.dcm: segment 'Lesion' of class 0 must be in"):
        DicomDataset([Scan(image, seg)], segments={0: "Lesion"})[0]


def test_a_frame_of_several_sources_is_where_its_position_is(tmp_path):
    folder = write_series(tmp_path / "series", VOLUME)
    items = []
    for plane in read_dicom(folder).planes:
        items += place(plane.position)
        items[-1].DerivationImageSequence = group(
            SourceImageSequence=[
                group(ReferencedSOPInstanceUID=other.instance)[0]
                for other in read_dicom(folder).planes
            ]
        )
    made = make_segmentation(TRUTH, [1] * 4, items)
    dataset = DicomDataset([Scan(folder, save(made, tmp_path / "seg.dcm"))])
    np.testing.assert_array_equal(dataset[0].mask, TRUTH)


def test_a_single_image_is_matched_by_the_list_of_references(tmp_path):
    image = make_dicom(RAMP)
    named = group(ReferencedInstanceSequence=group(ReferencedSOPInstanceUID=image.SOPInstanceUID))
    made = make_segmentation(
        (RAMP > 5)[None], [1], [pydicom.Dataset()], ReferencedSeriesSequence=named
    )
    scan = Scan(save(image, tmp_path / "1.dcm"), save(made, tmp_path / "seg.dcm"))
    np.testing.assert_array_equal(DicomDataset([scan])[0].mask, RAMP > 5)


def test_fractions_and_label_maps_are_segmentations(tmp_path):
    image = make_dicom(RAMP)
    path = save(image, tmp_path / "1.dcm")
    levels = (RAMP * 20).astype(np.uint8)[None]
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": levels.tobytes()}
    named = [source(image.SOPInstanceUID)]
    made = make_segmentation(
        levels > 0, [1], named, **bits, SegmentationType="FRACTIONAL", MaximumFractionalValue=200
    )
    dataset = DicomDataset([Scan(path, save(made, tmp_path / "seg.dcm"))])
    np.testing.assert_array_equal(dataset[0].mask, levels[0] >= 100)
    classes = (RAMP % 3).astype(np.uint8)[None]
    bits["PixelData"] = classes.tobytes()
    made = make_segmentation(
        classes > 0, [1], named, ["a", "b"], **bits, SegmentationType="LABELMAP",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7",
    )  # fmt: skip
    save(made, tmp_path / "seg.dcm")
    dataset = DicomDataset([Scan(path, tmp_path / "seg.dcm")], segments={0: "a", 1: "b"})
    for target in dataset[0].targets:
        np.testing.assert_array_equal(target.mask, classes[0] == target.label + 1)


def test_an_image_that_a_segmentation_names_without_a_frame_is_a_negative(tmp_path):
    image = make_dicom(RAMP)
    path = save(image, tmp_path / "1.dcm")
    named = group(
        SeriesInstanceUID="1.2.3",
        ReferencedInstanceSequence=group(
            ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID=image.SOPInstanceUID
        ),
    )
    frame = (RAMP > 3)[None]
    for references, works in ((named, True), ([], False)):
        made = make_segmentation(frame, [1], [source("1.9.9")], ReferencedSeriesSequence=references)
        dataset = DicomDataset([Scan(path, save(made, tmp_path / "seg.dcm"))])
        if works:
            assert not dataset[0].mask.any()
        else:
            with pytest.raises(DataError, match=r"seg\.dcm: the segmentation must be of its image"):
                dataset[0]


# The data set


class Drawn:
    """A mask of one's own."""

    path = Path("drawn.txt")

    def __call__(self):
        """Return the mask."""
        return RAMP > 6


def test_masks_are_pictures_segmentations_callables_or_none(tmp_path):
    image, seg, lesion, _ = two_segments(tmp_path)
    Image.fromarray((RAMP > 9).astype(np.uint8) * 255).save(tmp_path / "mask.png")
    made = make_segmentation(lesion[None], [1], [source(pydicom.dcmread(image).SOPInstanceUID)])
    save(made, seg)
    masks = {
        0: tmp_path / "mask.png",
        1: seg,
        2: Drawn(),
        3: None,
        4: MaskFile(tmp_path / "mask.png", threshold=0),
    }
    sample = DicomDataset([Scan(image, masks)])[0]
    found = {target.label: target.mask for target in sample.targets}
    for label, wanted in enumerate((RAMP > 9, lesion, RAMP > 6, RAMP > 99, RAMP > 9)):
        np.testing.assert_array_equal(found[label], wanted)


def test_a_table_lists_images_masks_classes_and_columns(tmp_path):
    for k in (1, 2):
        write_dicom(tmp_path / f"{k}.dcm", RAMP, PatientID=f"p{k}")
    Image.fromarray((RAMP > 9).astype(np.uint8)).save(tmp_path / "1.png")
    table = tmp_path / "index.csv"
    table.write_text(
        "image,mask,label,site,dose\n1.dcm,1.png,edema,A,2.5\n1.dcm,,effusion,A,2.5\n"
        "2.dcm,,edema,,\n"
    )
    dataset = DicomDataset(table, tags={"modality": "Modality"})
    assert repr(dataset) == "DicomDataset(2 images, 2 named classes)"
    assert dataset.class_names == ("edema", "effusion")
    assert dataset.names == ("1", "2")
    assert dataset.groups == ("p1", "p2")
    assert dataset.labels.tolist() == [None, 0]
    first, second = dataset
    assert [target.label for target in first.targets] == [0, 1]
    assert [int(target.mask.sum()) for target in first.targets] == [2, 0]
    assert dict(first.info) == {"modality": "CT", "site": "A", "dose": 2.5}
    assert dict(second.info) == {"modality": "CT", "site": None, "dose": None}
    assert dataset.sources[:2] == (table, tmp_path / "1.dcm")
    assert set(dataset.sources) == {table, *tmp_path.glob("*.dcm"), *tmp_path.glob("*.png")}


def test_names_in_a_table_have_the_places_of_the_class_names(tmp_path):
    write_dicom(tmp_path / "1.dcm", RAMP)
    table = tmp_path / "index.csv"
    table.write_text("image,mask,label\n1.dcm,,effusion\n1.dcm,,edema\n")
    names = ["nodule", "effusion", "edema"]
    dataset = DicomDataset(table, names)
    assert dataset.class_names == tuple(names)
    assert [target.label for target in dataset[0].targets] == [1, 2]
    with pytest.raises(
        DataError, match=r"index\.csv, line 3: label must be one of the class names, .*got 'edema'"
    ):
        DicomDataset(table, ["effusion"])
    table.write_text("image,mask,label\n1.dcm,,1\n")
    assert DicomDataset(table, ["1", "0"])[0].label == 1  # a number is an index


def test_a_data_set_can_be_cached_and_pickled(tmp_path):
    paths = [write_dicom(tmp_path / f"{k}.dcm", RAMP + k) for k in (1, 2)]
    dataset = DicomDataset(paths)
    cache = cached(dataset, tmp_path / "cache.h5")
    for a, b in zip(dataset, cache, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
    assert DicomDataset(paths).settings == dataset.settings
    assert DicomDataset(paths, window=None).settings != dataset.settings
    again = pickle.loads(pickle.dumps(dataset))
    assert again.settings == dataset.settings
    np.testing.assert_array_equal(again[1].image, dataset[1].image)


def test_files_of_a_series_are_sources(tmp_path):
    folder = write_series(tmp_path / "series", VOLUME)
    assert set(DicomDataset([folder]).sources) == set(folder.glob("*.dcm"))
