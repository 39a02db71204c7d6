"""Names that are like a name that nothing has."""

import pytest

from cameval import adapt
from cameval._names import list_near_names, near_names
from cameval.errors import LayerError


def test_case_underscores_and_hyphens_make_no_difference() -> None:
    assert near_names("Grad-CAM", ["iou", "grad_cam"]) == ["grad_cam"]
    assert near_names("gradcam", ["GRAD_CAM", "grad-cam", "grad_cam"], 2) == [
        "GRAD_CAM",
        "grad-cam",
    ]


def test_names_that_are_not_like_it_are_left_out() -> None:
    assert near_names("label", ["group", "sample"]) == []
    assert list_near_names("label", ["group", "sample"]) == "none"
    assert near_names("lo", ["low"], least=0.9) == []
    assert list_near_names("layer3", ["layer4", "layer3.0", "layer2"], 2) == "layer3.0, layer4"


def test_layers_are_found_whatever_their_case() -> None:
    from torch import nn
    from torchvision.models import resnet18

    net: nn.Module = resnet18()
    with pytest.raises(LayerError, match="close names are 'layer3'"):
        adapt(net, layer="LAYER_3")
