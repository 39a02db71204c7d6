"""The download of the study's data, from a server of our own."""

import errno
import hashlib
import io
import json
import os
import shutil
import socket
import urllib.request
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import numpy as np
import pytest
from figshare_site import Figshare, names_in, serving, zipped
from study.download import FOLDS, NOTE, Expected, fetch
from study.transfer import DOI, PAUSES, Web

from cameval.data import FigshareDataset, write_phantom
from cameval.errors import DataError

FIRST, SECOND, README = "slices_1-6.zip", "slices_7-12.zip", "README 2024.txt"
CUT = 20_000  # bytes after which a connection breaks
EMPTY = {"slices": {}, "classes": []}  # of the note of a download that came to nothing


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("phantom"), slices=12, patients=5, size=32)


@pytest.fixture
def figshare(phantom, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    slices = {path.name: path.read_bytes() for path in phantom.iterdir()}
    archives = {
        name: zipped({f"public/{n}.mat": slices[f"{n}.mat"] for n in numbers} | {"public/": b""})
        for name, numbers in {FIRST: range(1, 7), SECOND: range(7, 13)}.items()
    }
    classes = np.bincount(FigshareDataset(phantom).labels, minlength=3).tolist()
    files = archives | {"cvind.mat": slices["cvind.mat"], README: b"read me"}
    with serving(Figshare(files, Expected(tuple(classes)))) as site:
        yield site


def interrupt(*_) -> None:
    raise KeyboardInterrupt


def interrupt_at(names: set[str], method: Callable[..., None]) -> Callable[..., None]:
    """Interrupt a method of paths where it is called for one of these."""
    return lambda path, *rest, **settings: (
        interrupt() if path.name in names else method(path, *rest, **settings)
    )


# --- The whole way --------------------------------------------------------------------------------


def test_the_data_arrive_whole(figshare, phantom, tmp_path):
    folder = figshare.fetch(tmp_path / "new" / "data")
    assert folder == tmp_path / "new" / "data"
    assert names_in(folder) == names_in(phantom) | {NOTE, README}
    for path in phantom.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    dataset = FigshareDataset(folder)
    assert len(dataset) == len(dataset.folds(folder / "cvind.mat")) == 12
    assert [figshare.asked(name) for name in (FIRST, "cvind.mat")] == [
        [(0, len(figshare.files[FIRST]))],
        [(0, len(figshare.files["cvind.mat"]))],
    ]
    assert figshare.pauses == []
    assert all(DOI in agent for agent in figshare.agents)


def test_it_notes_what_it_fetched(figshare, tmp_path):
    note = json.loads((figshare.fetch(tmp_path) / NOTE).read_text())
    assert note["record"] == f"{figshare.url}/record"
    assert note["classes"] == list(figshare.expected.classes)
    assert note["slices"]["count"] == 13
    assert note["files"] == {
        name: {"size": len(body), "md5": hashlib.md5(body).hexdigest()}
        for name, body in figshare.files.items()
    }
    assert note["finished"].endswith("+00:00")


def test_nothing_global_is_changed_and_nothing_printed(figshare, tmp_path, capsys):
    figshare.fetch(tmp_path, progress=True)  # no terminal, no bar
    assert socket.getdefaulttimeout() is None
    assert urllib.request._opener is None
    assert capsys.readouterr() == ("", "")


def test_archives_stay_where_wanted(figshare, tmp_path):
    assert {FIRST, SECOND} < names_in(figshare.fetch(tmp_path, keep_archives=True))


def test_archives_that_were_kept_stay_in_later_calls(figshare, tmp_path):
    figshare.fetch(tmp_path, keep_archives=True)
    assert {FIRST, SECOND} < names_in(figshare.fetch(tmp_path))
    (tmp_path / "3.mat").unlink()
    assert {FIRST, SECOND, "3.mat"} < names_in(figshare.fetch(tmp_path))


def test_archives_go_in_the_next_call_if_their_removal_was_interrupted(
    figshare, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", interrupt_at({FIRST, SECOND}, Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            figshare.fetch(tmp_path)
    (tmp_path / "mine.zip").write_bytes(b"mine")
    figshare.sent.clear()
    assert {FIRST, SECOND} < names_in(figshare.fetch(tmp_path, keep_archives=True))
    assert not {FIRST, SECOND} & names_in(figshare.fetch(tmp_path))
    assert (tmp_path / "mine.zip").exists()
    assert figshare.sent == []


def test_a_finished_folder_is_only_looked_at(figshare, tmp_path):
    figshare.fetch(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    figshare.sent.clear()
    figshare.files.clear()
    figshare.fetch(tmp_path)
    assert figshare.sent == []
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_what_went_missing_is_fetched_again(figshare, tmp_path, phantom):
    figshare.fetch(tmp_path)
    (tmp_path / "3.mat").unlink()
    figshare.sent.clear()
    figshare.fetch(tmp_path)
    assert (tmp_path / "3.mat").read_bytes() == (phantom / "3.mat").read_bytes()
    assert len(figshare.asked(FIRST)) == 1
    assert figshare.asked("cvind.mat") == []


def test_archives_put_there_by_hand_are_taken_if_they_are_right(figshare, tmp_path):
    (tmp_path / FIRST).write_bytes(figshare.files[FIRST])
    (tmp_path / SECOND).write_bytes(figshare.files[SECOND][::-1])
    (tmp_path / "cvind.mat").write_bytes(figshare.files["cvind.mat"])
    figshare.fetch(tmp_path)
    assert figshare.asked(FIRST) == figshare.asked("cvind.mat") == []
    assert figshare.asked(SECOND) == [(0, len(figshare.files[SECOND]))]


# --- Broken off -----------------------------------------------------------------------------------


def test_an_interrupted_download_goes_on_where_it_was(figshare, tmp_path):
    figshare.cuts[FIRST] = [CUT]
    with pytest.raises(KeyboardInterrupt):
        figshare.fetch(tmp_path, sleep=interrupt)
    assert (tmp_path / f"{FIRST}.part").stat().st_size == CUT
    assert not (tmp_path / FIRST).exists()
    figshare.fetch(tmp_path)
    size = len(figshare.files[FIRST])
    assert figshare.asked(FIRST) == [(0, CUT), (CUT, size - CUT)]
    assert f"{FIRST}.part" not in names_in(tmp_path)


def test_an_interruption_between_two_bytes_keeps_those_that_came(figshare, tmp_path, monkeypatch):
    reads = []

    def read1(response: HTTPResponse, most: int) -> bytes:
        if response.url.endswith(FIRST):
            reads.append(most)
            if len(reads) > 2:
                raise KeyboardInterrupt
        return whole(response, min(most, 1000))

    whole = HTTPResponse.read1
    monkeypatch.setattr(HTTPResponse, "read1", read1)
    with pytest.raises(KeyboardInterrupt):
        figshare.fetch(tmp_path)
    kept = (tmp_path / f"{FIRST}.part").read_bytes()
    assert kept == figshare.files[FIRST][: len(kept)]
    assert 0 < len(kept) <= 2000


def test_a_broken_connection_is_taken_up_again(figshare, tmp_path):
    figshare.cuts[SECOND] = [CUT, 0, 0, 1000, 0]
    figshare.fetch(tmp_path)
    starts = [start for start, _ in figshare.asked(SECOND)]
    assert starts == [0, CUT, CUT, CUT, CUT + 1000, CUT + 1000]
    assert figshare.pauses == [*PAUSES, *PAUSES[:2]]


def test_a_connection_that_breaks_each_time_is_given_up_and_the_part_kept(figshare, tmp_path):
    figshare.cuts[FIRST] = [300, 100, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"an end after 400 of [\d,]+ bytes, 4 times"):
        figshare.fetch(tmp_path)
    assert figshare.pauses == [PAUSES[0], *PAUSES]
    assert (tmp_path / f"{FIRST}.part").stat().st_size == 400


def test_a_connection_that_breaks_often_is_not_given_up_while_more_comes(figshare, tmp_path):
    figshare.cuts[FIRST] = [5000] * 9
    figshare.fetch(tmp_path)
    assert [start for start, _ in figshare.asked(FIRST)] == [5000 * n for n in range(10)]
    assert figshare.pauses == [PAUSES[0]] * 9


def test_without_ranges_bytes_that_came_before_are_no_progress(figshare, tmp_path):
    figshare.range_answer = "none"
    figshare.cuts[FIRST] = [CUT] * 9
    with pytest.raises(DataError, match=r"an end after 20,000 of [\d,]+ bytes, 4 times"):
        figshare.fetch(tmp_path)
    assert len(figshare.asked(FIRST)) == 4


@pytest.mark.parametrize("answer", ["none", "416", "other start", "other total", "missing"])
def test_without_the_right_range_a_file_starts_anew(figshare, tmp_path, answer):
    figshare.cuts[FIRST] = [CUT]
    figshare.range_answer = answer
    figshare.fetch(tmp_path)
    assert figshare.asked(FIRST)[-1] == (0, len(figshare.files[FIRST]))
    assert figshare.pauses == [PAUSES[0]]


def test_a_range_of_unknown_total_goes_on(figshare, tmp_path):
    figshare.cuts[FIRST] = [CUT]
    figshare.range_answer = "unknown total"
    figshare.fetch(tmp_path)
    assert [start for start, _ in figshare.asked(FIRST)] == [0, CUT]


def test_a_part_that_is_longer_than_the_file_starts_anew(figshare, tmp_path):
    (tmp_path / f"{FIRST}.part").write_bytes(bytes(len(figshare.files[FIRST]) + 1))
    figshare.fetch(tmp_path)
    assert figshare.asked(FIRST) == [(0, len(figshare.files[FIRST]))]


def test_a_part_that_is_whole_is_not_asked_for(figshare, tmp_path):
    (tmp_path / f"{FIRST}.part").write_bytes(figshare.files[FIRST])
    figshare.fetch(tmp_path)
    assert figshare.asked(FIRST) == []


def test_lengths_need_not_be_announced(figshare, tmp_path):
    figshare.sized = False
    figshare.cuts[FIRST] = [CUT]
    figshare.fetch(tmp_path)
    assert [start for start, _ in figshare.asked(FIRST)] == [0, CUT]


def test_a_record_that_is_cut_off_is_read_again(figshare, tmp_path):
    figshare.cuts["record"] = [50]
    figshare.fetch(tmp_path)
    assert figshare.pauses == [PAUSES[0]]


def test_an_empty_file_is_a_file(figshare, tmp_path):
    figshare.files["empty.txt"] = b""
    assert (figshare.fetch(tmp_path) / "empty.txt").read_bytes() == b""


# --- Servers that fail ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["record", FIRST])
def test_a_passing_trouble_is_waited_out(figshare, tmp_path, name):
    figshare.statuses[name] = [500, 503, 429]
    figshare.fetch(tmp_path)
    assert figshare.pauses == list(PAUSES)


@pytest.mark.parametrize("status", [202, 403, 404])
def test_a_refusal_is_final_and_says_how_to_do_without(figshare, tmp_path, status):
    figshare.statuses[FIRST] = [status]
    with pytest.raises(DataError, match=rf"{status}.*{DOI}.*browser.*--data DIR"):
        figshare.fetch(tmp_path)
    assert figshare.pauses == []


def test_without_the_internet_the_error_says_how_to_do_without(figshare, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/record"
        with pytest.raises(DataError, match=rf"{url}: .*refused, 4 times; .*{DOI}.*--data DIR"):
            fetch(tmp_path / "new", record=url, sleep=figshare.pauses.append)
    assert figshare.pauses == list(PAUSES)
    assert not (tmp_path / "new").exists()


def test_a_server_that_does_not_answer_is_given_up(figshare):
    web = Web(frozenset({"http"}), figshare.pauses.append, timeout=0.02)
    with pytest.raises(DataError, match="timed out, 4 times"):
        web.read(f"{figshare.url}/hang", 100)


def test_a_record_must_not_be_endless(figshare):
    web = Web(frozenset({"http"}))
    with pytest.raises(DataError, match="at most 100 bytes"):
        web.read(f"{figshare.url}/record", 100)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("file:///etc/hostname", "'file:///etc/hostname' is not allowed"),
        ("ftp://127.0.0.1/x", "must be a valid one that starts with http"),
        (f"/download/{FIRST}", "infinite loop"),
        ("http://[broken/x", "the data must be within reach, got a broken address"),
        ("http://127.0.0.1:port/x", "must be a valid one that starts with http"),
        ("http://127.0.0.1:99999/x", "must be a valid one that starts with http"),
        ("http://a..b/x", "got a broken address|within reach"),
        (f"http://{'x' * 70}.org/x", "got a broken address|within reach"),
        ("http:///x", "within reach"),
        ("//", "must be a valid one that starts with http|within reach"),
        ("http://127.0.0.1:1/" + "x" * 70_000, "within reach"),
        ("http://\N{SNOWMAN}/x".encode().decode("latin-1"), "got a broken address"),
    ],
)
def test_a_redirection_must_not_lead_anywhere(figshare, tmp_path, target, words):
    figshare.redirect = target
    with pytest.raises(DataError, match=words):
        figshare.fetch(tmp_path)


def test_a_redirection_must_not_lead_away_from_https(figshare):
    (redirects,) = [
        handler
        for handler in Web()._opener.handlers
        if isinstance(handler, urllib.request.HTTPRedirectHandler)
    ]
    request = urllib.request.Request("https://127.0.0.1/")
    arguments = (request, io.BytesIO(), 302, "Found", {})
    assert redirects.redirect_request(*arguments, "https://127.0.0.1/x") is not None
    with pytest.raises(DataError, match=r"starts with https://, got 'http://127\.0\.0\.1/x'"):
        redirects.redirect_request(*arguments, "http://127.0.0.1/x")


# --- Bytes that are not what they should be -------------------------------------------------------


def test_a_file_with_another_md5_is_deleted(figshare, tmp_path):
    right = hashlib.md5(b"right").hexdigest()
    came = hashlib.md5(figshare.files[FIRST]).hexdigest()
    figshare.fields[FIRST] = {"computed_md5": right}
    with pytest.raises(DataError, match=rf"{FIRST}: the md5 must be {right}, got {came}"):
        figshare.fetch(tmp_path)
    assert names_in(tmp_path) == {NOTE}


def test_a_part_of_another_file_is_found_out(figshare, tmp_path):
    (tmp_path / f"{FIRST}.part").write_bytes(b"something else")
    with pytest.raises(DataError, match="the md5 must be"):
        figshare.fetch(tmp_path)
    assert names_in(tmp_path) == {NOTE}
    figshare.fetch(tmp_path)


def test_the_supplied_md5_serves_where_none_was_computed(figshare, tmp_path):
    right = hashlib.md5(figshare.files[FIRST]).hexdigest().upper()
    figshare.fields[FIRST] = {"computed_md5": None, "supplied_md5": right}
    figshare.fetch(tmp_path)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_size_is_not_kept(figshare, tmp_path, change):
    size = len(figshare.files[FIRST])
    figshare.fields[FIRST] = {"size": size + change}
    with pytest.raises(DataError, match=f"must be {size + change:,} bytes, got {size:,}"):
        figshare.fetch(tmp_path)
    assert names_in(tmp_path) == {NOTE}


@pytest.mark.parametrize(("answer", "sized"), [("none", True), ("none", False), ("416", True)])
def test_a_page_in_a_files_place_does_not_cost_what_came(figshare, tmp_path, answer, sized):
    """A captive portal answers 200, and something."""
    came, whole = figshare.files[FIRST][:CUT], figshare.files[FIRST]
    (tmp_path / f"{FIRST}.part").write_bytes(came)
    figshare.files[FIRST] = b"<html>Log in!</html>"
    figshare.fields[FIRST] = {"size": len(whole), "computed_md5": hashlib.md5(whole).hexdigest()}
    figshare.sized, figshare.range_answer = sized, answer
    with pytest.raises(DataError, match="what came before is kept"):
        figshare.fetch(tmp_path)
    assert (tmp_path / f"{FIRST}.part").read_bytes() == came
    figshare.files[FIRST] = whole
    figshare.sized, figshare.range_answer = True, "right"
    figshare.fetch(tmp_path)
    assert figshare.asked(FIRST)[-1] == (CUT, len(whole) - CUT)


def test_a_damaged_archive_is_refused(figshare, tmp_path):
    figshare.files[FIRST] = figshare.files[FIRST][:-30]
    with pytest.raises(DataError, match="must be a whole zip file, got a damaged one"):
        figshare.fetch(tmp_path)
    assert not [name for name in names_in(tmp_path) if name[0].isdigit()]


def test_two_archives_must_not_hold_one_slice(figshare, tmp_path):
    figshare.files[SECOND] = figshare.files[FIRST]
    with pytest.raises(DataError, match=r"12\.zip: member 'public/1\.mat' must be the only"):
        figshare.fetch(tmp_path)


# --- Folders and disks ----------------------------------------------------------------------------


def free(monkeypatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))


def test_a_disk_that_is_too_small_is_noticed_before_the_download(figshare, tmp_path, monkeypatch):
    need = sum(map(len, figshare.files.values())) + sum(
        len(figshare.files[name]) for name in (FIRST, SECOND)
    )
    free(monkeypatch, need - 1)
    with pytest.raises(DataError, match=r"0\.3 MB of disk space must be free, got 0\.3 MB"):
        figshare.fetch(tmp_path)
    assert [name for name, *_ in figshare.sent] == ["record"]
    free(monkeypatch, need)
    figshare.fetch(tmp_path)


def test_what_came_already_needs_no_space(figshare, tmp_path, monkeypatch):
    packed = sum(len(figshare.files[name]) for name in (FIRST, SECOND))
    need = sum(map(len, figshare.files.values())) + packed
    (tmp_path / f"{FIRST}.part").write_bytes(figshare.files[FIRST][:CUT])
    free(monkeypatch, need - CUT - 1)
    with pytest.raises(DataError, match="disk space must be free"):
        figshare.fetch(tmp_path)
    free(monkeypatch, need - CUT)
    figshare.fetch(tmp_path)
    assert [start for start, _ in figshare.asked(FIRST)] == [CUT]


class Full:
    """A file on a disk that has no space for more than so many further bytes."""

    def __init__(self, file: IO[bytes], space: int) -> None:
        self.file, self.space = file, space

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_) -> None:
        self.file.close()

    def write(self, body: bytes) -> None:
        """Write what fits."""
        self.file.write(body[: self.space])
        self.space -= len(body)
        if self.space < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def fill_disk(monkeypatch, name: str, space: int) -> None:
    """Let the disk be full after so many bytes of one file."""

    def opened(path: Path, mode: str = "r", *rest, **settings) -> IO | Full:
        file = whole(path, mode, *rest, **settings)
        return Full(file, space) if path.name == name and mode in ("ab", "wb") else file

    whole = Path.open
    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("before", [0, CUT])
