"""Recipro-CAM, Group-CAM, Opti-CAM and LaFAM, against loops over cells, groups and images."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d
from small_networks import activations_of, pictures, small, some_classes
from torch import Tensor
from torch.nn import functional as F

from cameval import cam, grad_cam
from cameval.errors import SettingError
from cameval.methods import GroupCAM, OptiCAM, ReciproCAM, lafam
from cameval.networks import Activations

CUTS = ["pooled", "curved", "inner", "stage", "volumes"]


def spread(cell: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
    """Make a mask of the kernel 1/4, 1/2, 1/4 of each axis, cell by cell."""
    mask = torch.zeros(size, dtype=torch.float64)
    for other in np.ndindex(*size):
        away = [abs(a - b) for a, b in zip(cell, other, strict=True)]
        if max(away) <= 1:
            mask[other] = np.prod([0.5 if a == 0 else 0.25 for a in away])
    return mask


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("softmax", [False, True])
def test_recipro_cam_is_one_cell_after_the_other(cut: str, gaussian: bool, softmax: bool) -> None:
    activations, classes = activations_of(cut), some_classes()
    features = activations.features
    size = tuple(features.shape[2:])
    expected = torch.zeros(3, *size, dtype=torch.float64)
    for n in range(3):
        for cell in np.ndindex(*size):
            masked = torch.zeros_like(features[n : n + 1])
            masked[(0, slice(None), *cell)] = features[(n, slice(None), *cell)]
            if gaussian:
                own = features[(n, slice(None), *cell)]
                masked[0] = own[(..., *(None for _ in size))] * spread(cell, size)
            with torch.no_grad():
                logits = activations.rerun(masked, activations.images[n : n + 1])[0]
            expected[(n, *cell)] = (logits.softmax(0) if softmax else logits)[classes[n]]
    for batch_size in (1, 7, 64):
        found = ReciproCAM(gaussian, softmax, batch_size)(activations, classes)
        torch.testing.assert_close(found, expected)


def test_recipro_cam_of_logits_is_cam_where_the_head_is_linear() -> None:
    activations, classes = activations_of("pooled"), some_classes()
    exact, bias = cam(activations, classes), activations.head.linear.bias[classes]
    expected = exact / exact[0].numel() + bias[:, None, None]
    torch.testing.assert_close(ReciproCAM(softmax=False)(activations, classes), expected)


def test_a_function_of_the_output_is_used_as_it_is() -> None:
    activations, classes = activations_of("curved"), some_classes()

    def logit(outputs: Tensor) -> Tensor:
        return outputs.gather(1, classes[:, None])[:, 0]

    expected = ReciproCAM(softmax=False)(activations, classes)
    torch.testing.assert_close(ReciproCAM()(activations, logit), expected)


def scaled(mask: Tensor) -> Tensor:
    low, high = mask.min(), mask.max()
    return (mask - low) / (high - low)


def group_cam_by_hand(activations: Activations, classes: Tensor, groups: int, level: float):
    """Return the maps on the images, with SciPy's convolution as the blur."""
    window = np.exp(-((np.arange(-25, 26) / 50.0) ** 2) / 2)
    window /= window.sum()
    gradients, size = activations.gradients(classes), tuple(activations.images.shape[2:])
    maps = []
    for n, image in enumerate(activations.images):
        blurred = image.numpy()
        for axis in range(1, blurred.ndim):
            blurred = convolve1d(blurred, window, axis=axis, mode="mirror")
        blurred = torch.from_numpy(blurred)

        def chance(shown: Tensor, n: int = n) -> Tensor:
            with torch.no_grad():
                return activations.network(shown[None]).softmax(1)[0, classes[n]]

        total = torch.zeros(size, dtype=torch.float64)
        weights = gradients[n].flatten(1).mean(1)
        for members in torch.arange(len(weights)).chunk(groups):
            one = sum(weights[k] * activations.features[n, k] for k in members).relu()
            one = torch.where(one > np.percentile(one.numpy(), level), one, 0)
            mode = "bilinear" if len(size) == 2 else "trilinear"
            fine = F.interpolate(one[None, None], size, mode=mode, align_corners=False)[0, 0]
            if fine.min() == fine.max():
                continue
            mask = scaled(fine)
            gain = chance(image * mask + blurred * (1 - mask)) - chance(blurred)
            total += gain * mask
        maps.append(total)
    return torch.stack(maps)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("groups", "percentile"), [(3, 70), (4, 0), (50, 40)])
