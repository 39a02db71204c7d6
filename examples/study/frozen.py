"""Frozen layers: the first layers of a network, which do not train, with their outputs kept.

The outputs of the slices, and of the slices mirrored, are computed once and kept in a folder, by
the content of the input. Every fold, seed and evaluation reads them there. An input that is not
kept is computed. Half precision rounds the outputs to 11 bits, whether they are kept or computed.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn

from cameval import CAMModel
from cameval.errors import DataError, NonFiniteError, SettingError

Precision = Literal["float16", "float32"]


class KeptOutputs:
    """Outputs of layers in a folder, by the content of the input.

    ``outputs.bin`` has one row of numbers after another and is memory-mapped; ``rows.txt`` has one
    line for each row: the SHA-256 of the input and of the row. Both only grow, and a line is
    written after its row, so that what was interrupted continues with the next row. A row is
    compared with its sum when it is first read.

    Parameters
    ----------
    folder
        The folder; it is made by the first row.
    precision
        The numbers of a row.
    identity
        What tells these layers apart from others.
    """

    def __init__(self, folder: Path, precision: Precision, identity: str) -> None:
        self.folder, self.precision, self.identity = folder, precision, identity
        self._lines: dict[str, tuple[int, str]] = {}
        self._seen: set[int] = set()
        self._rows: NDArray[Any] | None = None
        self._read()

    def __getstate__(self) -> dict[str, str]:
        """Return what tells the outputs apart: where they are kept is no part of a result."""
        return {"identity": self.identity, "precision": self.precision}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._lines)

    def find(self, images: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the outputs for images, of the folder where they are kept."""
        places = [self._lines.get(key) for key in map(key_of, images)]
        missing = [k for k, place in enumerate(places) if place is None]
        computed = iter(self._rounded(compute(images[missing])) if missing else ())
        rows = [next(computed) if p is None else self._row(*p) for p in places]
        return torch.stack([row.to(images.device) for row in rows])

    def add(self, batches: Iterable[Tensor], compute: Callable[[Tensor], Tensor]) -> None:
        """Compute and keep the outputs of images that are not kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = self.folder / "about.json"
        self._cut()
        with (self.folder / "outputs.bin").open("ab") as rows, self._sums.open("a") as lines:
            for images in batches:
                keys = [key_of(image) for image in images]
                new = [k for k, key in enumerate(keys) if key not in self._lines]
                if not new:
                    continue
                outputs = self._rounded(compute(images[new]))
                if not self._lines:
                    shape = list(outputs.shape[1:])
                    about.write_text(json.dumps(self.__getstate__() | {"shape": shape}) + "\n")
                contents = [output.contiguous().numpy().tobytes() for output in outputs]
                rows.write(b"".join(contents))
                rows.flush()
                for k, content in zip(new, contents, strict=True):
                    found = sha256(content).hexdigest()
                    lines.write(f"{keys[k]} {found}\n")
                    self._lines[keys[k]] = len(self._lines), found
                lines.flush()
        self._read()

    @property
    def _sums(self) -> Path:
        return self.folder / "rows.txt"

    def _rounded(self, outputs: Tensor) -> Tensor:
        rounded = outputs.cpu().to(getattr(torch, self.precision))
        if not rounded.isfinite().all():
            raise NonFiniteError(
                f"outputs of frozen layers must be finite in {self.precision}, got up to "
                f"{outputs.abs().max():.3g}; keep them with --keep float32"
            )
        return rounded

    def _row(self, place: int, found: str) -> Tensor:
        assert self._rows is not None  # a line has its row
        row = np.array(self._rows[place])
        if place not in self._seen:
            if sha256(row.tobytes()).hexdigest() != found:
                raise self._damaged(f"another row {place + 1}")
            self._seen.add(place)
        return torch.from_numpy(row)

    def _read(self) -> None:
        """Map the rows; a line without its row, or without its end, counts as not written."""
        self._lines, self._rows = {}, None
        lines = self._sums.read_text().splitlines(keepends=True) if self._sums.exists() else []
        if not lines:
            return
        try:
            about = json.loads((self.folder / "about.json").read_text())
            shape = tuple(about.pop("shape"))
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged("no whole about.json") from error
        if about != self.__getstate__():
            raise self._damaged(f"those of other layers ({about})")
        try:
            flat = np.memmap(self.folder / "outputs.bin", np.dtype(self.precision), "r")
        except (OSError, ValueError) as error:  # the latter of an empty file
            raise self._damaged("no numbers in outputs.bin") from error
        count = len(flat) // int(np.prod(shape))
        self._rows = flat[: count * int(np.prod(shape))].reshape(count, *shape)
        whole = [line.split() for line in lines[:count] if line.endswith("\n")]
        if any(len(line) != 2 for line in whole):
            raise self._damaged("a broken rows.txt")
        self._lines = {key: (k, found) for k, (key, found) in enumerate(whole)}

    def _cut(self) -> None:
        """Remove what an interrupted computation wrote after the last whole row."""
        self._read()
        size = 0 if self._rows is None else len(self) * self._rows[0].nbytes
        self._rows = None
        with (self.folder / "outputs.bin").open("ab") as rows:
            rows.truncate(size)
        lines = [f"{key} {found}\n" for key, (_, found) in self._lines.items()]
        self._sums.write_text("".join(lines))

    def _damaged(self, came: str) -> DataError:
        return DataError(
            f"{self.folder} must hold outputs of frozen layers, got {came}; delete the folder, "
            "and they are computed again"
        )


def key_of(image: Tensor) -> str:
    """Return the SHA-256 of the numbers of an image."""
    return sha256(image.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


class FrozenLayers(nn.Module):
    """Layers in evaluation mode, without gradients, whose outputs may be kept."""

    def __init__(self, layers: nn.Sequential, kept: KeptOutputs | None) -> None:
        super().__init__()
        self.layers, self.kept = layers, kept
        self.train(False)

    def train(self, mode: bool = True) -> "FrozenLayers":
        """Stay in evaluation mode."""
        self.training = mode
        self.layers.train(False)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs ``(N, C, h, w)``."""
        found = self.compute(images) if self.kept is None else self.kept.find(images, self.compute)
        return found.to(images.dtype).contiguous(memory_format=torch.channels_last)

    def compute(self, images: Tensor) -> Tensor:
        """Return the outputs as the layers compute them."""
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            outputs: Tensor = self.layers(images)
        return outputs


