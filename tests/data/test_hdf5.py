"""HDF5 files that name other files, ask for plugins or declare more than they hold."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from cameval.data import (
    CachedDataset,
    FigshareDataset,
    pack,
    phantom_samples,
    read_folds,
    read_slice,
)
from cameval.errors import DataError

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """Make a folder of files that nothing may be read from: bytes, and the same in HDF5."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "bytes").write_bytes(PIXELS.tobytes())
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = PIXELS
        file["one"] = np.array([[1.0]])
        file["text"] = np.array([[49]], np.uint16)
        file["border"] = np.array([[1.0, 1, 5, 1, 5, 5]])
        file["folds"] = np.array([[1.0, 2]])
        group = file.create_group("cjdata")
        group["image"] = PIXELS
    return folder


def fields() -> dict[str, np.ndarray]:
    """Return the fields of a correct slice."""
    return {
        "image": PIXELS,
        "tumorMask": np.eye(8, dtype=np.uint8),
        "label": np.array([[1.0]]),
        "PID": np.array([[49]], np.uint16),
        "tumorBorder": np.array([[1.0, 1, 5, 1, 5, 5]]),
    }


def external(group, name, elsewhere):
    source = fields()[name]
    size = source.nbytes
    group.create_dataset(
        name, source.shape, source.dtype, external=[(f"{elsewhere}/bytes", 0, min(size, 64))]
    )


def external_link(group, name, elsewhere):
    parts = {"label": "one", "PID": "text", "tumorBorder": "border"}
    group[name] = h5py.ExternalLink(f"{elsewhere}/other.h5", f"/{parts.get(name, 'x')}")


def soft_link_out(group, name, elsewhere):
    group.file["out"] = h5py.ExternalLink(f"{elsewhere}/other.h5", "/")
    group[name] = h5py.SoftLink("/out/x")


def soft_link(group, name, elsewhere):
    group.file["own"] = fields()[name]
    group[name] = h5py.SoftLink("/own")


def virtual(group, name, elsewhere):
    source = fields()[name]
    layout = h5py.VirtualLayout(source.shape, source.dtype)
    layout[...] = h5py.VirtualSource(f"{elsewhere}/other.h5", "x", source.shape)
    group.create_virtual_dataset(name, layout)


def object_references(group, name, elsewhere):
    group.create_dataset(name, (1, 1), h5py.ref_dtype)[...] = group.file.ref


def region_references(group, name, elsewhere):
    group.file["region"] = PIXELS
    data = group.create_dataset(name, (1, 1), h5py.regionref_dtype)
    data[0, 0] = group.file["region"].regionref[:4]


def compound(group, name, elsewhere):
    group[name] = np.zeros((8, 8), [("a", "u1"), ("b", "f8")])


def text_of_any_length(group, name, elsewhere):
    group.create_dataset(name, (1, 1), h5py.string_dtype())[...] = "x"


def rows_of_any_length(group, name, elsewhere):
    group.create_dataset(name, (1,), h5py.vlen_dtype(np.uint8))[0] = np.arange(9, dtype=np.uint8)


def arrays_in_cells(group, name, elsewhere):
    group.create_dataset(name, (2,), np.dtype(("u1", (4, 4))))


def a_group(group, name, elsewhere):
    group.create_group(name)


def a_type(group, name, elsewhere):
    group[name] = np.dtype("u1")


def nothing(group, name, elsewhere):
    group[name] = h5py.Empty("u1")


def a_million_by_a_million(group, name, elsewhere):
    group.create_dataset(name, (10**6, 10**6), "u1", chunks=(64, 64))


def a_thin_one(group, name, elsewhere):
    group.create_dataset(name, (1, 2**40), "u1", chunks=(1, 64))


def of_many_axes(group, name, elsewhere):
    group.create_dataset(name, (2,) * 30, "u1", chunks=(2,) * 30)


def compressed_a_thousandfold(group, name, elsewhere):
    group.create_dataset(name, (2**14, 2**14), "u1", chunks=(2**12, 2**12), compression="gzip")


STRANGE = [
    *(external, external_link, soft_link_out, soft_link, virtual),
    *(object_references, region_references, compound, text_of_any_length, rows_of_any_length),
    *(arrays_in_cells, a_group, a_type, nothing),
    *(a_million_by_a_million, a_thin_one, of_many_axes, compressed_a_thousandfold),
]


def write(path: Path, name: str, make, elsewhere: Path) -> Path:
    """Write a slice of which one field is made otherwise."""
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        for field, values in fields().items():
            if field != name:
                group[field] = values
        make(group, name, elsewhere)
    return path


def test_the_slice_that_the_strange_ones_are_made_from_is_read(tmp_path, elsewhere):
    def plain(group, name, elsewhere):
        group[name] = PIXELS

    path = write(tmp_path / "1.mat", "image", plain, elsewhere)
    assert read_slice(path).image.shape == (8, 8)


