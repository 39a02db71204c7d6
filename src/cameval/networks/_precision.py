"""A network in another memory format, with folded batch normalizations, or in bfloat16.

All of them are private copies: the user's network stays as it is.
"""

import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from cameval.errors import SettingError
from cameval.networks._copies import private_copy
from cameval.networks._dtypes import input_dtype
from cameval.networks._folding import Pair, find_foldable, fold
from cameval.networks._layer_features import LayerFeatures
from cameval.networks._module_types import is_exactly
from cameval.networks.activations import without_graph
from cameval.networks.families import cut_after
from cameval.networks.grids import identity
from cameval.networks.layers import LayerModel
from cameval.networks.model import CAMModel

Precision = Literal["exact", "channels_last", "folded", "bfloat16"]
"""How the network of a run computes.

``"exact"``
    As it is.
``"channels_last"``
    With the channels of weights and features last in memory.
``"folded"``
    With the channels last, and the batch normalizations folded into the convolutions before them.
``"bfloat16"``
    With the channels last, and in bfloat16 up to the features. The head is in the network's own
    precision, and so are logits, gradients and maps.
"""

Model = CAMModel | LayerModel

_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def check_precision(precision: object) -> None:
    """Check the name of a precision.

    Raises
    ------
    SettingError
        If it is none of `Precision`.
    """
    if precision not in get_args(Precision):
        raise SettingError(
            f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}"
        )


