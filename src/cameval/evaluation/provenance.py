"""What a table was made from: versions, weights, settings, seed and date."""

import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

__all__ = ["now", "runs", "versions", "weights_hash", "without_addresses"]

_PACKAGES = ("cameval", "torch", "torchvision", "numpy", "scikit-image", "scipy", "pandas")


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, by name, dtype, shape and bytes."""
    found = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            words = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
            found.update(words.numpy().data)
    return found.hexdigest()


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


def without_addresses(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as words that are the same in every process."""

    def cleaned(value: object) -> object:
        if isinstance(value, Mapping):
            return {str(name): cleaned(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [cleaned(part) for part in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return re.sub(r" at 0x[0-9a-f]+", "", str(value))

    return {name: cleaned(value) for name, value in settings.items()}