def test_group_cam_is_one_group_after_the_other(cut: str, groups: int, percentile: float) -> None:
    from cameval.maps import upsample

    activations, classes = activations_of(cut), some_classes()
    on_image = group_cam_by_hand(activations, classes, groups, percentile)
    size = tuple(activations.images.shape[2:])
    for batch_size in (1, 5, 32):
        found = GroupCAM(groups, percentile, batch_size)(activations, classes)
        shown = upsample(found, size)
        # The last ReLU is on the grid: equal where the sum on the image has no negative cell.
        positive = on_image >= 0
        for n in range(3):
            if positive[n].all():
                torch.testing.assert_close(shown[n], on_image[n])
        assert (shown - on_image.relu() >= -1e-9).all()
    assert positive.flatten(1).all(1).any() or cut != "pooled"


def test_one_group_without_a_percentile_has_the_place_of_grad_cam() -> None:
    activations, classes = activations_of("pooled"), some_classes()
    found, expected = GroupCAM(1, 0)(activations, classes), grad_cam(activations, classes)
    for n in range(3):
        if found[n].any() and expected[n].any():
            assert found[n].argmax() == expected[n].argmax()


def objective(activations: Activations, maps: Tensor, classes: Tensor) -> Tensor:
    """Score the images masked by maps."""
    size = tuple(activations.images.shape[2:])
    mode = "bilinear" if len(size) == 2 else "trilinear"
    scores = []
    for n, one in enumerate(maps):
        fine = F.interpolate(one[None, None], size, mode=mode, align_corners=False)[0]
        with torch.no_grad():
            shown = activations.images[n] * scaled(fine)
            scores.append(activations.network(shown[None])[0, classes[n]])
    return torch.stack(scores)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("learning_rate", [0.1, 20])
def test_opti_cam_raises_the_score_of_the_masked_image_with_each_step(
    cut: str, learning_rate: float
) -> None:
    """With steps that are too large, later ones are worse, and the best one is kept."""
    activations, classes = activations_of(cut), some_classes()
    start = activations.features.relu().mean(1)
    scores = [objective(activations, start, classes)]
    for steps in (1, 3, 10, 30):
        maps = OptiCAM(steps, learning_rate)(activations, classes)
        scores.append(objective(activations, maps, classes))
        assert (maps >= 0).all()
        assert (scores[-1] >= scores[-2] - 1e-12).all()
    assert (scores[-1] > scores[0]).any()


def test_opti_cam_is_adam_on_one_image() -> None:
    """PyTorch's own Adam on the loss, one image at a time, without keeping the best step."""
    activations, classes = activations_of("curved"), some_classes()
    found = OptiCAM(4, 0.05)(activations, classes)
    for n in range(3):
        features = activations.features[n : n + 1].relu()
        u = torch.zeros(1, features.shape[1], 1, 1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([u], lr=0.05)
        best = (-torch.inf, None)
        for _ in range(5):
            one = (u.softmax(1) * features).sum(1, keepdim=True)
            mask = scaled(F.interpolate(one, (11, 14), mode="bilinear", align_corners=False))
            score = activations.network(activations.images[n : n + 1] * mask)[0, classes[n]]
            if score.item() > best[0]:
                best = (score.item(), one.detach()[0, 0])
            (u.grad,) = torch.autograd.grad(-score, u)
            optimizer.step()
        torch.testing.assert_close(found[n], best[1])


def test_settings_are_checked() -> None:
    for wrong in (
        lambda: ReciproCAM(batch_size=0),
        lambda: GroupCAM(groups=0),
        lambda: GroupCAM(batch_size=0),
        lambda: GroupCAM(percentile=101),
        lambda: GroupCAM(percentile=float("nan")),
        lambda: OptiCAM(steps=0),
        lambda: OptiCAM(learning_rate=0),
    ):
        with pytest.raises(SettingError):
            wrong()


@pytest.mark.parametrize("method", [ReciproCAM(), GroupCAM(), OptiCAM()], ids=lambda m: m.label)
def test_methods_with_further_passes_are_not_part_of_a_loss(method) -> None:
    activations = small("pooled").activations(pictures("pooled"), create_graph=True)
    with pytest.raises(SettingError, match="must be used without create_graph"):
        method(activations, some_classes())


def test_lafam_is_the_mean_of_the_features() -> None:
    activations = activations_of("pooled")
    assert np.allclose(lafam(activations, some_classes()), activations.features.numpy().mean(1))
