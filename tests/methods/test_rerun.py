"""Methods that run the network again, against loops that do it one channel at a time."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_networks import CLASSES, activations_of, pictures, small, some_classes
from torch import Tensor, nn
from torch.nn import functional as F

from cameval import CAMModel, GAPHead, ScoreCAM
from cameval.errors import LayerError, SettingError
from cameval.methods import ISCAM, SSCAM, AblationCAM, SmoothGradCAMpp, shapley_cam
from cameval.networks import Activations, LayerModel, NormHead, PooledHead, channels_last_grid


def ablated_by_hand(activations: Activations, classes: Tensor) -> Tensor:
    """Zero one channel of one image at a time."""
    maps = []
    for n in range(len(classes)):
        shown, features = activations.images[n : n + 1], activations.features[n : n + 1]
        score = activations.logits[n, classes[n]]
        total = torch.zeros_like(features[0, 0])
        for k in range(features.shape[1]):
            without = features.clone()
            without[:, k] = 0
            with torch.no_grad():
                fallen = activations.rerun(without, shown)[0, classes[n]]
            total += (score - fallen) / score.abs() * features[0, k]
        maps.append(total.relu())
    return torch.stack(maps)


@pytest.mark.parametrize("cut", ["pooled", "curved", "inner", "stage", "volumes"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_ablation_is_one_channel_after_the_other(cut: str, batch_size: int) -> None:
    activations, classes = activations_of(cut), some_classes()
    found = AblationCAM(batch_size)(activations, classes)
    torch.testing.assert_close(found, ablated_by_hand(activations, classes))
    assert found.any()
    torch.testing.assert_close(AblationCAM()(activations, classes), found)


@given(seed=st.integers(0, 50))
def test_the_closed_form_of_ablation_is_the_ablation(seed: int) -> None:
    """Asked for by a function, the same logit takes the long way."""
    activations, classes = activations_of("pooled", seed=seed), some_classes()
    long_way = AblationCAM()(activations, lambda logits: logits.gather(1, classes[:, None])[:, 0])
    torch.testing.assert_close(AblationCAM()(activations, classes), long_way)


def heads_that_pool() -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mlp = [nn.Linear(6, 5), nn.Hardswish(inplace=True), nn.Linear(5, CLASSES)]
        return {
            "norm": NormHead(LastAxisFree(6), nn.Linear(6, CLASSES)),
            "pooled": PooledHead(nn.AdaptiveAvgPool2d(1), nn.Sequential(*mlp)),
            "sequence": nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), *mlp),
            "in place": nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(180, CLASSES)),
        }


class LastAxisFree(nn.LayerNorm):
    """Normalize over the channels of ``(N, K, 1, 1)``, as torchvision's ConvNeXt does."""

    def forward(self, values: Tensor) -> Tensor:  # noqa: D102
        return super().forward(values.movedim(1, -1)).movedim(-1, 1)


@pytest.mark.parametrize("kind", heads_that_pool())
def test_ablation_of_means_is_ablation_of_maps(kind: str) -> None:
    """What sees the means alone is run on the means alone."""
    model = CAMModel(small("pooled").features, heads_that_pool()[kind]).double().eval()
    activations, classes = model.activations(pictures("pooled")), some_classes()
    sizes = []
    model.head.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape))
    found = AblationCAM()(activations, classes)
    assert {tuple(size[2:]) for size in sizes} == {(5, 6) if kind == "in place" else (1, 1)}
    torch.testing.assert_close(found, ablated_by_hand(activations, classes))


def test_ablation_keeps_its_direction_where_the_score_is_not_positive() -> None:
    """B5: divided by a negative score, what speaks for the class counts against it."""
    head = GAPHead(nn.Linear(2, 3))
    with torch.no_grad():
        head.linear.weight[:] = torch.tensor([[1.0, -1.0]])
        head.linear.bias[:] = torch.tensor([-8.0, 0.0, 8.0])
    features = torch.tensor([[[[4.0, 0.0]], [[0.0, 4.0]]]]).expand(3, -1, -1, -1)
    activations = CAMModel(nn.Identity(), head).eval().activations(features)
    classes = torch.tensor([0, 1, 2])
    assert activations.score(classes).tolist() == [-8.0, 0.0, 8.0]
    maps = AblationCAM()(activations, classes)
    assert maps.tolist() == [[[1.0, 0.0]], [[8.0, 0.0]], [[1.0, 0.0]]]


