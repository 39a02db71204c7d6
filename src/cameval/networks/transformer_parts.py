"""Parts of vision transformers: blocks, tokens and head, for the methods that read attention."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, cast

from torch import Tensor, nn
from torchvision.models import VisionTransformer

from cameval.errors import SettingError, UnsupportedModelError

__all__ = ["TransformerParts", "transformer_parts"]


@dataclass(frozen=True, eq=False)
class TransformerParts:
    """The parts of a vision transformer in which every block attends to all tokens.

    Parameters
    ----------
    blocks
        The blocks, in the order in which they run. Each has one self-attention, and returns tokens
        ``(N, T, K)``, or a tuple that begins with them.
    patches
        The module that embeds the patches. Its output is ``(N, K, h, w)``; h and w are the grid of
        the maps.
    classify
        From the tokens after the last block to the logits ``(N, C)``: final normalization, pooling
        and classifier.
    prefix
        Number of tokens before those of the patches: class token, distillation token, registers.
    pooled
        The tokens that `classify` reads, as a slice of all T tokens: ``slice(0, 1)`` for a class
        token, ``slice(prefix, None)`` for a mean of the patches.

    Raises
    ------
    SettingError
        If `prefix` is negative, or there is no block.

    Examples
    --------
    >>> from torchvision.models import VisionTransformer
    >>> from cameval.networks import transformer_parts
    >>> net = VisionTransformer(
    ...     image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
    ... )
    >>> parts = transformer_parts(net)
    >>> len(parts.blocks), parts.prefix, parts.pooled
    (2, 1, slice(0, 1, None))
    """

    blocks: Sequence[nn.Module]
    patches: nn.Module
    classify: Callable[[Tensor], Tensor]
    prefix: int
    pooled: slice

    def __post_init__(self) -> None:
        if self.prefix < 0:
            raise SettingError(f"prefix must not be negative, got {self.prefix}")
        if not self.blocks:
            raise SettingError("blocks must have at least one block, got none")


@singledispatch
def transformer_parts(net: nn.Module) -> TransformerParts:
    """Return the parts of a vision transformer.

    Known are torchvision's ``VisionTransformer``, timm's ``VisionTransformer`` (ViT, DeiT with and
    without distillation) and ``Eva``, and the ViT and DeiT classifiers of transformers. A class is
    one registration: ``@transformer_parts.register`` on a function whose argument is annotated with
    it. The methods compare what the parts compute with what the network computes, at each call.

    Parameters
    ----------
    net
        A vision transformer. It is not changed.

    Returns
    -------
    TransformerParts
        Its blocks, the module that embeds the patches, and what follows the blocks.

    Raises
    ------
    UnsupportedModelError
        If no registration covers the network's class, or the network pools by attention. The
        message shows the lines that add a class.

    Notes
    -----
    Swin, MaxViT and other networks whose blocks attend within windows, or to a coarser grid, have
    no attention between all tokens of a block. Rollout, relevance and LeGrad are not defined for
    them: use a gradient method with ``layer=`` and ``grid=`` of `cameval.adapt`.

    Examples
    --------
    >>> from torch import nn
    >>> from cameval.networks import TransformerParts, transformer_parts
    >>> class TinyViT(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.embed = nn.Conv2d(3, 8, 4, stride=4)
    ...         self.block = nn.TransformerEncoderLayer(8, nhead=2, batch_first=True)
    ...         self.fc = nn.Linear(8, 5)
    ...     def forward(self, images):
    ...         return self.fc(self.block(self.embed(images).flatten(2).mT).mean(1))
    >>> @transformer_parts.register
    ... def _(net: TinyViT):
    ...     return TransformerParts(
    ...         blocks=[net.block],
    ...         patches=net.embed,
    ...         classify=lambda tokens: net.fc(tokens.mean(1)),
    ...         prefix=0,
    ...         pooled=slice(None),
    ...     )
    >>> transformer_parts(TinyViT()).pooled
    slice(None, None, None)
    """
    raise _unknown_class(type(net).__name__)


def _unknown_class(name: str) -> UnsupportedModelError:
    known = sorted(cls.__name__ for cls in transformer_parts.registry if cls is not object)
    return UnsupportedModelError(
        "the network must be a vision transformer of a known class, in which every block attends "
        f"to all tokens, got {name}. Known: {', '.join(known)}. Declare yours:\n\n"
        "    @cameval.networks.transformer_parts.register\n"
        f"    def _(net: {name}):\n"
        "        return cameval.networks.TransformerParts(blocks, patches, classify, prefix, "
        "pooled)\n\n"
        "and adapt it with layer=, so that it runs as a whole. Blocks with windows, as in Swin, "
        "have no attention between all tokens: use cameval.grad_cam or another method of features"
    )


def find_transformer(net: nn.Module) -> nn.Module:
    """Return the one module of a network, or the network itself, whose parts are known.

    Raises
    ------
    UnsupportedModelError
        If there is none, or more than one.
    """
    _register_loaded()
    unknown = transformer_parts.dispatch(object)
    found: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for module in net.modules():  # a module comes before those inside it
        if module not in inside and transformer_parts.dispatch(type(module)) is not unknown:
            found.append(module)
            inside.update(module.modules())
    if not found:
        raise _unknown_class(_users_class(net))
    if len(found) != 1:
        raise UnsupportedModelError(
            f"the network must contain one vision transformer, got {len(found)}: "
            f"{', '.join(type(module).__name__ for module in found)}; register the class around "
            "them with cameval.networks.transformer_parts.register"
        )
    return found[0]


def _users_class(net: nn.Module) -> str:
    """Return the name of the class inside a model of cameval, for an error message."""
    whole = getattr(net, "net", net) if type(net).__module__.startswith("cameval.") else net
    own = type(whole).__module__.startswith("cameval.")
    return "YourNetwork" if own else type(whole).__name__


@transformer_parts.register
def _(net: VisionTransformer) -> TransformerParts:
    encoder = net.encoder
    return TransformerParts(
        blocks=[*encoder.layers.children()],
        patches=net.conv_proj,
        classify=lambda tokens: net.heads(encoder.ln(tokens)[:, 0]),
        prefix=1,
        pooled=slice(0, 1),
    )


def _timm_parts(net: Any) -> TransformerParts:
    """Return the parts of timm's ViT, DeiT and EVA."""
    prefix = int(net.num_prefix_tokens)
    if net.attn_pool is not None:
        raise UnsupportedModelError(
            "the head must pool by a token or by a mean, got attentional pooling (global_pool="
            f"{net.global_pool!r}); use cameval.grad_cam at the last block"
        )
    pooled = slice(0 if getattr(net, "pool_include_prefix", False) else prefix, None)
    if net.global_pool == "token":
        pooled = slice(0, 2) if hasattr(net, "head_dist") else slice(0, 1)
    return TransformerParts(
        blocks=[*net.blocks],
        patches=net.patch_embed.proj,
        classify=lambda tokens: net.forward_head(net.norm(tokens)),
        prefix=prefix,
        pooled=pooled,
    )


def _transformers_parts(net: Any) -> TransformerParts:
    """Return the parts of transformers' ViT and DeiT classifiers of one head."""
    return _encoder_parts(net.base_model, 1, lambda tokens: net.classifier(tokens[:, 0]))


def _deit_parts(net: Any) -> TransformerParts:
    return _encoder_parts(net.base_model, 2, lambda tokens: net.classifier(tokens[:, 0]))


def _distilled_parts(net: Any) -> TransformerParts:
    def classify(tokens: Tensor) -> Tensor:
        both = net.cls_classifier(tokens[:, 0]) + net.distillation_classifier(tokens[:, 1])
        return cast(Tensor, both / 2)

    return _encoder_parts(net.base_model, 2, classify, pooled=slice(0, 2))


def _encoder_parts(
    encoder: Any, prefix: int, head: Callable[[Tensor], Tensor], pooled: slice = slice(0, 1)
) -> TransformerParts:
    # The blocks have moved between the versions of transformers.
    blocks = encoder.layers if hasattr(encoder, "layers") else encoder.encoder.layer
    return TransformerParts(
        blocks=[*blocks],
        patches=encoder.embeddings.patch_embeddings.projection,
        classify=lambda tokens: head(encoder.layernorm(tokens)),
        prefix=prefix,
        pooled=pooled,
    )


_OPTIONAL: tuple[tuple[str, str, Callable[[Any], TransformerParts]], ...] = (
    ("timm.models.vision_transformer", "VisionTransformer", _timm_parts),
    ("timm.models.eva", "Eva", _timm_parts),
    ("transformers.models.vit.modeling_vit", "ViTForImageClassification", _transformers_parts),
    ("transformers.models.deit.modeling_deit", "DeiTForImageClassification", _deit_parts),
    (
        "transformers.models.deit.modeling_deit",
        "DeiTForImageClassificationWithTeacher",
        _distilled_parts,
    ),
)
"""Classes of packages that cameval does not import: module, class, and the function for it."""


def _register_loaded() -> None:
    """Register the classes of optional packages that the process has imported."""
    for module, name, parts_of in _OPTIONAL:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None and cls not in transformer_parts.registry:
            transformer_parts.register(cls, parts_of)
