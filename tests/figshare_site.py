"""A local figshare, and archives to put there."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from cameval.data import fetch_figshare


@dataclass
class Figshare:
    """The files of a server, how they are recorded, and which were asked for."""

    files: dict[str, bytes]
    counts: tuple[int, ...]
    url: str = ""
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)  # where the record differs
    failures: dict[str, list[int]] = field(default_factory=dict)  # statuses to answer with first
    asked: list[str] = field(default_factory=list)

    def record(self) -> bytes:
        """Return the article as figshare's API would."""
        files = [
            {
                "name": name,
                "size": len(body),
                "download_url": f"{self.url}/{quote(name)}",
                "supplied_md5": "",
                "computed_md5": hashlib.md5(body).hexdigest(),
            }
            | self.fields.get(name, {})
            for name, body in self.files.items()
        ]
        return json.dumps({"id": 1512427, "files": files}).encode()

    def fetch(self, folder: Path) -> Path:
        """Fetch from this server."""
        record = f"{self.url}/record"
        return fetch_figshare(folder, record=record, counts=self.counts, progress=False)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site: Figshare = self.server.site  # type: ignore[attr-defined]
        name = unquote(self.path).strip("/")
        site.asked.append(name)
        statuses = site.failures.get(name)
        body = site.record() if name == "record" else site.files[name]
        self.send_response(statuses.pop(0) if statuses else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(site: Figshare) -> Iterator[Figshare]:
    """Serve a site at a port that is free."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.site = site  # type: ignore[attr-defined]
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.005,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return stream.getvalue()


def names_in(folder: Path) -> set[str]:
    """Return the names of all that is in a folder."""
    return {path.name for path in folder.iterdir()}
