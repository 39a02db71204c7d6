"""Slices out of archives, and what is refused."""

import os
import shutil
import stat
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from figshare_site import names_in, zipped
from study.unpacking import Limits, unpack

from cameval.data import write_phantom
from cameval.errors import DataError


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("phantom"), slices=3, patients=3, size=32)


def directory_field(archive: bytes, offset: int, layout: str, value: int) -> bytes:
    """Change a field of the first member in an archive's central directory."""
    changed = bytearray(archive)
    struct.pack_into(layout, changed, archive.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


def test_slices_together_must_not_fill_the_disk(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"1.mat": b"1" * 60, "2.mat": b"2" * 60}))
    with pytest.raises(DataError, match="at most 100 bytes unpacked, got 120"):
        unpack([tmp_path / "a.zip"], tmp_path, limits=Limits(total=100), progress=False)


def test_only_slices_are_taken_whatever_their_folder(tmp_path):
    wanted = {"1.mat": b"", "deep/down/23.mat": b"", "back\\4.mat": b"", "x/cvind.mat": b""}
    others = ["README", "01.mat", "0.mat", "a.mat", "1.mat.exe", "x/._1.mat", "7.MAT", "³.mat"]
    (tmp_path / "a.zip").write_bytes(zipped(wanted | dict.fromkeys(others, b"")))
    names = unpack([tmp_path / "a.zip"], tmp_path, progress=False)
    assert names == ("1.mat", "23.mat", "4.mat", "cvind.mat")
    assert names_in(tmp_path) == {"a.zip", *names}


# --- Damage --------------------------------------------------------------------------------------


def test_no_damage_of_an_archive_goes_by_or_shows_as_another_error(phantom, tmp_path):
    members = {f"{n}.mat": (phantom / f"{n}.mat").read_bytes() for n in (1, 2)}
    good = zipped(members, zipfile.ZIP_DEFLATED)
    rng = np.random.default_rng(0)
    path, folder = tmp_path / "a.zip", tmp_path / "out"
    for _ in range(150):
        damaged = bytearray(good)
        for place in rng.choice([*range(80), *range(len(good) - 200, len(good))], 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(good) + 1)] if rng.random() < 0.3 else damaged)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with suppress(DataError):
            unpack([path], folder, limits=Limits(member=1 << 20), progress=False)
        for written in folder.iterdir():
            assert written.read_bytes() in members.values()


def test_slices_written_before_a_damage_are_whole(phantom, tmp_path):
    members = {f"{n}.mat": (phantom / f"{n}.mat").read_bytes() for n in (1, 2)}
    archive = bytearray(zipped(members))
    archive[archive.index(b"2.mat") + 3000] ^= 1
    (tmp_path / "a.zip").write_bytes(archive)
    with pytest.raises(DataError, match="CRC"):
        unpack([tmp_path / "a.zip"], tmp_path, progress=False)
    assert names_in(tmp_path) == {"a.zip", "1.mat"}


# --- Archives that mean harm ----------------------------------------------------------------------