def test_a_disk_that_fills_up_during_the_download_keeps_what_came(
    figshare, tmp_path, monkeypatch, before
):
    (tmp_path / f"{FIRST}.part").write_bytes(figshare.files[FIRST][:before])
    with monkeypatch.context() as patched:
        fill_disk(patched, f"{FIRST}.part", 1234)
        words = r"files must be readable and writable there, got .*No space left.*came is kept"
        with pytest.raises(DataError, match=words):
            figshare.fetch(tmp_path)
    assert figshare.pauses == []
    kept = (tmp_path / f"{FIRST}.part").read_bytes()
    assert kept == figshare.files[FIRST][: before + 1234]
    figshare.fetch(tmp_path)
    assert [start for start, _ in figshare.asked(FIRST)] == [before, before + 1234]


def test_a_disk_that_fills_up_during_unpacking_keeps_what_came(figshare, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        fill_disk(patched, ".9.mat.part", 100)
        with pytest.raises(DataError, match=r"No space left.*what came is kept"):
            figshare.fetch(tmp_path)
    assert {FIRST, SECOND, "8.mat"} < names_in(tmp_path)
    assert not {"9.mat", ".9.mat.part"} & names_in(tmp_path)
    figshare.sent.clear()
    figshare.fetch(tmp_path)
    assert [name for name, *_ in figshare.sent] == ["record"]


def planted(kind: str, place: Path, victim: Path) -> None:
    """Put something that leads to another file where the download writes."""
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "hard link":
        os.link(victim, place)
    else:
        place.symlink_to(victim if kind == "link" else victim.with_name("new"))


@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link", "pipe"])
@pytest.mark.parametrize(
    "name", [f"{FIRST}.part", f"{FOLDS}.part", f"{NOTE}.part", ".3.mat.part", FIRST, "3.mat"]
)
def test_nothing_is_written_through_what_was_planted(figshare, tmp_path, kind, name):
    folder, victim = tmp_path / "data", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"mine")
    planted(kind, folder / name, victim)
    try:
        figshare.fetch(folder)
    except DataError as error:
        assert str(folder) in str(error)  # noqa: PT017 - either is right, a file elsewhere is not
    else:
        assert not (folder / name).is_symlink()
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link", "pipe"])
def test_a_planted_part_is_named(figshare, tmp_path, kind):
    folder, victim = tmp_path / "data", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"mine")
    planted(kind, folder / f"{FIRST}.part", victim)
    with pytest.raises(
        DataError, match=r"\.part: must be a file of its own .* got a link or a pipe"
    ):
        figshare.fetch(folder)
    (folder / f"{FIRST}.part").unlink()
    figshare.fetch(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["x", "y", "z"]},
        {"classes": [1]},
        {"slices": {"count": "3", "bytes": 1}},
        {"slices": {"count": None, "bytes": 1}},
        {"finished": 3},
        {"files": ["x"]},
        {"record": 3},
        {"archives_stay": "yes"},
        {"unknown": 1},
    ],
)
def test_a_note_of_other_fields_is_told(figshare, tmp_path, change):
    figshare.fetch(tmp_path)
    note = json.loads((tmp_path / NOTE).read_text()) | change
    (tmp_path / NOTE).write_text(json.dumps(note))
    with pytest.raises(DataError, match="must be the note of a download"):
        figshare.fetch(tmp_path)


