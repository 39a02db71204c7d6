"""Labels, groups and names of images from text files."""

import re

import pytest

from cameval.data import read_labels, read_names
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
        ("name,kind\na,1\n", "must have a column 'label', got name, kind"),
        ("name,label\na,1\na,2\n", "line 3: name must name an image once, got 'a'"),
        ("name,label\n,1\n", "line 2: name must name an image once, got ''"),
        ("name,label\na,cat\n", "line 2: label must be a class index, got 'cat'"),
        ("name,label\na,1.5\n", "line 2: label must be a class index"),
    ],
)
def test_a_table_that_is_wrong_is_named_with_the_line(tmp_path, text, message) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        read_labels(tmp_path / "l.csv")


def test_names_are_read_without_empty_lines(tmp_path) -> None:
    (tmp_path / "names.txt").write_text(" a \n\nb c\n")
    assert read_names(tmp_path / "names.txt") == ["a", "b c"]
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match="must be a list of names"):
        read_names(tmp_path / "names.txt")
    with pytest.raises(DataError, match="must be a list of names"):
        read_names(tmp_path / "missing.txt")
