"""Phantom: synthetic slices of synthetic patients in the layout of the figshare brain tumor files.

It replaces the dataset in tests, examples and dry runs. The classes
differ in appearance and location as the tumors do, with overlap: meningiomas are bright and even,
with a sharp edge, at the skull or the falx; gliomas are larger and irregular, mostly a bright ring
around a dark core, inside a hemisphere; pituitary tumors are small and bright, in the middle of the
skull base. Heads, textures and intensities vary from patient to patient. The phantom supports no
clinical conclusion.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import h5py
import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

from cameval.data._anatomy import Head, Lesion, draw_lesion, draw_slice
from cameval.data._files import raise_output_errors
from cameval.data._hdf5 import USERBLOCK
from cameval.data.slices import CLASS_NAMES, FigshareSample, write_slice
from cameval.errors import DataError, SettingError

__all__ = ["phantom_sample", "phantom_samples", "write_phantom"]

_SHARES = np.array([0.23, 0.47, 0.30])  # of the classes among the slices
_FOLDS = 5


@dataclass(frozen=True)
class _Patient:
    """Properties that all slices of a patient share."""

    name: str
    label: int
    head: Head
    lesion: Lesion
    drift: tuple[float, float]
    texture_seed: int
    brightest: float
    noise: float


def phantom_sample(
    rng: Generator, *, label: int, size: int = 128, name: str = "1"
) -> FigshareSample:
    """Return one slice of a new synthetic patient.

    Parameters
    ----------
    rng
        Random generator for the patient and the slice.
    label
        Index into `CLASS_NAMES`.
    size
        Height and width in pixels, at least 32.
    name
        Name of the sample.

    Returns
    -------
    FigshareSample
        The slice, as if read from a file of `write_phantom`. Its mask marks the lesion exactly, its
        border holds the outermost pixels of the mask.

    Raises
    ------
    SettingError
        If the label is no class or the size is below 32.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import CLASS_NAMES, phantom_sample
    >>> sample = phantom_sample(np.random.default_rng(0), label=1)
    >>> sample.image.shape, CLASS_NAMES[sample.label], bool(sample.mask.any())
    ((128, 128), 'glioma', True)
    """
    _check_whole("label", label, 0)
    if label >= len(CLASS_NAMES):
        raise SettingError(f"label must be 0, 1 or 2, got {label}")
    _check_whole("size", size, 32)
    patient = _draw_patient(rng, label, number=int(rng.integers(60)))
    return _scan(patient, rng.uniform(-0.9, 0.9), rng, size, name)


def phantom_samples(
    *, slices: int = 300, patients: int = 60, size: int = 128, seed: int = 0
) -> Iterator[FigshareSample]:
    """Yield synthetic slices of several patients, generated in memory.

    Parameters
    ----------
    slices
        Number of slices; 23 % are meningiomas, 47 % gliomas and 30 % pituitary tumors.
    patients
        Number of patients, at least 3 and at most `slices`. Each has one lesion, seen in one or
        more slices at different depths, which are scattered over the order.
    size
        Height and width in pixels, at least 32.
    seed
        The same seed gives the same slices.

    Yields
    ------
    FigshareSample
        The slices in the order of their names, "1", "2", ....

    Raises
    ------
    SettingError
        If a number is not whole or out of its range.

    Examples
    --------
    >>> from cameval.data import phantom_samples
    >>> samples = list(phantom_samples(slices=10, patients=4, size=32))
    >>> len({sample.group for sample in samples}), [sample.label for sample in samples].count(1)
    (4, 5)
    """
    _check_whole("patients", patients, 3)
    _check_whole("slices", slices, patients)
    _check_whole("size", size, 32)
    _check_whole("seed", seed, 0)
    return _scan_all(_slice_owners(slices, patients, seed), size, seed)


def write_phantom(
    folder: str | PathLike[str],
    *,
    slices: int = 300,
    patients: int = 60,
    size: int = 128,
    seed: int = 0,
) -> Path:
    """Write a phantom in the layout of the figshare dataset, for `FigshareDataset` to read.

    Parameters
    ----------
    folder
        Where to write; it is created if it does not exist, and must not hold ``.mat`` files.
    slices, patients, size, seed
        As in `phantom_samples`.

    Returns
    -------
    Path
        The folder, with ``1.mat``, ``2.mat``, ... and ``cvind.mat`` with five folds by patient,
        stratified by class.

    Raises
    ------
    SettingError
        If a number is not whole or out of its range.
    DataError
        If the folder holds ``.mat`` files already.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import write_phantom
    >>> with TemporaryDirectory() as folder:
    ...     written = write_phantom(folder, slices=3, patients=3, size=32)
    ...     sorted(path.name for path in written.iterdir())
    ['1.mat', '2.mat', '3.mat', 'cvind.mat']
    """
    samples = phantom_samples(slices=slices, patients=patients, size=size, seed=seed)
    folder = Path(folder)
    with raise_output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.mat")):
        raise DataError(f"{folder}: the folder must hold no .mat files yet, got some; name another")
    for sample in samples:
        write_slice(folder / f"{sample.name}.mat", sample)
    folds = _patient_folds(patients)[_slice_owners(slices, patients, seed)]
    path = folder / "cvind.mat"
    with raise_output_errors(path), h5py.File(path, "w", userblock_size=USERBLOCK) as file:
        file["cvind"] = folds[None, :] + 1.0
    return folder


def _check_whole(name: str, value: object, least: int) -> None:
    if not (isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least):
        raise SettingError(f"{name} must be a whole number from {least}, got {value!r}")


def _classes(count: int) -> NDArray[np.intp]:
    """Return classes of which every first part has the shares of the classes, to rounding."""
    given = np.zeros(len(_SHARES))
    classes = np.empty(count, dtype=np.intp)
    for i in range(count):
        classes[i] = np.argmax(_SHARES * (i + 1) - given)
        given[classes[i]] += 1
    return classes


def _slice_owners(slices: int, patients: int, seed: int) -> NDArray[np.intp]:
    """Return the patient of each slice: each patient once, then random ones within the class."""
    rng = default_rng(seed)
    classes = _classes(slices)  # begins with the classes of the patients
    shares = rng.gamma(2.0, size=patients)
    owners = np.arange(slices)
    for label in range(len(_SHARES)):
        own = np.flatnonzero(classes[:patients] == label)
        more = patients + np.flatnonzero(classes[patients:] == label)
        owners[more] = rng.choice(own, size=len(more), p=shares[own] / shares[own].sum())
    return rng.permutation(owners)


def _patient_folds(patients: int) -> NDArray[np.intp]:
    """Assign patients to folds in turn, class by class."""
    folds = np.empty(patients, dtype=np.intp)
    folds[np.argsort(_classes(patients), kind="stable")] = np.arange(patients) % _FOLDS
    return folds


def _scan_all(owners: NDArray[np.intp], size: int, seed: int) -> Iterator[FigshareSample]:
    """Yield the slices; a patient depends only on the seed and its number."""
    classes = _classes(int(owners.max()) + 1)
    seen = np.zeros(len(classes), dtype=np.intp)
    for i, owner in enumerate(owners.tolist()):
        rng = default_rng(SeedSequence(seed, spawn_key=(owner,)))
        patient = _draw_patient(rng, int(classes[owner]), owner)
        rng = default_rng(SeedSequence(seed, spawn_key=(owner, int(seen[owner]))))
        depth = 1.8 * ((0.5 + seen[owner] * 0.618034) % 1) - 0.9  # spreads any number evenly
        seen[owner] += 1
        yield _scan(patient, float(depth), rng, size, str(i + 1))


def _draw_patient(rng: Generator, label: int, number: int) -> _Patient:
    return _Patient(
        name=_patient_name(rng, number),
        label=label,
        head=Head.draw(rng),
        lesion=draw_lesion(rng, label),
        drift=(rng.normal(0, 0.04), rng.normal(0, 0.04)),
        texture_seed=int(rng.integers(2**32)),
        brightest=float(np.clip(rng.lognormal(np.log(2800), 0.7), 500, 12000)),
        noise=rng.uniform(0.006, 0.02),
    )


def _patient_name(rng: Generator, number: int) -> str:
    """Return an id of the dataset's kinds: "98012", "100360", "MR099871" or "MR098460B"."""
    serial = 98_000 + 37 * number + int(rng.integers(37))
    if rng.random() < 0.7:
        return str(serial)
    return f"MR{serial:06d}{rng.choice(['', 'B', 'C', 'E'], p=[0.4, 0.3, 0.15, 0.15])}"


