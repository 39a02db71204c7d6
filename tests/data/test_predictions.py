"""Predictions from tables: one row for each image, or for each image and class."""

import pickle
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameval.data import Prediction, read_predictions
from cameval.errors import DataError


def read(folder, text, **settings):
    path = folder / "p.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_predictions(path, **settings)


def test_one_row_for_each_image(tmp_path):
    text = "\ufeffname,view,predicted,probability\na, x,2.0,0.75\n\nb,,0,\nc,,,\n"
    found = read(tmp_path, text)
    assert found == {"a": Prediction(2, 0.75), "b": Prediction(0), "c": Prediction()}
    assert read(tmp_path, "predicted,name\n1,a\n") == {"a": Prediction(1)}


def test_classes_are_given_by_name_or_index(tmp_path):
    text = "name,predicted\na,edema\nb,1\nc,7\n"
    found = read(tmp_path, text, class_names=["effusion", "edema", "7"])
    assert [found[name].predicted for name in "abc"] == [1, 1, 2]


def test_one_row_for_each_image_and_class(tmp_path):
    text = "name,label,probability\na,0,0.25\nb,edema,1\na,edema,0.5\nb,0,\n"
    found = read(tmp_path, text, class_names=["effusion", "edema"])
    assert found["a"] == Prediction(probabilities={0: 0.25, 1: 0.5})
    assert found["b"] == Prediction(probabilities={1: 1.0})


def test_a_label_beside_the_predicted_class_is_the_truth_and_is_not_read(tmp_path):
    text = "name,label,predicted,probability\na,4,1,0.75\nb,cat,0,\n"
    found = read(tmp_path, text)
    assert found == {"a": Prediction(1, 0.75), "b": Prediction(0)}
    assert found["a"].of(4) == (1, 0.75)


def test_a_target_has_the_predicted_class_or_its_own_probability():
    assert Prediction().of(3) == (None, None)
    assert Prediction(2).of(3) == (2, None)
    assert Prediction(2, 0.5).of(None) == (2, 0.5)
    findings = Prediction(probabilities={0: 0.5, 1: 0.51})
    assert [findings.of(label) for label in (0, 1, 2, None)] == [
        (None, 0.5),
        (1, 0.51),
        (None, None),
        (None, None),
    ]


def test_a_prediction_is_checked_frozen_and_pickled():
    prediction = Prediction(1, probabilities={1: 0.75})
    assert prediction.probability == 0.75
    assert pickle.loads(pickle.dumps(prediction)) == prediction
    with pytest.raises(TypeError):
        prediction.probabilities[1] = 0.5
    for settings, words in (
        ({"predicted": -1}, "predicted must be a class index"),
        (
            {"predicted": 0, "probability": 1.5},
            r"probability must be a number in \[0, 1\], got 1.5",
        ),
        ({"predicted": 0, "probability": float("nan")}, "probability must be a number"),
        ({"probability": 0.5}, "probability must be of a predicted class, got predicted None"),
        ({"probabilities": {0: 2}}, "probability of class 0 must be a number"),
        ({"probabilities": {None: 0.5}}, "a class of probabilities must be a class index"),
        (
            {"predicted": 0, "probability": 0.5, "probabilities": {0: 0.25}},
            "probability must be that of class 0 in probabilities, 0.25, got 0.5",
        ),
    ):
        with pytest.raises(DataError, match=words):
            Prediction(**settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.csv: the columns must be name and predicted, or .*, got nothing"),
        ("image,predicted\na,1\n", "the columns must be name and predicted, .* got image, predict"),
        ("name,probability\na,1\n", "the columns must be name and predicted"),
        ("name,label\na,1\n", "the columns must be name and predicted"),
        ("name,predicted,predicted\na,1,2\n", "each once, got name, predicted, predicted"),
        ("name,predicted\n", "p.csv: the file must hold at least one row, got its header alone"),
        ("name,predicted\na\n", "p.csv, line 2: the row must have 2 cells, got 1"),
        ("name,predicted\na,1,2\n", "p.csv, line 2: the row must have 2 cells, got 3"),
        ("name,predicted\na,1\n ,2\n", "p.csv, line 3: name must not be empty"),
        ("name,label,probability\na,,1\n", "p.csv, line 2: label must not be empty"),
        ("name,predicted\na,1\nb,1\na,1\n", "line 4: name must come once, got 'a' as in line 2"),
        (
            "name,label,probability\na,1,1\na,1,1\n",
            "line 3: name must come once, got 'a' of class 1 as in line 2",
        ),
        ("name,predicted\na,cat\n", "line 2: predicted must be a class index, got 'cat'; give cl"),
        ("name,predicted\na,-1\n", "line 2: predicted must be a class index"),
        ("name,predicted\na,1.5\n", "line 2: predicted must be a class index"),
        ("name,predicted\na,nan\n", "line 2: predicted must be a class index"),
        ("name,predicted,probability\na,1,1.5\n", "line 2: probability must be a number in"),
        ("name,predicted,probability\na,1,nan\n", "line 2: probability must be a number in"),
        ("name,predicted,probability\na,1,75%\n", "line 2: probability must be .* got '75%'"),
        ("name,predicted,probability\na,,0.5\n", "line 2: predicted must be given with a prob"),
        ('name,predicted\n"a,1\n', "line 2: the line must be CSV"),
        (b"name,predicted\na,1\nM\xfcller,1\n", "line 3: the file must be UTF-8, got byte 0xfc"),
    ],
)
def test_a_table_that_is_wrong_is_named_with_the_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as raised:
        read(tmp_path, text)
    assert str(raised.value).startswith(str(tmp_path / "p.csv"))


def test_a_class_is_one_of_the_names(tmp_path):
    for text in ("dog", "2"):
        words = re.escape(f"predicted must be a class index of 2 or its name, got '{text}'")
        with pytest.raises(DataError, match=words):
            read(tmp_path, f"name,predicted\na,{text}\n", class_names=["cat", "cow"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"p.csv: the file must exist"):
        read_predictions(tmp_path / "p.csv")


@given(st.binary(max_size=200))
def test_no_bytes_get_past_the_errors_of_ours(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "p.csv"
    for head in (b"", b"name,predicted,probability\n", b"name,label,probability\n"):
        path.write_bytes(head + content)
        with suppress(DataError):
            read_predictions(path)
