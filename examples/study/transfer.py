"""Files over HTTP that go on where they were broken off, and are held against size and md5."""

import hashlib
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from tqdm import tqdm

from cameval.errors import DataError

DOI = "10.6084/m9.figshare.1512427"
BY_HAND = (
    f"fetch the files of doi {DOI} with a browser, unpack the archives and put cvind.mat beside "
    "the slices, and give that folder as --data DIR"
)
PAUSES = (1.0, 3.0, 9.0)  # seconds between one attempt and the next
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses that may pass
CHUNK = 1 << 18
AGENT = f"cameval-study (https://doi.org/{DOI})"

T = TypeVar("T")


class PassingError(Exception):
    """What may be gone at the next attempt: a broken connection, a busy server."""


class RangeError(Exception):
    """The server does not give the rest of a file: the file has to start anew."""


@dataclass(frozen=True)
class Remote:
    """A file to fetch: its name in the folder, where it comes from, what it must be."""

    name: str
    url: str
    size: int
    md5: str

    def is_at(self, path: Path) -> bool:
        """Tell whether this very file is there."""
        return path.is_file() and size_of(path) == self.size and md5_of(path) == self.md5

    def part_in(self, folder: Path) -> Path:
        """Return where the file is in a folder until it is whole and verified."""
        return folder / f"{self.name}.part"


@dataclass(frozen=True)
class Web:
    """Fetches over HTTP, again after a pause where that may help.

    It gives up once all pauses, each longer than the one before, have brought nothing new.

    Parameters
    ----------
    schemes
        The schemes that a URL may have, also one that a server sends us on to.
    sleep
        Waits for a number of seconds between two attempts.
    timeout
        Seconds without an answer after which a connection counts as broken.
    """

    schemes: frozenset[str] = frozenset({"https"})
    sleep: Callable[[float], object] = time.sleep
    timeout: float = 30.0

    def read(self, url: str, limit: int) -> bytes:
        """Return a small document.

        Raises
        ------
        DataError
            If it cannot be had, or is longer than `limit` bytes.
        """
        check_url(url, self.schemes)
        body = self._insisting(lambda: self._read_once(url, limit), url)
        if len(body) > limit:
            raise DataError(f"{url}: the answer must be at most {limit:,} bytes, got more")
        return body

    def download(self, remote: Remote, folder: Path, bar: "tqdm[None]") -> None:
        """Bring one file into a folder, under its name only when it is whole and verified.

        Until then it is ``<name>.part``, which is left behind by an interruption of any kind, and
        which the next call goes on with. An answer that may be of another file leaves it alone.

        Raises
        ------
        DataError
            If the file cannot be had, or is not what it must be; if it is whole and of another md5,
            it is deleted. Also if a link or a pipe is in the part's place: nothing is written
            through it.
        OSError
            If it cannot be written.
        """
        check_url(remote.url, self.schemes)
        part = remote.part_in(folder)
        check_part(part)
        if size_of(part) > remote.size:
            part.unlink()
        bar.update(size_of(part))
        self._insisting(lambda: self._go_on(remote, part, bar), remote.url, lambda: size_of(part))
        came = md5_of(part)
        if came != remote.md5:
            part.unlink()
            raise DataError(
                f"{remote.name}: the md5 must be {remote.md5}, got {came}; the file was deleted, "
                f"try again, or {BY_HAND}"
            )
        part.replace(folder / remote.name)

    def _insisting(
        self, attempt: Callable[[], T], url: str, progress: Callable[[], int] = lambda: 0
    ) -> T:
        """Try, and again after each pause; from the first pause on after any progress."""
        pauses, furthest = iter(PAUSES), progress()
        while True:
            try:
                return attempt()
            except PassingError as error:
                if progress() > furthest:
                    pauses, furthest = iter(PAUSES), progress()
                pause = next(pauses, None)
                if pause is None:
                    raise unreachable(url, f"{error}, {len(PAUSES) + 1} times") from error
            self.sleep(pause)

    def _read_once(self, url: str, limit: int) -> bytes:
        with self._open(url) as response:
            body = b""
            while len(body) <= limit and (chunk := read(response, limit + 1 - len(body))):
                body += chunk
            announced = announced_size(response)
        if len(body) < min(announced or 0, limit + 1):
            raise PassingError(f"an end after {len(body):,} of {announced:,} bytes")
        return body

    def _go_on(self, remote: Remote, part: Path, bar: "tqdm[None]") -> None:
        if part.exists() and size_of(part) == remote.size:
            return
        try:
            self._append(remote, part, bar, size_of(part))
        except RangeError:
            self._append(remote, part, bar, 0)  # asks for no range, so that it cannot fail again

    def _append(self, remote: Remote, part: Path, bar: "tqdm[None]", start: int) -> None:
        """Add to a part what is missing from `start` on, or all of it if that is what comes."""
        with self._open(remote.url, start) as response:
            have = start
            if response.status == 206:
                check_range(response, start, remote)
            else:
                check_announced(response, remote, start)
                bar.update(-size_of(part))
                have = 0
            check_part(part)
            with part.open("ab" if have else "wb") as file:
                while have < remote.size:
                    chunk = read(response, remote.size - have)
                    if not chunk:
                        raise PassingError(f"an end after {have:,} of {remote.size:,} bytes")
                    file.write(chunk)
                    have += len(chunk)
                    bar.update(len(chunk))

    @contextmanager
    def _open(self, url: str, start: int = 0) -> Iterator[HTTPResponse]:
        """Ask for a URL from byte `start` on; the answer has status 200, or 206 if asked for."""
        headers = {"User-Agent": AGENT} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            response = self._opener.open(Request(url, headers=headers), timeout=self.timeout)
        except HTTPError as error:
            error.close()
            if error.code == 416 and start:
                raise RangeError from error
            problem = " ".join(str(error).split())
            if error.code in PASSING:
                raise PassingError(problem) from error
            raise unreachable(url, problem) from error
        except URLError as error:
            raise PassingError(str(error.reason)) from error
        except (HTTPException, OSError) as error:
            raise PassingError(str(error) or type(error).__name__) from error
        except DataError:
            raise
        except ValueError as error:  # an address that cannot be, which a server sends us on to
            raise unreachable(url, f"a broken address ({error})") from error
        with response:
            # Some servers answer 202 and nothing to programs that are no browser.
            if response.status not in ((200, 206) if start else (200,)):
                raise unreachable(url, f"HTTP status {response.status}")
            yield response

    @cached_property
    def _opener(self) -> OpenerDirector:
        return build_opener(_CheckedRedirects(self.schemes))


