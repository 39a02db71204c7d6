"""The data of figshare are fetched, verified and unpacked safely, from a local server."""

import hashlib
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from figshare_site import Figshare, names_in, serving, zipped

from cameval.data import FigshareDataset, fetch_figshare, write_phantom
from cameval.errors import DataError

FIRST, SECOND, README, NOTE = (
    "slices_1-6.zip",
    "slices_7-12.zip",
    "README 2024.txt",
    "download.json",
)
LINK = zipfile.ZipInfo("1.mat")
LINK.external_attr = 0o120777 << 16
PLAIN = zipped({"1.mat": b"1" * 500})


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("phantom"), slices=12, patients=5, size=32)


@pytest.fixture
def figshare(phantom: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Figshare]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between attempts
    slices = {path.name: path.read_bytes() for path in phantom.iterdir()}
    archives = {
        name: zipped({f"public/{n}.mat": slices[f"{n}.mat"] for n in numbers} | {"public/": b""})
        for name, numbers in {FIRST: range(1, 7), SECOND: range(7, 13)}.items()
    }
    counts = np.bincount(FigshareDataset(phantom).labels, minlength=3).tolist()
    files = archives | {"cvind.mat": slices["cvind.mat"], README: b"read me"}
    with serving(Figshare(files, tuple(counts))) as site:
        yield site


def member_field(archive: bytes, offset: int, layout: str, value: int) -> bytes:
    """Change a field of the first member in an archive's central directory."""
    changed = bytearray(archive)
    struct.pack_into(layout, changed, archive.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


# --- What arrives ---------------------------------------------------------------------------------


def test_all_slices_and_the_folds_arrive_and_are_listed(
    figshare: Figshare, phantom: Path, tmp_path: Path
) -> None:
    folder = figshare.fetch(tmp_path / "new" / "data")
    assert names_in(folder) == names_in(phantom) | {NOTE, README}
    for path in phantom.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    note = json.loads((folder / NOTE).read_text())
    assert note["files"] == {
        name: hashlib.md5(body).hexdigest() for name, body in figshare.files.items()
    }
    assert note["slices"][0] == 13


def test_a_complete_folder_needs_no_web_and_is_not_touched(
    figshare: Figshare, tmp_path: Path
) -> None:
    figshare.fetch(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    figshare.asked.clear()
    figshare.fetch(tmp_path)
    assert figshare.asked == []
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_what_is_missing_is_fetched_again_and_what_is_right_is_not(
    figshare: Figshare, phantom: Path, tmp_path: Path
) -> None:
    figshare.fetch(tmp_path)
    (tmp_path / "3.mat").unlink()
    (tmp_path / SECOND).write_bytes(figshare.files[SECOND])  # put there by hand
    (tmp_path / FIRST).write_bytes(b"another file")
    figshare.asked.clear()
    figshare.fetch(tmp_path)
    assert (tmp_path / "3.mat").read_bytes() == (phantom / "3.mat").read_bytes()
    assert sorted(figshare.asked) == ["record", FIRST]


def test_a_busy_server_is_asked_again(figshare: Figshare, tmp_path: Path) -> None:
    figshare.failures[FIRST] = [503, 503]
    figshare.fetch(tmp_path)
    assert figshare.asked.count(FIRST) == 3


def test_the_supplied_md5_serves_where_none_was_computed(
    figshare: Figshare, tmp_path: Path
) -> None:
    right = hashlib.md5(figshare.files[FIRST]).hexdigest().upper()
    figshare.fields[FIRST] = {"computed_md5": "", "supplied_md5": right}
    figshare.fetch(tmp_path)


# --- What must not arrive -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"computed_md5": "0" * 32}, "have the md5 0000"),
        ({"size": 5}, "size must be 5 bytes"),
    ],
)
def test_a_file_of_another_md5_or_size_is_refused(
    figshare: Figshare, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    figshare.fields[FIRST] = fields
    with pytest.raises(DataError, match=message):
        figshare.fetch(tmp_path)
    assert not list(tmp_path.glob("[0-9]*.mat"))


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_says_how_to_do_without(figshare: Figshare, tmp_path: Path, status: int) -> None:
    for name in (FIRST, "record"):
        figshare.failures[name] = [status] * 9
        with pytest.raises(DataError, match=r"10\.6084/m9\.figshare\.1512427 with a browser"):
            figshare.fetch(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".bashrc", "../a", "/etc/passwd", "a/b", "a\\b", "C:a", "a\0", "a\n", "a.zip ",
     "a.", "~", "é.zip", "a" * 200, "DOWNLOAD.json", "SLICES_1-6.zip", None, 5],
)  # fmt: skip
def test_only_plain_names_are_taken(figshare: Figshare, tmp_path: Path, name: object) -> None:
    figshare.fields[README] = {"name": name}
    with pytest.raises(DataError, match="name"):
        figshare.fetch(tmp_path / "data")
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x.org/1", "//x.org", "https://", "", "x", "https://x.org/a b",
     "https://x.org/\n", "https://[x", "https://x.org:port/", None, 5],
)  # fmt: skip
def test_only_addresses_of_the_web_are_taken(
    figshare: Figshare, tmp_path: Path, url: object
) -> None:
    figshare.fields[README] = {"download_url": url}
    with pytest.raises(DataError, match="URL"):
        figshare.fetch(tmp_path / "data")
    if isinstance(url, str):
        with pytest.raises(DataError, match="URL"):
            fetch_figshare(tmp_path / "data", record=url)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b"[" * 100_000, b"[]", b"{}", b'{"files": 5}', b'{"files": [5]}',
     b'{"files": [{}]}', b'{"files": []}', b" " * (5 << 20)],
    ids=range(11),
)  # fmt: skip
def test_a_record_that_is_none_is_refused(figshare: Figshare, tmp_path: Path, body: bytes) -> None:
    figshare.files["record2"] = body
    with pytest.raises(DataError, match=r"record must|names of their own"):
        fetch_figshare(tmp_path / "data", record=f"{figshare.url}/record2")


