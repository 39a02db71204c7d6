"""Conversion and checks of NumPy arrays and torch tensors."""

import numpy as np
import pytest
import torch
from PIL import Image

import cameval
from cameval._arrays import (
    as_masks,
    as_scores,
    as_tensor,
    exact,
    finite_maps,
    maps_and_truth,
    mask_pair,
    restore,
)
from cameval.errors import ArrayTypeError, NonFiniteError, ShapeError


def awkward_arrays():
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    readonly = base.copy()
    readonly.flags.writeable = False
    return {
        "transposed": base.T,
        "reversed": base[::-1, ::-1],
        "strided": base[:, ::2],
        "readonly": readonly,
        "big-endian": base.astype(">f4"),
        "big-endian transposed": base.astype(">f8").T,
    }


@pytest.mark.parametrize("name", awkward_arrays())
def test_any_memory_layout_keeps_its_values(name):
    array = awkward_arrays()[name]
    np.testing.assert_array_equal(as_tensor(array, "maps").numpy(), array)


def test_a_tensor_is_shared_without_its_graph():
    tensor = torch.ones(2, 2, requires_grad=True)
    taken = as_tensor(tensor, "maps")
    assert taken.data_ptr() == tensor.data_ptr()
    assert not taken.requires_grad


def test_a_plain_array_is_shared_and_not_copied():
    array = np.zeros((2, 2), np.float32)
    assert as_tensor(array, "maps").data_ptr() == array.ctypes.data


def test_other_types_are_refused_by_name():
    with pytest.raises(ArrayTypeError, match=r"pred must be a NumPy array or a torch tensor.*list"):
        as_tensor([[1.0]], "pred")
    with pytest.raises(ArrayTypeError, match=r"maps must have a dtype that torch knows.*object"):
        as_tensor(np.array([[None]]), "maps")


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64, np.int8, np.int64])
def test_integer_maps_keep_their_values(dtype):
    array = np.array([[0, 100], [7, 3]], dtype)
    np.testing.assert_array_equal(finite_maps(array).numpy(), array)


def test_integers_beyond_those_of_float64_come_back_as_such():
    assert finite_maps(np.array([[2**53, -(2**53)]])).dtype == torch.int64
    for value in (2**53 + 1, -(2**53) - 1, -(2**63)):
        assert finite_maps(np.array([[0, value]])).tolist() == [[0.0, float(value)]]


@pytest.mark.filterwarnings("ignore")  # of torch, about what it will not have any more
def test_tensors_that_are_not_dense_are_refused_by_name():
    eye = torch.eye(3)
    for tensor in (eye.to_sparse(), torch.quantize_per_tensor(eye, 0.1, 0, torch.qint8)):
        with pytest.raises(ArrayTypeError, match="maps must be a dense tensor of numbers, got"):
            finite_maps(tensor)


def test_maps_must_be_real_finite_and_have_pixels():
    with pytest.raises(ArrayTypeError, match=r"maps must hold real numbers, got torch.bool"):
        finite_maps(torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ArrayTypeError, match="real numbers"):
        finite_maps(torch.ones(2, 2, dtype=torch.complex64))
    with pytest.raises(NonFiniteError, match="maps must be finite, got 2 NaN or infinite"):
        finite_maps(torch.tensor([[float("nan"), -float("inf"), 0.0]]))
    for shape in [(3,), (2, 0), (2, 0, 4), ()]:
        with pytest.raises(ShapeError, match="with at least one pixel"):
            finite_maps(torch.zeros(shape))
    assert finite_maps(torch.zeros(0, 2, 2)).shape == (0, 2, 2)


def test_masks_must_be_boolean():
    with pytest.raises(ArrayTypeError, match=r"pred must be boolean, got torch.uint8.*pred > 0"):
        as_masks(torch.ones(2, 2, dtype=torch.uint8), "pred")
    with pytest.raises(ShapeError, match="pred must have shape"):
        as_masks(torch.ones(2, dtype=torch.bool), "pred")


def test_pairs_must_be_of_one_kind_and_one_shape():
    mask = torch.ones(2, 2, dtype=torch.bool)
    with pytest.raises(ArrayTypeError, match=r"pred and target must both be.*Tensor and ndarray"):
        mask_pair(mask, mask.numpy())
    with pytest.raises(ArrayTypeError, match="maps and target must both be"):
        maps_and_truth(np.ones((2, 2)), mask)
    with pytest.raises(ShapeError, match=r"pred and target must have one shape, got .2, 2. and"):
        mask_pair(mask, mask[:1])
    with pytest.raises(ShapeError, match="maps and target must have one shape"):
        maps_and_truth(torch.ones(1, 2, 2), mask)


def test_results_have_the_kind_of_the_template():
    result = torch.tensor([0.5], dtype=torch.float64)
    assert isinstance(restore(result, np.zeros(1)), np.ndarray)
    assert isinstance(restore(result, torch.zeros(1)), torch.Tensor)
    assert isinstance(restore(result[0], np.zeros(1)), np.float64)
    assert as_scores(result, torch.zeros(1)).dtype == torch.get_default_dtype()
    assert as_scores(result.float(), np.zeros(1)).dtype == np.float64
    assert isinstance(as_scores(result[0], np.zeros(1)), np.float64)


def test_exact_is_double_where_the_device_has_it():
    assert exact(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float64


def test_a_mask_of_a_picture_of_one_bit_is_a_mask() -> None:
    """Pillow's arrays of such pictures are boolean, and hold 255 for True."""
    truth = np.zeros((8, 12), bool)
    truth[2:4, 3:6] = True
    read = np.array(Image.fromarray(truth))
    assert read.dtype == bool
    assert read.view(np.uint8).max() == 255
    assert cameval.iou(read, truth) == cameval.iou(truth, read) == 1
    sample = cameval.Sample("a", np.zeros(truth.shape, np.float32), read, ignore=read)
    assert sample.mask.view(np.uint8).max() == 1
    assert sample.ignore.view(np.uint8).max() == 1
    target = cameval.Target(0, instances=read[None])
    assert target.mask.view(np.uint8).max() == 1
