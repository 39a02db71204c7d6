"""Which modules compute what their class defines, without overrides or hooks."""

from torch import nn
from torch._dynamo.eval_frame import OptimizedModule
from torch.nn.modules import module as torch_module

_CALLS = frozenset(
    ("forward", "_forward", "_forward_impl", "__call__", "_call_impl", "_wrapped_call_impl")
)
"""What runs when a module of torch's or torchvision's is called."""


def plain(module: object, *kinds: type[nn.Module]) -> bool:
    """Tell whether a module is exactly of one of these classes, with no call of its own."""
    return type(module) in kinds and not _CALLS & vars(module).keys()


def computes_as(module: object, base: type[nn.Module]) -> bool:
    """Tell whether calling a module runs the code of `base`: itself, or a subclass that adds none.

    Examples
    --------
    >>> class Scaled(nn.Linear):
    ...     def forward(self, x):
    ...         return 10 * super().forward(x)
    >>> computes_as(nn.Linear(2, 2), nn.Linear), computes_as(Scaled(2, 2), nn.Linear)
    (True, False)
    """
    return isinstance(module, base) and overridden(module, base) is None


def overridden(module: nn.Module, base: type | None, *more: str) -> str | None:
    """Return whose code runs in the place of that of `base` when a module is called, if anyone's.

    `more` are names of further methods that the call of `base` runs.
    """
    names = {*_CALLS, *more}
    if names & vars(module).keys():
        return "the instance"
    lineage = type(module).__mro__
    below = lineage[: lineage.index(base)] if base in lineage else ()
    return next((cls.__name__ for cls in below if names & vars(cls).keys()), None)


def bare(module: nn.Module) -> nn.Module:
    """Return the module inside ``torch.compile``, which computes the same."""
    while isinstance(module, OptimizedModule):
        module = module._orig_mod
    return module


def hooked(module: nn.Module) -> bool:
    """Tell whether a forward hook of this very module may change what it is given or returns."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def any_global_hook() -> bool:
    """Tell whether a forward hook is registered for all modules of the process."""
    return bool(torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks)


def hooks_outside(net: nn.Module, *parts: nn.Module) -> list[str]:
    """Return what has forward hooks that would not run, or run elsewhere, if only `parts` did.

    They are names of modules of `net`; hooks for all modules of the process come first.
    """
    inside = {module for part in parts for module in part.modules()}
    everywhere = ["every module (a global hook)"] if any_global_hook() else []
    return everywhere + [
        name or type(net).__name__
        for name, module in net.named_modules()
        if module not in inside and hooked(module)
    ]
