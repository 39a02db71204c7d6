"""CheXlocalize: contours and run lengths of one truth, negatives, tables, and broken files."""

import json
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from run_lengths import encode
from skimage.draw import polygon2mask

from cameval.data import CHEXLOCALIZE_FINDINGS, CheXlocalizeDataset, cached
from cameval.errors import CamevalError, DataError, SettingError

HEIGHT, WIDTH = 12, 16
SIZE = [HEIGHT, WIDTH]
FIRST, SECOND = "patient1_study1_view1_frontal", "patient2_study3_view2_lateral"
EDEMA = CHEXLOCALIZE_FINDINGS.index("Edema")
OPACITY = CHEXLOCALIZE_FINDINGS.index("Airspace Opacity")

EMPTY = {"size": SIZE, "counts": [HEIGHT * WIDTH]}


def segmentations(**found):
    """Return run lengths of all findings, empty but for those that are given."""
    entry = dict.fromkeys(CHEXLOCALIZE_FINDINGS, EMPTY)
    for finding, mask in found.items():
        counts = encode(mask)[1]
        entry[finding.replace("_", " ")] = {"size": SIZE, "counts": counts}
    return entry


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file of truth and its images."""

    def writer(content, *, flat=False):
        for name in (FIRST, SECOND):
            path = name if flat else name.replace("_", "/", 2)
            file = tmp_path / "valid" / f"{path}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (WIDTH, HEIGHT)).save(file)
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "truth.json").write_text(text)
        return tmp_path / "valid", tmp_path / "truth.json"

    return writer


@pytest.mark.parametrize("flat", [False, True])
def test_every_finding_is_a_target_and_absent_ones_are_negatives(write, flat):
    mask = np.zeros(SIZE, bool)
    mask[2:5, 3:9] = True
    content = {FIRST: segmentations(Edema=mask), SECOND: segmentations()}
    dataset = CheXlocalizeDataset(*write(content, flat=flat))
    assert dataset.names == (FIRST, SECOND)
    assert dataset.groups == ("patient1", "patient2")
    assert dataset.class_names == CHEXLOCALIZE_FINDINGS
    assert dataset.target_labels == (tuple(range(10)),) * 2
    assert [dict(sample.info) for sample in dataset] == [{"view": "frontal"}, {"view": "lateral"}]
    assert [t.label for t in dataset[0].targets if t.mask.any()] == [EDEMA]
    np.testing.assert_array_equal(dataset[0].targets[EDEMA].mask, mask)
    assert not dataset[1].mask.any()


def test_contours_are_objects_of_their_own(write):
    corners = [[[1, 1], [5, 1], [5, 4], [1, 4]], [[6.2, 1], [9, 1.4], [9, 4]]]
    content = {FIRST: {"img_size": SIZE, "Edema": corners, "Lung Lesion": []}}
    sample = CheXlocalizeDataset(*write(content))[0]
    target = sample.targets[EDEMA]
    assert len(target.objects) == 2
    assert target.objects.masks[0].sum() == 5 * 4  # with the pixels on the line
    assert not sample.targets[2].mask.any()


@given(
    st.lists(
        st.tuples(st.floats(0, WIDTH - 1), st.floats(0, HEIGHT - 1)).map(
            lambda point: [round(point[0], 5), round(point[1], 5)]
        ),
        min_size=3,
        max_size=5,
    )
)
def test_contours_are_polygons_with_their_line(place, points):
    (place / "truth.json").write_text(json.dumps({FIRST: {"img_size": SIZE, "Edema": [points]}}))
    mask = CheXlocalizeDataset(place, place / "truth.json")[0].targets[EDEMA].mask
    near = np.zeros(SIZE, bool)
    for k in range(len(points)):
        steps = np.linspace(0, 1, 200)[:, None]
        start, end = np.array(points[k]), np.array(points[k - 1])
        for x, y in np.rint(start + steps * (end - start)).astype(int):
            near[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = True
    inside = polygon2mask(SIZE, np.array(points)[:, ::-1])
    # Off the line, the even-odd rule of any program gives the same pixels.
    np.testing.assert_array_equal(mask[~near], inside[~near])
    corners = np.floor(np.array(points) + 0.5).astype(int)
    assert all(mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any() for x, y in corners)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chexlocalize")
    Image.new("L", (WIDTH, HEIGHT)).save(folder / f"{FIRST}.jpg")
    return folder


def test_findings_get_the_indices_of_the_network(write):
    mask = np.ones(SIZE, bool)
    content = {FIRST: segmentations(Airspace_Opacity=mask)}
    names = ["No Finding", "Lung Opacity", "Edema", "Pneumonia"]
    dataset = CheXlocalizeDataset(*write(content), class_names=names)
    assert dataset.target_labels == ((1, 2),)
    assert dataset.class_names == tuple(names)
    assert [bool(target.mask.any()) for target in dataset[0].targets] == [True, False]
    assert CheXlocalizeDataset(*write(content))[0].targets[OPACITY].mask.all()
    for wrong in (["Pneumonia"], [], ["Edema", "Edema"], ["Lung Opacity", "Airspace Opacity"]):
        with pytest.raises(SettingError, match="class_names must differ and hold one of"):
            CheXlocalizeDataset(*write(content), class_names=wrong)


def test_images_that_are_not_listed_are_dropped_or_negatives(write):
    places = write({FIRST: segmentations(Edema=np.ones(SIZE, bool))})
    assert CheXlocalizeDataset(*places).names == (FIRST,)
    dataset = CheXlocalizeDataset(*places, unlisted="negative")
    assert dataset.names == (FIRST, SECOND)
    assert dataset.groups == ("patient1", "patient2")
    assert len(dataset[1].targets) == 10
    assert not dataset[1].mask.any()
    with pytest.raises(SettingError, match="unlisted must be 'dropped' or 'negative'"):
        CheXlocalizeDataset(*places, unlisted="yes")


TABLE = """Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding
CheXpert-v1.0/valid/patient1/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0
CheXpert-v1.0/valid/patient2/study3/view2_lateral.jpg,Female,,Lateral,,0.0
"""


def test_the_table_of_chexpert_is_info(write, tmp_path):
    places = write({FIRST: segmentations(), SECOND: segmentations()})
    (tmp_path / "valid.csv").write_text(TABLE)
    dataset = CheXlocalizeDataset(*places, table=tmp_path / "valid.csv")
    assert dict(dataset[0].info) == {
        "view": "frontal",
        "sex": "Male",
        "age": 73,
        "projection": "AP",
    }
    assert dict(dataset[1].info) == {
        "view": "lateral",
        "sex": "Female",
        "age": None,
        "projection": None,
    }
    assert [path.name for path in dataset.sources][:2] == ["truth.json", "valid.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the table must have columns .* got no rows"),
        ("Path,Sex\na,b\n", "the table must have columns .* got Path, Sex"),
        (TABLE.replace("73", "old"), "valid.csv, line 2: Age must be a whole number, got 'old'"),
        (TABLE.replace("patient2", "patient3"), f"the table must have every image, .* '{SECOND}'"),
        (b"\xff", "the table must be CSV in UTF-8"),
    ],
)
def test_a_table_that_is_none_is_told(write, tmp_path, text, words):
    places = write({FIRST: segmentations(), SECOND: segmentations()})
    (tmp_path / "valid.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=words):
        CheXlocalizeDataset(*places, table=tmp_path / "valid.csv")


def test_the_dataset_travels_and_is_cached(write, tmp_path):
    points = [[1, 1], [5, 1], [5, 4]]
    for entry in (
        segmentations(Edema=np.ones(SIZE, bool)),
        {"img_size": SIZE, "Edema": [points, points]},
    ):
        dataset = CheXlocalizeDataset(*write({FIRST: entry}))
        assert [path.name for path in dataset.sources] == ["truth.json", "view1_frontal.jpg"]
        for other in (pickle.loads(pickle.dumps(dataset)), cached(dataset, tmp_path / "c.h5")):
            for one, target in zip(other[0].targets, dataset[0].targets, strict=True):
                np.testing.assert_array_equal(one.objects.masks, target.objects.masks)


# Broken files

LINE = [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "truth.json: the file must be JSON, .*line 1 column 2"),
        ("[]", "truth.json: the file must hold an object with a list of findings .* got list"),
        ("{}", "truth.json: the file must hold at least one image, got none"),
        ("[" * 100_000, "truth.json: the file must be JSON"),
        ('{"a": {}, "a": {}}', "must be JSON, got the key 'a' twice in one object"),
        ({FIRST: 3}, f"truth.json: '{FIRST}' must hold findings, got 3"),
        ({FIRST: [{}]}, f"'{FIRST}' must hold findings, got"),
        ({FIRST: {"Fracture": EMPTY}}, "findings must be different ones of .* got 'Fracture'"),
        (
            {FIRST: {"Lung Opacity": EMPTY, "Airspace Opacity": EMPTY}},
            "findings must be different ones of .* got 'Airspace Opacity'",
        ),
        ({"patient9_study1_view1_frontal": {}}, "the image of 'patient9_.*' must exist, got"),
        ({"../../truth": {}}, "the image of '../../truth' must exist, got"),
        ({"\0": {}}, "the image of .* must exist, got a path that cannot be"),
        ({FIRST: {"Edema": [LINE]}}, "Edema must be run lengths .*; contours must have"),
        ({FIRST: {"Edema": {"counts": "0"}}}, r"Edema.size must be \[height, width\], got None"),
        ({FIRST: {"Edema": {"size": [0, 3], "counts": "0"}}}, r"size must be .* got \[0, 3\]"),
        ({FIRST: {"Edema": {"size": {}, "counts": "0"}}}, r"Edema.size must be .* got \{\}"),
        (
            {FIRST: {"Edema": {"size": [10**6, 10**6], "counts": [10**12]}}},
            "Edema.size: an image must have at most .* got 1000000 x 1000000; set PIL",
        ),
        ({FIRST: {"Edema": {"size": SIZE, "counts": [10**15]}}}, "counts: run lengths must add"),
        ({FIRST: {"Edema": {"size": SIZE, "counts": "ooooooo0"}}}, "counts: run lengths must add"),
        ({FIRST: {"Edema": {"size": SIZE, "counts": [193, -1]}}}, "counts: must be run"),
        ({FIRST: {"Edema": {"size": SIZE, "counts": {"a": 1}}}}, "counts: must be run lengths"),
        ({FIRST: {"img_size": "big"}}, r"img_size must be \[height, width\], got 'big'"),
        ({FIRST: {"img_size": SIZE, "Edema": EMPTY}}, "Edema must be a list of contours, got"),
        ({FIRST: {"img_size": SIZE, "Edema": [3]}}, r"Edema\[0\] must be a contour of 2 points"),
        ({FIRST: {"img_size": SIZE, "Edema": [LINE, []]}}, r"Edema\[1\] must be a contour of 2"),
        ({FIRST: {"img_size": SIZE, "Edema": [[[1, 1], [1]]]}}, r"Edema\[0\] must hold points"),
        ({FIRST: {"img_size": SIZE, "Edema": [[[1, 1], ["1", 2]]]}}, "must hold points .* got"),
        ({FIRST: {"img_size": SIZE, "Edema": [[[1, 1], [1, 1e30]]]}}, "must lie in the image"),
        (
            {FIRST: {"img_size": SIZE, "Edema": [LINE, [[1, 1], [40, 2]]]}},
            r"Edema\[1\] must lie in the image of 16 x 12 pixels, got \[40, 2\]",
        ),
        ({FIRST: {"img_size": SIZE, "Edema": [[[1, 1], [float("nan"), 2]]]}}, "must hold points"),
    ],
)
def test_truth_that_is_none_is_told(write, content, words):
    places = write(content)
    with pytest.raises(DataError, match=words) as raised:
        CheXlocalizeDataset(*places)
    assert str(raised.value).startswith(str(places[1]))


@pytest.mark.parametrize(
    "entry",
    [
        {"Edema": {"size": [4, 4], "counts": [16]}},
        {"img_size": [4, 4], "Edema": [[[0, 0], [3, 3], [0, 3]]]},
    ],
)
def test_truth_of_an_image_of_another_size_is_told(write, entry):
    with pytest.raises(
        DataError, match=r"truth.json: the mask must .* got \(4, 4\) and \(12, 16\)"
    ):
        CheXlocalizeDataset(*write({FIRST: entry}))[0]


def test_pickles_are_refused(write, tmp_path):
    images, _ = write({})
    path = tmp_path / f"{FIRST}_Edema_map.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    with pytest.raises(
        DataError, match=r"map.pkl: truth must be a JSON file, got a pickle, .*; conv"
    ):
        CheXlocalizeDataset(images, path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.sampled_from(["img_size", "Edema", "size", "counts"]), VALUES, st.booleans())
def test_no_value_gets_past_the_errors_of_ours(place, key, value, drawn):
    entry = {"img_size": SIZE, "Edema": [LINE]} if drawn else {"Edema": dict(EMPTY)}
    if key in ("size", "counts") and not drawn:
        entry["Edema"][key] = value
    else:
        entry[key] = value
    (place / "truth.json").write_text(json.dumps({FIRST: entry}))
    with suppress(CamevalError):
        list(CheXlocalizeDataset(place, place / "truth.json"))
