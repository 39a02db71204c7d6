"""Labels, groups and names of images from text files."""

import re

import pytest

from cameval.data import read_info, read_labels, read_names
from cameval.errors import DataError


def test_labels_and_groups_are_read_by_name(tmp_path) -> None:
    (tmp_path / "l.csv").write_text("\ufeffid,class,patient\na, 3.0 ,p\nb,,\n", encoding="utf-8")
    labels, groups = read_labels(tmp_path / "l.csv", name="id", label="class", group="patient")
    assert (labels, groups) == ({"a": 3, "b": None}, {"a": "p", "b": ""})
    assert read_labels(str(tmp_path / "l.csv"), name="id", label="class") == (labels, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a column 'name', got no rows"),
        (
            "file,label\na,1\n",
            "'name', got file, label; name another with name=, or --name-column",
        ),
        (
            "name,kind\na,1\n",
            "'label', got name, kind; name another with label=, or --label-column",
        ),
        ("name,label\na,1\na,2\n", "line 3: name must name an image once, got 'a'"),
        ("name,label\n,1\n", "line 2: name must name an image once, got ''"),
        (
            "name,label\na,cat\n",
            "line 2: label must be a class index, got 'cat'; if it is the name of a class, give",
        ),
        ("name,label\na,1.5\n", "line 2: label must be a class index"),
        ("name;label\na;1\n", "separated by commas, got columns separated by semicolons; save"),
    ],
)
def test_a_table_that_is_wrong_is_named_with_the_line(tmp_path, text, message) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        read_labels(tmp_path / "l.csv")


def test_labels_are_class_names_where_these_are_given(tmp_path) -> None:
    (tmp_path / "l.csv").write_text("name,label\na,cat\nb,0\nc,\nd, 2 \n")
    labels, _ = read_labels(tmp_path / "l.csv", class_names=["dog", "cat", "0"])
    assert labels == {"a": 1, "b": 0, "c": None, "d": 2}


@pytest.mark.parametrize("cell", ["cow", "2", "Cat"])
def test_a_label_that_no_class_has_is_refused(tmp_path, cell) -> None:
    (tmp_path / "l.csv").write_text(f"name,label\na,cat\nb,{cell}\n")
    message = f"line 3: label must be one of the class names 'dog', 'cat', or an index .* {cell!r}"
    with pytest.raises(DataError, match=message):
        read_labels(tmp_path / "l.csv", class_names=["dog", "cat"])


def test_a_label_in_another_case_has_a_near_name(tmp_path) -> None:
    (tmp_path / "l.csv").write_text("name,label\na,Cat\n")
    with pytest.raises(DataError, match="got 'Cat'; near names: cat"):
        read_labels(tmp_path / "l.csv", class_names=["dog", "cat"])


def test_names_may_have_the_suffix_of_their_files(tmp_path) -> None:
    (tmp_path / "l.csv").write_text("name,label,site\nx/a.v1.jpg,1,A\nb.PNG,2,B\n")
    labels, groups = read_labels(tmp_path / "l.csv", group="site")
    assert labels == {"x/a.v1": 1, "b": 2}
    assert groups == {"x/a.v1": "A", "b": "B"}
    assert [*read_info(tmp_path / "l.csv", ["site"])] == ["x/a.v1", "b"]
    (tmp_path / "l.csv").write_text("name,label\na.jpg,1\na.png,2\n")
    with pytest.raises(DataError, match="line 3: name must name an image once, got 'a'"):
        read_labels(tmp_path / "l.csv")
    (tmp_path / "l.csv").write_text("name,label\na.jpg,1\nb,2\n")  # not all are files
    assert [*read_labels(tmp_path / "l.csv")[0]] == ["a.jpg", "b"]


def test_groups_are_read_without_labels(tmp_path) -> None:
    (tmp_path / "l.csv").write_text("name,patient\na,p\nb, q \n")
    assert read_labels(tmp_path / "l.csv", label=None, group="patient") == (
        {},
        {"a": "p", "b": "q"},
    )


def test_a_column_that_is_not_there_is_named_by_its_option(tmp_path) -> None:
    (tmp_path / "l.csv").write_text("name,label\na,1\n")
    with pytest.raises(DataError, match="name another with group=, or --group-column"):
        read_labels(tmp_path / "l.csv", group="patient")
    with pytest.raises(DataError, match="name another with name=, or --name-column"):
        read_info(tmp_path / "l.csv", ["label"], name="id")


def test_info_is_read_by_name(tmp_path) -> None:
    (tmp_path / "l.csv").write_text("id,age,code,view\na,61,07,\nb,.5,a7, lateral\nc,,,x\n")
    info = read_info(tmp_path / "l.csv", ["view", "age", "code"], name="id")
    assert info == {
        "a": {"view": None, "age": 61, "code": "07"},
        "b": {"view": "lateral", "age": 0.5, "code": "a7"},
        "c": {"view": "x", "age": None, "code": None},
    }
    assert read_info(tmp_path / "l.csv", "age", name="id")["a"] == {"age": 61}
    with pytest.raises(DataError, match="must have a column 'sex', got id, age, code, view"):
        read_info(tmp_path / "l.csv", ["sex"], name="id")
    (tmp_path / "l.csv").write_text("name,age\na,1\na,2\n")
    with pytest.raises(DataError, match="line 3: name must name an image once, got 'a'"):
        read_info(tmp_path / "l.csv", ["age"])


def test_names_are_read_without_empty_lines(tmp_path) -> None:
    (tmp_path / "names.txt").write_text(" a \n\nb c\n")
    assert read_names(tmp_path / "names.txt") == ["a", "b c"]
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match="must be a list of names"):
        read_names(tmp_path / "names.txt")
    with pytest.raises(DataError, match="must be a list of names"):
        read_names(tmp_path / "missing.txt")
