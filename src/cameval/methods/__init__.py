"""Methods: one formula, one function, one paper."""

from cameval.methods.cam import cam
from cameval.methods.gradient import grad_cam, hires_cam, layer_cam
from cameval.methods.protocol import CAMMethod

__all__ = ["CAMMethod", "cam", "grad_cam", "hires_cam", "layer_cam"]