class _CheckedRedirects(HTTPRedirectHandler):
    """Follows a redirection only to where a URL may lead in the first place."""

    def __init__(self, schemes: frozenset[str]) -> None:
        self._schemes = schemes

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        try:
            check_url(newurl, self._schemes)
        except DataError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str, schemes: frozenset[str]) -> None:
    """Refuse a URL that is none, or of a scheme that is not wanted."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.scheme in schemes and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise DataError(f"a URL must be a valid one that starts with {wanted}, got {url!r}")


def unreachable(url: str, problem: str) -> DataError:
    """Return the error that says what failed, and how to do without."""
    return DataError(f"{url}: the data must be within reach, got {problem}; {BY_HAND}")


def read(response: HTTPResponse, most: int) -> bytes:
    """Return the bytes that have come, some of `most`; none at the end."""
    try:
        return response.read1(min(CHUNK, most))
    except (HTTPException, OSError, ValueError) as error:
        raise PassingError(str(error) or type(error).__name__) from error


def announced_size(response: HTTPResponse) -> int | None:
    """Return the size that the server announces, if it does."""
    header = response.headers["Content-Length"] or ""
    return int(header) if re.fullmatch("[0-9]{1,18}", header) else None


def check_announced(response: HTTPResponse, remote: Remote, start: int) -> None:
    """Refuse a file of another size before it is fetched, and before it takes a part's place.

    What comes whole although it was asked for from `start` on must say that it is as long as the
    file: it could be any page.
    """
    announced = announced_size(response)
    if announced != remote.size and (start or announced is not None):
        came = "an unknown number" if announced is None else f"{announced:,}"
        raise DataError(
            f"{remote.name}: the size must be {remote.size:,} bytes, got {came} at {remote.url}; "
            f"what came before is kept: try again, or {BY_HAND}"
        )


def check_range(response: HTTPResponse, start: int, remote: Remote) -> None:
    """Refuse a range that does not go on with what is there, or is of another file."""
    header = response.headers["Content-Range"] or ""
    found = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]+|\*)", header.strip())
    if found is None or int(found[1]) != start or found[2] not in ("*", str(remote.size)):
        raise RangeError


def check_part(part: Path) -> None:
    """Refuse what is in the place of a part and may lead elsewhere.

    Raises
    ------
    DataError
        If it is a symbolic link, a second name of another file, or a pipe.
    """
    try:
        found = part.lstat()
    except FileNotFoundError:
        return
    several = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
    if several or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise DataError(
            f"{part}: must be a file of its own or not be there, got a link or a pipe; remove it "
            "and try again"
        )


def size_of(path: Path) -> int:
    """Return the size of a file, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def md5_of(path: Path) -> str:
    """Return the md5 of a file in hexadecimal digits: against damage, not against forgery."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
