"""How many digits products have on the device, beside those of their dtype."""

import torch

__all__ = ["tf32"]


def tf32(*, convolutions: bool) -> bool:
    """Tell whether CUDA may round the factors of single-precision products to TF32.

    It may where torch does not say, because settings of its old and its new interface are mixed.
    """
    try:
        in_convolutions = convolutions and torch.backends.cudnn.allow_tf32
        return in_convolutions or torch.backends.cuda.matmul.allow_tf32
    except RuntimeError:
        return True
