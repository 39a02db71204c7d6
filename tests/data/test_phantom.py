"""The phantom: the same layout as the real files, and tumors where and as they should be."""

from collections import Counter, defaultdict

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as components

from cameval.data import (
    CLASS_NAMES,
    FigshareDataset,
    phantom_sample,
    phantom_samples,
    read_folds,
    write_phantom,
)
from cameval.errors import DataError, SettingError


@pytest.fixture(scope="module")
def samples():
    return list(phantom_samples(slices=240, patients=120, size=64, seed=3))


def of_class(samples, name):
    return [sample for sample in samples if CLASS_NAMES[sample.label] == name]


def same(one, other):
    return repr(one) == repr(other) and all(
        np.array_equal(getattr(one, field), getattr(other, field))
        for field in ("image", "mask", "border")
    )


def centroids(samples):
    """Return x, y of the middles of the masks, in frames."""
    return np.array([np.argwhere(s.mask).mean(axis=0)[::-1] / len(s.mask) for s in samples])


# Files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_phantom(
        tmp_path_factory.mktemp("study") / "new" / "phantom", slices=40, patients=12, size=32
    )


def test_the_files_hold_what_was_generated(folder):
    generated = list(phantom_samples(slices=40, patients=12, size=32))
    read = list(FigshareDataset(folder, merge_ids=False))
    assert len(read) == 40
    assert all(same(one, other) for one, other in zip(generated, read, strict=True))


def test_the_layout_is_the_published_one(folder):
    with h5py.File(folder / "1.mat") as file:
        assert file.userblock_size == 512
        fields = {name: (array.dtype.str, array.ndim) for name, array in file["cjdata"].items()}
        assert file["cjdata/image"].compression == "gzip"
        assert file["cjdata/label"].shape == (1, 1)
        assert file["cjdata/PID"].shape[1] == 1
        assert file["cjdata/tumorBorder"].shape[0] == 1
        assert file["cjdata/tumorBorder"][()].min() >= 1
    assert fields == {
        "image": ("<i2", 2),
        "tumorMask": ("|u1", 2),
        "label": ("<f8", 2),
        "PID": ("<u2", 2),
        "tumorBorder": ("<f8", 2),
    }


def test_the_folds_keep_patients_together_and_share_out_the_classes(folder):
    with h5py.File(folder / "cvind.mat") as file:
        assert file["cvind"].shape == (1, 40)
    dataset = FigshareDataset(folder)
    folds = dataset.folds(folder / "cvind.mat")
    assert folds.tolist() == read_folds(folder / "cvind.mat").tolist()
    assert set(folds.tolist()) == {0, 1, 2, 3, 4}
    per_patient = defaultdict(set)
    for group, fold in zip(dataset.groups, folds.tolist(), strict=True):
        per_patient[group].add(fold)
    assert len(per_patient) == 12
    assert all(len(own) == 1 for own in per_patient.values())
    patients_per_fold = Counter(min(own) for own in per_patient.values())
    assert max(patients_per_fold.values()) - min(patients_per_fold.values()) <= 1


def test_a_folder_that_holds_slices_is_left_alone(folder):
    before = sorted(folder.iterdir())
    with pytest.raises(DataError, match=r"must hold no .mat files yet, got some; name another"):
        write_phantom(folder, slices=3, patients=3, size=32)
    assert sorted(folder.iterdir()) == before


# Chance


def test_the_same_seed_gives_the_same_slices_and_another_seed_others():
    first, second, other = (
        list(phantom_samples(slices=6, patients=4, size=32, seed=seed)) for seed in (5, 5, 6)
    )
    assert all(same(one, again) for one, again in zip(first, second, strict=True))
    assert not any(same(one, different) for one, different in zip(first, other, strict=True))


def test_a_patient_does_not_depend_on_how_many_slices_there_are():
    few, many = (
        defaultdict(
            list, {s.group: s for s in phantom_samples(slices=n, patients=n, size=32, seed=1)}
        )
        for n in (5, 8)
    )
    assert len(few) == 5
    for group, sample in few.items():
        assert np.array_equal(sample.image, many[group].image)


def test_painting_leaves_the_global_generator_alone():
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    list(phantom_samples(slices=3, patients=3, size=32))
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


# Patients and classes