@pytest.mark.parametrize(
    "fields",
    [{"size": -1}, {"size": True}, {"size": 1.5}, {"size": 1 << 40}, {"computed_md5": "x" * 32},
     {"computed_md5": ""}, {"computed_md5": 5}],
    ids=str,
)  # fmt: skip
def test_sizes_and_checksums_must_be_some(
    figshare: Figshare, tmp_path: Path, fields: dict[str, Any]
) -> None:
    figshare.fields[README] = fields
    with pytest.raises(DataError, match=README):
        figshare.fetch(tmp_path)


def test_other_numbers_of_slices_than_expected_are_refused(
    figshare: Figshare, tmp_path: Path
) -> None:
    figshare.counts = (1, 2, 3)
    with pytest.raises(DataError, match=r"must hold \[1, 2, 3\] slices of meningioma"):
        figshare.fetch(tmp_path)
    with pytest.raises(DataError, match=r"must hold \[708, 1426, 930\] slices"):
        fetch_figshare(tmp_path, record=f"{figshare.url}/record", progress=False)


# --- Archives -------------------------------------------------------------------------------------


def test_only_slices_are_taken_whatever_their_folder(
    figshare: Figshare, phantom: Path, tmp_path: Path
) -> None:
    slices = {f"{n}.mat": (phantom / f"{n}.mat").read_bytes() for n in range(7, 13)}
    moved = {f"deep/down/{name}": body for name, body in slices.items()}
    others = ["README", "01.mat", "0.mat", "a.mat", "1.mat.exe", "x/._1.mat", "7.MAT", "³.mat"]
    figshare.files[SECOND] = zipped(moved | dict.fromkeys(others, b""))
    assert names_in(figshare.fetch(tmp_path)) == names_in(phantom) | {NOTE, README}


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (zipped({"../1.mat": b""}), "path inside"),
        (zipped({"a/../../README": b""}), "path inside"),
        (zipped({"..\\1.mat": b""}), "path inside"),
        (zipped({"/1.mat": b""}), "path inside"),
        (zipped({"\\1.mat": b""}), "path inside"),
        (zipped({"C:\\1.mat": b""}), "path inside"),
        (zipped({LINK: b"/etc/hostname"}), "no symbolic link"),
        (zipped({"a/77.mat": b"", "b/77.mat": b""}), "77.mat must be the only one"),
        (zipped({"cvind.mat": b""}), "cvind.mat must be the only one"),
        (zipped({"1.mat": b""}), "1.mat must be the only one"),
        (member_field(PLAIN, 8, "<H", 0x1), "no encryption"),
        (member_field(PLAIN, 8, "<H", 0x40), "no encryption"),
        (member_field(PLAIN, 8, "<H", 0x2000), "no encryption"),
        (member_field(PLAIN, 24, "<I", 65 << 20), "at most 67,108,864 bytes"),
        (zipped({"1.mat": bytes(1 << 20)}, zipfile.ZIP_DEFLATED), "200 times its packed size"),
        (zipped({"1.mat": b"1"}, zipfile.ZIP_BZIP2), "stored or deflated"),
        (b"PK half an archive", "a whole zip file, got a damaged one"),
    ],
    ids=range(17),
)
def test_an_unsafe_archive_is_refused_before_a_slice_is_written(
    figshare: Figshare, tmp_path: Path, archive: bytes, message: str
) -> None:
    figshare.files[SECOND] = archive
    with pytest.raises(DataError, match=message):
        figshare.fetch(tmp_path / "data")
    assert names_in(tmp_path) == {"data"}
    assert names_in(tmp_path / "data") == {*figshare.files, NOTE}