@dataclass(frozen=True)
class Cut:
    """Where a network is cut: the names of the layers before, which are frozen, and after."""

    frozen: tuple[str, ...]
    rest: tuple[str, ...]


def cut_of(model: CAMModel, layer: str, size: int) -> Cut:
    """Find a layer by its name, or the end of a block, ``block1`` and so on.

    Block k ends with the k-th layer whose output has a smaller grid than its input.
    """
    if not isinstance(model.features, nn.Sequential):
        raise SettingError(
            "--freeze-until must be used with networks whose features are a sequence of layers, "
            f"got {type(model.features).__name__}"
        )
    names = [name for name, _ in model.features.named_children()]
    ends = _ends_of_blocks(model, size)
    known = dict(zip(names, range(len(names)), strict=True))
    known |= {f"block{k}": end for k, end in enumerate(ends, 1)}
    if layer not in known:
        raise SettingError(
            f"--freeze-until must be one of {', '.join(known)}, got {layer!r}; they are the "
            "layers of the features, and the blocks that end where the grid becomes smaller"
        )
    cut = known[layer] + 1
    return Cut(tuple(names[:cut]), tuple(names[cut:]))


def _ends_of_blocks(model: CAMModel, size: int) -> list[int]:
    ends = []
    outputs = torch.zeros(1, 3, size, size, device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for k, layer in enumerate(model.features.children()):
            side, outputs = outputs.shape[2], layer(outputs)
            if outputs.shape[2] < side:
                ends.append(k)
    model.train(was_training)
    return ends


def freeze(model: CAMModel, cut: Cut, kept: KeptOutputs | None) -> CAMModel:
    """Return a network of the same layers, the first of which are frozen."""
    layers = dict(model.features.named_children())
    first = nn.Sequential(*(layers[name] for name in cut.frozen)).requires_grad_(False)
    rest = [layers[name] for name in cut.rest]
    features = nn.Sequential(FrozenLayers(first, kept), *rest)
    return CAMModel(features, model.head, model.cell_centers)


def identity_of(network: str, model: CAMModel, cut: Cut, precision: Precision) -> str:
    """Return a digest of frozen layers: of which network, with which weights and precision."""
    found = sha256(f"{network} {torchvision.__version__} {precision}".encode())
    layers = dict(model.features.named_children())
    for name in cut.frozen:
        found.update(f"{name} ".encode())
        for key, value in sorted(layers[name].state_dict().items()):
            found.update(f"{key} {value.dtype}".encode() + value.cpu().numpy().tobytes())
    return found.hexdigest()
