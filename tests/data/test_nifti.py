"""NIfTI images and masks: axes, spacing, intensities and classes are those that the files state."""

import gzip
import os
import pickle
import sys
import tracemalloc
from functools import partial
from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medical_files import write_series

from cameval.data import NiftiDataset, Sample, Scan, cached, read_dicom, read_nifti
from cameval.errors import CamevalError, DataError, MissingPackageError, SettingError

VOXELS = np.random.default_rng(0).integers(-500, 500, (3, 4, 5)).astype(np.int16)
SIZES = np.diag([0.5, 2, 3, 1.0])
LPS = np.diag([-1.0, -1, 1, 1])


def write_nifti(path, values, affine=SIZES, kind=nibabel.Nifti1Image, **header):
    made = kind(values, affine)
    for name, value in header.items():
        made.header[name] = value
    nibabel.save(made, path)
    return path


def unit(values):
    low, high = values.min(), values.max()
    return ((values.astype(np.float64) - low) / (high - low)).astype(np.float32)


# Axes

ORIENTATIONS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_every_stored_orientation_gives_one_order(tmp_path, axes, signs):
    affine = np.zeros((4, 4))
    for column, (axis, sign, size) in enumerate(zip(axes, signs, (0.5, 2, 3), strict=True)):
        affine[axis, column] = sign * size
    affine[:, 3] = 7, -8, 9, 1
    scan = read_nifti(write_nifti(tmp_path / "1.nii", VOXELS, affine))
    shown = unit(VOXELS)
    corner = scan.affine @ (0, 0, 0, 1)
    assert scan.image.shape == scan.size
    for k, i, j in np.ndindex(scan.size):
        where = scan.affine @ (k, i, j, 1)
        # to the head along slices, to the back along rows, to the left along columns
        steps = (where - corner)[:3]
        np.testing.assert_allclose(steps, np.array([-j, -i, k]) * np.array(scan.spacing)[::-1])
        stored = np.linalg.solve(affine, where)[:3]
        index = tuple(np.rint(stored).astype(int))
        np.testing.assert_allclose(stored, index, atol=1e-9)
        assert scan.image[k, i, j] == shown[index]


def test_an_oblique_image_keeps_its_voxels_and_their_size(tmp_path):
    turn = np.radians(20)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    path = write_nifti(tmp_path / "1.nii", VOXELS, rotation @ LPS @ SIZES)
    scan = read_nifti(path)
    np.testing.assert_array_equal(scan.image, unit(VOXELS).transpose(2, 1, 0))
    np.testing.assert_allclose(scan.spacing, (3, 2, 0.5), rtol=1e-6)


def test_axial_slices_are_as_those_of_dicom(tmp_path):
    folder = write_series(tmp_path / "series", VOXELS.transpose(2, 1, 0), step=5)
    # DICOM counts to the left and the back, NIfTI to the right and the front
    affine = LPS @ [[0.25, 0, 0, -10], [0, 0.5, 0, 20], [0, 0, 5, -3], [0, 0, 0, 1]]
    for flip in (1, -1):
        path = write_nifti(tmp_path / "1.nii.gz", VOXELS[::flip], affine @ flipped(flip))
        dicom, nifti = read_dicom(folder), read_nifti(path)
        np.testing.assert_array_equal(dicom.image, nifti.image)
        np.testing.assert_allclose(dicom.spacing, nifti.spacing)


def flipped(flip):
    """Return the change of the affine of voxels whose first axis is mirrored."""
    change = np.eye(4)
    if flip < 0:
        change[0] = -1, 0, 0, len(VOXELS) - 1
    return change