def test_all_slices_together_must_not_fill_the_disk(
    figshare: Figshare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cameval.data.fetch._LARGEST_TOTAL", 100)
    with pytest.raises(DataError, match="at most 100 bytes"):
        figshare.fetch(tmp_path)
    assert not list(tmp_path.glob("[0-9]*.mat"))


def test_a_slice_larger_than_it_declares_is_refused(figshare: Figshare, tmp_path: Path) -> None:
    body = zipped({"7.mat": b"0" * 500}, zipfile.ZIP_DEFLATED)
    figshare.files[SECOND] = member_field(body, 24, "<I", 100)
    with pytest.raises(DataError, match="a whole zip file"):
        figshare.fetch(tmp_path)
    assert not list(tmp_path.glob("*7.mat*"))


def test_no_damage_of_an_archive_shows_as_another_error_or_writes_half_a_slice(
    figshare: Figshare, phantom: Path, tmp_path: Path
) -> None:
    slices = {f"{n}.mat": (phantom / f"{n}.mat").read_bytes() for n in range(7, 13)}
    good = zipped(slices, zipfile.ZIP_DEFLATED)
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(good)
        for cell_centers in rng.choice([*range(80), *range(len(good) - 200, len(good))], 3):
            damaged[cell_centers] = rng.integers(256)
        figshare.files[SECOND] = bytes(damaged)
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        with suppress(DataError):
            figshare.fetch(tmp_path / "data")
        for written in (tmp_path / "data").glob("[0-9]*.mat"):
            assert written.read_bytes() == (phantom / written.name).read_bytes()


# --- Folders and disks ----------------------------------------------------------------------------


def test_a_disk_that_is_too_small_is_noticed_before_the_download(
    figshare: Figshare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"MB of disk space must be free, got 0\.0 MB"):
        figshare.fetch(tmp_path)
    assert figshare.asked == ["record"]


def test_a_disk_that_cannot_be_written_is_a_data_error(figshare: Figshare, tmp_path: Path) -> None:
    (tmp_path / "3.mat.d").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="files must be readable and writable there"):
        figshare.fetch(tmp_path / "file")


@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link"])
@pytest.mark.parametrize("name", [".3.mat.part", f".{NOTE}.part", FIRST, "cvind.mat"])
def test_nothing_is_written_through_links(
    figshare: Figshare, tmp_path: Path, kind: str, name: str
) -> None:
    folder, victim = tmp_path / "data", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"mine")
    if kind == "hard link":
        os.link(victim, folder / name)
    else:
        (folder / name).symlink_to(victim if kind == "link" else tmp_path / "new")
    with suppress(DataError):  # refused, or the link is replaced
        figshare.fetch(folder)
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "new").exists()


def test_other_slices_and_files_in_the_folder_are_left_alone(
    figshare: Figshare, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "77.mat").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"must hold no \.mat files yet"):
        figshare.fetch(tmp_path / "a")
    for name in (README, "cvind.mat"):
        folder = tmp_path / name.replace(" ", "_")
        folder.mkdir()
        (folder / name).write_bytes(b"mine")
        with pytest.raises(DataError, match=f"must hold no other file .* got {name}"):
            figshare.fetch(folder)
        assert (folder / name).read_bytes() == b"mine"


def test_slices_that_were_added_to_the_folder_are_refused(
    figshare: Figshare, tmp_path: Path
) -> None:
    figshare.fetch(tmp_path)
    (tmp_path / "99.mat").write_bytes((tmp_path / "3.mat").read_bytes())
    with pytest.raises(DataError, match=r"must hold no other \.mat files, got \['99\.mat'\]"):
        figshare.fetch(tmp_path)


def test_a_folder_serves_one_record_and_its_note_must_be_one(
    figshare: Figshare, tmp_path: Path
) -> None:
    figshare.fetch(tmp_path)
    with pytest.raises(DataError, match="must hold the files of https"):
        fetch_figshare(tmp_path)
    for text in ("", "[]", "{}", '{"record": 5, "files": 7}', "[" * 100_000):
        (tmp_path / NOTE).write_text(text)
        with pytest.raises(DataError, match="must be the note of a download"):
            figshare.fetch(tmp_path)
