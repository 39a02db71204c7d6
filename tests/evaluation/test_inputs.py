"""What `evaluate` takes in place of samples: tuples, dictionaries, pictures, loaders."""

from typing import Any

import numpy as np
import pytest
import torch
from evaluations import SMALL, samples, small_network
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import cameval
from cameval import Sample, Target, evaluate
from cameval.errors import ArrayTypeError, DataError, SettingError
from cameval.evaluation._samples import as_sample

PARTS: dict[str, Any] = {
    "methods": {"cam": cameval.cam},
    "binarizers": {"p80": cameval.PercentileBinarizer(80)},
    "metrics": {"iou": cameval.iou},
    "baselines": {},
    "prepare": SMALL,
    "progress": False,
}


def expected(made: list[Sample]) -> np.ndarray:
    return evaluate(small_network(), made, **PARTS).values


def as_tensor(sample: Sample) -> torch.Tensor:
    return torch.from_numpy(sample.image)[None].expand(3, -1, -1)


MADE = samples(5)
FORMS = {
    "arrays": [(s.image, s.mask, s.label) for s in MADE],
    "without labels": [(s.image, s.mask) for s in MADE],
    "lists": [[s.image, s.mask] for s in MADE],
    "tensors": [(as_tensor(s), torch.from_numpy(s.mask)[None]) for s in MADE],
    "masks of 0 and 255": [(s.image, s.mask.astype(np.uint8) * 255) for s in MADE],
    "masks as pictures": [(s.image, Image.fromarray(s.mask)) for s in MADE],
    "dictionaries": [{"image": s.image, "mask": s.mask, "label": s.label} for s in MADE],
    "targets": [{"image": s.image, "targets": [Target(1, s.mask)]} for s in MADE],
}


@pytest.mark.parametrize("items", FORMS.values(), ids=FORMS)
def test_other_forms_are_scored_as_samples_are(items) -> None:
    results = evaluate(small_network(), items, **PARTS)
    np.testing.assert_allclose(results.values, expected(MADE), rtol=0, atol=1e-6)
    assert results.samples["sample"].tolist() == ["0", "1", "2", "3", "4"]


def test_eight_bits_are_divided_by_255() -> None:
    pixels = (MADE[0].image * 255).astype(np.uint8)
    for image in (pixels, Image.fromarray(pixels), torch.from_numpy(pixels)[None]):
        found = as_sample((image, MADE[0].mask), 0)
        np.testing.assert_array_equal(found.image, pixels / np.float32(255))


def test_tensors_have_channels_first_and_arrays_last() -> None:
    image = np.random.default_rng(0).random((4, 6, 3), np.float32)
    mask = image[..., 0] > 0.5
    for given in (image, torch.from_numpy(image).permute(2, 0, 1)):
        np.testing.assert_array_equal(as_sample((given, mask), 0).image, image)


class Pairs(Dataset[Any]):
    """A dataset of anything."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


SAME_SIZE = samples(5, sizes=(32,))
TENSORS = [(as_tensor(s).clone(), torch.from_numpy(s.mask), s.label) for s in SAME_SIZE]
LOADERS = {
    "tensors": DataLoader(Pairs(TENSORS), batch_size=2),
    "dictionaries": DataLoader(
        Pairs([dict(zip(("image", "mask", "label"), t, strict=True)) for t in TENSORS]),
        batch_size=3,
    ),
    "samples": DataLoader(Pairs(SAME_SIZE), batch_size=2, collate_fn=list),
    "one by one": DataLoader(Pairs(TENSORS), batch_size=None),
}


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
def test_a_loader_is_read_batch_by_batch(loader) -> None:
    results = evaluate(small_network(), loader, **PARTS)
    np.testing.assert_allclose(results.values, expected(SAME_SIZE), rtol=0, atol=1e-6)


def test_a_loader_that_shuffles_is_refused() -> None:
    with pytest.raises(SettingError, match="got a DataLoader that shuffles; set shuffle=False"):
        evaluate(small_network(), DataLoader(Pairs(TENSORS), shuffle=True), **PARTS)


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (7, ArrayTypeError, "got int"),
        ("image.png", ArrayTypeError, "got str"),
        ((1,), ArrayTypeError, "got tuple of 1 entries"),
        ((1, 2, 3, 4), ArrayTypeError, "got tuple of 4 entries"),
        (("a.png", "b.png"), ArrayTypeError, "image must be an array .* got str"),
        ({"mask": MADE[0].mask}, DataError, "must have an image"),
        ({"picture": 1}, DataError, "arguments of a Sample .* got 'picture'"),
        ((MADE[0].image.astype(int), MADE[0].mask), ArrayTypeError, "got int64"),
        (
            (MADE[0].image.astype(np.int16), MADE[0].mask),
            ArrayTypeError,
            r"unsigned 8 or 16 bits, got int16; scale it first: \(x - x.min\(\)\)",
        ),
        ((MADE[0].image, MADE[0].image), DataError, "0 and one other value"),
        ((MADE[0].image, [1, 0]), ArrayTypeError, "mask must be an array or a tensor, got list"),
        ((MADE[0].image * 300, MADE[0].mask), DataError, r"image must be in \[0, 1\]"),
    ],
)
def test_what_is_no_sample_is_refused(item, error, message) -> None:
    with pytest.raises(error, match=message):
        as_sample(item, 3)
    with pytest.raises(error, match="sample 1: "):
        evaluate(small_network(), [MADE[0], item], **PARTS)