def test_stored_axes_can_be_kept(tmp_path):
    path = write_nifti(tmp_path / "1.nii", VOXELS)
    scan = read_nifti(path, canonical=False)
    np.testing.assert_array_equal(scan.image, unit(VOXELS).transpose(2, 1, 0))
    np.testing.assert_array_equal(
        read_nifti(path).image, unit(VOXELS)[::-1, ::-1].transpose(2, 1, 0)
    )


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 1, 1)])
def test_one_slice_is_two_dimensional(tmp_path, shape):
    path = write_nifti(tmp_path / "1.nii", VOXELS[:, :, 0].reshape(shape), LPS @ SIZES)
    scan = read_nifti(path)
    np.testing.assert_array_equal(scan.image, unit(VOXELS[:, :, 0]).T)
    assert (scan.size, scan.spacing) == ((4, 3), (2, 0.5))


@pytest.mark.parametrize(
    ("axes", "spacing"), [([1, 2, 0], (2, 0.5)), ([0, 2, 1], (2, 0.5)), ([0, 1, 2], (2, 0.5))]
)
def test_one_slice_in_any_plane_is_two_dimensional(tmp_path, axes, spacing):
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, axes] * (0.5, 2, 3)
    scan = read_nifti(write_nifti(tmp_path / "1.nii", VOXELS[:, :, :1], affine))
    assert sorted(scan.image.shape) == [3, 4]
    assert scan.spacing == spacing


def test_units_become_millimeters(tmp_path):
    made = nibabel.Nifti1Image(VOXELS, SIZES)
    made.header.set_xyzt_units("micron")
    nibabel.save(made, tmp_path / "1.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "1.nii").spacing, (0.003, 0.002, 0.0005))


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "i4", "f4", "f8"])
def test_every_kind_of_file_gives_the_same_image(tmp_path, kind, suffix, dtype):
    values = (VOXELS - VOXELS.min()) % 200
    path = write_nifti(tmp_path / f"1{suffix}", values.astype(dtype), LPS @ SIZES, kind)
    np.testing.assert_array_equal(read_nifti(path).image, unit(values).transpose(2, 1, 0))
    other = path.rename(tmp_path / "scan.dat")  # content counts, not the suffix
    np.testing.assert_array_equal(read_nifti(other).image, unit(values).transpose(2, 1, 0))


def test_extensions_of_the_header_are_skipped(tmp_path):
    made = nibabel.Nifti1Image(VOXELS, LPS)
    made.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 5000))
    nibabel.save(made, tmp_path / "1.nii.gz")
    found = read_nifti(tmp_path / "1.nii.gz").image
    np.testing.assert_array_equal(found, unit(VOXELS).transpose(2, 1, 0))


# Intensities


@given(
    slope=st.sampled_from([0.0, 1.0, 2.5, -0.5, float("nan")]),
    inter=st.sampled_from([0.0, -1024.0, 3.5]),
    low=st.floats(0, 40),
    high=st.floats(60, 100),
)
def test_percentiles_are_those_of_the_values_that_nibabel_reads(
    tmp_path_factory, slope, inter, low, high
):
    path = tmp_path_factory.mktemp("scaled") / "1.nii"
    made = nibabel.Nifti1Image(VOXELS, LPS)
    made.header.set_slope_inter(1, 0)
    nibabel.save(made, path)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, inter], "<f4").tobytes()
    path.write_bytes(content)
    values = nibabel.load(path).get_fdata().transpose(2, 1, 0)
    ends = np.percentile(values, (low, high))
    wanted = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)
    np.testing.assert_allclose(read_nifti(path, percentiles=(low, high)).image, wanted, atol=1e-5)
    ranged = read_nifti(path, value_range=(-100, 300)).image
    np.testing.assert_allclose(ranged, np.clip((values + 100) / 400, 0, 1), atol=1e-6)