def test_a_note_that_is_nested_without_end_is_told(figshare, tmp_path):
    (tmp_path / NOTE).write_text("[" * 100_000)
    with pytest.raises(DataError, match="must be the note of a download"):
        figshare.fetch(tmp_path)
    (tmp_path / NOTE).unlink()
    os.mkfifo(tmp_path / NOTE)
    with pytest.raises(DataError, match="must be the note of a download"):
        figshare.fetch(tmp_path)


@pytest.mark.parametrize("name", [f"{FIRST}.part", "3.mat", NOTE])
def test_a_folder_in_the_place_of_a_file_is_named(figshare, tmp_path, name):
    (tmp_path / name).mkdir()
    if name == "3.mat":
        (tmp_path / NOTE).write_text(json.dumps({"record": f"{figshare.url}/record"} | EMPTY))
    with pytest.raises(DataError, match=r"directory: .*what came is kept"):
        figshare.fetch(tmp_path)
    (tmp_path / name).rmdir()
    figshare.fetch(tmp_path)


def test_a_file_in_the_place_of_a_parent_folder_is_named(figshare, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Not a directory: .*or name another"):
        figshare.fetch(tmp_path / "file" / "data")


def test_other_numbers_of_slices_than_expected_are_refused(figshare, tmp_path):
    words = r"must hold 6 slices \(1 meningioma, 2 glioma, 3 pituitary\), got 12 slices"
    with pytest.raises(DataError, match=words):
        figshare.fetch(tmp_path, expected=Expected((1, 2, 3)))
    assert {FIRST, SECOND} < names_in(tmp_path)
    figshare.sent.clear()
    figshare.fetch(tmp_path, expected=None)
    assert [name for name, *_ in figshare.sent] == ["record"]
    with pytest.raises(DataError, match=words):
        figshare.fetch(tmp_path, expected=Expected((1, 2, 3)))


def test_the_published_numbers_are_expected(figshare, tmp_path):
    with pytest.raises(DataError, match=r"3,064 slices .*708 meningioma, 1,426 glioma, 930 pit"):
        fetch(tmp_path, record=f"{figshare.url}/record", progress=False)


def test_the_folds_must_have_come(figshare, tmp_path):
    del figshare.files["cvind.mat"]
    with pytest.raises(DataError, match=r"cvind\.mat: the file must exist"):
        figshare.fetch(tmp_path)


def test_a_folder_with_slices_of_others_is_left_alone(figshare, tmp_path):
    (tmp_path / "1.mat").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"must hold no \.mat files yet.*--data"):
        figshare.fetch(tmp_path)
    assert (tmp_path / "1.mat").read_bytes() == b"mine"
    assert figshare.sent == []


