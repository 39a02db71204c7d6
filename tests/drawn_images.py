"""Pictures that `draw_images` wrote, read by other ways than those of the page."""

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any, cast
from zlib import decompress

import numpy as np

from cameval.evaluation import Results
from cameval.evaluation._contents import contents_of
from cameval.report._browser import Browser, make_browser
from cameval.report._names import names_of
from cameval.report._targets import targets_of


def drawn_in(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each part."""
    found = {}
    for file in sorted((folder / "report_files").glob("part-*.js")):
        text = file.read_text("ascii")
        [(name, packed)] = re.findall(r'\AcamevalPart\("([\w.-]+)","([\w+/=]+)"\)\n\Z', text)
        assert name == file.name
        found[name] = json.loads(decompress(b64decode(packed)))
    return found


def browser_of(results: Results, folder: Path) -> Browser:
    """Return the browser of a folder."""
    contents = contents_of(results)
    names = names_of(targets_of(results, contents), contents)
    found = make_browser(results, names, folder)
    return cast(Browser, found)


def records_of(results: Results, folder: Path) -> dict[str, Any]:
    """Return the records of the page, each model with its lists."""
    found: dict[str, Any] = json.loads(browser_of(results, folder).data)
    for model in found["models"]:
        model |= {name: found["lists"][k] for name, k in model["lists"].items()}
    return found


def overlap(first: Any, second: Any) -> float:
    """Return the IoU of two masks; 1 if both are empty."""
    either = (first | second).sum()
    return float((first & second).sum() / either) if either else 1.0


def small_map(record: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return a map of a part on the grid of the truth, as the page interpolates it."""
    width, height, x0, x1, y0, y1, lowest, highest, packed = record
    cells = np.frombuffer(b64decode(packed), np.uint8).reshape(height, width)
    for axis, start, step in ((0, y0, y1), (1, x0, x1)):
        at = start + step * (np.arange(shape[axis]) + 0.5) / shape[axis]
        at = at.clip(0, cells.shape[axis] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, cells.shape[axis] - 1)
        share = (at - low)[:, None] if axis == 0 else at - low
        cells = np.take(cells, low, axis) * (1 - share) + np.take(cells, high, axis) * share
    return ((cells - lowest) / (highest - lowest)).clip(0, 1)
