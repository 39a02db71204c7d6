"""Laws that every method keeps, whatever its formula."""

import copy
import gc
import weakref
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_networks import CUTS, activations_of, pictures, small, some_classes
from torch import Tensor, nn

from cameval import (
    CAMExtractor,
    CAMModel,
    GAPHead,
    ScoreCAM,
    adapt,
    cam,
    eigen_cam,
    grad_cam,
    grad_cam_pp,
    hires_cam,
    layer_cam,
    methods,
    normalize_maps,
    xgrad_cam,
)
from cameval.errors import ClassIndexError, ShapeError
from cameval.methods import (
    ISCAM,
    KPCACAM,
    SSCAM,
    AblationCAM,
    FinerTarget,
    GroupCAM,
    LeGrad,
    OptiCAM,
    OtherClass,
    RandomCAM,
    ReciproCAM,
    RefineCAM,
    SmoothGradCAMpp,
    WinsorCAM,
    ZoomCAM,
    eigen_grad_cam,
    grad_cam_elementwise,
    lafam,
    local_linear_cam,
    local_linear_constant,
    shapley_cam,
)
from cameval.protocols import CAMMethod

METHODS: dict[str, CAMMethod] = {
    "GroupCAM": GroupCAM(groups=3),
    "ISCAM": ISCAM(num_samples=2),
    "KPCACAM": KPCACAM(),
    "OptiCAM": OptiCAM(steps=4),
    "ReciproCAM": ReciproCAM(),
    "RefineCAM": RefineCAM(),
    "SSCAM": SSCAM(num_samples=2),
    "ScoreCAM": ScoreCAM(),
    "SmoothGradCAMpp": SmoothGradCAMpp(num_samples=2),
    "WinsorCAM": WinsorCAM(),
    "ZoomCAM": ZoomCAM(),
    "AblationCAM": AblationCAM(),
    "cam": cam,
    "eigen_cam": eigen_cam,
    "eigen_grad_cam": eigen_grad_cam,
    "grad_cam": grad_cam,
    "grad_cam_elementwise": grad_cam_elementwise,
    "grad_cam_pp": grad_cam_pp,
    "hires_cam": hires_cam,
    "lafam": lafam,
    "layer_cam": layer_cam,
    "local_linear_cam": local_linear_cam,
    "RandomCAM": RandomCAM(),
    "shapley_cam": shapley_cam,
    "xgrad_cam": xgrad_cam,
}
CUT_ONLY = {"cam", "local_linear_cam"}  # not at an inner layer
BLIND = {"eigen_cam", "KPCACAM", "lafam", "RandomCAM"}  # do not look at the class
PAIRS = [
    (name, cut)
    for name in METHODS
    for cut in CUTS
    if not (cut == "inner" and name in CUT_ONLY)
    and not (cut in ("curved", "stage") and name == "cam")
]


@pytest.mark.parametrize(("name", "cut"), PAIRS)
def test_a_batch_is_its_images_one_by_one(name: str, cut: str) -> None:
    model, batch, classes = small(cut), pictures(cut), some_classes()
    together = METHODS[name](model.activations(batch), classes)
    alone = [
        METHODS[name](model.activations(batch[n : n + 1]), classes[n : n + 1]) for n in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone))
    grid = model.activations(batch).features.shape[2:]
    assert together.shape == (3, *grid)
    # The one convolution of a small network may have a negative importance for Winsor-CAM.
    assert together.any() or name == "WinsorCAM"


@pytest.mark.parametrize(("name", "cut"), PAIRS)
def test_surroundings_without_autograd_and_frozen_weights_change_nothing(
    name: str, cut: str
) -> None:
    model, batch, classes = small(cut), pictures(cut), some_classes()
    expected = METHODS[name](model.activations(batch), classes)
    assert not expected.requires_grad
    frozen = copy.deepcopy(model).requires_grad_(False)
    with torch.no_grad():
        found = METHODS[name](frozen.activations(batch), classes)
    assert torch.equal(found, expected)
    with torch.inference_mode():
        inner = CAMExtractor(frozen, method=METHODS[name])(pictures(cut), some_classes())
    torch.testing.assert_close(inner.coarse, expected)
    assert not inner.maps.is_inference()


@pytest.mark.parametrize(("name", "cut"), PAIRS)
def test_nothing_of_the_network_is_changed_or_held(name: str, cut: str) -> None:
    model, classes = small(cut), some_classes()
    before = copy.deepcopy(model.state_dict())
    activations = model.activations(pictures(cut))
    known = weakref.ref(activations.features)
    maps = METHODS[name](activations, classes)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    del activations
    if known() is not None:  # a cycle holds it
        gc.collect()
    assert known() is None
    assert maps.grad_fn is None


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"GroupCAM", "RandomCAM"}))
@given(seed=st.integers(0, 10))
def test_the_order_of_the_channels_does_not_matter(name: str, seed: int) -> None:
    model, batch, classes = small("pooled", seed), pictures("pooled", seed=seed), some_classes()
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.features[0].weight[:] = model.features[0].weight[order]
        other.features[0].bias[:] = model.features[0].bias[order]
        other.head.linear.weight[:] = model.head.linear.weight[:, order]
    found = METHODS[name](other.activations(batch), classes)
    torch.testing.assert_close(found, METHODS[name](model.activations(batch), classes))