def check_supported(precision: Precision, device: torch.device) -> None:
    """Check that a device computes in a precision by itself.

    Raises
    ------
    SettingError
        If bfloat16 is asked for, and the device would have to emulate it.
    """
    if precision == "bfloat16" and not has_bfloat16(device):
        raise SettingError(
            "the device must have units for bfloat16 (a CPU with AVX-512 BF16 or AMX, or a GPU) "
            f"for precision='bfloat16', got {device_name(device)}, which would be several times "
            "slower than in float32; use precision='folded' or 'channels_last'"
        )


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device has units for products in bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return _runs_bfloat16(device)
    if platform.machine().lower() in ("aarch64", "arm64"):
        return _asks(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")
    units = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(_asks(torch.cpu, name) for name in units)


def _asks(module: object, name: str) -> bool:
    """Return what a function of torch says; False where this version does not have it."""
    function = cast(Callable[[], bool] | None, getattr(module, name, None))
    return function is not None and bool(function())


def _runs_bfloat16(device: torch.device) -> bool:
    ones = torch.ones(1, 1, 1, 1, dtype=torch.bfloat16, device=device)
    try:
        return bool(torch.conv2d(ones, ones).item())
    except (RuntimeError, TypeError):
        return False


def device_name(device: torch.device) -> str:
    """Return the type and the name of a device, without its number.

    Of a CPU it is the set of instructions that torch uses.
    """
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu, {torch.backends.cpu.get_cpu_capability()}"
    return device.type


def arithmetic_of(device: torch.device) -> dict[str, str]:
    """Return what the arithmetic of a device depends on: its name, and torch's settings."""
    found = {
        "device": device_name(device),
        "matmul_precision": _read(torch.get_float32_matmul_precision),
    }
    if device.type == "cuda":
        found["cudnn"] = _flags(
            torch.backends.cudnn, "enabled", "allow_tf32", "benchmark", "deterministic"
        )
        reduced = (f"allow_{dtype}_reduced_precision_reduction" for dtype in ("fp16", "bf16"))
        found["cublas"] = _flags(torch.backends.cuda.matmul, "allow_tf32", *reduced)
    return found


def _flags(settings: object, *names: str) -> str:
    return ", ".join(f"{name} {_read(partial(getattr, settings, name))}" for name in names)


def _read(setting: Callable[[], object]) -> str:
    try:
        return str(setting())
    except RuntimeError:  # settings of torch's old and new interface are mixed
        return "mixed"


def in_precision(model: Model, precision: Precision, images: Tensor) -> Model:
    """Return a private copy of a model in a precision; for ``"exact"`` the model itself.

    Parameters
    ----------
    model
        A model of `adapt`. It is not changed.
    precision
        One of `Precision`, which the device must have; see `check_supported`.
    images
        Images on which the copy is compared with the model, ``(N, channels, H, W)``.

    Raises
    ------
    SettingError
        If the copy does not run. Also if the model in double precision returns something else in
        another memory format.

    Warns
    -----
    UserWarning
        If no batch normalization can be folded.
    """
    if precision == "exact":
        return model
    if precision == "bfloat16":
        lowered = _in_bfloat16(model)
        with _refusing(precision), without_graph():
            _check(lowered(images).isfinite().all(), precision, "NaN or infinity")
        return lowered
    with _refusing(precision):
        expected = _in_double(model)(images)
        pairs = _pairs_of(model, images) if precision == "folded" else []
        if pairs and not _agree(_in_double(model, pairs)(images), expected):
            pairs = []
        if precision == "folded" and not pairs:
            warnings.warn(
                "precision='folded' must have a batch normalization that alone gets the output of "
                "a convolution, got a network without one; it runs as with "
                "precision='channels_last'",
                stacklevel=2,
            )
        if not pairs:
            found = _in_double(model, [])(images)
            _check(_agree(found, expected), precision, "another output")
    return _with_origin(_changed(private_copy(model), pairs))


def _pairs_of(model: Model, images: Tensor) -> list[Pair]:
    """Return the batch normalizations that can be folded, as one pass in double precision shows."""
    whole = private_copy(_whole(model)).to(_double(images))
    return find_foldable(whole, images.to(_double(images)), _layers_of(model))


def _changed(copy: Model, pairs: list[Pair]) -> Model:
    """Return a private copy with folded batch normalizations and the channels last."""
    fold(_whole(copy), pairs)
    _map_tensors(copy, lambda tensor, _: _channels_last(tensor))
    return copy


def _whole(model: Model) -> nn.Module:
    """Return the module with all layers that run."""
    if isinstance(model, LayerModel):
        return model.net
    return model.features.net if isinstance(model.features, LayerFeatures) else model


def _layers_of(model: Model) -> list[str]:
    """Return the modules of `_whole` whose outputs are the features."""
    if isinstance(model, LayerModel):
        return [model.layer]
    return [model.features.layer if isinstance(model.features, LayerFeatures) else "features"]


def _in_double(model: Model, pairs: list[Pair] | None = None) -> Callable[[Tensor], Tensor]:
    """Return a copy in double precision; with a list of pairs as `_changed` returns it."""

    def run(images: Tensor) -> Tensor:
        copy = private_copy(model).to(_double(images))
        copy = copy if pairs is None else _changed(copy, pairs)
        with without_graph():
            outputs: Tensor = copy(images.to(_double(images)))
        return outputs

    return run


def _double(images: Tensor) -> torch.dtype:
    return torch.float32 if images.device.type == "mps" else torch.float64


def _agree(found: Tensor, expected: Tensor) -> bool:
    """Tell whether outputs agree, up to what another order of sums may change in a deep network."""
    allowed = torch.finfo(expected.dtype).eps ** 0.5 * expected.abs().max()
    return found.shape == expected.shape and bool(((found - expected).abs() <= allowed).all())


def _in_bfloat16(model: Model) -> Model:
    """Return a copy of a model with its features in bfloat16.

    The head is in its own precision. An inner layer that is no cut of the network has no head; then
    all of the network is in bfloat16.
    """
    cut: CAMModel | None
    if isinstance(model, LayerModel):
        cut = cut_after(model.net, model.layer) if model.grid is identity else None
    else:
        cut = model
    lowered: Model
    if cut is None:
        assert isinstance(model, LayerModel)
        net = _lowered(private_copy(model.net))
        lowered = LayerModel(net, model.layer, model.grid, model.cell_centers)
    else:
        head = private_copy(cut.head)
        lowered = CAMModel(_lowered(private_copy(cut.features)), head, model.cell_centers)
        lowered.with_head_in(input_dtype(head) or torch.get_default_dtype())
    lowered.training = False  # as its parts are
    return _with_origin(lowered)


def _lowered(net: nn.Module) -> nn.Module:
    """Put a private copy into bfloat16; batch normalizations keep the precision of theirs."""
    _map_tensors(
        net,
        lambda tensor, module: (
            tensor
            if not tensor.is_floating_point() or is_exactly(module, *_NORMS)
            else _channels_last(tensor.to(torch.bfloat16))
        ),
    )
    return net


def _with_origin(copy: Model) -> Model:
    """Let a copy compare itself with its network in each pass, where the cut was found by proof."""
    if isinstance(copy, CAMModel) and isinstance(copy.features, LayerFeatures):
        return copy.cut_from(copy.features.net)
    return copy


def _map_tensors(net: nn.Module, change: Callable[[Tensor, nn.Module], Tensor]) -> None:
    """Replace the weights and buffers of a private copy; shared ones stay shared."""
    known: dict[int, tuple[Tensor, Tensor]] = {}
    with without_graph():
        for module in net.modules():
            for kind in ("_parameters", "_buffers"):
                tensors = vars(module)[kind]
                for name, tensor in tensors.items():
                    if isinstance(tensor, Tensor):
                        if id(tensor) not in known:
                            known[id(tensor)] = tensor, change(tensor, module)
                        tensors[name] = known[id(tensor)][1]


def _channels_last(tensor: Tensor) -> Tensor:
    layout = _FORMATS.get(tensor.ndim)
    return tensor if layout is None else tensor.contiguous(memory_format=layout)


@contextmanager
def _refusing(precision: Precision) -> Iterator[None]:
    """Raise errors of a network that does not run in a precision as those of the setting."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SettingError(
            f"the network must run with precision={precision!r}, got {reason}; use "
            "precision='exact'"
        ) from error


def _check(good: object, precision: Precision, came: str) -> None:
    if not good:
        raise SettingError(
            f"the network must give what it gives as it is, with precision={precision!r}, got "
            f"{came}; use precision='exact'"
        )


@contextmanager
def without_autocast() -> Iterator[None]:
    """Compute without autocast, with a warning where it is switched on.

    Warns
    -----
    UserWarning
        If autocast is on for the CPU or for an accelerator.
    """
    active = [kind for kind in ("cpu", "cuda", "mps", "xpu") if torch.is_autocast_enabled(kind)]
    if active:
        warnings.warn(
            f"torch.autocast is switched off within evaluate, got it switched on for "
            f"{', '.join(active)}; give precision='bfloat16' for a network in bfloat16",
            stacklevel=3,
        )
    with ExitStack() as stack:
        for kind in active:
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield
