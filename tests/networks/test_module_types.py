"""Modules of networks: found faster than by torch, and in its order."""

import pytest
import torch
import torchvision
from torch import nn

from cameval.networks._module_types import modules_of, named_modules_of


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v3_small", "vit_b_16"])
def test_modules_are_those_of_torch_in_its_order(name: str) -> None:
    with torch.device("meta"):
        net = torchvision.models.get_model(name)
    net.again = nn.ModuleList([*net.children()][:2])  # some are there twice
    net.register_module("nothing", None)
    assert named_modules_of(net) == [*net.named_modules()]
    assert modules_of(net) == [*net.modules()]
