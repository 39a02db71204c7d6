"""Packed samples come back bit by bit; what is wrong with a file of them is in test_malformed."""

import multiprocessing
import os
import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch.utils.data import DataLoader

from cameval.data import (
    CachedDataset,
    FigshareDataset,
    FolderDataset,
    Reader,
    Sample,
    cached,
    pack,
    phantom_samples,
    write_phantom,
)
from cameval.data._packed import decode, encode, size_in_bytes
from cameval.errors import DataError

SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
)


@st.composite
def images(draw):
    """Draw an image of whole numbers over a scale, or of any floats in [0, 1]."""
    shape = draw(SHAPES)
    if draw(st.booleans()):
        return draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
    scale = draw(st.sampled_from([1, 2, 254, 255, 256, 3000, 65534, 65535]))
    whole = draw(arrays(np.int64, shape, elements=st.integers(0, scale)))
    return (whole / scale).astype(np.float32)


def same(one, other):
    """Whether two samples are one, to the last bit."""
    fields = [(s.name, s.label, s.group, s.image.shape, s.mask.dtype) for s in (one, other)]
    bits = one.image.tobytes() == other.image.tobytes() and one.image.dtype == other.image.dtype
    return fields[0] == fields[1] and bits and np.array_equal(one.mask, other.mask)


def plain(sample):
    return Sample(sample.name, sample.image, sample.mask, sample.label, sample.group)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in (("a", (5, 7)), ("b", (6, 4, 3)), ("c", (9, 3))):
        for kind, raw in (
            ("images", rng.integers(0, 256, shape).astype(np.uint8)),
            ("masks", rng.random(shape[:2]) < 0.5),
        ):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(raw).save(tmp_path / kind / f"{name}.png")
    return tmp_path


def read(folder, **settings):
    return FolderDataset(folder / "images", folder / "masks", **settings)


# Bits


@given(images(), st.data())
def test_coding_is_lossless(image, data):
    mask = data.draw(arrays(bool, image.shape[:2]))
    raw, scale = encode(image, mask)
    again, mask_again = decode(raw, image.shape, scale)
    assert raw.size == size_in_bytes(image.shape, scale)
    assert again.dtype == np.float32
    assert mask_again.dtype == np.bool_
    assert again.tobytes() == image.tobytes()
    np.testing.assert_array_equal(mask_again, mask)


@pytest.mark.parametrize(
    ("scale", "size"), [(1, 1), (255, 1), (256, 2), (3000, 2), (12728, 2), (65535, 2)]
)
def test_whole_numbers_over_a_scale_take_one_byte_or_two(scale, size):
    whole = np.append(np.arange(64 * 64 - 1) % (scale + 1), scale).reshape(64, 64)
    raw, _ = encode((whole / scale).astype(np.float32), np.zeros((64, 64), bool))
    assert raw.size == 64 * 64 * size + 64 * 64 / 8


def test_every_quotient_is_the_same_float_in_either_precision():
    rng = np.random.default_rng(0)
    for scale in (3, 255, 12728, 65535, *rng.integers(2, 65536, 40).tolist()):
        whole = np.arange(scale + 1)
        single = np.divide(whole.astype(np.uint16), np.float32(scale), dtype=np.float32)
        np.testing.assert_array_equal(single, (whole / scale).astype(np.float32))


def test_a_zero_with_a_sign_keeps_it(tmp_path):
    image = np.array([[-0.0, 0.5]], dtype=np.float32)
    sample = Sample("x", image, image > 0, 0, "g")
    pack([sample], tmp_path / "x.h5")
    assert same(CachedDataset(tmp_path / "x.h5")[0], sample)


# Files


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


WORDS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=20)  # each writes a megabyte
@given(st.lists(st.tuples(images(), st.integers(0, 2**31 - 1), WORDS), min_size=1))
def test_samples_come_back_as_they_were(place, drawn):
    samples = [
        Sample(f"{i} {text}", image, image.reshape(*image.shape[:2], -1)[..., 0] > 0.5, label, text)
        for i, (image, label, text) in enumerate(drawn)
    ]
    path = place / "samples.h5"
    pack(iter(samples), path)
    dataset = CachedDataset(path)
    assert len(dataset) == len(samples)
    assert all(map(same, dataset, samples))
    assert dataset.names == tuple(sample.name for sample in samples)
    assert dataset.groups == tuple(sample.group for sample in samples)
    assert dataset.labels.tolist() == [sample.label for sample in samples]
    assert dataset.class_names == ()


def test_samples_larger_than_a_chunk_come_back(tmp_path):
    rng = np.random.default_rng(0)
    samples = [
        Sample(
            str(i), rng.random((700, 600), dtype=np.float32), rng.random((700, 600)) < 0.1, i, "g"
        )
        for i in range(3)
    ]
    pack(samples, tmp_path / "samples.h5")
    dataset = CachedDataset(tmp_path / "samples.h5")
    assert all(same(dataset[i], samples[i]) for i in (2, 0, 1))


def test_what_is_read_is_ones_own(tmp_path):
    pack(phantom_samples(slices=3, patients=3, size=32), tmp_path / "samples.h5")
    dataset = CachedDataset(tmp_path / "samples.h5")
    first = dataset[0]
    first.image[:], first.mask[:] = 0, True
    assert dataset[0].image.any()
    assert not dataset[0].mask.all()


def test_figshare_slices_come_back_in_two_bytes_a_pixel(tmp_path):
    slices = FigshareDataset(write_phantom(tmp_path / "mat", slices=4, patients=3, size=64))
    dataset = cached(slices, tmp_path / "new" / "slices.h5")
    assert all(same(one, plain(other)) for one, other in zip(dataset, slices, strict=True))
    assert dataset.class_names == ("meningioma", "glioma", "pituitary")
    assert dataset.labels.tolist() == slices.labels.tolist()
    assert dataset.groups == slices.groups
    with h5py.File(tmp_path / "new" / "slices.h5") as file:
        assert file["pixels"].shape == (4 * (64 * 64 * 2 + 64 * 8),)


