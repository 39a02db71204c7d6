"""Maps from files: what is stored is returned, found by clear rules, or refused with the reason."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from cameval.data import MapFile, MapFolder, Reader, Sample
from cameval.data.map_files import maps_at
from cameval.errors import DataError, SettingError, ShapeError

MAP = np.array([[0.5, -1.0, 2.0], [3.0, 4.0, -7.25]], np.float32)


def sample(name="scan", label=None, shape=(4, 6)):
    image = np.zeros(shape, np.float32)
    return Sample(name, image, image > 0, label)


def write(path, array=MAP):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, map=array)
    elif path.suffix in (".pt", ".pth"):
        torch.save(torch.as_tensor(array), path)
    else:
        Image.fromarray(np.asarray(array).astype(np.uint8)).save(path)
    return path


# Values


FLOATS = npst.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, ">f4", ">f8"]),
    npst.array_shapes(min_dims=2, max_dims=2, max_side=5),
    elements=st.floats(-1000, 1000, width=16),
)
INTEGERS = npst.arrays(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64]),
    npst.array_shapes(min_dims=2, max_dims=2, max_side=5),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("maps")


@given(array=FLOATS | INTEGERS, by_columns=st.booleans(), compressed=st.booleans())
def test_arrays_come_back_as_they_were_saved(place, array, by_columns, compressed):
    array = np.asfortranarray(array) if by_columns else array
    np.save(place / "a.npy", array)
    (np.savez_compressed if compressed else np.savez)(place / "b.npz", array)
    torch.save(torch.from_numpy(array.astype(array.dtype.newbyteorder("="))), place / "c.pt")
    for name in "abc":
        found = MapFolder(place)(sample(name))
        np.testing.assert_array_equal(found, array)
        assert found.dtype in (np.float32, np.float64)
        assert found.flags.writeable


@given(
    array=npst.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        npst.array_shapes(min_dims=2, max_dims=2, max_side=5),
    ),
    suffix=st.sampled_from(["png", "tif"]),
)
def test_gray_pictures_come_back_with_the_values_that_they_hold(place, array, suffix):
    folder = place / suffix
    folder.mkdir(exist_ok=True)
    Image.fromarray(array).save(folder / f"scan.{suffix}")
    found = MapFolder(folder)(sample())
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.float32


@given(array=npst.arrays(np.float32, (3, 2), elements=st.floats(-9, 9, width=32)))
def test_floating_point_tiff_comes_back_signed_and_beyond_one(place, array):
    folder = place / "floats"
    folder.mkdir(exist_ok=True)
    Image.fromarray(array).save(folder / "scan.tif")
    np.testing.assert_array_equal(MapFolder(folder)(sample()), array)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float16])
def test_narrow_tensors_come_back_in_float32(tmp_path, dtype):
    tensor = torch.tensor([[0.5, -2.0]]).to(dtype)
    torch.save(tensor, tmp_path / "scan.pt")
    found = MapFolder(tmp_path)(sample())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, tensor.float().numpy())


def test_a_part_of_a_tensor_and_one_with_a_graph_are_read(tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    torch.save(whole[1:3, ::2].t(), tmp_path / "part.pt")
    torch.save(torch.nn.Parameter(whole), tmp_path / "graph.pt")
    maps = MapFolder(tmp_path)
    np.testing.assert_array_equal(maps(sample("part")), whole[1:3, ::2].t().numpy())
    np.testing.assert_array_equal(maps(sample("graph")), whole.numpy())


def test_leading_axes_of_length_one_are_removed(tmp_path):
    write(tmp_path / "scan.npy", MAP[None, None])
    write(tmp_path / "thin.npy", np.ones((1, 1, 1, 5)))
    maps = MapFolder(tmp_path)
    np.testing.assert_array_equal(maps(sample()), MAP)
    assert maps(sample("thin")).shape == (1, 5)


def test_maps_of_volumes_have_three_axes(tmp_path):
    write(tmp_path / "scan.npy", np.arange(24.0).reshape(1, 2, 3, 4))
    assert MapFolder(tmp_path)(sample(shape=(6, 9, 9))).shape == (2, 3, 4)


# How a map is found


@pytest.mark.parametrize(
    "file",
    [
        *("scan.npy", "scan_2.npy", "scan/2.npy", "2/scan.npy"),
        *("scan_lung.npy", "scan/lung.npy", "lung/scan.npy", "scan_2.NPY"),
    ],
)
def test_a_map_is_found_by_name_and_class(tmp_path, file):
    np.save(tmp_path / "moved.npy", MAP)
    (tmp_path / "maps" / file).parent.mkdir(parents=True)
    (tmp_path / "moved.npy").rename(tmp_path / "maps" / file)
    maps = MapFolder(tmp_path / "maps", class_names=["bone", "skin", "lung"])
    np.testing.assert_array_equal(maps(sample(label=2)), MAP)
    assert maps.sources == (tmp_path / "maps" / file,)


def test_names_with_slashes_are_paths(tmp_path):
    write(tmp_path / "cat" / "1.npy")
    np.testing.assert_array_equal(MapFolder(tmp_path)(sample("cat/1", 0)), MAP)


def test_names_with_dots_and_braces_are_names(tmp_path):
    for name in ("a.b", "1.2.840.113", "{label}", "x{"):
        write(tmp_path / f"{name}.npy")
        np.testing.assert_array_equal(MapFolder(tmp_path)(sample(name, 3)), MAP)


def test_no_name_leads_out_of_the_folder(tmp_path):
    write(tmp_path / "secret.npy")
    write(tmp_path / "maps" / "a.npy")
    for name in ("../secret", str(tmp_path / "secret")):
        with pytest.raises(DataError, match="must have a map, got none named"):
            MapFolder(tmp_path / "maps")(sample(name))


def test_each_class_has_its_own_map(tmp_path):
    for label in range(3):
        write(tmp_path / f"scan_{label}.npy", MAP + label)
    maps = MapFolder(tmp_path)
    for label in range(3):
        np.testing.assert_array_equal(maps(sample(label=label)), MAP + label)


def test_the_first_sample_decides_how_maps_are_named(tmp_path):
    for name in ("scan", "scan_1"):  # the second is the map of a second image
        write(tmp_path / f"{name}.npy")
    maps = MapFolder(tmp_path)
    with pytest.raises(DataError, match=r"must have one map, got 'scan.npy', 'scan_1.npy'; give"):
        maps(sample("scan", 1))
    (tmp_path / "scan.npy").unlink()
    maps = MapFolder(tmp_path)
    maps(sample("scan_1", 0))
    with pytest.raises(
        DataError,
        match=r"sample 'scan' of class 1 must have a map, got none named scan; the maps of the "
        r"samples before it are named as '\{name\}'; there is 'scan_1'",
    ):
        maps(sample("scan", 1))


def test_a_pattern_decides_between_several_files(tmp_path):
    write(tmp_path / "scan.npy")
    write(tmp_path / "scan.png", np.zeros((2, 3)))
    write(tmp_path / "1" / "scan.npy", MAP + 1)
    with pytest.raises(DataError, match=r"one map, got 'scan.npy', 'scan.png', '1/scan.npy'"):
        MapFolder(tmp_path)(sample(label=1))
    with pytest.raises(DataError, match=re.escape("as in pattern='{name}.npy'")):
        MapFolder(tmp_path)(sample())
    for pattern, expected in (("{name}.npy", MAP), ("{label}/{name}", MAP + 1)):
        np.testing.assert_array_equal(
            MapFolder(tmp_path, pattern=pattern)(sample(label=1)), expected
        )


def test_labels_that_are_also_names_are_told_apart_or_refused(tmp_path):
    write(tmp_path / "1" / "2.npy", MAP)
    write(tmp_path / "2" / "1.npy", MAP + 1)
    with pytest.raises(DataError, match=r"must have one map, got '1/2.npy', '2/1.npy'"):
        MapFolder(tmp_path)(sample("1", 2))
    maps = MapFolder(tmp_path, pattern="{label}/{name}")
    np.testing.assert_array_equal(maps(sample("1", 2)), MAP + 1)


def test_a_class_named_by_its_number_is_one_file(tmp_path):
    write(tmp_path / "scan_0.npy")
    np.testing.assert_array_equal(MapFolder(tmp_path, class_names=["0"])(sample(label=0)), MAP)


def test_the_axis_of_the_classes_gives_the_map_of_the_label(tmp_path):
    stack = np.arange(24.0).reshape(4, 2, 3)
    write(tmp_path / "scan.npy", stack)
    write(tmp_path / "torch.pt", stack[None])
    maps = MapFolder(tmp_path, per_class=True)
    for name in ("scan", "torch"):
        np.testing.assert_array_equal(maps(sample(name, 3)), stack[3])
    with pytest.raises(DataError, match=r"must have a label below 4, .* got 4"):
        maps(sample(label=4))
    with pytest.raises(DataError, match=r"must have a label below 4, .* got None"):
        maps(sample())
    with pytest.raises(ShapeError, match="of class_names, 2, got 4"):
        MapFolder(tmp_path, per_class=True, class_names=["a", "b"])(sample(label=1))


def test_arrays_of_a_file_are_chosen_by_class_or_name(tmp_path):
    np.savez(tmp_path / "scan.npz", **{"0": MAP, "lung": MAP + 1})
    torch.save({0: torch.as_tensor(MAP), 1: torch.as_tensor(MAP + 1)}, tmp_path / "ints.pt")
    torch.save({"named": torch.as_tensor(MAP), "x": torch.ones(1, 1)}, tmp_path / "named.pt")
    maps = MapFolder(tmp_path, class_names=["bone", "lung"])
    for label in (0, 1):
        np.testing.assert_array_equal(maps(sample(label=label)), MAP + label)
        np.testing.assert_array_equal(maps(sample("ints", label=label)), MAP + label)
        np.testing.assert_array_equal(maps(sample("named", label=label)), MAP)


def test_the_only_array_of_a_file_is_not_the_map_of_another_class(tmp_path):
    np.savez(tmp_path / "scan.npz", **{"2": MAP})
    maps = MapFolder(tmp_path)
    np.testing.assert_array_equal(maps(sample(label=2)), MAP)
    for label in (1, None):
        with pytest.raises(DataError, match="must have one array for sample 'scan' of class"):
            maps(sample(label=label))


@pytest.mark.parametrize("key", ["{}", "{}_2", "{}/2", "2/{}", "{}_lung"])
def test_one_file_holds_the_maps_of_all_samples(tmp_path, key):
    arrays = {key.format(name): MAP + i for i, name in enumerate(("scan", "b"))}
    np.savez(tmp_path / "maps.npz", **arrays)
    torch.save({name: torch.as_tensor(a) for name, a in arrays.items()}, tmp_path / "maps.pt")
    for file in ("maps.npz", "maps.pt"):
        maps = MapFile(tmp_path / file, class_names=["bone", "skin", "lung"])
        np.testing.assert_array_equal(maps(sample("b", 2)), MAP + 1)
        np.testing.assert_array_equal(maps(sample("scan", 2)), MAP)
        assert maps.sources == (tmp_path / file,)
        with pytest.raises(DataError, match="sample 'c' of class 2 must have a map"):
            maps(sample("c", 2))


def test_a_dict_of_dicts_is_by_sample_and_class(tmp_path):
    by_class = {2: torch.as_tensor(MAP), 5: torch.as_tensor(MAP + 1)}
    torch.save({"scan": by_class}, tmp_path / "maps.pt")
    np.testing.assert_array_equal(MapFile(tmp_path / "maps.pt")(sample(label=5)), MAP + 1)


@pytest.mark.parametrize("kind", ["folder", "npz", "pt"])
def test_a_source_is_pickled_without_what_it_has_open(tmp_path, kind):
    write(tmp_path / "scan.npy")
    np.savez(tmp_path / "maps.npz", scan=MAP)
    torch.save({"scan": torch.as_tensor(MAP)}, tmp_path / "maps.pt")
    maps = maps_at(tmp_path if kind == "folder" else tmp_path / f"maps.{kind}")
    before = pickle.dumps(maps)
    np.testing.assert_array_equal(maps(sample()), MAP)
    assert pickle.dumps(maps) == before
    again = pickle.loads(before)
    assert again == maps
    assert (again.sources, again.settings) == (maps.sources, maps.settings)
    np.testing.assert_array_equal(again(sample()), MAP)


def test_settings_say_what_the_maps_depend_on(tmp_path):
    write(tmp_path / "scan.npy")
    first = MapFolder(str(tmp_path))
    assert first.settings == MapFolder(tmp_path).settings
    others = [
        MapFolder(tmp_path, pattern="{name}"),
        MapFolder(tmp_path, class_names=["a"]),
        MapFolder(tmp_path, per_class=True),
        MapFolder(tmp_path, stretch=True),
    ]
    assert len({first.settings, *(other.settings for other in others)}) == 5
    assert str(tmp_path) not in first.settings
    assert not isinstance(first, Reader)  # it has no length: it is a function of a sample


def test_hidden_files_and_links_that_lead_back_are_left_out(tmp_path):
    write(tmp_path / "scan.npy")
    write(tmp_path / ".hidden.npy")
    write(tmp_path / ".git" / "scan.npy")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert MapFolder(tmp_path).sources == (tmp_path / "scan.npy",)


def test_only_the_array_that_is_asked_for_is_read(tmp_path):
    np.savez(tmp_path / "maps.npz", scan=MAP, other=np.array([object()]))
    np.testing.assert_array_equal(MapFile(tmp_path / "maps.npz")(sample()), MAP)


@pytest.mark.parametrize(
    "pattern", ["scan", "{label}", "{name!r}", "{name:9}", "{name}{", "../{name}", "/{name}", "{}"]
)
def test_a_pattern_names_the_sample(tmp_path, pattern):
    write(tmp_path / "scan.npy")
    with pytest.raises(SettingError, match="pattern must"):
        MapFolder(tmp_path, pattern=pattern)
