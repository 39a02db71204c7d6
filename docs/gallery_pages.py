"""What is added to pages of the gallery: files that a script reads, pictures in full size."""

import re
from typing import Any

FILES = {
    "from trained import": ("/gallery/trained.py", "the images and the networks"),
    "study_numbers.txt": ("/study_numbers.txt", "the numbers of the study"),
}
"""What a script contains if it reads a file, with the path of the file and what it holds."""

_DOWNLOADS = ".. _sphx_glr_download_"
_PICTURE = re.compile(r'<img src="([^"]+)"[^>]*class\s*=\s*"sphx-glr-(?:single|multi)-img"[^>]*/?>')


def name_files(_app: Any, page: str, source: list[str]) -> None:
    """Name the files that a script reads above its downloads; for the event ``source-read``."""
    text = source[0]
    read = [entry for mark, entry in FILES.items() if mark in text]
    if not page.startswith("generated/gallery/plot_") or not read:
        return
    links = " and ".join(
        f":download:`{path.rpartition('/')[2]} <{path}>` ({what})" for path, what in read
    )
    note = f"The script reads {links}. Save this file in the folder of the script.\n\n"
    source[0] = text.replace(_DOWNLOADS, note + _DOWNLOADS, 1)


def link_pictures(_app: Any, page: str, _template: str, context: Any, _doctree: Any) -> None:
    """Link each picture to its file, where it has its full size; for ``html-page-context``."""
    if page.startswith("generated/gallery/plot_"):
        context["body"] = _PICTURE.sub(r'<a href="\1">\g<0></a>', context["body"])