@pytest.mark.parametrize("name", sorted(fields()))
@pytest.mark.parametrize("make", STRANGE)
def test_no_field_of_a_slice_is_anything_but_a_small_array_of_the_file(
    tmp_path, elsewhere, make, name
):
    path = write(tmp_path / "1.mat", name, make, elsewhere)
    with pytest.raises(DataError, match=rf"1.mat: cjdata/{name} "):
        read_slice(path)
    if name in ("label", "PID"):
        with pytest.raises(DataError, match=rf"1.mat: cjdata/{name} "):
            FigshareDataset(tmp_path).labels  # noqa: B018 - reading is what is tested


def test_a_group_elsewhere_is_not_followed(tmp_path, elsewhere):
    with h5py.File(tmp_path / "1.mat", "w", userblock_size=512) as file:
        file["cjdata"] = h5py.ExternalLink(f"{elsewhere}/other.h5", "/cjdata")
    with pytest.raises(DataError, match=r"must be in the file itself, got a link at //?cjdata"):
        read_slice(tmp_path / "1.mat")


@pytest.mark.parametrize("make", STRANGE)
def test_folds_are_a_small_array_of_the_file(tmp_path, elsewhere, make):
    def folds(group, _, folder):
        make(group, "tumorBorder", folder)
        group.move("tumorBorder", "cvind")

    with h5py.File(tmp_path / "cvind.mat", "w", userblock_size=512) as file:
        folds(file, "cvind", elsewhere)
    with pytest.raises(DataError, match=r"cvind.mat: cvind "):
        read_folds(tmp_path / "cvind.mat")


def test_a_filter_that_is_a_plugin_is_not_loaded(tmp_path):
    with h5py.File(tmp_path / "1.mat", "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((8, 8))
        settings.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))  # zstandard, which is no part
        space, kind = h5py.h5s.create_simple((8, 8)), h5py.h5t.NATIVE_UINT8
        h5py.h5d.create(group.id, b"image", kind, space, settings)
    with pytest.raises(DataError, match=r"cjdata/image must need no plugin .* got filter 32015"):
        read_slice(tmp_path / "1.mat")


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_filters_of_hdf5_itself_are_read(tmp_path, compression):
    with h5py.File(tmp_path / "1.mat", "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        for name, values in fields().items():
            group.create_dataset(
                name, data=values, compression=compression, shuffle=True, fletcher32=True
            )
    np.testing.assert_array_equal(read_slice(tmp_path / "1.mat").mask, np.eye(8, dtype=bool))


# The packed copy


@pytest.fixture
def packed(tmp_path) -> Path:
    """Pack three samples."""
    pack(phantom_samples(slices=3, patients=3, size=32), tmp_path / "c.h5")
    return tmp_path / "c.h5"


def outside(file, part, elsewhere):
    old = file[part]
    shape, kind = old.shape, old.dtype
    (elsewhere / "large").write_bytes(old[()].tobytes())
    del file[part]
    file.create_dataset(part, shape, kind, external=[(f"{elsewhere}/large", 0, 2**20)])


def linked_outside(file, part, elsewhere):
    with h5py.File(elsewhere / "parts.h5", "w") as other:
        other[part] = file[part][()]
    del file[part]
    file[part] = h5py.ExternalLink(f"{elsewhere}/parts.h5", part)


def linked_within(file, part, elsewhere):
    file.move(part, "moved")
    file[part] = h5py.SoftLink("/moved")


def virtually_outside(file, part, elsewhere):
    with h5py.File(elsewhere / "parts.h5", "w") as other:
        other[part] = file[part][()]
        layout = h5py.VirtualLayout(other[part].shape, other[part].dtype)
        layout[...] = h5py.VirtualSource(other[part])
    del file[part]
    file.create_virtual_dataset(part, layout)


def declared_only(file, part, elsewhere):
    shape = {"index": (2**40, 6)}.get(part, (2**60,))
    chunks = {"index": (64, 6)}.get(part, (64,))
    kind = file[part].dtype
    del file[part]
    file.create_dataset(part, shape, kind, chunks=chunks)


@pytest.mark.parametrize("part", ["pixels", "index", "text"])
@pytest.mark.parametrize(
    "change", [outside, linked_outside, linked_within, virtually_outside, declared_only]
)
def test_no_part_of_a_cache_is_in_another_file_or_not_there(packed, elsewhere, change, part):
    with h5py.File(packed, "r+") as file:
        change(file, part, elsewhere)
    with pytest.raises(DataError, match=f"c.h5: {part} must be (in the file itself|stored whole)"):
        CachedDataset(packed)[0]


@pytest.mark.parametrize("value", [np.zeros((30, 30)), h5py.Empty("i4"), np.zeros(3, "S8")])
@pytest.mark.parametrize("name", ["format", "version"])
def test_notes_on_a_cache_are_single_words(packed, name, value):
    with h5py.File(packed, "r+") as file:
        del file.attrs[name]
        file.attrs[name] = value
    with pytest.raises(DataError, match=r"c.h5: the (file|version)"):
        CachedDataset(packed)


def test_a_file_that_declares_terabytes_takes_no_memory(tmp_path, elsewhere):
    path = write(tmp_path / "1.mat", "image", a_million_by_a_million, elsewhere)
    assert path.stat().st_size < 10_000
    code = (
        "import resource, sys; from cameval.data import read_slice\n"
        "from cameval.errors import DataError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_slice(sys.argv[1])\n"
        "except DataError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * 1024 < 2**30  # in KiB