def test_percentiles_are_of_the_scaled_values_where_the_slope_is_negative(tmp_path):
    made = nibabel.Nifti1Image(np.arange(11, dtype=np.int16).reshape(11, 1, 1), LPS)
    made.header.set_slope_inter(1, 0)
    nibabel.save(made, tmp_path / "1.nii")
    content = bytearray((tmp_path / "1.nii").read_bytes())
    content[112:120] = np.array([-1, 0], "<f4").tobytes()
    (tmp_path / "1.nii").write_bytes(content)
    found = read_nifti(tmp_path / "1.nii", percentiles=(0, 60)).image.ravel()
    np.testing.assert_allclose(found, np.clip((10 - np.arange(11)) / 6, 0, 1), atol=1e-6)


def test_a_constant_image_is_zero(tmp_path):
    path = write_nifti(tmp_path / "1.nii", np.full((2, 2, 2), 7, np.int16))
    assert not read_nifti(path).image.any()


def test_missing_values_are_ignored_when_asked(tmp_path):
    values = VOXELS.astype(np.float32)
    values[0, 1], values[2, 3, 4] = np.nan, np.inf
    path = write_nifti(tmp_path / "1.nii", values, LPS)
    scan = read_nifti(path, missing="ignore")
    missing = ~np.isfinite(values).transpose(2, 1, 0)
    np.testing.assert_array_equal(scan.ignore, missing)
    valid = values[np.isfinite(values)]
    wanted = (values.transpose(2, 1, 0) - valid.min()) / (valid.max() - valid.min())
    np.testing.assert_allclose(scan.image[~missing], wanted[~missing], atol=1e-6)
    assert not scan.image[missing].any()
    Sample("1", mask=scan.image > 0.5, **scan.parts)


def test_a_fourth_axis_is_that_of_volumes_or_channels(tmp_path):
    several = np.stack([VOXELS, VOXELS**2 % 91], axis=3)
    path = write_nifti(tmp_path / "1.nii", several, LPS)
    wanted = [unit(several[..., k]).transpose(2, 1, 0) for k in range(2)]
    for k in range(2):
        np.testing.assert_array_equal(read_nifti(path, frame=k).image, wanted[k])
    scan = read_nifti(path, channels=True)
    np.testing.assert_array_equal(scan.image, np.stack(wanted, axis=3))
    assert scan.size == (5, 4, 3)
    sample = NiftiDataset([path], channels=True)[0]
    assert (sample.image.shape, sample.mask.shape) == ((5, 4, 3, 2), (5, 4, 3))


# The data set

REGIONS = (np.abs(VOXELS) % 5).astype(np.uint8)


def test_classes_are_values_of_the_mask_and_may_overlap(tmp_path):
    image = write_nifti(tmp_path / "flair.nii.gz", VOXELS)
    mask = write_nifti(tmp_path / "seg.nii.gz", REGIONS)
    values = {0: (1, 2, 4), 1: (1, 4), 2: 4, 5: 77}
    dataset = NiftiDataset([Scan(image, mask, group="p1", info={"site": "A"})], values=values)
    sample = dataset[0]
    shown = REGIONS[::-1, ::-1].transpose(2, 1, 0)
    for target in sample.targets:
        np.testing.assert_array_equal(target.mask, np.isin(shown, values[target.label]))
    assert [target.label for target in sample.targets] == [0, 1, 2, 5]
    assert (sample.name, sample.group, sample.spacing) == ("flair", "p1", (3, 2, 0.5))
    assert dataset.labels.tolist() == [None]
    one = NiftiDataset([Scan(image, mask, label=1)], values=values)[0]
    np.testing.assert_array_equal(one.mask, np.isin(shown, (1, 4)))


def test_a_mask_may_be_stored_in_another_orientation(tmp_path):
    image = write_nifti(tmp_path / "1.nii", VOXELS)
    away = nibabel.Nifti1Image((VOXELS > 9).astype(np.uint8), SIZES).as_reoriented(
        nibabel.orientations.axcodes2ornt("PSR")
    )
    nibabel.save(away, tmp_path / "mask.nii")
    sample = NiftiDataset([Scan(image, tmp_path / "mask.nii", 0)])[0]
    np.testing.assert_array_equal(sample.mask, (VOXELS > 9)[::-1, ::-1].transpose(2, 1, 0))


