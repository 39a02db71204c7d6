r"""Methods for vision transformers, which read the attention of every block.

Notation: :math:`A^l` is the attention of block l, ``(heads, T, T)`` for T tokens, each row with sum
1. Row i holds the weights with which token i reads all tokens. :math:`\mathbb{E}_h` is the mean
over the heads. A map has the values of the patches, on the grid of the patches. The tokens that the
head reads are the *pooled* tokens: the class token, class and distillation token, or all patches.

These methods do not use the features of the cut. Each call runs a private copy of the whole network
once more, with explicit attention, whose outputs must be those of the network. They are defined
where each block attends to all tokens, see `cameval.networks.transformer_parts`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from cameval._checks import check_count
from cameval.errors import LayerError, SettingError, UnsupportedModelError
from cameval.methods._rerun import check_no_graph
from cameval.networks import Activations, ScoreTarget, TransformerParts
from cameval.networks._attention import AttentionPass, per_head, record_attention

__all__ = ["LeGrad", "attention_relevance", "attention_rollout"]

TokenPooling = Literal["mean", "network"]
"""How :class:`LeGrad` pools the tokens of a block: their mean, or as the network pools."""


def attention_rollout(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Attention rollout: the product of the attention of all blocks.

    .. math:: \tilde{A}^l = \tfrac12 \mathbb{E}_h A^l + \tfrac12 I, \qquad
              R = \tilde{A}^L \cdots \tilde{A}^1

    The map is the row of R that belongs to the class token, or the mean of the rows of the pooled
    tokens. It uses neither the class nor the head: it is a floor for methods that do.

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    target
        Not used. The map is the same for all classes.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, non-negative. With the values of the other tokens they sum to 1.

    Raises
    ------
    UnsupportedModelError
        If the network is no vision transformer of a known class, or a block does not have one
        attention between all tokens.
    SettingError
        If the activations carry a graph.

    Notes
    -----
    Cost: one pass through the network, without a graph, and T x T numbers for each block and
    image. The identity stands for the skip connection; the weight of 1/2 is the paper's.

    References
    ----------
    Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import VisionTransformer
    >>> from cameval.methods import attention_rollout
    >>> from cameval.networks import LayerModel, TokenGrid
    >>> net = VisionTransformer(
    ...     image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
    ... )
    >>> model = LayerModel(net, "encoder.layers", TokenGrid())
    >>> attention_rollout(model.activations(torch.rand(1, 3, 32, 32)), torch.tensor([1])).shape
    torch.Size([1, 4, 4])
    """
    check_no_graph(activations, "attention_rollout")

    def read(attention: Tensor, tokens: Tensor, _parts: TransformerParts) -> Tensor:
        return per_head(attention, len(tokens)).mean(1)

    recorded = record_attention(activations, read, reach="none")
    with torch.inference_mode(False), torch.no_grad():
        row = _pooled_row(recorded)
        for attention in reversed(recorded.kept):
            row = (row @ attention + row) / 2
        return recorded.to_map(row[:, 0])