@pytest.mark.parametrize("name", [README, "cvind.mat"])
def test_files_of_the_users_own_are_not_replaced(figshare, tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    for _ in range(2):
        with pytest.raises(DataError, match=rf"must hold no other files .*\['{name}'\]; move them"):
            figshare.fetch(tmp_path)
    assert names_in(tmp_path) == {name}
    assert (tmp_path / name).read_bytes() == b"mine"
    (tmp_path / name).write_bytes(figshare.files[name])
    figshare.fetch(tmp_path)
    (tmp_path / name).write_bytes(b"damaged")
    (tmp_path / "3.mat").unlink()
    figshare.fetch(tmp_path)
    assert (tmp_path / name).read_bytes() == figshare.files[name]


def test_slices_that_came_on_top_are_refused(figshare, tmp_path):
    figshare.cuts[FIRST] = [CUT]
    with pytest.raises(KeyboardInterrupt):
        figshare.fetch(tmp_path, sleep=interrupt)
    (tmp_path / "mine.mat").write_bytes(b"")
    with pytest.raises(DataError, match=r"but those fetched, got \['mine.mat'\]"):
        figshare.fetch(tmp_path)
    (tmp_path / "mine.mat").unlink()
    figshare.fetch(tmp_path)
    (tmp_path / "mine.mat").write_bytes(b"")
    with pytest.raises(DataError, match=r"must hold the 13 \.mat files that were fetched, got 14"):
        figshare.fetch(tmp_path)


def test_a_folder_serves_one_record(figshare, tmp_path):
    figshare.fetch(tmp_path)
    with pytest.raises(DataError, match=r"got that of .*/record; name another folder"):
        fetch(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"classes": [], "slices": {"sum": 5}}'])
def test_a_note_of_others_is_left_alone(figshare, tmp_path, text):
    (tmp_path / NOTE).write_text(text)
    with pytest.raises(DataError, match="must be the note of a download"):
        figshare.fetch(tmp_path)
    assert (tmp_path / NOTE).read_text() == text


def test_a_file_is_no_folder(figshare, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a folder is needed, got a file"):
        figshare.fetch(tmp_path / "file")


@pytest.mark.parametrize("record", ["file:///etc/passwd", "ftp://x.org/1", "record.json"])
def test_a_record_must_come_over_the_web(tmp_path, record):
    with pytest.raises(DataError, match=r"starts with http:// or https://, got"):
        fetch(tmp_path, record=record)