def test_ablation_is_refused_where_the_features_cannot_be_put_back() -> None:
    class ChannelsLast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.fc = nn.Linear(3, 6), nn.Linear(6, CLASSES)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.inner(images.movedim(1, -1)).mean((1, 2)))

    model = LayerModel(ChannelsLast().double().eval(), "inner", channels_last_grid)
    with pytest.raises(LayerError, match="use a gradient method"):
        AblationCAM()(model.activations(pictures("inner")), some_classes())


def masked_by_hand(activations: Activations, classes: Tensor, variants: list) -> Tensor:
    """Score-CAM in a naive loop, with PyTorch's own interpolation."""
    maps = []
    for n, features in enumerate(activations.features):
        size = activations.images.shape[2:]
        mode = "bilinear" if len(size) == 2 else "trilinear"
        scores = []
        for channel in features:
            mask = F.interpolate(channel[None, None], size=size, mode=mode, align_corners=False)
            mask = (mask - mask.min()) / (mask.max() - mask.min() or 1)
            if channel.min() == channel.max():  # interpolating a constant may leave rounding errors
                mask = torch.zeros_like(mask)
            with torch.no_grad():
                seen = [
                    activations.network(activations.images[n : n + 1] * variant(mask))
                    for variant in variants
                ]
            scores.append(torch.stack(seen).mean(0)[0, classes[n]])
        weights = torch.stack(scores).softmax(0)
        maps.append(sum(w * a for w, a in zip(weights, features, strict=True)).relu())
    return torch.stack(maps)


