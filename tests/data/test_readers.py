"""Readers of the user's own formats, and what a cache of them notices."""

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from evaluations import SMALL, small_network

import cameval
from cameval.data import CachedDataset, FileDataset, Sample, cached
from cameval.errors import ArrayTypeError, DataError, SettingError


def read_npz(path: Path, key: str = "image") -> Sample:
    with np.load(path) as arrays:
        return Sample(path.stem, arrays[key], arrays["mask"])


def read_brighter(path: Path) -> Sample:
    sample = read_npz(path)
    return Sample(sample.name, np.minimum(sample.image * 2, 1), sample.mask)


@pytest.fixture
def scans(tmp_path) -> list[Path]:
    """Write three files of arrays."""
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.random((32, 40), dtype=np.float32) / 2
        np.savez(tmp_path / f"scan {number}.npz", image=image, other=1 - image, mask=image > 0.4)
    return sorted(tmp_path.glob("*.npz"))


def equal(first: Sample, second: Sample) -> bool:
    return (
        first.name == second.name
        and np.array_equal(first.image, second.image)
        and np.array_equal(first.mask, second.mask)
    )


def test_files_of_ones_own_format_are_read_when_they_are_asked_for(scans) -> None:
    dataset = FileDataset(map(str, scans), read_npz, ["cat", "dog"])
    assert (len(dataset), repr(dataset)) == (3, "FileDataset(3 files)")
    assert equal(dataset[-1], read_npz(scans[2]))
    assert [sample.name for sample in dataset] == ["scan 0", "scan 1", "scan 2"]
    assert dataset.class_names == ("cat", "dog")
    assert equal(pickle.loads(pickle.dumps(dataset))[0], dataset[0])
    with pytest.raises(IndexError):
        dataset[3]


def test_files_of_ones_own_format_are_evaluated_and_cached(scans, tmp_path) -> None:
    dataset = FileDataset(scans, read_npz)
    copy = cached(dataset, tmp_path / "scans.h5")
    assert all(map(equal, copy, dataset))
    options = {"prepare": SMALL, "baselines": {}, "progress": False}
    results = [cameval.evaluate(small_network(), data, **options) for data in (dataset, copy)]
    assert np.array_equal(results[0].values, results[1].values, equal_nan=True)


CHANGES = {
    "another function": lambda files: FileDataset(files, read_brighter),
    "another argument": lambda files: FileDataset(files, partial(read_npz, key="other")),
    "other class names": lambda files: FileDataset(files, read_npz, ["cat"]),
    "fewer files": lambda files: FileDataset(files[:2], read_npz),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_cache_of_another_dataset_is_written_again(scans, tmp_path, change) -> None:
    path = tmp_path / "scans.h5"
    dataset = FileDataset(scans, read_npz)
    cached(dataset, path)
    other = change(scans)
    with pytest.raises(DataError, match="the cache must be of the dataset as it is now"):
        CachedDataset(path, sources=other)
    copy = cached(other, path)
    assert len(copy) == len(other)
    assert all(map(equal, copy, other))


def test_the_cache_of_the_same_function_is_kept(scans, tmp_path) -> None:
    path = tmp_path / "scans.h5"
    for _ in range(2):
        cached(FileDataset(scans, partial(read_npz, key="other")), path)
        stamp = path.stat().st_mtime_ns
    cached(FileDataset(scans, partial(read_npz, key="other")), path)
    assert path.stat().st_mtime_ns == stamp


def test_a_reader_of_the_users_own_class_is_cached(scans, tmp_path) -> None:
    class Scans:
        sources = tuple(scans)
        settings = "Scans"

        def __len__(self) -> int:
            return len(self.sources)

        def __getitem__(self, index: int) -> Sample:
            return read_npz(self.sources[index])

    assert [s.name for s in cached(Scans(), tmp_path / "scans.h5")] == [
        "scan 0",
        "scan 1",
        "scan 2",
    ]


def test_a_dataset_that_does_not_name_its_files_is_not_cached(scans, tmp_path) -> None:
    with pytest.raises(ArrayTypeError, match=r"got list; make it of its files with FileDataset"):
        cached([read_npz(path) for path in scans], tmp_path / "scans.h5")


def test_a_dataset_without_files_is_refused() -> None:
    with pytest.raises(DataError, match="files must name at least one file"):
        FileDataset([], read_npz)


def test_a_function_that_cannot_be_compared_is_not_cached(scans, tmp_path) -> None:
    class Read:
        def __call__(self, path: Path) -> Sample:
            return read_npz(path)

    reader = Read()
    for read in (reader, partial(read_npz, key=reader), lambda path: reader(path)):
        dataset = FileDataset(scans, read)
        with pytest.raises(SettingError, match="read must be a function"):
            cached(dataset, tmp_path / "scans.h5")
