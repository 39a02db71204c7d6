"""The record of a sample and the reader of the figshare files."""

import pickle
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation
from torch.utils.data import DataLoader

from cameval.data import (
    CLASS_NAMES,
    FigshareDataset,
    FigshareSample,
    Sample,
    read_folds,
    read_slice,
    write_slice,
)
from cameval.errors import ArrayTypeError, CamevalError, DataError, NonFiniteError, ShapeError

PATIENT = "MR048621B"


def published_fields(height=6, width=4):
    """Return the fields of one small, correct file, as h5py sees what MATLAB wrote."""
    upright = np.arange(height * width, dtype=np.int16).reshape(height, width)
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[3:5, 1] = 1
    return {
        "image": upright.T,
        "tumorMask": mask.T,
        "label": np.array([[2.0]]),
        "PID": np.array([[ord(letter)] for letter in PATIENT], dtype=np.uint16),
        "tumorBorder": np.array([[2.0, 4.0, 2.0, 5.5]]),
    }


def write_fields(path, fields, group="cjdata"):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in fields.items():
            file[f"{group}/{name}"] = value
    return path


def write_folds(path, values, field="cvind"):
    with h5py.File(path, "w", userblock_size=512) as file:
        file[field] = values
    return path


def sample(**changes):
    fields = {
        "name": "1",
        "image": np.zeros((4, 6), dtype=np.float32),
        "mask": np.zeros((4, 6), dtype=bool),
        "label": 0,
        "group": "patient",
    }
    return Sample(**(fields | changes))


# The record


def test_a_sample_may_have_channels_and_an_empty_mask():
    assert sample(image=np.ones((4, 6, 3), dtype=np.float32)).image.shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"image": [[0.0]]}, ArrayTypeError, "image must be a NumPy array, got list"),
        ({"image": np.zeros((4, 6))}, ArrayTypeError, "image must be float32, got float64"),
        ({"mask": np.zeros((4, 6), np.uint8)}, ArrayTypeError, "mask must be bool, got uint8"),
        ({"image": np.zeros(4, np.float32)}, ShapeError, r"\(H, W\) or \(H, W, C\).* got \(4,\)"),
        ({"image": np.zeros((0, 6), np.float32)}, ShapeError, "at least one pixel"),
        ({"mask": np.zeros((6, 4), bool)}, ShapeError, r"got \(6, 4\) and \(4, 6\)"),
        ({"image": np.full((4, 6), np.nan, np.float32)}, NonFiniteError, "image must be finite"),
        ({"image": np.full((4, 6), 255, np.float32)}, DataError, r"in \[0, 1\], got \[255, 255\]"),
        ({"image": np.full((4, 6), -0.5, np.float32)}, DataError, r"got \[-0.5, -0.5\]"),
        ({"label": -1}, DataError, "label must be a class index counted from 0, got -1"),
        ({"label": 1.5}, DataError, "got 1.5"),
        ({"label": float("nan")}, DataError, "got nan; leave it out, or give None"),
        ({"label": 2**31}, DataError, "got 2147483648"),
        ({"label": "1"}, DataError, "got '1'"),
        ({"label": True}, DataError, "got True"),
        ({"label": np.bool_(True)}, DataError, "got True"),
        ({"label": [1, 0]}, DataError, "got list of 2 entries; .* targets="),
        ({"label": (1,)}, DataError, "got tuple of 1 entries; .* targets="),
        ({"label": np.array([0, 1, 1])}, DataError, "ndarray of 3 .* targets="),
        ({"label": torch.tensor([0, 1])}, DataError, "Tensor of 2 .* targets="),
        ({"name": 7}, DataError, "name must be text, got int"),
        ({"name": ""}, DataError, "name must not be empty"),
        ({"name": "a\0"}, DataError, "name must be text without NUL"),
        ({"group": "a\rb"}, DataError, "group must be text without NUL or carriage return"),
        ({"name": "\udcff"}, DataError, "name must be text"),
        ({"group": ""}, DataError, "group must not be empty.*leave it out"),
    ],
)
def test_a_sample_that_is_none_is_refused(changes, error, words):
    with pytest.raises(error, match=words):
        sample(**changes)


