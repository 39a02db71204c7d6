"""ARCC: the formula from independent terms, where it is zero, and the authors' implementation."""

import warnings

import numpy as np
import pytest
import torch
from small_networks import pictures, small, some_classes
from torch import nn

from cameval import CAMExtractor, CAMModel, GAPHead, grad_cam, normalize_maps
from cameval.errors import SettingError, ShapeError
from cameval.metrics import ADCC, ARCC, ROAD


class Returning:
    """Return the same maps for everything."""

    def __init__(self, maps):
        self.maps = maps

    def __call__(self, images, classes):
        """Return what has maps."""
        return self


@pytest.mark.parametrize("cut", ["pooled", "curved"])
def test_it_is_the_harmonic_mean_of_three_terms(cut):
    network, images, classes = small(cut), pictures(cut, 6), some_classes(6)
    extract, road = CAMExtractor(network, grad_cam), ROAD(percentiles=(25, 50), noise=0.0)
    maps = extract(images, classes).maps
    scaled = normalize_maps(maps)
    again = extract(images * scaled[:, None], classes).maps
    most, least = road.curves(network, images, maps, classes)
    scores = ARCC(extract, road)(network, images, maps, classes)
    for k, score in enumerate(scores.tolist()):
        varies = again[k].std() > 0 and maps[k].std() > 0
        r = np.corrcoef(maps[k].flatten(), again[k].flatten())[0, 1] if varies else -1
        gained = min(1, max(0, (least[k] - most[k]).mean().item()))  # twice the half difference
        terms = [(r + 1) / 2, 1 - scaled[k].mean().item(), gained]
        expected = 3 / sum(1 / term for term in terms) if min(terms) > 0 else 0
        assert score == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert (scores > 0).sum() >= 2


def test_it_is_zero_where_a_term_is():
    network, images, classes = small("pooled"), pictures("pooled"), some_classes()
    maps = CAMExtractor(network, grad_cam)(images, classes).maps
    squares = (torch.arange(maps.numel()) % 2).to(maps).reshape(maps.shape)  # r is exactly -1
    assert not ARCC(Returning(-squares))(network, images, squares, classes).any()  # coherency
    assert not ARCC(Returning(maps))(network, images, 0 * maps, classes).any()  # a constant map
    blind = CAMModel(nn.Conv2d(3, 6, 3), GAPHead(nn.Linear(6, 4))).double().eval()
    nn.init.zeros_(blind.head.linear.weight)  # it does not see the image: ROAD is 0
    assert not ARCC(Returning(maps))(blind, images, maps, classes).any()


def test_volumes_and_strange_sources_are_refused():
    network, images, classes = small("pooled"), pictures("pooled"), some_classes()
    maps = CAMExtractor(network, grad_cam)(images, classes).maps
    for metric in (ADCC, ARCC):
        with pytest.raises(ShapeError, match="extract must return maps of shape"):
            metric(Returning(maps[:, :3]))(network, images, maps, classes)
        with pytest.raises(SettingError, match="extract must be callable"):
            metric(3)
        with pytest.raises(SettingError, match="extract must be given, got None"):
            metric()(network, images, maps, classes)
    volumes = pictures("volumes")
    with pytest.raises(ShapeError, match="not defined for volumes"):
        ARCC(Returning(maps))(small("volumes"), volumes, volumes[:, 0], classes)


def test_it_is_that_of_its_authors():
    """Where map and order are theirs: a map in [0, 1] without ties, on a square image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("pytorch_grad_cam", reason="the extra 'oracle' is not installed")
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.metrics.arcc import ARCC as Peer
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
    torch.manual_seed(2)
    network = CAMModel(
        nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU()),
        GAPHead(nn.Linear(8, 3)),
    ).eval()
    for weights in network.head.parameters():
        weights.data *= 12  # so that removal changes the probabilities
    images, classes = torch.randn(5, 3, 24, 24), torch.tensor([0, 1, 2, 1, 0])
    targets = [ClassifierOutputSoftmaxTarget(k) for k in classes.tolist()]
    peer = GradCAM(network, [network.features[-1]])

    class Theirs:
        def __init__(self, maps):
            self.maps = maps

    def extract(shown, _classes):
        return Theirs(torch.from_numpy(peer(input_tensor=shown, targets=targets)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps = peer(input_tensor=images, targets=targets)
        expected = Peer(peer)(images, maps, targets, network)
    ours = ARCC(extract)(network, images, torch.from_numpy(maps), classes)
    assert (ours > 0.1).sum() >= 2
    # Both remove pixels in the order of the map; noise and ties differ.
    np.testing.assert_allclose(ours.numpy(), expected, atol=0.03)
