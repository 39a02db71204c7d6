"""Packed samples come back bit by bit; what is wrong with a file of them is in test_malformed."""

import multiprocessing
import os
import pickle
from contextlib import suppress

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from strategies import samples
from torch.utils.data import DataLoader, Subset

from cameval.data import (
    CachedDataset,
    FigshareDataset,
    FolderDataset,
    Reader,
    Sample,
    Target,
    cached,
    pack,
    phantom_samples,
    write_phantom,
)
from cameval.data._packed import decode, encode
from cameval.errors import ArrayTypeError, DataError, SettingError


def same(one, other):
    """Whether two samples are one, to the last bit."""
    return describe(one) == describe(other)


def describe(sample):
    """Return everything that a sample has, in values that can be compared."""
    targets = [
        (target.label, bits(target.mask), bits(target.boxes), bits(target.instances))
        for target in sample.targets
    ]
    info = [(key, type(value), repr(value)) for key, value in sample.info.items()]
    others = (sample.label, bits(sample.mask), bits(sample.ignore), sample.spacing)
    return sample.name, sample.group, bits(sample.image), targets, info, others


def bits(array):
    if array is None:
        return None
    array = np.asarray(array)
    return array.dtype.str, array.shape, array.tobytes()


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


@given(samples())
def test_coding_is_lossless(sample):
    assert same(decode(encode(sample), sample.name, sample.group), sample)


@given(samples(), st.data())
def test_bytes_that_are_missing_or_too_many_are_told(sample, data):
    raw = encode(sample)
    end = data.draw(st.integers(0, raw.size - 1))
    for broken in (raw[:end], np.append(raw, np.uint8(0))):
        with pytest.raises(DataError):
            decode(broken, sample.name, sample.group)


@settings(max_examples=300)
@given(samples(), st.data())
def test_no_damaged_byte_gets_past_the_errors_of_ours(sample, data):
    raw = encode(sample)
    at = data.draw(st.integers(0, raw.size - 1))
    raw[at] = data.draw(st.integers(0, 255))
    with suppress(DataError):
        decode(raw, sample.name, sample.group)


@pytest.mark.parametrize("name", [b"008", b"<a8", b"<i9"])
def test_a_dtype_that_cannot_be_parsed_is_damage(name):
    image = np.zeros((4, 4), np.float32)
    objects = Target(1, boxes=[[0, 0, 2, 2]])
    raw = encode(Sample("x", image, targets=[objects]))
    (at,) = (k for k in range(raw.size - 2) if raw[k : k + 3].tobytes() == b"<i8")
    raw[at : at + 3] = np.frombuffer(name, np.uint8)
    with pytest.raises(DataError):
        decode(raw, "x", "x")


@pytest.mark.parametrize(
    ("scale", "size"), [(1, 1), (255, 1), (256, 2), (3000, 2), (12728, 2), (65535, 2)]
)
def test_whole_numbers_over_a_scale_take_one_byte_or_two(scale, size):
    whole = np.append(np.arange(64 * 64 - 1) % (scale + 1), scale).reshape(64, 64)
    image = (whole / scale).astype(np.float32)
    sizes = [encode(Sample("x", image, mask)).size for mask in (image >= 0, image < 0)]
    assert sizes[0] - sizes[1] == 64 * 64 / 8 - 1  # "bits" and "empty" differ by a letter
    assert 64 * 64 * size < sizes[1] < 64 * 64 * size + 200


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


@settings(max_examples=20)  # each writes a megabyte
@given(st.lists(samples(), min_size=1))
def test_samples_come_back_as_they_were(place, drawn):
    path = place / "samples.h5"
    pack(iter(drawn), path)
    dataset = CachedDataset(path)
    assert len(dataset) == len(drawn)
    assert all(map(same, dataset, drawn))
    assert dataset.names == tuple(sample.name for sample in drawn)
    assert dataset.groups == tuple(sample.group for sample in drawn)
    assert dataset.labels.tolist() == [sample.label for sample in drawn]
    assert dataset.target_labels == tuple(
        tuple(target.label for target in sample.targets) for sample in drawn
    )
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
        assert 0 < file["pixels"].shape[0] - 4 * (64 * 64 * 2 + 64 * 8) < 4 * 200


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
        (set_otherwise, "got other settings of the reader or another version"),
        (group_otherwise, "got other settings of the reader or another version"),
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


class Items:
    """A dataset that has a length and items, and nothing else; it does not end by itself."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index % len(self.samples)]


@pytest.mark.parametrize("kind", [list, Items, lambda samples: Subset(Items(samples), [2, 0])])
def test_any_dataset_with_a_version_is_cached(tmp_path, kind):
    path = tmp_path / "c.h5"
    dataset = kind(list(phantom_samples(slices=3, patients=3, size=32)))
    expected = [dataset[i] for i in range(len(dataset))]
    for version in ("1", "1", "2"):
        before = path.exists() and path.stat().st_ino
        assert all(map(same, cached(dataset, path, version=version), expected))
        kept = path.stat().st_ino == before
        assert kept == (before is not False and version == "1")
    with pytest.raises(DataError, match=r"c.h5: .*or another version; pack it again"):
        CachedDataset(path, sources=dataset, version="1")
    with pytest.raises(DataError, match=rf"got 1 samples instead of {len(expected)}; pack"):
        CachedDataset(path, sources=[expected[0]], version="2")
    assert len(cached([expected[0]], path, version="2")) == 1


def test_a_version_is_compared_for_a_reader_too(folder):
    path = folder / "c.h5"
    cached(read(folder), path, version="1")
    with pytest.raises(DataError, match="another version"):
        CachedDataset(path, sources=read(folder))
    assert all(map(same, cached(read(folder), path, version="2"), read(folder)))


@pytest.mark.parametrize("version", ["", 3, b"1"])
def test_a_version_is_a_text(folder, version):
    with pytest.raises(SettingError, match="version must be a text that is not empty"):
        cached(read(folder), folder / "c.h5", version=version)


def test_a_dataset_without_a_length_is_refused(tmp_path):
    with pytest.raises(ArrayTypeError, match=r"dataset must be a reader .*, got generator; make"):
        cached(phantom_samples(slices=3, patients=3), tmp_path / "c.h5", version="1")


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