def test_label_and_group_may_be_left_out():
    image = np.zeros((4, 6), np.float32)
    unknown = Sample("7", image, image > 0)
    assert unknown.label is None
    assert unknown.group == "7"


@pytest.mark.parametrize(
    "three", [3, 3.0, np.float32(3), np.int8(3), np.array(3), torch.tensor(3), torch.tensor(3.0)]
)
def test_a_label_is_an_integer_by_value(three):
    assert type(sample(label=three).label) is int
    assert sample(label=three).label == 3


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"image": np.zeros((4, 6, 3), np.float32)}, ShapeError, r"shape \(H, W\), got"),
        ({"label": 3}, DataError, "label must be 0, 1 or 2, got 3"),
        ({"border": [[0, 0]]}, ArrayTypeError, "border must be a float64 NumPy array, got list"),
        ({"border": np.zeros((2, 2), int)}, ArrayTypeError, "got int64"),
        ({"border": np.zeros((2, 3))}, ShapeError, r"border must have shape \(k, 2\)"),
        ({"intensity": (5, 4)}, DataError, r"low <= high within int16, got \(5, 4\)"),
        ({"intensity": (0, 40000)}, DataError, "within int16"),
    ],
)
def test_a_figshare_sample_that_is_none_is_refused(changes, error, words):
    fields = vars(sample()) | {"border": np.zeros((1, 2)), "intensity": (0, 9)}
    assert FigshareSample(**fields).intensity == (0, 9)
    with pytest.raises(error, match=words):
        FigshareSample(**(fields | changes))


# One file


def test_every_quirk_of_a_file_is_undone(tmp_path):
    slice_ = read_slice(write_fields(tmp_path / "12.mat", published_fields()))
    assert slice_.name == "12"
    assert slice_.group == PATIENT
    assert CLASS_NAMES[slice_.label] == "glioma"
    assert slice_.image.dtype == np.float32
    np.testing.assert_array_equal(slice_.image, np.arange(24, dtype=np.float32).reshape(6, 4) / 23)
    assert np.argwhere(slice_.mask).tolist() == [[3, 1], [4, 1]]
    assert slice_.border.tolist() == [[1.0, 3.0], [1.0, 4.5]]
    assert slice_.intensity == (0, 23)


def test_the_full_range_of_int16_does_not_overflow(tmp_path):
    fields = published_fields()
    fields["image"] = np.full((4, 6), -32768, dtype=np.int16)
    fields["image"][0, 1], fields["image"][0, 2] = 32767, 0
    image = read_slice(write_fields(tmp_path / "1.mat", fields)).image
    assert image[:3, 0].tolist() == [0.0, 1.0, np.float32(32768 / 65535)]


@pytest.mark.parametrize("value", [0, 700])
def test_a_constant_image_gives_zeros(tmp_path, value):
    fields = published_fields() | {"image": np.full((4, 6), value, dtype=np.int16)}
    slice_ = read_slice(write_fields(tmp_path / "1.mat", fields))
    assert not slice_.image.any()
    assert slice_.intensity == (value, value)


@pytest.mark.parametrize("size", [(512, 512), (256, 256), (224, 224), (5, 9), (1, 1)])
def test_any_size_is_read(tmp_path, size):
    fields = published_fields() | {
        "image": np.zeros(size[::-1], dtype=np.int16),
        "tumorMask": np.zeros(size[::-1], dtype=np.uint8),
    }
    slice_ = read_slice(write_fields(tmp_path / "1.mat", fields))
    assert slice_.image.shape == slice_.mask.shape == size