def test_real_slices_come_back(real_slices, tmp_path):
    slices = FigshareDataset(real_slices)
    dataset = cached(slices, tmp_path / "slices.h5")
    assert all(same(one, plain(other)) for one, other in zip(dataset, slices, strict=True))
    assert (tmp_path / "slices.h5").stat().st_size < 30 * 512 * 512 * 2.2 + (1 << 20)


def test_indices_are_those_of_every_dataset(tmp_path):
    pack(phantom_samples(slices=3, patients=3, size=32), tmp_path / "samples.h5")
    dataset = CachedDataset(tmp_path / "samples.h5")
    assert dataset[-1].name == dataset[np.int64(2)].name == "3"
    assert repr(dataset) == f"CachedDataset({str(tmp_path / 'samples.h5')!r}: 3 samples)"
    with pytest.raises(IndexError, match=r"index must be in \[-3, 3\), got 3"):
        dataset[3]


def test_packing_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "samples.h5"
    samples = list(phantom_samples(slices=3, patients=3, size=32))
    pack(samples, path)
    before = path.read_bytes()

    def broken():
        yield samples[0]
        raise RuntimeError("the disk of the samples is gone")

    with pytest.raises(RuntimeError, match="gone"):
        pack(broken(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Sources


def test_every_reader_knows_its_sources(folder):
    assert isinstance(read(folder), Reader)
    assert isinstance(FigshareDataset(write_phantom(folder / "m", slices=3, patients=3)), Reader)
    assert not isinstance([], Reader)


def test_a_cache_is_packed_once(folder):
    path = folder / "cache.h5"
    dataset = cached(read(folder), path)
    assert all(map(same, dataset, read(folder)))
    stamp = path.stat().st_ino
    assert all(map(same, cached(read(folder), path), read(folder)))
    assert path.stat().st_ino == stamp
    assert len(CachedDataset(path, sources=read(folder))) == 3


def change_time(folder):
    os.utime(folder / "images" / "b.png", ns=(0, 10**18))
    return read(folder)


def change_content(folder):
    Image.new("L", (7, 5)).save(folder / "masks" / "a.png")
    return read(folder)


def add(folder):
    Image.new("L", (3, 3)).save(folder / "images" / "d.png")
    Image.new("L", (3, 3)).save(folder / "masks" / "d.png")
    return read(folder)


def remove(folder):
    for kind in ("images", "masks"):
        (folder / kind / "a.png").unlink()
    return read(folder)


def set_otherwise(folder):
    return read(folder, stretch=True)


def group_otherwise(folder):
    return read(folder, groups=lambda name: "one")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_time, r"images/b.png', which was changed since"),
        (change_content, r"masks/a.png', which was changed since"),
        (add, r"images/d.png', .*masks/d.png', which is new"),
        (remove, r"images/a.png', .*masks/a.png', which is no longer read"),
        (set_otherwise, "got other settings of the reader"),
        (group_otherwise, "got other settings of the reader"),
    ],
)
def test_a_cache_that_was_overtaken_is_told_and_packed_again(folder, change, words):
    path = folder / "cache.h5"
    cached(read(folder), path)
    now = change(folder)
    with pytest.raises(DataError, match=rf"cache.h5: .*{words}; pack it again"):
        CachedDataset(path, sources=now)
    assert len(CachedDataset(path)) == 3
    dataset = cached(now, path)
    assert len(dataset) == len(now)
    assert all(map(same, dataset, now))


def test_samples_of_no_reader_are_no_copy_of_one(folder):
    path = folder / "cache.h5"
    pack(list(read(folder)), path)
    with pytest.raises(DataError, match="which is new; pack it again"):
        CachedDataset(path, sources=read(folder))


# Processes


@pytest.fixture
def packed(tmp_path):
    pack(phantom_samples(slices=7, patients=3, size=32), tmp_path / "samples.h5")
    return CachedDataset(tmp_path / "samples.h5")


def test_an_open_file_does_not_travel(packed):
    first = packed[0]
    again = pickle.loads(pickle.dumps(packed))
    assert again._pixels is None
    assert same(again[0], first)


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on one core
def test_workers_read_what_one_process_reads(packed, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not {method}")
    expected = list(packed)  # opens the file here as well
    loader = DataLoader(
        packed, batch_size=2, collate_fn=list, num_workers=2, multiprocessing_context=method
    )
    read = [sample for batch in loader for sample in batch]
    assert all(map(same, read, expected))
    assert same(packed[3], expected[3])


def test_a_cache_that_was_replaced_before_a_worker_opens_it_is_told(packed, tmp_path):
    travelled = pickle.loads(pickle.dumps(packed))
    first = packed[0]
    pack(phantom_samples(slices=5, patients=3, size=48), tmp_path / "samples.h5")
    assert same(packed[0], first)  # open since before
    with pytest.raises(
        DataError, match=r"samples.h5: the cache must not be replaced .* open it again"
    ):
        travelled[0]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on one core
def test_a_forked_process_opens_the_file_itself(packed, tmp_path):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    first = packed[0]  # opens the file here
    pack(phantom_samples(slices=5, patients=3, size=48), tmp_path / "samples.h5")
    assert same(packed[0], first)
    loader = DataLoader(packed, num_workers=1, collate_fn=list, multiprocessing_context="fork")
    with pytest.raises(
        DataError, match=r"samples.h5: the cache must not be replaced .* open it again"
    ):
        next(iter(loader))