@pytest.mark.parametrize("moved", [0.02, 0.2])
def test_a_mask_must_be_where_the_image_is(tmp_path, moved):
    image = write_nifti(tmp_path / "1.nii", VOXELS)
    affine = SIZES.copy()
    affine[1, 3] = moved
    mask = write_nifti(tmp_path / "mask.nii", (VOXELS > 9).astype(np.uint8), affine)
    dataset = NiftiDataset([Scan(image, mask)])
    if moved < 0.05 * 0.5:
        assert dataset[0].mask.any()
        return
    with pytest.raises(DataError, match=r"mask\.nii: the mask must be where its image .* 0.2 mm"):
        dataset[0]
    assert NiftiDataset([Scan(image, mask)], affine_tolerance=0.5)[0].mask.any()


def test_masks_are_scaled_floating_point_or_absent(tmp_path):
    image = write_nifti(tmp_path / "1.nii", VOXELS, LPS)
    mask = write_nifti(tmp_path / "mask.nii", (VOXELS > 9).astype(np.float32), LPS)
    sample = NiftiDataset([Scan(image, {0: mask, 2: None})])[0]
    first, second = sample.targets
    np.testing.assert_array_equal(first.mask, (VOXELS > 9).transpose(2, 1, 0))
    assert not second.mask.any()


def test_a_table_lists_images(tmp_path):
    write_nifti(tmp_path / "1.nii", np.stack([VOXELS, VOXELS], axis=3))
    write_nifti(tmp_path / "mask.nii", (VOXELS > 9).astype(np.uint8))
    table = tmp_path / "index.csv"
    table.write_text(
        "image,mask,label,name,group,frame,age\n"
        "1.nii,mask.nii,tumor,a,p1,0,61\n1.nii,,healthy,b,p1,1,\n"
    )
    dataset = NiftiDataset(table)
    assert dataset.class_names == ("healthy", "tumor")
    assert dataset.labels.tolist() == [1, 0]
    assert (dataset.names, dataset.groups) == (("a", "b"), ("p1", "p1"))
    assert [dict(sample.info) for sample in dataset] == [{"age": 61}, {"age": None}]
    assert dataset.sources == (table, tmp_path / "1.nii", tmp_path / "mask.nii")


def test_a_data_set_can_be_cached_and_pickled(tmp_path):
    image = write_nifti(tmp_path / "1.nii", VOXELS[:, :, 0])
    mask = write_nifti(tmp_path / "mask.nii", (VOXELS[:, :, 0] > 9).astype(np.uint8))
    dataset = NiftiDataset([Scan(image, mask, 0)])
    first, second = dataset[0], cached(dataset, tmp_path / "cache.h5")[0]
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.mask, second.mask)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.settings == dataset.settings
    assert NiftiDataset([Scan(image, mask, 0)], canonical=False).settings != dataset.settings


# What is malformed

CASES = {}
MOST_MEMORY = 2**26


def case(words):
    """Keep a case: what it reads must fail with these words, and little memory."""

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


def changed(path, at, content, values=VOXELS, zipped=False):
    """Return what reads an image whose header has other bytes at a place."""
    file = bytearray(write_nifti(path / "1.nii", values).read_bytes())
    file[at : at + len(content)] = content
    (path / "1.nii").write_bytes(gzip.compress(bytes(file)) if zipped else file)
    return partial(read_nifti, path / "1.nii")


def dims(*sizes):
    return np.array([len(sizes), *sizes, *[1] * (7 - len(sizes))], "<i2").tobytes()


@case("must exist, got no such file")
def missing(path):
    return partial(read_nifti, path / "1.nii")


@case("a NIfTI file is needed, got a folder")
def folder(path):
    (path / "1.nii").mkdir()
    return partial(read_nifti, path / "1.nii")