@pytest.mark.parametrize("patient", ["97737", "100360", "MR049453", "MR029209E"])
def test_a_patient_id_is_read_whole_from_a_column_or_a_row(tmp_path, patient):
    codes = np.array([[ord(letter) for letter in patient]], dtype=np.uint16)
    for name, value in (("1", codes.T), ("2", codes)):
        path = write_fields(tmp_path / f"{name}.mat", published_fields() | {"PID": value})
        assert read_slice(path).group == patient


@given(
    raw=arrays(np.int16, st.tuples(st.integers(1, 6), st.integers(1, 6))),
    label=st.integers(0, 2),
    group=st.from_regex("[0-9A-Z]{5,9}", fullmatch=True),
    border=arrays(np.int16, st.tuples(st.integers(0, 5), st.just(2))),
)
def test_reading_is_the_inverse_of_writing(tmp_path_factory, raw, label, group, border):
    low, high = int(raw.min()), int(raw.max())
    image = (raw.astype(np.float64) - low) / max(high - low, 1)
    original = FigshareSample(
        name="7",
        image=image.astype(np.float32),
        mask=raw > 0,
        label=label,
        group=group,
        border=border / 2,
        intensity=(low, high),
    )
    path = tmp_path_factory.mktemp("written") / "7.mat"
    write_slice(path, original)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["cjdata/image"][()].T, raw)
    again = read_slice(path)
    assert repr(again) == repr(original)
    for field in ("image", "mask", "border"):
        np.testing.assert_array_equal(getattr(again, field), getattr(original, field))


# Files that are not what they should be

MALFORMED = {
    "image of the wrong rank": ("image", np.zeros((4, 6, 3), np.int16), "must have two axes"),
    "image without pixels": ("image", np.zeros((0, 6), np.int16), "at least one pixel"),
    "image of floats": ("image", np.zeros((4, 6)), "must hold integers, got float64"),
    "image of text": ("image", np.bytes_(b"no"), "must hold integers"),
    "image beyond int16": ("image", np.full((4, 6), 70000), "int16 values, got 70000"),
    "image below int16": ("image", np.full((4, 6), -70000), "int16 values, got -70000"),
    "image that is nothing": ("image", h5py.Empty("i2"), "must have axes"),
    "mask of another size": ("tumorMask", np.zeros((4, 5), np.uint8), r"size of cjdata/image"),
    "mask not transposed": ("tumorMask", np.zeros((6, 4), np.uint8), r"got \(4, 6\) and \(6, 4\)"),
    "mask with other values": (
        "tumorMask",
        np.full((4, 6), 255, np.uint8),
        "0 and 1 only, got 255",
    ),
    "mask below zero": ("tumorMask", np.full((4, 6), -1, np.int8), "0 and 1 only, got -1"),
    "mask of floats": ("tumorMask", np.zeros((4, 6)), "must hold booleans or integers"),
    "label 0": ("label", np.array([[0.0]]), "must be 1, 2 or 3, got"),
    "label 4": ("label", np.array([[4.0]]), "must be 1, 2 or 3, got"),
    "label between": ("label", np.array([[1.5]]), "must be 1, 2 or 3, got"),
    "label NaN": ("label", np.array([[np.nan]]), "must be 1, 2 or 3, got"),
    "two labels": ("label", np.array([[1.0, 2.0]]), "must be 1, 2 or 3, got"),
    "label of text": ("label", np.bytes_(b"glioma"), "integers or floating-point numbers"),
    "empty patient": ("PID", np.zeros((0, 1), np.uint16), "codes of visible characters, got"),
    "MATLAB's empty patient": ("PID", np.zeros(2, np.uint64), "codes of visible characters"),
    "blank patient": ("PID", np.full((5, 1), 32, np.uint16), "codes of visible characters"),
    "patient beyond characters": ("PID", np.full((5, 1), 2**33, np.uint64), "visible characters"),
    "patient as floats": ("PID", np.full((5, 1), 50.0), "must hold integers, got float64"),
    "patient as a table": ("PID", np.full((3, 2), 50, np.uint16), "one row or one column"),
    "odd border": ("tumorBorder", np.zeros((1, 5)), "pairs of x and y, got 5"),
    "border as a table": ("tumorBorder", np.zeros((4, 2)), "one row or one column, got"),
    "border that is a number": ("tumorBorder", 3.0, "one row or one column, got"),
    "border with NaN": ("tumorBorder", np.array([[1, np.nan]]), "must be finite"),
}


