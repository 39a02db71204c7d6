"""Images in the dtype of a network: a network in half or double precision takes no others."""

from collections.abc import Callable
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

T = TypeVar("T")


def run_on(net: nn.Module, images: Tensor, run: Callable[[Tensor], T]) -> T:
    """Run a network on images; if it does not take their dtype, in that of its weights.

    Parameters
    ----------
    net
        The network whose weights decide.
    images
        Floating-point images. A network that casts them itself gets them as they are.
    run
        From images to what the network returns.
    """
    try:
        return run(images)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        dtype = input_dtype(net)
        if dtype in (None, images.dtype):
            raise
    return run(images.to(dtype))


def dtypes_of(net: nn.Module) -> list[str]:
    """Return the names of the dtypes of a network's floating weights and buffers.

    Examples
    --------
    >>> from torch import nn
    >>> from cameval.networks._dtypes import dtypes_of
    >>> dtypes_of(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).bfloat16()))
    ['bfloat16', 'float32']
    """
    tensors = chain(net.parameters(), net.buffers())
    return sorted({str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()})


def input_dtype(net: nn.Module) -> torch.dtype | None:
    """Return the dtype of a network's first convolution, or else of its first floating weight.

    Examples
    --------
    >>> from torch import nn
    >>> from cameval.networks._dtypes import input_dtype
    >>> input_dtype(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).half()), input_dtype(nn.ReLU())
    (torch.float16, None)
    """
    first = next((module for module in net.modules() if isinstance(module, _ConvNd)), net)
    tensors = chain(first.parameters(), first.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), None)