def _scan(patient: _Patient, depth: float, rng: Generator, size: int, name: str) -> FigshareSample:
    """Return the slice of a patient at a depth in [-1, 1], with noise and integer intensities."""
    picture, mask = draw_slice(
        patient.head.at_depth(depth),
        patient.lesion.at_depth(depth, patient.drift),
        depth,
        default_rng(patient.texture_seed),
        size,
    )
    in_phase, quadrature = rng.normal(0, patient.noise, (2, size, size))
    signal = np.hypot(picture + in_phase, quadrature)
    signal -= signal.min()
    high = min(round(patient.brightest * rng.uniform(0.85, 1.15)), 12728)
    raw = np.rint(signal / signal.max() * high)
    return FigshareSample(
        name=name,
        image=(raw / high).astype(np.float32),
        mask=mask,
        label=patient.label,
        group=patient.name,
        border=_edge_points(mask),
        intensity=(0, high),
    )


def _edge_points(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return x, y of the pixels of the mask that touch its outside, in order of their angle."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    y, x = np.nonzero(mask & ~inner)
    rows, columns = np.nonzero(mask)
    order = np.argsort(np.arctan2(y - rows.mean(), x - columns.mean()), kind="stable")
    return np.stack([x[order], y[order]], axis=1).astype(np.float64)