@given(st.integers(3, 400), st.integers(0, 9))
@settings(max_examples=25)
def test_any_number_of_slices_has_the_shares_of_the_classes(slices, seed):
    from cameval.data.phantom import _classes, _slice_owners

    patients = max(3, slices // 5)
    owners = _slice_owners(slices, patients, seed)
    assert set(owners.tolist()) == set(range(patients))
    counts = np.bincount(_classes(patients)[owners], minlength=3)
    assert np.abs(counts - slices * np.array([0.23, 0.47, 0.30])).max() <= 1


def test_a_patient_has_one_class_and_slices_scattered_over_the_order(samples):
    classes, places = defaultdict(set), defaultdict(list)
    for i, sample in enumerate(samples):
        classes[sample.group].add(sample.label)
        places[sample.group].append(i)
    assert len(classes) == 120
    assert all(len(labels) == 1 for labels in classes.values())
    longest = max(places.values(), key=len)
    assert len(longest) >= 4
    assert longest[-1] - longest[0] > 2 * len(longest)


def test_patient_ids_are_of_the_kinds_of_the_dataset(samples):
    names = {sample.group for sample in samples}
    assert {len(name) for name in names} == {5, 6, 8, 9}
    assert all(name.isdecimal() or name.startswith("MR0") or name[:3] == "MR1" for name in names)
    assert 0.05 < np.mean([name[-1].isalpha() for name in names]) < 0.4


def test_slices_of_a_patient_show_one_lesion_from_different_depths(samples):
    by_patient = defaultdict(list)
    for sample in samples:
        by_patient[sample.group].append(sample)
    for own in (own for own in by_patient.values() if len(own) > 2):
        middles = centroids(own)
        assert np.ptp(middles, axis=0).max() < 0.2
        assert len({int(sample.mask.sum()) for sample in own}) > 1
        assert not any(same(own[0], sample) for sample in own[1:])


# Pictures


def test_images_are_scans_of_a_head_in_the_dark(samples):
    for sample in samples:
        assert (sample.image.min(), sample.image.max()) == (0, 1)
        assert np.median(sample.image[:3, :3]) < 0.15
        assert sample.image[20:40, 20:44].mean() > 0.2
    brightest = [sample.intensity[1] for sample in samples]
    assert min(brightest) < 1000
    assert 10000 < max(brightest) <= 12728


@pytest.mark.parametrize(
    ("name", "mean"), [("meningioma", 0.018), ("glioma", 0.022), ("pituitary", 0.008)]
)
def test_lesions_have_the_sizes_of_the_real_ones(name, mean):
    rng = np.random.default_rng(0)
    label = CLASS_NAMES.index(name)
    areas = [phantom_sample(rng, label=label, size=32).mask.mean() for _ in range(250)]
    assert np.mean(areas) == pytest.approx(mean, rel=0.2)
    assert min(areas) >= 0.0009
    assert max(areas) <= 0.066
    assert max(areas) > 4 * min(areas)


def test_every_lesion_is_of_one_piece_and_inside_the_head(samples):
    for sample in samples:
        assert components(sample.mask, connectivity=2).max() == 1
        assert not sample.mask[0].any()
        assert not sample.mask[:, [0, -1]].any()


def test_the_border_is_the_edge_of_the_mask(samples):
    for sample in samples:
        x, y = sample.border.astype(int).T
        edge = np.zeros_like(sample.mask)
        edge[y, x] = True
        assert sample.mask[edge].all()
        padded = np.pad(sample.mask & ~edge, 1)
        for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):  # what is left touches nothing outside
            assert np.roll(padded, shift, (0, 1))[1:-1, 1:-1][~sample.mask].sum() == 0
        assert len(sample.border) == edge.sum()


def test_pituitary_tumors_lie_in_the_middle_of_the_skull_base(samples):
    x, y = centroids(of_class(samples, "pituitary")).T
    assert np.abs(x - 0.5).max() < 0.12
    assert 0.5 < y.min() < y.max() < 0.7


def test_gliomas_lie_inside_a_hemisphere_and_meningiomas_nearer_to_bone(samples):
    gliomas = centroids(of_class(samples, "glioma"))
    meningiomas = centroids(of_class(samples, "meningioma"))
    assert np.median(np.abs(gliomas[:, 0] - 0.5)) > 0.07
    assert {True, False} == set((gliomas[:, 0] < 0.5).tolist())
    middle = np.array([0.5, 0.43])
    from_middle = [np.linalg.norm(m - middle, axis=1).mean() for m in (meningiomas, gliomas)]
    assert from_middle[0] > 1.2 * from_middle[1]


def test_meningiomas_are_brighter_and_more_even_than_gliomas_but_not_always(samples):
    level, unevenness = defaultdict(list), defaultdict(list)
    for sample in samples:
        inside = sample.image[sample.mask]
        if inside.size > 20:
            level[sample.label].append(inside.mean() / np.median(sample.image[sample.image > 0.1]))
            unevenness[sample.label].append(inside.std() / inside.mean())
    assert np.median(level[0]) > 1.2 * np.median(level[1])
    assert np.median(unevenness[1]) > 1.5 * np.median(unevenness[0])
    assert max(level[1]) > np.median(level[0])  # the classes overlap
    assert min(unevenness[1]) < np.percentile(unevenness[0], 90)


@given(st.integers(32, 80), st.integers(0, 2), st.integers(0, 2**32))
@settings(max_examples=25)
def test_any_size_and_class_and_seed_gives_a_sample(size, label, seed):
    sample = phantom_sample(np.random.default_rng(seed), label=label, size=size, name="9")
    assert sample.image.shape == (size, size)
    assert (sample.name, sample.label) == ("9", label)
    assert sample.mask.any()
    assert not sample.mask.all()


# Settings


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"patients": 2}, "patients must be a whole number from 3, got 2"),
        ({"slices": 5, "patients": 6}, "slices must be a whole number from 6, got 5"),
        ({"size": 31}, "size must be a whole number from 32, got 31"),
        ({"size": 64.0}, "size must be a whole number from 32, got 64.0"),
        ({"seed": -1}, "seed must be a whole number from 0, got -1"),
        ({"seed": True}, "seed must be a whole number from 0, got True"),
        ({"slices": "many"}, "slices must be a whole number from 60, got 'many'"),
    ],
)
def test_settings_are_checked_before_anything_is_made(settings_, words, tmp_path):
    with pytest.raises(SettingError, match=words):
        phantom_samples(**settings_)
    with pytest.raises(SettingError, match=words):
        write_phantom(tmp_path / "new", **settings_)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"label": 3}, "label must be 0, 1 or 2, got 3"),
        ({"label": -1}, "label must be a whole number from 0, got -1"),
        ({"label": 1, "size": 8}, "size must be a whole number from 32, got 8"),
    ],
)
def test_settings_of_one_slice_are_checked(settings_, words):
    with pytest.raises(SettingError, match=words):
        phantom_sample(np.random.default_rng(0), **settings_)