BOTH = [pair for pair in PAIRS if pair[1] in ("pooled", "curved")]
SCALE_FREE = [
    *("cam", "eigen_cam", "eigen_grad_cam", "grad_cam", "grad_cam_elementwise", "hires_cam"),
    *("layer_cam", "local_linear_cam", "shapley_cam", "xgrad_cam", "AblationCAM"),
    *("KPCACAM", "WinsorCAM", "ZoomCAM"),
]


@pytest.mark.parametrize(("name", "cut"), [pair for pair in BOTH if pair[0] in SCALE_FREE])
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scaled_maps_do_not_depend_on_the_scale_of_the_logits(
    name: str, scale: float, cut: str
) -> None:
    """B13: no epsilon is large beside a small gradient."""
    model, batch, classes = small(cut), pictures(cut), some_classes()
    scaled = copy.deepcopy(model)
    last = scaled.head.linear if cut == "pooled" else scaled.head[-1]
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.mul_(scale)
    expected = normalize_maps(METHODS[name](model.activations(batch), classes))
    found = normalize_maps(METHODS[name](scaled.activations(batch), classes))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["cam", "hires_cam", "xgrad_cam", "local_linear_cam"])
@given(seed=st.integers(0, 10), share=st.floats(-2, 2))
def test_signed_maps_are_linear_in_the_head(name: str, seed: int, share: float) -> None:
    first, batch = small("pooled", seed), pictures("pooled", seed=seed)
    second, mixed = copy.deepcopy(first), copy.deepcopy(first)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        second.head.linear.weight.normal_(generator=generator)
        for key in ("weight", "bias"):
            pair = [getattr(model.head.linear, key) for model in (first, second)]
            getattr(mixed.head.linear, key)[:] = pair[0] + share * pair[1]
    one, two, both = (
        METHODS[name](model.activations(batch), some_classes()) for model in (first, second, mixed)
    )
    torch.testing.assert_close(both, one + share * two)


SIGNED = {
    *("cam", "eigen_cam", "eigen_grad_cam", "hires_cam", "local_linear_cam", "RandomCAM"),
    *("KPCACAM", "xgrad_cam"),
}


@pytest.mark.parametrize("name", METHODS)
def test_signs_are_those_of_the_formula(name: str) -> None:
    maps = METHODS[name](activations_of("pooled"), some_classes())
    assert (maps.min() < 0) == (name in SIGNED)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - BLIND))
def test_classes_are_checked(name: str) -> None:
    """B5: neither a missing target nor a class out of range passes in silence."""
    activations = activations_of("pooled")
    with pytest.raises(ClassIndexError, match=r"\[0, 4\), got 4"):
        METHODS[name](activations, torch.tensor([0, 1, 4]))
    with pytest.raises(ClassIndexError, match="got -1"):
        METHODS[name](activations, torch.tensor([0, -1, 2]))
    with pytest.raises(ShapeError, match=r"\(3,\), one per image, got \(1,\)"):
        METHODS[name](activations, torch.tensor([0]))


@pytest.mark.parametrize("name", METHODS)
def test_a_failure_leaves_the_network_as_it_was(name: str) -> None:
    """B5: after an exception, the next method finds nothing of the last one."""
    model, batch = small("pooled"), pictures("pooled")
    expected = METHODS[name](model.activations(batch), some_classes())
    activations = model.activations(batch)

    def broken(_: Tensor) -> Tensor:
        raise RuntimeError("on purpose")

    if name not in BLIND | {"cam", "local_linear_cam"}:
        with pytest.raises(RuntimeError, match="on purpose"):
            METHODS[name](activations, broken)
    assert torch.equal(METHODS[name](activations, some_classes()), expected)
    assert torch.is_grad_enabled()


REFUSED = {
    *("GroupCAM", "ISCAM", "OptiCAM", "ReciproCAM", "RefineCAM", "SSCAM", "ScoreCAM"),
    *("SmoothGradCAMpp", "WinsorCAM", "ZoomCAM"),
}
REFUSED_ON_CURVED = REFUSED | {"AblationCAM", "shapley_cam"}
IN_A_LOSS = [
    (name, cut)
    for name, cut in BOTH
    if name not in (REFUSED if cut == "pooled" else REFUSED_ON_CURVED)
]