LINK = zipfile.ZipInfo("2.mat")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16
PLAIN = zipped({"1.mat": b"1" * 500})


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (zipped({"../1.mat": b""}), "'../1.mat' must have a path inside"),
        (zipped({"a/../../README": b""}), "must have a path inside"),
        (zipped({"..\\1.mat": b""}), "must have a path inside"),
        (zipped({"/1.mat": b""}), "'/1.mat' must have a path inside"),
        (zipped({"\\1.mat": b""}), "must have a path inside"),
        (zipped({"C:\\1.mat": b""}), "must have a path inside"),
        (zipped({LINK: b"/etc/hostname"}), "must be a file, got a symbolic link"),
        (zipped({"a/1.mat": b"", "b/1.mat": b""}), "must be the only one .* got another 1.mat"),
        (zipped({"cvind.mat": b""}), "'cvind.mat' must be the only one"),
        (directory_field(PLAIN, 8, "<H", 0x1), "must not be encrypted"),
        (directory_field(PLAIN, 8, "<H", 0x40), "must not be encrypted"),
        (directory_field(PLAIN, 8, "<H", 0x2000), "must not be encrypted"),
        (directory_field(PLAIN, 24, "<I", 65 << 20), "at most 67,108,864 bytes.*got 68,157,440"),
        (zipped({"1.mat": bytes(1 << 20)}, zipfile.ZIP_DEFLATED), "200 times its packed size"),
        (zipped({"1.mat": b"1"}, zipfile.ZIP_BZIP2), "stored or deflated, got method 12"),
    ],
    ids=lambda value: value if isinstance(value, str) else "archive",  # its bytes hold the time
)
def test_an_archive_that_means_harm_is_refused_before_a_slice_is_written(tmp_path, archive, words):
    paths = [tmp_path / "a.zip", tmp_path / "b.zip"]
    paths[0].write_bytes(zipped({"77.mat": b"good"}))
    paths[1].write_bytes(archive)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=words):
        unpack(paths, tmp_path / "out", present={"cvind.mat"}, progress=False)
    assert names_in(tmp_path) == {"a.zip", "b.zip", "out"}
    assert names_in(tmp_path / "out") == set()


def test_a_slice_larger_than_it_declares_is_refused(tmp_path):
    archive = directory_field(zipped({"1.mat": b"0" * 500}, zipfile.ZIP_DEFLATED), 24, "<I", 100)
    (tmp_path / "a.zip").write_bytes(archive)
    with pytest.raises(DataError, match="must be a whole zip file"):
        unpack([tmp_path / "a.zip"], tmp_path, progress=False)
    assert names_in(tmp_path) == {"a.zip"}


def test_a_disk_that_is_too_small_is_noticed_before_unpacking(phantom, tmp_path, monkeypatch):
    body = (phantom / "1.mat").read_bytes()
    (tmp_path / "a.zip").write_bytes(zipped({"1.mat": body}, zipfile.ZIP_DEFLATED))
    usage = SimpleNamespace(free=len(body) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="disk space must be free"):
        unpack([tmp_path / "a.zip"], tmp_path, progress=False)
    assert names_in(tmp_path) == {"a.zip"}
    (tmp_path / "1.mat").write_bytes(b"")  # its place is there already
    unpack([tmp_path / "a.zip"], tmp_path, progress=False)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(PLAIN)
    (tmp_path / "1.mat").mkdir()
    with pytest.raises(DataError, match=r"writable there, got .*directory: .*what came is kept"):
        unpack([tmp_path / "a.zip"], tmp_path, progress=False)
    assert names_in(tmp_path) == {"a.zip", "1.mat"}
    with pytest.raises(DataError, match=r"No such file or directory: .*name another"):
        unpack([tmp_path / "a.zip"], tmp_path / "none", progress=False)


@pytest.mark.parametrize("name", ["1.mat", ".1.mat.part"])
@pytest.mark.parametrize("there", [True, False])
def test_slices_are_not_written_through_links(tmp_path, name, there):
    (tmp_path / "a.zip").write_bytes(PLAIN)
    victim, out = tmp_path / "victim", tmp_path / "out"
    out.mkdir()
    if there:
        victim.write_bytes(b"mine")
    (out / name).symlink_to(victim)
    unpack([tmp_path / "a.zip"], out, progress=False)
    assert victim.exists() == there
    assert not there or victim.read_bytes() == b"mine"
    assert (out / "1.mat").read_bytes() == b"1" * 500
    assert names_in(out) == {"1.mat"}
    assert not (out / "1.mat").is_symlink()


def test_an_archive_that_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    for name in ("a.zip", "none.zip", "."):
        with pytest.raises(DataError, match="the archive must be a file, got none"):
            unpack([tmp_path / name], tmp_path, progress=False)