@pytest.mark.parametrize(("field", "value", "words"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_field_is_named_with_its_file(tmp_path, field, value, words):
    path = write_fields(tmp_path / "31.mat", published_fields() | {field: value})
    with pytest.raises(DataError, match=words) as raised:
        read_slice(path)
    assert str(raised.value).startswith(f"{path}: cjdata/{field} must ")


@pytest.mark.parametrize("field", published_fields())
def test_a_missing_field_is_named_with_its_file(tmp_path, field):
    fields = published_fields()
    del fields[field]
    path = write_fields(tmp_path / "31.mat", fields)
    with pytest.raises(DataError, match="in /cjdata instead") as raised:
        read_slice(path)
    assert str(raised.value).startswith(f"{path}: cjdata/{field} must be there, got ")


def test_other_groups_are_told(tmp_path):
    path = write_fields(tmp_path / "31.mat", published_fields(), group="data")
    with pytest.raises(DataError, match=r"31.mat: cjdata/image must be there, got data in /"):
        read_slice(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(DataError, match="got nothing in /"):
        read_slice(path)


def test_a_group_for_an_array_and_an_array_for_a_group_are_told(tmp_path):
    path = write_fields(tmp_path / "31.mat", {"image/real": 1.0})
    with pytest.raises(DataError, match=r"31.mat: cjdata/image must be an array, got a group"):
        read_slice(path)
    write_folds(path, 1.0, field="cjdata")
    with pytest.raises(DataError, match="cjdata/image must be in a group, got an array at /cjdata"):
        read_slice(path)


def test_a_damaged_chunk_is_blamed_on_its_field(tmp_path):
    path = tmp_path / "31.mat"
    write_slice(path, read_slice(write_fields(path, published_fields())))
    with h5py.File(path) as file:
        _, chunk = file["cjdata/tumorMask"].id.read_direct_chunk((0, 0))
    content = path.read_bytes()
    assert content.count(chunk) == 1
    path.write_bytes(content.replace(chunk, bytes(len(chunk))))
    with pytest.raises(DataError, match="fetch it again") as raised:
        read_slice(path)
    assert str(raised.value).startswith(f"{path}: cjdata/tumorMask must be readable, got a damaged")
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.6, 0.99])
def test_a_file_that_was_cut_off_is_told(tmp_path, kept):
    path = write_fields(tmp_path / "31.mat", published_fields())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"31.mat: the file must be .* fetch it again"):
        read_slice(path)


@given(st.data())
def test_no_damaged_byte_gets_past_the_errors_of_ours(tmp_path_factory, data):
    path = write_fields(tmp_path_factory.mktemp("damaged") / "31.mat", published_fields())
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(512, len(content) - 8))
    content[start : start + 8] = data.draw(st.binary(min_size=8, max_size=8))
    path.write_bytes(content)
    with suppress(CamevalError):
        read_slice(path)


def test_a_file_that_is_no_hdf5_is_told(tmp_path):
    path = tmp_path / "31.mat"
    path.write_text("<html>Not found</html>")
    with pytest.raises(DataError, match=r"31.mat: .* v7.3 .* got b'<html>Not found</html>'"):
        read_slice(path)