@case("a NIfTI file is needed, got too many levels of symbolic links")
def loop_of_links(path):
    (path / "1.nii").symlink_to(path / "1.nii")
    return partial(read_nifti, path / "1.nii")


@case("must be NIfTI in one piece .* got b'Findings' at its start")
def text(path):
    (path / "1.nii").write_text("Findings: none" * 99)
    return partial(read_nifti, path / "1.nii")


@case("must be NIfTI in one piece .* got b'' at its start")
def empty(path):
    (path / "1.nii").touch()
    return partial(read_nifti, path / "1.nii")


class Code:
    """An object whose pickle runs code."""

    def __reduce__(self):
        return os._exit, (1,)


@case("must be NIfTI in one piece")
def pickled(path):
    (path / "1.nii").write_bytes(pickle.dumps([Code(), *range(999)]))
    return partial(read_nifti, path / "1.nii")


@case("must be NIfTI in one piece .* got one of a pair")
def pair(path):
    nibabel.save(nibabel.Nifti1Pair(VOXELS, SIZES), path / "1.hdr")
    return partial(read_nifti, path / "1.hdr")


@case("must be NIfTI in one piece")
def wrong_magic(path):
    return changed(path, 344, b"n+9\0")


@case(r"must hold the values that its header declares, got \(3, 4, 5\) of int16 in 20 bytes")
def truncated(path):
    file = write_nifti(path / "1.nii", VOXELS)
    file.write_bytes(file.read_bytes()[:-100])
    return partial(read_nifti, file)


@case("must be complete and valid|must be NIfTI in one piece")
def truncated_header(path):
    file = write_nifti(path / "1.nii", VOXELS)
    file.write_bytes(file.read_bytes()[:200])
    return partial(read_nifti, file)


@case("the compressed file must be complete and undamaged")
def truncated_compressed(path):
    file = write_nifti(path / "1.nii.gz", VOXELS)
    file.write_bytes(file.read_bytes()[:-30])
    return partial(read_nifti, file)


@case("the compressed file must be complete and undamaged, got CRC check failed")
def wrong_checksum(path):
    file = write_nifti(path / "1.nii.gz", VOXELS)
    content = bytearray(file.read_bytes())
    content[-8] ^= 255
    file.write_bytes(content)
    return partial(read_nifti, file)


@case("the compressed file must be complete and undamaged")
def damaged_compressed(path):
    (path / "1.nii.gz").write_bytes(b"\x1f\x8b\x08\x00" + b"\xff" * 99)
    return partial(read_nifti, path / "1.nii.gz")


@case("must have at most 536870912 values, got .32767, 32767, 32767.; set max_values higher")
def terabytes(path):
    return changed(path, 40, dims(32767, 32767, 32767))


@case("must hold the values that its header declares, got .30000, 10000, 1.")
def more_than_the_file(path):
    return changed(path, 40, dims(30000, 10000, 1))


@case("must hold the values that its header declares, got .30000, 10000, 1.")
def more_than_the_compressed_file(path):
    return changed(path, 40, dims(30000, 10000, 1), zipped=True)


@case("must have at most 59 values")
def larger_than_the_limit(path):
    return partial(read_nifti, write_nifti(path / "1.nii", VOXELS), max_values=59)


@case("must have at most 1000 values, got .500, 500, 500.")
def file_that_expands(path):
    file = bytearray(write_nifti(path / "1.nii", VOXELS).read_bytes())
    file[40:56] = dims(500, 500, 500)
    with gzip.open(path / "1.nii.gz", "wb", compresslevel=1) as stream:
        stream.write(file)
        for _ in range(200):
            stream.write(bytes(2**20))
    assert (path / "1.nii.gz").stat().st_size < 2**20 * 2
    return partial(read_nifti, path / "1.nii.gz", max_values=1000)


