"""Methods: functions and dataclasses that compute maps from recorded activations."""

from cameval.methods._mean_gradient import RoundingErrorWarning
from cameval.methods.ablation import AblationCAM
from cameval.methods.activation import lafam
from cameval.methods.attention import LeGrad, attention_relevance, attention_rollout
from cameval.methods.cam import cam
from cameval.methods.combine import augmentation_smoothing, max_fusion, mean_fusion, product_fusion
from cameval.methods.controls import OtherClass, RandomCAM
from cameval.methods.eigen import KPCACAM, eigen_cam, eigen_grad_cam
from cameval.methods.gradient import (
    grad_cam,
    grad_cam_elementwise,
    hires_cam,
    layer_cam,
    shapley_cam,
    xgrad_cam,
)
from cameval.methods.group import GroupCAM
from cameval.methods.local_linear import local_linear_cam, local_linear_constant
from cameval.methods.multi_layer import RefineCAM, WinsorCAM, ZoomCAM
from cameval.methods.opti import OptiCAM
from cameval.methods.plusplus import SmoothGradCAMpp, grad_cam_pp
from cameval.methods.recipro import ReciproCAM
from cameval.methods.score import ISCAM, SSCAM, ScoreCAM
from cameval.methods.targets import FinerTarget

__all__ = [
    "ISCAM",
    "KPCACAM",
    "SSCAM",
    "AblationCAM",
    "FinerTarget",
    "GroupCAM",
    "LeGrad",
    "OptiCAM",
    "OtherClass",
    "RandomCAM",
    "ReciproCAM",
    "RefineCAM",
    "RoundingErrorWarning",
    "ScoreCAM",
    "SmoothGradCAMpp",
    "WinsorCAM",
    "ZoomCAM",
    "attention_relevance",
    "attention_rollout",
    "augmentation_smoothing",
    "cam",
    "eigen_cam",
    "eigen_grad_cam",
    "grad_cam",
    "grad_cam_elementwise",
    "grad_cam_pp",
    "hires_cam",
    "lafam",
    "layer_cam",
    "local_linear_cam",
    "local_linear_constant",
    "max_fusion",
    "mean_fusion",
    "product_fusion",
    "shapley_cam",
    "xgrad_cam",
]
