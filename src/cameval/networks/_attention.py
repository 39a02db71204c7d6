"""Recording of the attention of a vision transformer, block by block.

Fused attention does not return its weights. A private copy of the network runs under a mode of
torch's functions, which computes the attention of each block explicitly, so that it is part of the
graph. Neither the network nor the functions of torch are changed, and other threads see nothing.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cameval._arrays import shape_or_type
from cameval.errors import UnsupportedModelError
from cameval.networks._copies import private_copy, refuse_changes
from cameval.networks.activations import Activations
from cameval.networks.transformer_parts import (
    TransformerParts,
    find_transformer,
    transformer_parts,
)

Read = Callable[[Tensor, Tensor, TransformerParts], Tensor]
"""From a block's attention, its output tokens ``(N, T, K)``, and the parts, to what is kept of it.

Attention is as the network computes it: ``(N, heads, T, T)``, or ``(N * heads, T, T)``."""

Reach = Literal["none", "block", "network"]
"""How far the graph of an attention reaches: not at all, to the end of its block, to the output."""


@dataclass(frozen=True, eq=False)
class AttentionPass:
    """One pass through a network with recorded attention.

    Parameters
    ----------
    kept
        What was kept of each block.
    outputs
        The output of the network, with the graph if that reaches it.
    parts
        The parts of the vision transformer that ran.
    grid
        Height and width of the grid of patches.
    classified
        Whether the output of the network is that of the vision transformer, to rounding.
    """

    kept: list[Tensor]
    outputs: Tensor
    parts: TransformerParts
    grid: tuple[int, int]
    classified: bool

    def to_map(self, tokens: Tensor) -> Tensor:
        """Reshape values of tokens ``(N, T)`` to maps ``(N, h, w)``, without the prefix."""
        patches = tokens[:, self.parts.prefix :].reshape(-1, *self.grid)
        return patches.to(self.outputs.dtype)  # some networks compute attention in float32


def per_head(attention: Tensor, count: int) -> Tensor:
    """Return attention, or its gradient, as ``(N, heads, T, T)`` for N images."""
    return attention if attention.ndim == 4 else attention.unflatten(0, (count, -1))


def record_attention(activations: Activations, read: Read, *, reach: Reach) -> AttentionPass:
    """Run the network once more, and read the attention of each block.

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    read
        Called at the end of each block, with the graph of that block.
    reach
        How far the graph of an attention reaches. With ``"block"`` the graph of a block is freed
        before the next block runs.

    Returns
    -------
    AttentionPass
        What was kept, the output, and the parts of the network.

    Raises
    ------
    UnsupportedModelError
        If the network has no vision transformer of a known class, if a block does not have one
        attention between all its tokens, or if the recorded pass does not compute what the network
        computes.
    """
    clone = private_copy(cast(nn.Module, activations.network))
    transformer = find_transformer(clone)
    if getattr(transformer, "grad_checkpointing", False):  # timm recomputes blocks, unrecorded
        cast(Any, transformer).grad_checkpointing = False
    parts = transformer_parts(transformer)
    recorder = _Recorder(parts, read, reach)
    images = activations.images.detach()
    images = images.clone() if images.is_inference() else images
    network = cast(nn.Module, activations.network)
    with (
        torch.inference_mode(False),
        torch.set_grad_enabled(reach != "none"),
        refuse_changes(network),
    ):
        recorder.attach(transformer)
        with recorder:
            outputs: Tensor = clone(images)
    classified, grid = recorder.check(type(transformer).__name__, outputs)
    if not _agree(outputs, activations.logits):
        raise UnsupportedModelError(
            "the network must give the same output with explicit attention, got outputs of "
            f"{type(transformer).__name__} that differ by up to "
            f"{(outputs - activations.logits).abs().max().item():.3g}; switch off dropout and "
            "noise that are always on"
        )
    return AttentionPass(recorder.kept, outputs, parts, grid, _agree(outputs, classified))


class _Recorder(TorchFunctionMode):
    """Mode in which the attention of blocks is explicit, with hooks that tell the blocks apart."""

    def __init__(self, parts: TransformerParts, read: Read, reach: Reach) -> None:
        super().__init__()
        self.parts, self.read, self.reach = parts, read, reach
        self.kept: list[Tensor] = []
        self._attention: list[Tensor] = []
        self._inside = False
        self._tokens = 0
        self._grids: list[tuple[int, ...]] = []
        self._classified: list[Tensor] = []
        self._outputs: list[Any] = []

    def attach(self, transformer: nn.Module) -> None:
        """Put hooks on a private copy, which then runs once."""
        for block in dict.fromkeys(self.parts.blocks):
            block.register_forward_pre_hook(self._begin)
            block.register_forward_hook(self._end)
        self.parts.patches.register_forward_hook(
            lambda _module, _inputs, output: self._grids.append(tuple(output.shape[2:]))
        )
        transformer.register_forward_hook(
            lambda _module, _inputs, output: self._outputs.append(output)
        )

    def _begin(self, _block: nn.Module, _inputs: Any) -> None:
        self._attention, self._inside = [], True

    def _end(self, block: nn.Module, _inputs: Any, output: Any) -> Any:
        self._inside = False
        rest = output[1:] if isinstance(output, tuple) else None
        tokens = output if rest is None else output[0]
        name = f"block {len(self.kept)} ({type(block).__name__})"
        attention = _one_attention(name, self._attention, tokens)
        self._attention, self._tokens = [], tokens.shape[1]
        self.kept.append(self.read(attention, tokens, self.parts))
        if len(self.kept) == len(self.parts.blocks):
            with torch.no_grad():
                self._classified.append(self.parts.classify(tokens))
        if self.reach != "network":
            tokens = tokens.detach()
        return tokens if rest is None else (tokens, *rest)

    def check(self, name: str, outputs: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Check what ran, and return the output of the transformer and the grid of its patches.

        A network that was cut runs the parts of the transformer, and `outputs` is what it returns.
        """
        if len(self.kept) != len(self.parts.blocks) or len(self._outputs) > 1:
            raise UnsupportedModelError(
                f"{name} and each of its {len(self.parts.blocks)} blocks must run once, got "
                f"{len(self._outputs)} runs of it and {len(self.kept)} of its blocks; register "
                "the parts of the class that runs the blocks"
            )
        patches = self._tokens - self.parts.prefix
        if len(self._grids) != 1 or len(self._grids[0]) != 2 or prod(self._grids[0]) != patches:
            raise UnsupportedModelError(
                f"the patches of {name} must be a grid (h, w) of {patches} tokens after the first "
                f"{self.parts.prefix}, got {self._grids}; register its parts with the right prefix"
            )
        output = self._outputs[0] if self._outputs else outputs
        output = output if isinstance(output, Tensor) else getattr(output, "logits", None)
        if not isinstance(output, Tensor) or not _agree(self._classified[0], output):
            raise UnsupportedModelError(
                f"what {name} computes from the tokens of its last block must be what its parts "
                "compute, got another output; register the parts of its class with "
                "cameval.networks.transformer_parts.register"
            )
        height, width = self._grids[0]
        return output, (height, width)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute attention explicitly within a block, and everything else as it is."""
        kwargs = kwargs or {}
        if not self._inside:
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return _explicit_attention(self._record, *args, **kwargs)
        if func is F.multi_head_attention_forward:
            settings = inspect.signature(func).bind(*args, **kwargs)
            settings.apply_defaults()
            return _multi_head_attention(self._record, settings.arguments)
        result = func(*args, **kwargs)
        if func in _SOFTMAX and _is_over_last_axis(args, kwargs) and result.ndim >= 3:
            return self._record(result)
        return result

    def _record(self, attention: Tensor) -> Tensor:
        if self.reach != "none" and not attention.requires_grad:
            attention.requires_grad_()
        self._attention.append(attention)
        return attention


_SOFTMAX = frozenset((F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax))


def _is_over_last_axis(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    values = args[0] if args else kwargs["input"]
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return dim in (-1, values.ndim - 1)


def _explicit_attention(
    record: Callable[[Tensor], Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Compute ``F.scaled_dot_product_attention`` without dropout, and record the attention."""
    if enable_gqa:
        copies = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(copies, -3), value.repeat_interleave(copies, -3)
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones_like(scores, dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return record(scores.softmax(-1)) @ value


def _multi_head_attention(
    record: Callable[[Tensor], Tensor], settings: Mapping[str, Any]
) -> tuple[Tensor, Tensor | None]:
    """Compute ``F.multi_head_attention_forward`` of one sequence, and record its attention."""
    query: Tensor = settings["query"]
    given = ("bias_k", "bias_v", "static_k", "static_v", "key_padding_mask", "attn_mask")
    others = [name for name in given if settings[name] is not None]
    others += [n for n in ("add_zero_attn", "use_separate_proj_weight") if settings[n]]
    if settings["key"] is not query or settings["value"] is not query:
        others.append("another key or value than the query")
    if others or query.ndim != 3:
        raise UnsupportedModelError(
            "nn.MultiheadAttention must be self-attention of (N, T, K) without masks and biases "
            f"of keys in a block, got {', '.join(others) or f'shape {tuple(query.shape)}'}; use "
            "cameval.grad_cam at a block"
        )
    tokens, count, width = query.shape
    heads = settings["num_heads"]
    projected = F.linear(query, settings["in_proj_weight"], settings["in_proj_bias"])
    parts = projected.unflatten(-1, (3, heads, width // heads)).permute(2, 1, 3, 0, 4)
    kept: list[Tensor] = []

    def keep(attention: Tensor) -> Tensor:
        kept.append(record(attention))
        return kept[0]

    mixed = _explicit_attention(keep, *parts.unbind()).permute(2, 0, 1, 3)
    output = F.linear(
        mixed.reshape(tokens, count, width), settings["out_proj_weight"], settings["out_proj_bias"]
    )
    if not settings["need_weights"]:
        return output, None
    return output, kept[0].mean(1) if settings["average_attn_weights"] else kept[0]


def _one_attention(block: str, found: list[Tensor], tokens: object) -> Tensor:
    """Check that a block has one attention between all its tokens, and return it."""
    if not isinstance(tokens, Tensor) or tokens.ndim != 3:
        raise UnsupportedModelError(
            f"{block} must return tokens (N, T, K), got {shape_or_type(tokens)}"
        )
    count, total = tokens.shape[:2]
    fits = [
        each.shape[-2:] == (total, total) and each.shape[:-2].numel() % max(count, 1) == 0
        for each in found
    ]
    if fits != [True]:
        shapes = ", ".join(str(tuple(attention.shape)) for attention in found) or "none"
        raise UnsupportedModelError(
            f"{block} must have one attention between all its {total} tokens, (N, heads, {total}, "
            f"{total}), got {shapes}; for windows and other attention use cameval.grad_cam with "
            "layer= and grid= of cameval.adapt"
        )
    return found[0]


def _agree(found: Tensor, expected: Tensor) -> bool:
    """Tell whether outputs agree, up to what another order of sums may change in a deep network."""
    if found.shape != expected.shape or not torch.equal(found.isfinite(), expected.isfinite()):
        return False
    finite = expected.isfinite()
    gap, scale = (found - expected)[finite].abs(), expected[finite].abs()
    return not gap.numel() or bool(gap.max() <= torch.finfo(found.dtype).eps ** 0.5 * scale.max())
