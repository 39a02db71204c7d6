"""An article of figshare: which files it has, where they are, and what they must be."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from cameval.errors import DataError
from study.transfer import BY_HAND, Remote, check_url

LARGEST_FILE = 4 << 30  # bytes; the archives have 0.2 GB each
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ ,()+.-]{0,149}(?<![ .])")


def read_article(body: bytes, source: str, reserved: str) -> list[Remote]:
    """Read the files of an article, without trust in any of them.

    Parameters
    ----------
    body
        The article as figshare's API gives it: JSON whose ``files`` have ``name``, ``size``,
        ``download_url``, and ``computed_md5`` or ``supplied_md5``.
    source
        The URL that it came from.
    reserved
        A name that no file may have.

    Returns
    -------
    list[Remote]
        The files, with names that can do no harm in a folder.

    Raises
    ------
    DataError
        If a field is missing or not what it must be; if a name is more than a plain file name, is
        reserved, ends in ``.part`` or comes twice; or if a URL is one that `schemes_for` excludes.
    """
    try:
        remotes = [_read_file(fields, source) for fields in json.loads(body)["files"]]
    except DataError:
        raise
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise DataError(
            f"{source}: the record must be JSON with files of name, size, download_url and md5, "
            f"got {body[:60]!r} ({type(error).__name__}: {error}); {BY_HAND}"
        ) from error
    names = [remote.name.casefold() for remote in remotes]
    if not names or len(set(names)) < len(names):
        raise DataError(f"{source}: there must be files, with names that differ, got {names}")
    for name in names:
        if name == reserved or name.endswith(".part"):
            raise DataError(f"{source}: no file may have a name that is needed here, got {name!r}")
    return remotes


def schemes_for(source: str) -> frozenset[str]:
    """Return what the URLs of an article may start with: https, and http if its own does.

    Raises
    ------
    DataError
        If its own is of neither.
    """
    check_url(source, frozenset({"http", "https"}))
    return frozenset({"https", urlsplit(source).scheme})


def _read_file(fields: dict[str, Any], source: str) -> Remote:
    name, url, size = fields["name"], fields["download_url"], fields["size"]
    md5 = fields.get("computed_md5") or fields.get("supplied_md5")
    if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
        raise DataError(f"{source}: the name of a file must be a plain file name, got {name!r}")
    if type(size) is not int or not 0 <= size <= LARGEST_FILE:
        raise DataError(
            f"{source}: the size of {name} must be from 0 to {LARGEST_FILE:,} bytes, got {size!r}"
        )
    if not isinstance(md5, str) or not re.fullmatch("[0-9a-fA-F]{32}", md5):
        raise DataError(f"{source}: the md5 of {name} must be 32 hexadecimal digits, got {md5!r}")
    if not isinstance(url, str):
        raise DataError(f"{source}: the URL of {name} must be text, got {url!r}")
    check_url(url, schemes_for(source))
    return Remote(name, url, size, md5.lower())
