"""Names of pytorch-grad-cam, torchcam and captum: the errors say what is used here."""

import importlib
import inspect
import pickle

import pytest
import torch
from small_networks import pooled

import cameval
from cameval import CAMExtractor, evaluate, evaluate_maps
from cameval._other_names import KEYWORDS, METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_named_as_it_is_here(name: str) -> None:
    assert not hasattr(cameval, name)
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; it is: ") as caught:
        getattr(cameval, name)
    (module, written), namespace = METHODS[name], {}
    exec(f"from {module} import {written.strip('()')}\nmethod = {written}", namespace)
    text = f"from {module} import {written.strip('()')}, and CAMExtractor(net, method={written})"
    assert str(caught.value).endswith(text)
    images = torch.rand(1, 3, 32, 32)
    assert CAMExtractor(pooled(), method=namespace["method"])(images).maps.shape[0] == 1


@pytest.mark.parametrize(
    ("name", "near"), [("CamExtractor", "CAMExtractor"), ("gradcam", "grad_cam"), ("IOU", "iou")]
)
def test_an_attribute_that_is_not_there_has_near_names(name: str, near: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; near names: .*{near}"):
        getattr(cameval, name)
    assert not hasattr(cameval, name)


def test_a_keyword_of_another_library_says_what_is_used_here() -> None:
    net, images = pooled(), torch.rand(1, 3, 32, 32)
    layer, classes = r"adapt\(net, layer=...\)", "the target classes are classes="
    with pytest.raises(TypeError, match=f"unexpected keyword argument 'target_layers'; .*{layer}"):
        CAMExtractor(net, target_layers=[net])
    extract = CAMExtractor(net)
    with pytest.raises(TypeError, match=f"unexpected keyword argument 'targets'; {classes}"):
        extract(images, targets=[0])
    with pytest.raises(TypeError, match=f"'target_layers'; .*{layer}"):
        evaluate(net, [], target_layers=[net])
    with pytest.raises(TypeError, match=r"'alignment'; an extractor has it, .*CAMExtractor\(net"):
        evaluate(net, [], alignment="receptive_field")
    with pytest.raises(TypeError, match=f"'layer'; .*{layer}"):
        evaluate(net, [], layer="0")
    with pytest.raises(TypeError, match="'target_layers'; settings of a run are batch_size"):
        evaluate_maps({}, [], target_layers=[net])
    with pytest.raises(TypeError, match="unexpected keyword argument 'batch'"):
        extract(images, batch=1)
    assert not {*KEYWORDS} & {*inspect.signature(extract).parameters}


def test_the_extractor_is_as_other_dataclasses() -> None:
    assert list(inspect.signature(CAMExtractor).parameters)[:2] == ["model", "method"]
    assert list(inspect.signature(CAMExtractor.__call__).parameters)[:3] == [
        *("self", "images", "classes"),
    ]
    again = pickle.loads(pickle.dumps(CAMExtractor(pooled())))
    assert again(torch.rand(1, 3, 32, 32)).maps.shape == (1, 32, 32)
    assert importlib.import_module("cameval.extractor").CAMExtractor is CAMExtractor
