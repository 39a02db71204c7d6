"""What a table was made from: versions and date, and the runs behind a table of several."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

__all__ = ["now", "runs", "versions"]

_PACKAGES = ("cameval", "torch", "torchvision", "numpy", "scikit-image", "scipy", "pandas")


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def runs(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the record of each run behind a table, with what was chosen for them together."""
    parts = provenance.get("parts")
    if not parts:
        return [dict(provenance)]
    found = [run for part in parts for run in runs(part)]
    if not (together := provenance.get("chosen")):
        return found
    return [run | {"chosen": {**(run.get("chosen") or {}), **together}} for run in found]