@case("values must begin at most 67108864 bytes after the header, got vox_offset 1000000000")
def values_far_away(path):
    return changed(path, 108, np.float32(1e9).tobytes(), zipped=True)


@case("values must begin at most|must be complete and valid")
def values_within_the_header(path):
    return changed(path, 108, np.float32(16).tobytes())


@case(r"must have 2, 3 or 4 axes with at least one value, got \(3, 2, 2, 1, 5\)")
def five_axes(path):
    return partial(read_nifti, write_nifti(path / "1.nii", VOXELS.reshape(3, 2, 2, 1, 5)))


@case("must have 2, 3 or 4 axes with at least one value")
def one_axis(path):
    return changed(path, 40, dims(60))


@case("must have 2, 3 or 4 axes with at least one value|must be complete and valid")
def negative_axis(path):
    return changed(path, 40, dims(3, -4, 5))


@case("must be complete and valid|must have 2, 3 or 4 axes")
def unknown_number_of_axes(path):
    return changed(path, 40, np.array([77], "<i2").tobytes())


@case("must have one volume, got 5; set frame to the index of one, or channels=True")
def volumes_over_time(path):
    return partial(read_nifti, write_nifti(path / "1.nii", VOXELS.reshape(3, 2, 2, 5)))


@case("frame must be below 5, the number of volumes, got 5")
def volume_that_is_not_there(path):
    file = write_nifti(path / "1.nii", VOXELS.reshape(3, 2, 2, 5))
    return partial(read_nifti, file, frame=5)


@case("frame must be 0 of an image with one, got 1")
def second_of_one_volume(path):
    return partial(read_nifti, write_nifti(path / "1.nii", VOXELS), frame=1)


@case("must hold real numbers, got colors")
def colors(path):
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return partial(read_nifti, write_nifti(path / "1.nii", np.zeros((3, 4, 5), kind)))


@case("must hold real numbers, got complex numbers")
def complex_numbers(path):
    return partial(read_nifti, write_nifti(path / "1.nii", VOXELS.astype(np.complex64)))


@case("must be complete and valid")
def unknown_type(path):
    return changed(path, 70, np.array([999], "<i2").tobytes())


@case("must be complete and valid")
def infinite_intercept(path):
    return changed(path, 112, np.array([2, np.inf], "<f4").tobytes())


@case("values must be finite, got 1 NaN or infinite ones; set missing='ignore'")
def values_of_nan(path):
    values = VOXELS.astype(np.float32)
    values[1, 1, 1] = np.nan
    return partial(read_nifti, write_nifti(path / "1.nii", values))


@case("some values must be finite, got none")
def nothing_but_nan(path):
    values = np.full((2, 2, 2), np.nan, np.float32)
    return partial(read_nifti, write_nifti(path / "1.nii", values), missing="ignore")


@case("the affine must be finite and its voxels have a size")
def affine_of_zero(path):
    return changed(path, 280, np.zeros(12, "<f4").tobytes())


@case("the affine must be finite")
def affine_of_nan(path):
    return changed(path, 280, np.full(12, np.nan, "<f4").tobytes())


@case("the axes of the affine must be independent")
def affine_of_one_direction(path):
    return changed(path, 280, np.array([1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], "<f4").tobytes())


@case("a NIfTI image must be one file, got a list of 2")
def list_of_files(path):
    files = [write_nifti(path / f"{k}.nii", VOXELS) for k in range(2)]
    return lambda: NiftiDataset([Scan(files, files[0])])[0]


def masked(path, values, affine=SIZES, **options):
    """Return what reads an image with a mask of these values."""
    image = write_nifti(path / "1.nii", VOXELS)
    mask = write_nifti(path / "mask.nii", values, affine)
    return lambda: NiftiDataset([Scan(image, mask)], **options)[0]


@case(r"mask.nii: the mask must have the size of its image .*1.nii, got \(5, 4, 2\)")
def mask_of_another_size(path):
    return masked(path, REGIONS[:2])