@pytest.mark.parametrize(("name", "cut"), IN_A_LOSS)
def test_the_derivative_of_a_map_is_that_of_finite_differences(name: str, cut: str) -> None:
    model, classes = small(cut), some_classes(2)
    batch = pictures(cut, count=2)

    def energy(bias: Tensor) -> Tensor:
        model.features[0].bias = None
        shifted = CAMModel(_Shift(model.features[0], bias), model.head)
        activations = shifted.activations(batch, create_graph=True)
        return (METHODS[name](activations, classes) ** 2).sum()

    start = torch.full((6,), 2.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(energy, (start,))


class _Shift(nn.Module):
    """Shift what a convolution gives; rectified softly, for finite differences."""

    def __init__(self, conv: nn.Module, bias: Tensor) -> None:
        super().__init__()
        self.conv, self.bias = conv, bias

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.softplus(self.conv(images) + self.bias[:, None, None])


def test_the_derivative_of_eigen_cam_survives_dead_channels() -> None:
    """PyTorch's derivative of eigenvectors is NaN where two eigenvalues coincide."""
    features = torch.rand(1, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    features[:, 2:] = 0
    model = CAMModel(nn.Identity(), GAPHead(nn.Linear(5, 2))).eval()
    leaf = features.clone().requires_grad_()
    maps = eigen_cam(model.activations(leaf, create_graph=True), torch.tensor([0]))
    (gradient,) = torch.autograd.grad(maps.square().sum(), leaf)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_the_constant_of_the_local_decomposition_may_be_in_a_loss() -> None:
    model = small("curved")
    activations = model.activations(pictures("curved"), create_graph=True)
    total = local_linear_constant(activations, some_classes()).sum()
    maps = local_linear_cam(activations, some_classes())
    law = total + maps.mean((1, 2)).sum() - activations.score(some_classes()).sum()
    parameters = list(model.parameters())
    for gradient in torch.autograd.grad(law, parameters):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_a_network_in_training_mode_is_explained_as_in_evaluation() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
    model = CAMModel(net, GAPHead(nn.Linear(6, 4), nn.Dropout(0.9))).double()
    evaluated = copy.deepcopy(model).eval()
    for name, method in METHODS.items():
        if name == "grad_cam_pp":
            continue  # the same code as SmoothGradCAMpp's
        found = method(model.train().activations(pictures("pooled")), some_classes())
        expected = method(evaluated.activations(pictures("pooled")), some_classes())
        torch.testing.assert_close(found, expected)
    assert model.training
    assert net[1].num_batches_tracked == 0


def test_every_method_fits_the_extractor_of_a_plain_network() -> None:
    model = adapt(small("pooled"))
    for name, method in METHODS.items():
        result = CAMExtractor(model, method=method)(pictures("pooled"))
        assert result.maps.shape == (3, 11, 14), name
        assert result.maps.isfinite().all(), name


def test_the_seed_is_in_the_repr_of_random_cam() -> None:
    assert repr(RandomCAM(3)) == "RandomCAM(seed=3)"


LABELS = {
    AblationCAM: "ablation_cam",
    FinerTarget: "finer_target",
    GroupCAM: "group_cam",
    ISCAM: "is_cam",
    KPCACAM: "kpca_cam",
    LeGrad: "legrad",
    OptiCAM: "opti_cam",
    OtherClass: "other_class",
    RandomCAM: "random_cam",
    ReciproCAM: "recipro_cam",
    RefineCAM: "refine_cam",
    SSCAM: "ss_cam",
    ScoreCAM: "score_cam",
    SmoothGradCAMpp: "smooth_grad_cam_pp",
    WinsorCAM: "winsor_cam",
    ZoomCAM: "zoom_cam",
}


@pytest.mark.parametrize(("cls", "label"), LABELS.items(), ids=LABELS.values())
def test_a_label_is_the_word_of_the_class_and_no_setting(cls: type, label: str) -> None:
    assert vars(cls)["label"] == label
    assert "label" not in {field.name for field in fields(cls)}


def test_every_class_of_the_package_has_a_label() -> None:
    classes = {cls for cls in vars(methods).values() if isinstance(cls, type)}
    assert {cls for cls in classes if not issubclass(cls, Warning)} == LABELS.keys()


def test_the_docstring_of_an_experimental_class_says_why_and_no_other_does() -> None:
    for cls in LABELS:
        says = "Experimental: the text of the paper could not be consulted" in (cls.__doc__ or "")
        assert says == getattr(cls, "experimental", False), cls


def test_a_function_is_labeled_by_its_name() -> None:
    functions = [getattr(methods, name) for name in methods.__all__]
    plain = [function for function in functions if not isinstance(function, type)]
    assert len(plain) > 10
    assert all(getattr(methods, function.__name__) is function for function in plain)
