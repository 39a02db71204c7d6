"""A figshare of our own, that can fail in every way; and archives to put there."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

from study.download import Expected, fetch


@dataclass
class Figshare:
    """What the server has, how it is to fail, and what it was asked for."""

    files: dict[str, bytes]
    expected: Expected
    url: str = ""
    fields: dict[str, dict] = field(default_factory=dict)  # of the record, where they differ
    statuses: dict[str, list[int]] = field(default_factory=dict)  # to answer with at first
    cuts: dict[str, list[int]] = field(default_factory=dict)  # where connections break at first
    redirect: str | None = None  # where files are said to be
    range_answer: str = "right"
    sized: bool = True  # whether lengths are announced
    released: threading.Event = field(default_factory=threading.Event)
    sent: list[tuple[str, int, int]] = field(default_factory=list)  # name, first byte, bytes
    agents: set[str | None] = field(default_factory=set)
    pauses: list[float] = field(default_factory=list)

    def record(self) -> bytes:
        """Return the article as figshare's API would."""
        files = [
            {
                "name": name,
                "size": len(body),
                "download_url": f"{self.url}/download/{quote(name)}",
                "supplied_md5": "",
                "computed_md5": hashlib.md5(body).hexdigest(),
            }
            | self.fields.get(name, {})
            for name, body in self.files.items()
        ]
        return json.dumps({"id": 1512427, "files": files}).encode()

    def asked(self, name: str) -> list[tuple[int, int]]:
        """Return first byte and number of bytes of each answer about a file."""
        return [(start, count) for asked, start, count in self.sent if asked == name]

    def fetch(self, folder: Path, **settings) -> Path:
        """Fetch from this server."""
        usual = {"expected": self.expected, "progress": False, "sleep": self.pauses.append}
        return fetch(folder, record=f"{self.url}/record", **(usual | settings))


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's `Figshare` says."""

    def log_message(self, *_) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Give the record or a file, or send on to it."""
        site: Figshare = self.server.site
        _, kind, *rest = unquote(self.path).split("/")
        name = rest[0] if rest else kind
        site.agents.add(self.headers["User-Agent"])
        if kind == "hang":
            site.released.wait(5)
        elif site.statuses.get(name):
            self.answer(site.statuses[name].pop(0), b"")
        elif kind == "download":  # figshare sends on to another host
            self.send_response(302)
            self.send_header("Location", site.redirect or f"{site.url}/files/{quote(name)}")
            self.end_headers()
        else:
            self.give(name, site.record() if name == "record" else site.files[name])

    def give(self, name: str, body: bytes) -> None:
        """Give a file, or the range that is asked for."""
        site: Figshare = self.server.site
        asked = self.headers["Range"]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start and site.range_answer == "416":
            self.answer(416, b"")
            return
        if site.range_answer == "none":
            start = 0
        cut = site.cuts[name].pop(0) if site.cuts.get(name) else len(body)
        site.sent.append((name, start, min(cut, len(body) - start)))
        self.answer(206 if start else 200, body[start:], body[start : start + cut], start)

    def answer(self, status: int, body: bytes, given: bytes | None = None, start: int = 0) -> None:
        """Announce the rest of a file, and give as much of it as is said."""
        site: Figshare = self.server.site
        total = start + len(body)
        said = {
            "right": f"bytes {start}-{total - 1}/{total}",
            "unknown total": f"bytes {start}-{total - 1}/*",
            "other start": f"bytes {start + 1}-{total - 1}/{total}",
            "other total": f"bytes {start}-{total - 1}/{total + 1}",
            "missing": "",
        }
        self.send_response(status)
        if site.sized:
            self.send_header("Content-Length", str(len(body)))
        if status == 206:
            self.send_header("Content-Range", said[site.range_answer])
        self.end_headers()
        self.wfile.write(body if given is None else given)


@contextmanager
def serving(site: Figshare) -> Iterator[Figshare]:
    """Serve what the site has, at a port that is free."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = site
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.005,))
    thread.start()
    try:
        yield site
    finally:
        site.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def zipped(members: dict, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return stream.getvalue()


def names_in(folder: Path) -> set[str]:
    """Return the names of all that is in a folder."""
    return {path.name for path in folder.iterdir()}
