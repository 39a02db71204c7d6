"""What names of pytorch-grad-cam, torchcam and captum are here, for the errors about them."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_TOP, _METHODS = "cameval", "cameval.methods"

METHODS: Final = {
    "AblationCAM": (_METHODS, "AblationCAM()"),
    "CAM": (_TOP, "cam"),
    "EigenCAM": (_TOP, "eigen_cam"),
    "EigenGradCAM": (_METHODS, "eigen_grad_cam"),
    "GradCAM": (_TOP, "grad_cam"),
    "GradCAMElementWise": (_METHODS, "grad_cam_elementwise"),
    "GradCAMPlusPlus": (_TOP, "grad_cam_pp"),
    "GradCAMpp": (_TOP, "grad_cam_pp"),
    "HiResCAM": (_TOP, "hires_cam"),
    "KPCA_CAM": (_METHODS, "KPCACAM()"),
    "LayerCAM": (_TOP, "layer_cam"),
    "LayerGradCam": (_TOP, "grad_cam"),
    "RandomCAM": (_METHODS, "RandomCAM()"),
    "ShapleyCAM": (_METHODS, "shapley_cam"),
    "SmoothGradCAMpp": (_METHODS, "SmoothGradCAMpp()"),
    "XGradCAM": (_TOP, "xgrad_cam"),
}
"""The module of the same method here, and how it is given to `CAMExtractor`."""

_LAYER = "name the layer of the maps with adapt(net, layer=...); without it, it is found"
_CLASSES = "the target classes are classes="

KEYWORDS: Final = {
    "alignment": "an extractor has it, and can replace a network: CAMExtractor(net, alignment=...)",
    "class_idx": _CLASSES,
    "layer": _LAYER,
    "target_category": _CLASSES,
    "target_layer": _LAYER,
    "target_layers": _LAYER,
    "targets": _CLASSES,
}
"""What is used in place of a keyword argument of theirs, or of another function here."""


def describe_method(name: str) -> str | None:
    """Return how a method is written here; None if the name is that of no method of theirs.

    Examples
    --------
    >>> from cameval._other_names import describe_method
    >>> describe_method("KPCA_CAM")
    'from cameval.methods import KPCACAM, and CAMExtractor(net, method=KPCACAM())'
    """
    if name not in METHODS:
        return None
    module, written = METHODS[name]
    return f"from {module} import {written.strip('()')}, and CAMExtractor(net, method={written})"


def with_hints(function: Callable[P, R]) -> Callable[P, R]:
    """Raise a TypeError, as Python does, that says what a keyword argument of theirs is here."""
    known = signature(function).parameters

    @wraps(function)
    def call(*args: P.args, **keywords: P.kwargs) -> R:
        for name in keywords:
            if name in KEYWORDS and name not in known:
                raise TypeError(
                    f"{function.__qualname__}() got an unexpected keyword argument {name!r}; "
                    f"{KEYWORDS[name]}"
                )
        return function(*args, **keywords)

    return call


def init_with_hints(cls: type[T]) -> type[T]:
    """Return a class whose ``__init__`` is `with_hints`."""
    known: Any = cls
    known.__init__ = with_hints(known.__init__)
    return cls
