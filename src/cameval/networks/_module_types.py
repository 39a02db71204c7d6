"""Checks of modules: exact type, overridden calls, forward hooks.

A subclass may compute something else than its parent, and so may an instance with its own
``forward`` or a module with a hook. What is known of a class is known of exactly that class.
"""

import sys
from typing import cast

from torch import nn
from torch.nn.modules import module as torch_module

_CALLS = frozenset(
    ("forward", "_forward", "_forward_impl", "__call__", "_call_impl", "_wrapped_call_impl")
)
"""The methods that run when a module of torch's or torchvision's is called."""


def is_exactly(module: object, *kinds: type[nn.Module]) -> bool:
    """Tell whether a module is exactly of one of these classes, and overrides no call."""
    return type(module) in kinds and not _CALLS & vars(module).keys()


def runs_code_of(module: object, base: type[nn.Module]) -> bool:
    """Tell whether calling a module runs the code of `base`, also through a subclass.

    Examples
    --------
    >>> from torch import nn
    >>> from cameval.networks._module_types import runs_code_of
    >>> class Scaled(nn.Linear):
    ...     def forward(self, x):
    ...         return 10 * super().forward(x)
    >>> runs_code_of(nn.Linear(2, 2), nn.Linear), runs_code_of(Scaled(2, 2), nn.Linear)
    (True, False)
    """
    return isinstance(module, base) and find_override(module, base) is None


def find_override(module: nn.Module, base: type | None, *more: str) -> str | None:
    """Return the name of the class that overrides the call of `base`, None if there is none.

    "the instance" stands for an override by the module itself. `more` are names of further methods
    that the call of `base` runs.
    """
    names = {*_CALLS, *more}
    if names & vars(module).keys():
        return "the instance"
    lineage = type(module).__mro__
    below = lineage[: lineage.index(base)] if base in lineage else ()
    return next((cls.__name__ for cls in below if names & vars(cls).keys()), None)


def is_compiled(module: object) -> bool:
    """Tell whether a module is the wrapper of ``torch.compile``.

    The compiler takes seconds to import: where it is not imported yet, no module is compiled.
    """
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return isinstance(module, getattr(compiler, "OptimizedModule", ()))


def calls_compiled(module: nn.Module) -> bool:
    """Tell whether ``torch.compile`` wraps a module, or ``module.compile()`` was called."""
    return is_compiled(module) or getattr(module, "_compiled_call_impl", None) is not None


def unwrap_compiled(module: nn.Module) -> nn.Module:
    """Return the module inside ``torch.compile``, or the module itself."""
    while is_compiled(module):
        module = cast(nn.Module, module._orig_mod)
    return module


def has_hooks(module: nn.Module) -> bool:
    """Tell whether the module itself has forward hooks, which may change its inputs or outputs."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def has_global_hooks() -> bool:
    """Tell whether a forward hook is registered for all modules of the process."""
    return bool(torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks)


def named_modules_of(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return each module of a network with its name, as `named_modules` does, but faster.

    Networks are looked through on every call of an extractor, which counts for small ones.
    """
    found: dict[nn.Module, str] = {}
    waiting: list[tuple[str, nn.Module]] = [("", net)]
    while waiting:
        name, module = waiting.pop()
        if module not in found:
            found[module] = name
            start = f"{name}." if name else ""
            children = module._modules.items()
            waiting += [(start + key, child) for key, child in children if child is not None][::-1]
    return [(name, module) for module, name in found.items()]


def modules_of(net: nn.Module) -> list[nn.Module]:
    """Return each module of a network, as `modules` does, but faster."""
    return [module for _, module in named_modules_of(net)]


def hooks_outside(net: nn.Module, *parts: nn.Module) -> list[str]:
    """Return the modules of `net` whose forward hooks would not run if only `parts` did.

    They are given by name; hooks for all modules of the process come first.
    """
    hooked = [(name, module) for name, module in named_modules_of(net) if has_hooks(module)]
    inside = {module for part in parts for module in modules_of(part)} if hooked else ()
    everywhere = ["every module (a global hook)"] if has_global_hooks() else []
    outside = [name or type(net).__name__ for name, module in hooked if module not in inside]
    return everywhere + outside