@case("mask.nii: the mask must be where its image .* resample it")
def mask_of_another_spacing(path):
    return masked(path, REGIONS, np.diag([1.0, 2, 3, 1]))


@case("mask.nii: the mask must hold 0 and one other value, got 1, 2, 3, 4; set values")
def mask_of_several_values(path):
    return masked(path, REGIONS)


@case("mask.nii: the values of a mask must be whole numbers, got 0.5")
def mask_of_fractions(path):
    return masked(path, np.where(REGIONS > 2, 0.5, 0).astype(np.float32))


@case("mask.nii: the values of a mask must be finite")
def mask_of_nan(path):
    return masked(path, np.where(REGIONS > 2, np.nan, 0).astype(np.float32))


@case("mask.nii: a mask must have one volume, got 2")
def mask_of_two_volumes(path):
    return masked(path, np.stack([REGIONS, REGIONS], axis=3))


@case("mask.nii: the file must hold the values that its header declares")
def mask_that_is_truncated(path):
    read = masked(path, REGIONS)
    (path / "mask.nii").write_bytes((path / "mask.nii").read_bytes()[:-1])
    return read


def test_there_are_enough_cases():
    assert len(CASES) > 40


def test_without_nibabel_the_way_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingPackageError, match=r"need nibabel, .*extra 'medical'"):
        read_nifti("1.nii")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"percentiles": (5, 5)}, "percentiles must be two numbers"),
        ({"percentiles": (0, 101)}, "percentiles must be two numbers"),
        ({"percentiles": (1, 99), "value_range": (0, 1)}, "only one of value_range and"),
        ({"value_range": (1, 0)}, "value_range must be two finite numbers"),
        ({"missing": "zero"}, "missing must be 'error' or 'ignore'"),
        ({"max_values": 1.5}, "max_values must be a whole number"),
    ],
)
def test_settings_out_of_range_are_told(options, words):
    with pytest.raises(SettingError, match=words):
        read_nifti("1.nii", **options)
    with pytest.raises(SettingError, match=words):
        NiftiDataset(["1.nii"], **options)


@settings(max_examples=60)
@given(st.data(), st.booleans())
def test_damaged_bytes_give_an_image_or_an_error_of_ours(tmp_path_factory, data, zipped):
    path = write_nifti(tmp_path_factory.mktemp("damaged") / "1.nii", VOXELS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(300, len(content)))])
    path.write_bytes(gzip.compress(content) if zipped else content)
    try:
        image = read_nifti(path, missing="ignore", channels=True).image
    except CamevalError:
        return
    assert 0 <= image.min() <= image.max() <= 1


def test_numbers_of_objects_are_kept_apart(tmp_path) -> None:
    voxels = np.zeros((4, 5, 6), np.int16)
    voxels[1, 1:3, 1:3], voxels[1, 3, 1:3], voxels[3, 0, 0] = 1, 2, 7
    image, mask = tmp_path / "image.nii", tmp_path / "mask.nii"
    nibabel.save(
        nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.eye(4)), image
    )
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), mask)
    (target,) = NiftiDataset([Scan(image, mask, label=3)], instances=True)[0].targets
    assert target.label == 3
    assert sorted(each.sum() for each in target.objects.masks) == [1, 2, 4]
    assert target.mask.sum() == 7
    of_classes = NiftiDataset([Scan(image, mask)], values={0: (1, 2), 1: 7}, instances=True)[0]
    assert [len(each.objects) for each in of_classes.targets] == [2, 1]
    merged = NiftiDataset([Scan(image, mask)], values={0: (1, 2)})[0]
    assert len(merged.targets[0].objects) == 1
    with pytest.raises(DataError, match="instances=True if they number"):
        _ = NiftiDataset([Scan(image, mask)])[0]
    with pytest.raises(SettingError, match="instances must be True or False"):
        NiftiDataset([Scan(image, mask)], instances="yes")