def test_an_old_matlab_file_is_told_how_to_convert(tmp_path):
    path = tmp_path / "31.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(512))
    with pytest.raises(DataError, match=r"31.mat: .*older v5 format.*save it again.*'-v7.3'"):
        read_slice(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(DataError, match=r"31.mat: the file must exist, got no such file"):
        read_slice(tmp_path / "31.mat")
    with pytest.raises(DataError, match=r"a .mat file is needed, got a folder; FigshareDataset"):
        read_slice(tmp_path)
    file = write_fields(tmp_path / "1.mat", published_fields())
    with pytest.raises(DataError, match="the file must exist"):
        read_slice(file / "31.mat")


def test_errors_of_the_machine_name_the_file(tmp_path, monkeypatch):
    path = write_fields(tmp_path / "1.mat", published_fields())

    def refuse(*_):
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"1\.mat: the file must be readable, got not yours"):
        read_slice(path)


# Folds


@pytest.mark.parametrize("shape", [(1, 6), (6, 1)])
def test_folds_count_from_zero_in_either_shape(tmp_path, shape):
    path = write_folds(tmp_path / "cvind.mat", np.array([1.0, 2, 3, 4, 5, 1]).reshape(shape))
    folds = read_folds(path)
    assert folds.tolist() == [0, 1, 2, 3, 4, 0]
    assert folds.dtype == np.intp


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[1.0, 0.0]]), "whole numbers from 1, got 0.0"),
        (np.array([[1.0, 2.5]]), "whole numbers from 1, got 2.5"),
        (np.array([[1.0, np.nan]]), "whole numbers from 1, got nan"),
        (np.array([[1.0, np.inf]]), "whole numbers from 1, got inf"),
        (np.ones((2, 3)), "one row or one column"),
        (np.bytes_(b"12345"), "must hold integers or floating-point numbers"),
    ],
)
def test_malformed_folds_are_told(tmp_path, values, words):
    path = write_folds(tmp_path / "cvind.mat", values)
    with pytest.raises(DataError, match=words) as raised:
        read_folds(path)
    assert str(raised.value).startswith(f"{path}: cvind must ")


def test_missing_folds_are_told(tmp_path):
    with pytest.raises(DataError, match=r"cvind.mat: the file must exist"):
        read_folds(tmp_path / "cvind.mat")
    with pytest.raises(DataError, match=r"cvind.mat: cvind must be there, got folds in / instead"):
        read_folds(write_folds(tmp_path / "cvind.mat", np.ones((1, 4)), field="folds"))


# The folder


@pytest.fixture
def folder(tmp_path):
    for number, label in ((10, 3), (9, 1), (100, 2)):
        fields = published_fields() | {"label": np.array([[float(label)]])}
        fields["PID"] = np.array([[ord(digit)] for digit in f"9000{label}"], dtype=np.uint16)
        write_fields(tmp_path / f"{number}.mat", fields)
    write_folds(tmp_path / "cvind.mat", np.arange(100)[None] % 5 + 1.0)
    (tmp_path / "._9.mat").write_bytes(b"of a file manager")
    (tmp_path / "README.txt").write_text("not a slice")
    return tmp_path


def test_a_folder_is_in_the_order_of_its_numbers(folder):
    dataset = FigshareDataset(folder)
    assert len(dataset) == 3
    assert dataset.names == ("9", "10", "100")
    assert dataset.labels.tolist() == [0, 2, 1]
    assert dataset.groups == ("90001", "90003", "90002")
    assert [slice_.name for slice_ in dataset] == ["9", "10", "100"]
    assert repr(dataset) == f"FigshareDataset({str(folder)!r}: 3 slices)"


def test_names_that_are_not_numbers_come_last(folder):
    for name in ("extra", "²"):
        shutil.copy(folder / "9.mat", folder / f"{name}.mat")
    assert FigshareDataset(folder).names == ("9", "10", "100", "extra", "²")


def test_an_index_may_be_negative_but_not_outside(folder):
    dataset = FigshareDataset(folder)
    assert dataset[-1].name == dataset[np.int64(2)].name == "100"
    for index in (3, -4):
        with pytest.raises(IndexError, match=rf"index must be in \[-3, 3\), got {index}"):
            dataset[index]
    with pytest.raises(TypeError):
        dataset[0.0]


