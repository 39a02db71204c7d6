"""The record of what there is to download: what is read, and what is refused."""

import json

import pytest
from study.article import read_article
from study.download import NOTE

from cameval.errors import DataError


def article(**changes) -> bytes:
    good = {"name": "a.zip", "size": 1, "download_url": "https://x.org/1", "computed_md5": "0" * 32}
    return json.dumps({"files": [good | changes]}).encode()


def test_a_good_article_is_read():
    (remote,) = read_article(article(), "https://x.org", NOTE)
    assert (remote.name, remote.size, remote.url) == ("a.zip", 1, "https://x.org/1")
    (spaced,) = read_article(article(name="README 2024 (2).txt"), "https://x.org", NOTE)
    assert spaced.name == "README 2024 (2).txt"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".bashrc", "../a", "/etc/passwd", "a/b", "a\\b", "C:a", "a\0", "a\n", "a.zip ",
     "a.", "~", "é.zip", "a" * 200, "a.part", "DOWNLOAD.json", None, 5],
)  # fmt: skip
def test_only_plain_names_are_taken(name):
    with pytest.raises(DataError, match="name"):
        read_article(article(name=name), "https://x.org", NOTE)


@pytest.mark.parametrize(
    "url",
    ["http://x.org/1", "file:///etc/passwd", "ftp://x.org/1", "//x.org", "https://", "", "x",
     "https://x.org/a b", "https://x.org/\n", "https://[x", "https://x.org:port/", None, 5],
)  # fmt: skip
def test_only_https_urls_are_taken(url):
    with pytest.raises(DataError, match="URL"):
        read_article(article(download_url=url), "https://x.org", NOTE)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "must be JSON"),
        (b"<html>", "must be JSON with files .* got b'<html>'"),
        (b"\xff", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"[]", "must be JSON"),
        (b"{}", "must be JSON"),
        (b'{"files": 5}', "must be JSON"),
        (b'{"files": [5]}', "must be JSON"),
        (b'{"files": [{}]}', "must be JSON .*KeyError: 'name'"),
        (b'{"files": []}', "there must be files"),
        (article(size=-1), "size of a.zip must be from 0"),
        (article(size=True), "size of a.zip"),
        (article(size=1.5), "size of a.zip"),
        (article(size=1 << 40), "size of a.zip"),
        (article(computed_md5=""), "md5 of a.zip must be 32 hexadecimal digits, got None"),
        (article(computed_md5="x" * 32), "md5 of a.zip"),
        (article(computed_md5=5), "md5 of a.zip"),
        (article().replace(b"]", b", {}]").replace(b"{}", article()[11:-2]), "names that differ"),
    ],
)
def test_a_record_that_is_none_is_refused(body, words):
    with pytest.raises(DataError, match=words):
        read_article(body, "https://x.org", NOTE)