def attention_relevance(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Relevance by attention times its gradient, propagated through all blocks.

    .. math:: \bar{A}^l = \mathbb{E}_h\left(\nabla A^l \odot A^l\right)^+, \qquad
              R^0 = I, \qquad R^l = R^{l-1} + \bar{A}^l R^{l-1}

    where :math:`\nabla A^l` is the gradient of the target's score with respect to the attention of
    block l, through all later blocks. The map is the row of :math:`R^L` that belongs to the class
    token, or the mean of the rows of the pooled tokens.

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    target
        Target class of each image, shape ``(N,)``, or a function from the network's output to one
        score per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, non-negative and unbounded. All zeros where no evidence is positive.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.
    UnsupportedModelError
        If the network is no vision transformer of a known class, or a block does not have one
        attention between all tokens.
    LayerError
        If the score does not depend on the attention of a block.
    SettingError
        If the activations carry a graph.

    Notes
    -----
    Cost: one pass and one backward pass through the whole network for each target, and the
    attention of all blocks in memory, heads x T x T numbers for each block and image.

    Experimental: the text of the paper could not be consulted. The formula is the rule for
    self-attention of the authors' code, which numbers it as equations 5 and 6. The rules for
    cross-attention are not needed for a classifier of images. The method that the same authors
    published at CVPR 2021 has relevance by layer-wise relevance propagation instead of :math:`A^l`
    in the same product. It is not provided, since it needs a network that is rewritten with a
    backward rule for every module.

    References
    ----------
    Chefer et al., "Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers", ICCV 2021.

    Chefer et al., "Transformer Interpretability Beyond Attention Visualization", CVPR 2021.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import VisionTransformer
    >>> from cameval.methods import attention_relevance
    >>> from cameval.networks import LayerModel, TokenGrid
    >>> net = VisionTransformer(
    ...     image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
    ... )
    >>> model = LayerModel(net, "encoder.layers", TokenGrid())
    >>> attention_relevance(model.activations(torch.rand(1, 3, 32, 32)), torch.tensor([1])).shape
    torch.Size([1, 4, 4])
    """
    check_no_graph(activations, "attention_relevance")

    def read(attention: Tensor, _tokens: Tensor, _parts: TransformerParts) -> Tensor:
        return attention

    recorded = record_attention(activations, read, reach="network")
    with torch.inference_mode(False):
        with torch.enable_grad():
            score = activations.score(target, recorded.outputs)
        gradients = _gradients(score, recorded.kept)
        with torch.no_grad():
            row = _pooled_row(recorded)
            for attention, gradient in zip(recorded.kept[::-1], gradients[::-1], strict=True):
                row = row + row @ per_head(attention * gradient, len(row)).relu().mean(1)
            return recorded.to_map(row[:, 0])


@dataclass(frozen=True)
class LeGrad:
    r"""LeGrad: the gradient of each block's own score with respect to its attention.

    .. math:: s^l = C(\bar{z}^l)_c, \qquad
              E_j = \frac{1}{L} \sum_l \frac{1}{H T} \sum_h \sum_i
              \left(\frac{\partial s^l}{\partial A^l_{hij}}\right)^+

    where :math:`\bar{z}^l` is the mean of all tokens after block l, and C the final normalization
    and the classifier of the network, applied to them as if block l were the last. The map is E
    without the values of the class token and other tokens before the patches.

    Parameters
    ----------
    pooling
        How the tokens after a block are pooled: ``"mean"``, the mean of all tokens, as in the
        paper; or ``"network"``, as the network pools its last tokens. With a class token only the
        row of that token then has a gradient.
    last_blocks
        Number of blocks at the end of the network that are averaged. None: all.

    Raises
    ------
    SettingError
        If `pooling` is not one of the two or `last_blocks` is not positive; in a call, if the
        network has fewer blocks, or the activations carry a graph.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded; the paper scales them to [0, 1] at the end.
    Cost: one pass through the network, and for each target and block one backward pass through that
    block and the head. The graph of one block is in memory at a time, with its heads x T x T
    numbers for each image.

    Experimental: the text of the paper could not be consulted as a whole. The formula agrees with
    summaries of it and with the authors' code for CLIP, which takes the mean before the final
    normalization. That code uses the last two blocks by default, and the paper's formula all.
    Networks that pool by attention, for which the paper has a second form, are refused.

    References
    ----------
    Bousselham et al., "LeGrad: An Explainability Method for Vision Transformers via Feature
    Formation Sensitivity", ICCV 2025, arXiv 2404.03214.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import VisionTransformer
    >>> from cameval.methods import LeGrad
    >>> from cameval.networks import LayerModel, TokenGrid
    >>> net = VisionTransformer(
    ...     image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8
    ... )
    >>> model = LayerModel(net, "encoder.layers", TokenGrid())
    >>> LeGrad()(model.activations(torch.rand(1, 3, 32, 32)), torch.tensor([1])).shape
    torch.Size([1, 4, 4])
    """

    label: ClassVar[str] = "legrad"
    experimental: ClassVar[bool] = True

    pooling: TokenPooling = "mean"
    last_blocks: int | None = None

    def __post_init__(self) -> None:
        if self.pooling not in get_args(TokenPooling):
            raise SettingError(
                f"pooling must be one of {', '.join(get_args(TokenPooling))}, got {self.pooling!r}"
            )
        if self.last_blocks is not None:
            check_count("last_blocks", self.last_blocks)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "LeGrad")

        def read(attention: Tensor, tokens: Tensor, parts: TransformerParts) -> Tensor:
            if self.pooling == "mean":
                # With the same vector in all places, every kind of pooling returns that vector.
                tokens = tokens.mean(1, keepdim=True).expand_as(tokens)
            score = activations.score(target, parts.classify(tokens))
            (gradient,) = _gradients(score, [attention])
            return per_head(gradient, len(tokens)).relu().mean((1, 2))

        recorded = record_attention(activations, read, reach="block")
        if not recorded.classified:
            raise UnsupportedModelError(
                "the output of the network must be that of its vision transformer for LeGrad, "
                "which classifies the tokens of every block, got a network that changes it; pass "
                "the transformer itself, or use cameval.methods.attention_relevance"
            )
        blocks = len(recorded.kept)
        if self.last_blocks is not None and self.last_blocks > blocks:
            raise SettingError(
                f"last_blocks must be at most the {blocks} blocks of the network, got "
                f"{self.last_blocks}"
            )
        with torch.inference_mode(False), torch.no_grad():
            return recorded.to_map(
                torch.stack(recorded.kept[-(self.last_blocks or blocks) :]).mean(0)
            )


def _pooled_row(recorded: AttentionPass) -> Tensor:
    """Return the mean of the rows of an identity matrix that belong to the pooled tokens.

    A product of matrices of all blocks, multiplied by it from the left, takes no product of two
    matrices: one vector is multiplied by one matrix after the other, the last block's first.
    """
    attention = recorded.kept[0]
    eye = torch.eye(attention.shape[-1], dtype=attention.dtype, device=attention.device)
    row = eye[recorded.parts.pooled].mean(0)
    return row.expand(len(recorded.outputs), 1, -1)


def _gradients(scores: Tensor, attention: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradient of the scores of all images with respect to each attention."""
    total = scores.sum()
    found: tuple[Tensor | None, ...] = (None,)
    if total.requires_grad:
        found = torch.autograd.grad(total, attention, allow_unused=True)
    if any(gradient is None for gradient in found):
        raise LayerError(
            "the score must depend on the attention of every block, got a score that does not; "
            "give a target that uses the output of the network"
        )
    return tuple(gradient for gradient in found if gradient is not None)