def test_labels_and_groups_are_read_once_and_without_images(folder):
    for path in folder.glob("[0-9]*.mat"):
        with h5py.File(path, "r+") as file:
            del file["cjdata/image"]
    dataset = FigshareDataset(folder)
    assert dataset.labels.tolist() == [0, 2, 1]
    for path in folder.glob("[0-9]*.mat"):
        path.unlink()
    assert dataset.labels.tolist() == [0, 2, 1]
    assert dataset.groups == ("90001", "90003", "90002")


def test_ids_that_differ_in_letters_at_the_end_are_one_group(tmp_path):
    for number, patient in enumerate(("MR049453B", "MR049453", "MR049453D", "ABC"), start=1):
        codes = np.array([[ord(digit)] for digit in patient], dtype=np.uint16)
        write_fields(tmp_path / f"{number}.mat", published_fields() | {"PID": codes})
    merged, apart = (FigshareDataset(tmp_path, merge_ids=merge) for merge in (True, False))
    assert merged.groups == ("MR049453", "MR049453", "MR049453", "ABC")
    assert [one.group for one in merged] == [*merged.groups]
    assert apart.groups == ("MR049453B", "MR049453", "MR049453D", "ABC")
    assert [one.group for one in apart] == [*apart.groups]
    assert merged.settings != apart.settings


def test_labels_given_out_are_the_callers_own(folder):
    dataset = FigshareDataset(folder)
    dataset.labels[:] = 7
    assert dataset.labels.tolist() == [0, 2, 1]


def test_a_dataset_can_be_pickled_with_what_it_has_read(folder):
    dataset = FigshareDataset(folder)
    copies = [pickle.loads(pickle.dumps(dataset))]
    assert dataset.groups == ("90001", "90003", "90002")
    copies.append(pickle.loads(pickle.dumps(dataset)))
    for copy in copies:
        assert copy.names == dataset.names
        assert copy.groups == dataset.groups
        np.testing.assert_array_equal(copy[0].image, dataset[0].image)


@pytest.mark.slow
def test_a_dataset_can_be_shared_by_workers(folder):
    dataset = FigshareDataset(folder)
    assert dataset[0].name == "9"  # reading here must not spoil reading there
    loader = DataLoader(
        dataset, batch_size=2, num_workers=1, collate_fn=list, multiprocessing_context="spawn"
    )
    batches = list(loader)
    assert [[slice_.name for slice_ in batch] for batch in batches] == [["9", "10"], ["100"]]
    np.testing.assert_array_equal(batches[0][0].image, dataset[0].image)


def test_the_folds_of_a_folder_are_those_of_its_slice_numbers(folder):
    assert FigshareDataset(folder).folds(folder / "cvind.mat").tolist() == [3, 4, 4]


@pytest.mark.parametrize("name", ["101", "0", "extra", "1.5", "-1"])
def test_a_slice_without_a_fold_is_told(folder, name):
    shutil.copy(folder / "9.mat", folder / f"{name}.mat")
    with pytest.raises(DataError, match=rf"{name}.mat: .* from 1 to 100, .*, got '{name}'"):
        FigshareDataset(folder).folds(folder / "cvind.mat")


def test_folders_that_hold_nothing_are_told(tmp_path):
    with pytest.raises(DataError, match=r"must hold <number>.mat files, got none; unpack"):
        FigshareDataset(tmp_path)
    with pytest.raises(DataError, match=r"absent: the folder must exist, got no such folder"):
        FigshareDataset(tmp_path / "absent")
    path = write_folds(tmp_path / "cvind.mat", np.ones((1, 4)))
    with pytest.raises(DataError, match=r"must hold <number>.mat files, got none"):
        FigshareDataset(tmp_path)
    with pytest.raises(DataError, match=r"cvind.mat: the folder must exist, got a file"):
        FigshareDataset(path)