@pytest.mark.parametrize("cut", ["pooled", "curved", "inner", "stage", "volumes"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_score_cam_is_its_naive_loop(cut: str, batch_size: int) -> None:
    activations, classes = activations_of(cut), some_classes()
    found = ScoreCAM(batch_size)(activations, classes)
    torch.testing.assert_close(found, masked_by_hand(activations, classes, [lambda mask: mask]))
    assert found.any()


def test_iscam_is_its_naive_loop_and_score_cam_in_one_step() -> None:
    activations, classes = activations_of("curved"), some_classes()
    steps = [lambda mask: mask / 3, lambda mask: mask * 2 / 3, lambda mask: mask]
    found = ISCAM(num_samples=3)(activations, classes)
    torch.testing.assert_close(found, masked_by_hand(activations, classes, steps))
    one = ISCAM(num_samples=1)(activations, classes)
    torch.testing.assert_close(one, ScoreCAM()(activations, classes))


def test_sscam_is_its_naive_loop_with_seeded_noise() -> None:
    activations, classes = activations_of("curved"), some_classes()
    generator = torch.Generator().manual_seed(3)
    fields = [0.5 * torch.randn(11, 14, generator=generator).double() for _ in range(2)]
    noisy = [lambda mask, field=field: mask + field for field in fields]
    found = SSCAM(num_samples=2, std=0.5, seed=3)(activations, classes)
    torch.testing.assert_close(found, masked_by_hand(activations, classes, noisy))
    assert not torch.equal(found, SSCAM(num_samples=2, std=0.5, seed=4)(activations, classes))
    still = SSCAM(num_samples=2, std=0)(activations, classes)
    torch.testing.assert_close(still, ScoreCAM()(activations, classes))


@pytest.mark.parametrize("constant", [[], [2], [0, 3, 5], range(6)])
def test_constant_channels_share_one_pass(constant) -> None:
    model = small("curved")
    with torch.no_grad():
        for channel in constant:
            model.features[0].weight[channel] = 0
            model.features[0].bias[channel] = channel - 3.0
    activations, classes = model.activations(pictures("curved")), some_classes()
    seen = []
    model.features.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    found = ScoreCAM(batch_size=4)(activations, classes)
    assert sum(seen) == 3 * (6 - max(len(constant) - 1, 0))
    torch.testing.assert_close(found, masked_by_hand(activations, classes, [lambda mask: mask]))


def test_channels_that_are_constant_in_some_images_only() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=generator)
    images[0, 1], images[1, [0, 3]], images[2] = 1, 2, 3
    head = copy.deepcopy(small("pooled", channels=4).head)
    activations = CAMModel(nn.Identity(), head).eval().activations(images)
    expected = masked_by_hand(activations, some_classes(), [lambda mask: mask])
    torch.testing.assert_close(ScoreCAM(5)(activations, some_classes()), expected)


FURTHER = {
    "AblationCAM": AblationCAM(),
    "ScoreCAM": ScoreCAM(),
    "SSCAM": SSCAM(num_samples=2),
    "ISCAM": ISCAM(num_samples=2),
    "SmoothGradCAMpp": SmoothGradCAMpp(num_samples=2),
    "shapley_cam": shapley_cam,
}


@pytest.mark.parametrize("name", FURTHER)
def test_further_passes_are_refused_in_a_loss(name: str) -> None:
    activations = small("curved").activations(pictures("curved"), create_graph=True)
    with pytest.raises(
        SettingError, match=rf"(?i){name.replace('_', '_?')}.* without create_graph"
    ):
        FURTHER[name](activations, some_classes())


@pytest.mark.parametrize("name", FURTHER)
def test_a_target_may_hold_one_setting_per_image(name: str) -> None:
    """However many variants the network sees at once, the function sees the images in order."""
    activations, classes = activations_of("curved"), some_classes()

    def own(logits: Tensor) -> Tensor:
        return logits[torch.arange(3), classes]

    torch.testing.assert_close(FURTHER[name](activations, own), FURTHER[name](activations, classes))


@pytest.mark.parametrize("name", FURTHER)
def test_the_global_random_state_is_left_alone(name: str) -> None:
    activations = activations_of("curved")
    before = torch.random.get_rng_state()
    first = FURTHER[name](activations, some_classes())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(FURTHER[name](activations, some_classes()), first)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (AblationCAM, {"batch_size": 0}, r"batch_size must be a positive integer, got 0"),
        (ScoreCAM, {"batch_size": -1}, r"batch_size must be a positive integer, got -1"),
        (ScoreCAM, {"batch_size": 2.0}, r"batch_size .* got 2.0"),
        (SSCAM, {"num_samples": 0}, r"num_samples .* got 0"),
        (SSCAM, {"std": -1.0}, r"std must be finite and not negative, got -1.0"),
        (SSCAM, {"batch_size": True}, r"batch_size .* got True"),
        (ISCAM, {"num_samples": 0}, r"num_samples .* got 0"),
        (ISCAM, {"batch_size": 0}, r"batch_size .* got 0"),
        (SmoothGradCAMpp, {"num_samples": 0}, r"num_samples .* got 0"),
        (SmoothGradCAMpp, {"std": float("nan")}, r"std .* got nan"),
    ],
)
def test_settings_are_checked(method, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        method(**settings)


@pytest.mark.parametrize("cells", [1, (2, 2), (3, 1)])
@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("chain", [False, True])
def test_ablation_is_of_maps_where_the_means_alone_would_not_do(
    cells: int | tuple[int, int], hooked: bool, chain: bool
) -> None:
    torch.manual_seed(0)
    pool = nn.AdaptiveAvgPool2d(cells)
    if hooked:  # the mean of cubes is not the cube of the mean
        pool.register_forward_pre_hook(lambda _, inputs: (inputs[0] ** 3,))
    count = 1 if cells == 1 else cells[0] * cells[1]
    mlp = [nn.Linear(6 * count, 5), nn.Tanh(), nn.Linear(5, CLASSES)]
    parts = nn.Sequential(pool, nn.Flatten(), *mlp)
    head = parts if chain else PooledHead(pool, nn.Sequential(*mlp))
    model = CAMModel(small("pooled").features, head).double().eval()
    activations, classes = model.activations(5 * pictures("pooled")), some_classes()
    found = AblationCAM()(activations, classes)
    torch.testing.assert_close(found, ablated_by_hand(activations, classes))
    assert found.any()