# The real files


@pytest.fixture(scope="module")
def real(real_slices):
    return list(FigshareDataset(real_slices, merge_ids=False))


def outline_distances(points, mask):
    """Distance of each point x, y from the nearest pixel of the mask that touches its outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    y, x = np.nonzero(mask & ~inner)
    return np.hypot(points[:, :1] - x, points[:, 1:] - y).min(axis=1)


def test_real_files_are_ten_of_each_class_in_numeric_order(real, real_slices):
    dataset = FigshareDataset(real_slices, merge_ids=False)
    assert Counter(slice_.label for slice_ in real) == {0: 10, 1: 10, 2: 10}
    assert [int(name) for name in dataset.names] == sorted(int(name) for name in dataset.names)
    assert dataset.labels.tolist() == [slice_.label for slice_ in real]
    assert dataset.groups == tuple(slice_.group for slice_ in real)


def test_real_images_fill_the_unit_range(real):
    for slice_ in real:
        assert slice_.image.shape == (512, 512)
        assert (slice_.image.min(), slice_.image.max()) == (0, 1)
        assert slice_.intensity[0] == 0
        assert 500 < slice_.intensity[1] < 13000


def test_real_masks_are_small_and_not_empty(real):
    assert all(0.001 < slice_.mask.mean() < 0.1 for slice_ in real)


def test_real_borders_lie_on_the_outline_of_the_upright_mask(real):
    for slice_ in real:
        assert outline_distances(slice_.border, slice_.mask).max() < 1.5
        assert outline_distances(slice_.border, slice_.mask.T).max() > 20
        assert outline_distances(slice_.border + 1, slice_.mask).max() > 1.5


def test_real_images_are_turned_as_their_masks_are(real):
    # meningiomas and pituitary tumors are brighter than the ring around them, where they lie
    contrasts = {True: [], False: []}
    for slice_ in (s for s in real if CLASS_NAMES[s.label] != "glioma"):
        for upright, mask in ((True, slice_.mask), (False, slice_.mask.T)):
            ring = binary_dilation(mask, iterations=15) & ~mask
            contrast = slice_.image[mask].mean() - slice_.image[ring].mean()
            contrasts[upright].append(contrast)
    assert sum(contrast > 0 for contrast in contrasts[True]) >= 19
    assert np.median(contrasts[True]) > 3 * abs(np.median(contrasts[False]))


def test_real_patients_are_whole(real):
    names = [slice_.group for slice_ in real]
    assert {len(name) for name in names} == {5, 6, 8, 9}
    assert all(name.isalnum() for name in names)
    assert {name for name in names if name[-1].isalpha()} == {
        "MR029209E",
        "MR036496B",
        "MR048621B",
        "MR049453B",
    }
    assert real[0].group == "100360"


def test_letters_at_the_end_of_real_ids_are_left_out(real_slices):
    groups = FigshareDataset(real_slices).groups
    assert "MR049453" in groups
    assert not any(group[-1].isalpha() for group in groups)


def test_a_real_file_survives_being_written_again(real, real_slices, tmp_path):
    path = tmp_path / "4.mat"
    write_slice(path, real[0])
    with h5py.File(real_slices / "4.mat") as one, h5py.File(path) as other:
        for field in ("image", "tumorMask", "label", "PID", "tumorBorder"):
            before, after = one["cjdata"][field], other["cjdata"][field]
            assert before.dtype == after.dtype
            np.testing.assert_allclose(before[()], after[()], rtol=1e-15)


def test_the_next_number_above_one_is_no_pixel():
    image, mask = np.ones((2, 2), np.float32), np.zeros((2, 2), bool)
    assert Sample("one", image, mask).image.max() == 1
    image[0, 1] = np.nextafter(np.float32(1), np.float32(2))
    with pytest.raises(DataError, match=r"image must be in \[0, 1\], got \[1, 1\]"):
        Sample("above", image, mask)
