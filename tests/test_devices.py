"""On another device: the same values, without float64 where there is none, and without waiting.

The device is a pretended one (`pretend_device`), with float64 as on CUDA and without as on Metal.
"""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import SMALL, small_network
from evaluations import samples as some_samples
from pretend_device import Log, pretend_device
from skimage import filters
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten
from torchvision.models import VisionTransformer, squeezenet1_1

from cameval import (
    CAMExtractor,
    CAMModel,
    GAPHead,
    Preparation,
    Results,
    Sample,
    Target,
    adapt,
    cam,
    choose_binarizers,
    evaluate,
    evaluate_maps,
    iou,
    layer_cam,
    normalize_maps,
    pointing_game,
)
from cameval._deferred import deferred_checks
from cameval.baselines import (
    ClassMeanBaseline,
    GaussianBaseline,
    LeaveGroupOutBaseline,
    RandomBaseline,
    UntrainedBaseline,
    area_bound,
    center_baseline,
    class_mean_masks,
    edge_baseline,
    grid_bound,
    intensity_baseline,
    reachable_iou,
    skill,
    truth_baseline,
    truth_map,
)
from cameval.binarizers import (
    AdaptiveBinarizer,
    FractionOfMaxBinarizer,
    LargestComponent,
    MeanBinarizer,
    MeanSDBinarizer,
    MedianBinarizer,
    MultiOtsuBinarizer,
    NiblackBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    SauvolaBinarizer,
    SkimageBinarizer,
    TopAreaBinarizer,
    is_constant,
)
from cameval.data import Objects
from cameval.errors import ClassIndexError, NonFiniteError
from cameval.evaluation import SanityChecks, default_baselines
from cameval.evaluation.labels import setting_text
from cameval.losses import AttentionMining
from cameval.maps import CellCenters, upsample
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
    ScoreCAM,
    SmoothGradCAMpp,
    WinsorCAM,
    ZoomCAM,
    attention_relevance,
    attention_rollout,
    augmentation_smoothing,
    eigen_cam,
    eigen_grad_cam,
    grad_cam,
    grad_cam_elementwise,
    grad_cam_pp,
    hires_cam,
    lafam,
    local_linear_cam,
    mean_fusion,
    product_fusion,
    shapley_cam,
    xgrad_cam,
)
from cameval.metrics import (
    ADCC,
    ARCC,
    FROC,
    ROAD,
    AreaToCover,
    AverageSurfaceDistance,
    BoundaryIoU,
    CentroidDistance,
    CoverageAtArea,
    Deletion,
    FalsePositivesPerImage,
    FBeta,
    HausdorffDistance,
    Insertion,
    MaxBoxAcc,
    ObjectF1,
    ObjectRecall,
    Outcomes,
    PxAP,
    SurfaceDice,
    Tversky,
    ZeroWithoutObject,
    average_drop,
    average_gain,
    average_precision_skill,
    box_iou,
    box_precision,
    chance_corrected_overlap,
    cohen_kappa,
    complexity,
    count_outcomes,
    coverage,
    dice,
    dual_polarity_precision,
    energy_pointing_game,
    false_positive_rate,
    increase_in_confidence,
    informedness,
    iou_at_true_area,
    marked_area,
    mask_shape,
    matthews_correlation,
    max_iou,
    noisy_linear_imputation,
    on_volumes,
    overlap_coefficient,
    pixel_auroc,
    pixel_average_precision,
    pointing_recall,
    precision,
    relevance_mass_accuracy,
    relevance_mass_ratio,
    relevance_mass_skill,
    relevance_rank_accuracy,
    share_above,
    share_below,
    share_equal,
    size_standardized_iou,
    specificity,
    takes,
    threshold_curve,
    volumetric_similarity,
)
from cameval.metrics.properties import truth_of
from cameval.networks import LayerModel, TokenGrid
from cameval.protocols import BaselineInput
from cameval.sanity import repeatability
from cameval.statistics import mean_interval
from cameval.target_classes import TopClasses
from cameval.training import MapScore

PER_BATCH = 2
"""Synchronizations that each batch may cost."""

AT_START = 12
"""Synchronizations that a run of a small network may cost before its first batch."""

BINARIZERS = [
    MeanBinarizer(),
    MedianBinarizer(),
    PercentileBinarizer(95),
    OtsuBinarizer(),
    MultiOtsuBinarizer(),
    MeanSDBinarizer(1.5),
    FractionOfMaxBinarizer(),
    TopAreaBinarizer(0.1),
    SkimageBinarizer(filters.threshold_yen),
    LargestComponent(FractionOfMaxBinarizer(0.2)),
    AdaptiveBinarizer(5, "median"),
]
LOCAL = [
    AdaptiveBinarizer(5),
    AdaptiveBinarizer(5, "mean"),
    NiblackBinarizer(15),
    SauvolaBinarizer(15),
]
"""Their filters add the same numbers in another order than on a CPU."""

OF_MASKS = [
    iou, dice, coverage, precision, informedness, size_standardized_iou, false_positive_rate,
    specificity, marked_area, area_bound, overlap_coefficient, volumetric_similarity, cohen_kappa,
    matthews_correlation, chance_corrected_overlap, FBeta(2), Tversky(0.3, 0.7), Outcomes(),
    ZeroWithoutObject(iou), box_iou, box_precision, ObjectF1(), ObjectRecall(),
    FalsePositivesPerImage(), BoundaryIoU(), SurfaceDice(2.0), HausdorffDistance(),
    AverageSurfaceDistance(), CentroidDistance(),
]  # fmt: skip
OF_MAPS = [
    pointing_game, pixel_auroc, pixel_average_precision, average_precision_skill, iou_at_true_area,
    relevance_rank_accuracy, relevance_mass_accuracy, relevance_mass_ratio, relevance_mass_skill,
    energy_pointing_game, dual_polarity_precision, max_iou, AreaToCover(0.7), CoverageAtArea(0.3),
    pointing_recall,
]  # fmt: skip
OF_NETWORK = [
    average_drop, average_gain, increase_in_confidence, complexity, ADCC(), ARCC(), ROAD(),
    Insertion(steps=4), Deletion(steps=4),
]  # fmt: skip
METHODS = [
    cam, grad_cam, grad_cam_pp, grad_cam_elementwise, hires_cam, layer_cam, xgrad_cam, shapley_cam,
    eigen_cam, eigen_grad_cam, lafam, local_linear_cam, KPCACAM(), RandomCAM(), AblationCAM(),
    ScoreCAM(), SSCAM(num_samples=2), ISCAM(num_samples=2), SmoothGradCAMpp(num_samples=2),
    GroupCAM(groups=3), OptiCAM(steps=3), ReciproCAM(), RefineCAM(), WinsorCAM(), ZoomCAM(),
]  # fmt: skip

both_kinds = pytest.mark.parametrize("float64", [True, False], ids=["float64", "float32"])


def _in_words(thing: object) -> str:
    """Return how a thing is written, without addresses."""
    return setting_text(thing)


def test_every_public_thing_is_here() -> None:
    from cameval import binarizers, methods, metrics

    def name_of(thing: object) -> str:
        return getattr(thing, "__name__", type(thing).__name__)

    def named(things: list[Any]) -> set[str]:
        return {name_of(thing) for thing in things}

    public = {name for name in metrics.__all__ if takes(getattr(metrics, name)) is not None}
    elsewhere = {"coherency", "grid_pointing_game", "score_counts"}
    assert public - elsewhere <= named(OF_MASKS + OF_MAPS + OF_NETWORK)
    assert named(BINARIZERS + LOCAL) == set(binarizers.__all__) - {
        "is_constant",
        "PercentileWarning",
    }
    combined = {"augmentation_smoothing", "local_linear_constant", "FinerTarget", "OtherClass"}
    combined |= {"max_fusion", "mean_fusion", "product_fusion", "RoundingErrorWarning"}
    of_transformers = {"LeGrad", "attention_relevance", "attention_rollout"}
    assert named(METHODS) == set(methods.__all__) - combined - of_transformers


def test_the_device_counts_what_it_does_and_refuses_what_it_cannot() -> None:
    with pretend_device() as log:
        here = torch.arange(6.0).reshape(2, 3).to(log.device)
        assert (here.device, here.is_cpu, here.is_meta) == (log.device, False, False)
        assert [(one.what, one.size) for one in log.copies_to_device] == [("_to_copy", 24)]
        assert (here.T @ here)[0].tolist() == [9, 12, 15]
        assert [one.what for one in log.launches] == ["mm"]  # a selection launches nothing
        assert float(here.sum()) == 15
        assert len(here[here > 3]) == 2
        assert torch.equal(here.cpu(), torch.arange(6.0).reshape(2, 3))
        here[here > 3] = 0  # fills, and does not select
        waits = ["tolist", "_local_scalar_dense", "boolean index", "copy to the host"]
        assert [one.what for one in log.synchronizations] == waits
        assert [one.size for one in log.copies_to_host] == [12, 24]
        here.to("cpu", non_blocking=True)
        assert (len(log.copies_to_host), len(log.synchronizations)) == (3, 4)
        normalize_maps(here)
        assert log.launches[-1].lines[0].startswith("maps.py:")
        for refused in (lambda: here + torch.ones(2, 3), here.numpy, lambda: np.asarray(here)):
            with pytest.raises((RuntimeError, TypeError), match=f"is refused on {log.device}"):
                refused()
        assert len(log.refusals) == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.ones, 2, device=log.device).result().device == log.device
    with pretend_device(float64=False) as log:
        here = torch.ones(2).to(log.device)
        with pytest.raises(TypeError, match="float64 is refused on mps"):
            here.double()
        assert here.cpu().double().dtype == torch.float64
    assert torch.ones(2).to("meta").is_meta


# --- Values ---------------------------------------------------------------------------------------
def on_both(
    function: Callable[[torch.device], Any], *, float64: bool, there: bool = True, scale: float = 0
) -> None:
    """Compare what a function returns for the CPU and for the device.

    Values are equal to the bit; without float64 numbers are equal to the rounding of float32, and
    masks, integers and words are equal. With `scale`, numbers are equal to the rounding of numbers
    of this size. With `there`, all tensors must be on the device.
    """
    wanted, form = tree_flatten(function(torch.device("cpu")))
    with pretend_device(float64=float64) as log:
        found, same_form = tree_flatten(function(log.device))
        if there:
            assert all(one.device == log.device for one in found if isinstance(one, Tensor))
        found = [one.cpu() if isinstance(one, Tensor) else one for one in found]
    assert not log.refusals, log.report()
    assert form == same_form
    tolerance = 1e-5 * max(scale, 0 if float64 else 1)
    for ours, theirs in zip(found, wanted, strict=True):
        if isinstance(theirs, Tensor | np.ndarray):
            arrays = [one.numpy() if isinstance(one, Tensor) else one for one in (ours, theirs)]
            pair = [torch.from_numpy(np.array(one)) for one in arrays]
            if not float64 and pair[1].is_floating_point():
                pair = [one.float() for one in pair]
            torch.testing.assert_close(*pair, equal_nan=True, rtol=tolerance, atol=tolerance)
        elif isinstance(theirs, float):
            assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance, nan_ok=True)
        else:
            assert ours == theirs


def table(results: Results) -> list[Any]:
    """Return what a run gives: scores, reasons, weights, predictions."""
    samples = results.samples
    numbers = samples[["probability", "area"]].to_numpy(float)
    words = samples[["sample", "label", "predicted"]].astype(str).to_numpy().tolist()
    return [results.values, results.codes, results.weights, numbers, words]


def some_maps(count: int = 4, size: tuple[int, ...] = (66, 70)) -> tuple[Tensor, Tensor]:
    """Make maps with many ties, with few and constant, and truths of two objects, one and none."""
    generator = torch.Generator().manual_seed(count)
    maps = torch.rand(count, *size, generator=generator)
    maps[0] = (9 * maps[0]).round()
    maps[1] -= 0.5
    truth = torch.zeros(count, *size, dtype=torch.bool)
    truth[..., 3:9, 4:12] = True
    truth[0, ..., 20:30, 20:40] = True
    truth[2] = False
    maps[3] = 0.25
    return maps, truth


@both_kinds
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int32])
@pytest.mark.parametrize("binarizer", BINARIZERS + LOCAL, ids=_in_words)
def test_masks_and_thresholds(binarizer: Any, dtype: torch.dtype, float64: bool) -> None:
    maps = (100 * some_maps()[0]).to(dtype)

    def masks(device: torch.device) -> Any:
        threshold = getattr(binarizer, "threshold", is_constant)
        return binarizer(maps.to(device)), threshold(maps.to(device))

    rounded = binarizer in LOCAL or not float64
    # NumPy 1 computes the edges of bins in float64.
    rounded |= isinstance(binarizer, OtsuBinarizer) and np.__version__.startswith("1.")
    on_both(masks, float64=float64, scale=100 if rounded else 0)


def test_percentiles_between_neighboring_numbers_without_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = 1 + torch.randint(0, 300, (50, 12, 13), generator=generator) * 2**-23

    def masks(device: torch.device) -> Any:
        return [PercentileBinarizer(q)(maps.to(device)) for q in (50, 66, 75, 90, 95, 99)]

    on_both(masks, float64=False)


def test_otsu_of_maps_in_a_narrow_range() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = 1 + torch.randint(0, 1000, (20, 12, 13), generator=generator) * 2**-23

    def thresholds(device: torch.device) -> Any:
        return OtsuBinarizer().threshold(maps.to(device))

    on_both(thresholds, float64=True)


@both_kinds
@pytest.mark.parametrize("metric", OF_MASKS + OF_MAPS, ids=_in_words)
def test_scores_of_masks_and_maps(metric: Any, float64: bool) -> None:
    maps, truth = some_maps()
    given = maps if takes(metric) == "maps" else maps > 0.6

    def scores(device: torch.device) -> Tensor:
        if truth_of(metric) == "objects":
            true: Any = [Objects.of_components(mask.numpy()) for mask in truth]
        else:
            true = truth.to(device)
        return metric(given.to(device), true)

    on_both(scores, float64=float64)


@both_kinds
def test_curves_shapes_and_arithmetic_of_maps(float64: bool) -> None:
    maps, truth = some_maps()

    def found(device: torch.device) -> Any:
        here, true = maps.to(device), truth.to(device)
        curve = threshold_curve(here[0], true[0])
        return (
            normalize_maps(here),
            is_constant(here),
            upsample(here, (80, 90)),
            upsample(here, (80, 90), cell_centers=CellCenters(0.5, 2), image_size=(160, 180)),
            mean_fusion([here, 1 - here]),
            product_fusion([here.abs(), here.square()]),
            vars(curve),
            vars(mask_shape(true)),
            grid_bound(true, (7, 7)),
            reachable_iou(true[:2], (4, 4), steps=3),
        )

    on_both(found, float64=float64)


@both_kinds
def test_numbers_of_a_whole_dataset(float64: bool) -> None:
    maps, truth = some_maps()
    objects = [Objects.of_components(mask.numpy()) for mask in truth]

    def found(device: torch.device) -> Any:
        here, true = maps.to(device), truth.to(device)
        scores = iou(here > 0.6, true)
        similarity = repeatability(here[:3], here[:3].square())
        return (
            [share_above(scores, 0.1), share_below(scores, 0.1), share_equal(scores, 0)],
            count_outcomes(Outcomes()(here > 0.6, true)),
            vars(mean_interval(scores, ["a", "b", "b", "c"])),
            MaxBoxAcc.of(here, true).curve(),
            PxAP.of(here, true, ignore=here > 0.9).true,
            FROC.of(here, objects).curve(),
            class_mean_masks(true, torch.tensor([0, 1, 0, 1]), 2).cpu(),
            skill(scores, 0.1).cpu(),
            [one.cpu() for one in similarity],
        )

    on_both(found, float64=float64, there=False)


@both_kinds
def test_volumes(float64: bool) -> None:
    maps, truth = some_maps(size=(5, 34, 42))
    things = [
        on_volumes(PercentileBinarizer(95)),
        on_volumes(OtsuBinarizer()),
        LargestComponent(MeanBinarizer(), spatial_axes=3),
    ]
    local = [AdaptiveBinarizer(3, spatial_axes=3), NiblackBinarizer(3, spatial_axes=3)]
    metrics = [
        on_volumes(iou),
        on_volumes(pixel_auroc),
        on_volumes(pointing_game),
        on_volumes(HausdorffDistance()),
        on_volumes(CentroidDistance()),
    ]

    def found(device: torch.device) -> Any:
        here, true = maps.to(device), truth.to(device)
        masks = [thing(here) for thing in things]
        given = [here if takes(metric) == "maps" else masks[0] for metric in metrics]
        without_ties = [thing(here[1:3]) for thing in local]
        scores = [metric(one, true) for metric, one in zip(metrics, given, strict=True)]
        return masks, without_ties, scores

    on_both(found, float64=float64)


def some_baselines(device: torch.device, samples: list[Sample]) -> dict[str, Any]:
    untrained = CAMExtractor(copy.deepcopy(small_network()).to(device), grad_cam)
    return {
        "center": center_baseline,
        "gaussian": GaussianBaseline(),
        "random": RandomBaseline(),
        "intensity": intensity_baseline,
        "edges": edge_baseline,
        "truth": truth_baseline,
        "class_mean": ClassMeanBaseline(ClassMeanBaseline.of(samples, 3).masks),
        "mean_mask": LeaveGroupOutBaseline.of(samples, by_class=True),
        "untrained": UntrainedBaseline(untrained),
    }


@both_kinds
@pytest.mark.parametrize("window", [None, ((0, 32), (4, 28))])
@pytest.mark.parametrize("centers", [None, CellCenters(0.5, 4)])
def test_maps_of_baselines(centers: CellCenters | None, window: Any, float64: bool) -> None:
    samples = some_samples(6, sizes=(40,))
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    truth = torch.stack([torch.from_numpy(one.mask) for one in samples])
    classes = torch.tensor([one.label or 0 for one in samples])

    def maps(device: torch.device) -> Any:
        batch = BaselineInput(
            samples,
            images.to(device),
            truth.to(device),
            classes.to(device),
            (8, 8),
            centers,
            window,
        )
        return {name: one(batch) for name, one in some_baselines(device, samples).items()}

    on_both(maps, float64=float64)


@pytest.mark.parametrize("cells", [(7, 7), (3, 14), (14, 14)])
@pytest.mark.parametrize("centers", [None, CellCenters(0.5, 32)])
def test_the_truth_on_the_grid_has_the_same_masks_without_float64(
    cells: tuple[int, ...], centers: CellCenters | None
) -> None:
    rows, columns = torch.meshgrid(torch.arange(150), torch.arange(200), indexing="ij")
    radii = torch.arange(8, 88, 8)[:, None, None]
    truth = (rows - 70).square() + (columns - 90).square() < radii.square()
    settings: Any = {"cell_centers": centers, "image_size": (224, 224)}

    def masks(device: torch.device) -> Any:
        maps = truth_map(truth.to(device), cells, **settings)
        return [PercentileBinarizer(q)(maps) for q in (50, 80, 90, 95, 99)]

    on_both(masks, float64=False)
    with pretend_device(float64=False) as log:
        there = truth_map(truth.to(log.device), cells, **settings).cpu()
    here = truth_map(truth, cells, **settings)
    for ours, exact in zip(there.flatten(1).numpy(), here.flatten(1).numpy(), strict=True):
        order = [np.unique(each, return_inverse=True)[1] for each in (ours, exact)]
        assert np.array_equal(*order)


@both_kinds
@pytest.mark.parametrize("method", METHODS, ids=_in_words)
def test_maps_of_methods(method: Any, float64: bool) -> None:
    images = torch.rand(3, 3, 17, 19, generator=torch.Generator().manual_seed(0))

    def maps(device: torch.device) -> Any:
        extract = CAMExtractor(small_network().to(device), method)
        result = extract(images.to(device), [2, 0, 1])
        return result.maps, result.coarse, result.logits, result.classes

    on_both(maps, float64=float64)


class Plain(nn.Module):
    """A network whose cut is found by proof."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 5, 3, stride=2), nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(N, 4)``."""
        found: Tensor = self.fc(self.conv(images).relu().mean((2, 3)))
        return found


def transformer(device: torch.device) -> LayerModel:
    torch.manual_seed(0)
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16, "num_classes": 4}
    net = VisionTransformer(image_size=16, patch_size=4, **sizes)
    nn.init.normal_(net.heads.head.weight)  # torchvision's head is zero at first
    return adapt(net.eval().to(device), layer="encoder.layers", grid=TokenGrid())


@both_kinds
def test_networks_of_other_kinds(float64: bool) -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    large = torch.rand(2, 3, 33, 33, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([1, 3])

    def maps(device: torch.device) -> Any:
        torch.manual_seed(0)
        cnn = squeezenet1_1(num_classes=4).eval().to(device)
        plain, of_tokens = Plain().eval().to(device), transformer(device)
        extract = CAMExtractor(plain, cam)
        recorded = of_tokens.activations(images.to(device))
        methods = [attention_relevance, attention_rollout, LeGrad(), grad_cam]
        similar = FinerTarget([0, 3], similar=2)
        return [
            CAMExtractor(cnn, grad_cam, alignment="receptive_field")(large.to(device)).maps,
            extract(images.to(device), TopClasses(2)).maps,
            CAMExtractor(plain, OtherClass(grad_cam))(images.to(device), classes).maps,
            augmentation_smoothing(extract, images.to(device), classes.to(device)),
            grad_cam(adapt(plain).activations(images.to(device)), similar),
            [method(recorded, classes.to(device)) for method in methods],
        ]

    on_both(maps, float64=float64)


@both_kinds
def test_changed_images(float64: bool) -> None:
    images = torch.rand(3, 3, 16, 18, generator=torch.Generator().manual_seed(0))
    removed = images[:, 0] > 0.7
    masks = images[:, 1] > 0.5

    def found(device: torch.device) -> Any:
        net, batch = small_network().to(device), images.to(device)
        result = CAMExtractor(net, grad_cam)(batch)
        curves = [
            ROAD().curves(net, batch, result.maps, result.classes),
            Deletion(steps=5).curve(net, batch, result.maps, result.classes),
            Insertion(steps=5).curve(net, batch, result.maps, result.classes),
        ]
        mining = AttentionMining(omega=10.0, sigma=0.5, alpha_supervised=1.0)
        labels = torch.tensor([0, 2, 1]).to(device)
        loss = mining(net, batch, labels, masks=masks.to(device))
        loss.total.backward()
        slopes = [one.grad for one in net.parameters()]
        filled = noisy_linear_imputation(batch, removed.to(device))
        return curves, loss.total.detach(), loss.maps.detach(), slopes, filled

    on_both(found, float64=float64)


def with_ignored(samples: list[Sample]) -> list[Sample]:
    """Ignore a corner of every second sample, and give all a spacing."""
    corner = [np.zeros(one.mask.shape, bool) for one in samples]
    for each in corner:
        each[:9, :13] = True
    return [
        replace(one, spacing=(0.5, 2.0), ignore=corner[k] if k % 2 else None)
        for k, one in enumerate(samples)
    ]


def several_targets(samples: list[Sample]) -> list[Sample]:
    """Give samples one target, two and three."""
    return [
        Sample(
            one.name,
            one.image,
            targets=[Target(label, np.roll(one.mask, 3 * label, 0)) for label in range(k % 3 + 1)],
            group=one.group,
        )
        for k, one in enumerate(samples)
    ]


def some_volumes(count: int = 3) -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for k in range(count):
        mask = np.zeros((6, 12, 10 + k % 2), bool)
        mask[1:4, 2:7, 3 : 7 + k] = True
        image = (rng.random(mask.shape, dtype=np.float32) + mask) / 2
        made.append(Sample(f"scan {k}", image, mask, label=k % 3, spacing=(2.0, 1.0, 1.0)))
    return made


def of_volumes() -> CAMModel:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv3d(1, 4, 3, stride=2, padding=1), nn.ReLU())
    return CAMModel(body, GAPHead(nn.Linear(4, 3))).eval()


RUNS: dict[str, Callable[[], tuple[list[Sample], dict[str, Any]]]] = {
    "defaults": lambda: (some_samples(5), {}),
    "sizes": lambda: (some_samples(6, sizes=(32, 40, 66)), {"metrics": iou, "baselines": {}}),
    "binarizers and metrics": lambda: (
        some_samples(3, sizes=(36,)),
        {"binarizers": BINARIZERS, "metrics": OF_MASKS + OF_MAPS},
    ),
    "metrics of the network": lambda: (some_samples(3), {"metrics": OF_NETWORK, "baselines": {}}),
    "methods": lambda: (
        some_samples(3),
        {
            "methods": [cam, grad_cam, layer_cam],
            "metrics": [iou, pixel_auroc],
            "classes": ["predicted", "true", 1],
        },
    ),
    "ignored pixels": lambda: (
        with_ignored(some_samples(4)),
        {"metrics": [*OF_MASKS, *OF_MAPS], "baselines": {}},
    ),
    "several targets": lambda: (several_targets(some_samples(4)), {"task": "multilabel"}),
    "aligned": lambda: (several_targets(some_samples(4)), {"classes": "true", "metrics": iou}),
}


@both_kinds
@pytest.mark.parametrize("run", RUNS)
def test_a_run_gives_the_same_table(run: str, float64: bool) -> None:
    samples, settings = RUNS[run]()

    def results(device: torch.device) -> Any:
        net = small_network().to(device)
        return table(evaluate(net, samples, prepare=SMALL, batch_size=4, **settings))

    on_both(results, float64=float64, there=False)


@both_kinds
def test_a_run_on_volumes_gives_the_same_table(float64: bool) -> None:
    def results(device: torch.device) -> Any:
        prepare = Preparation(size=(8, 12, 12), mean=(0.5,), std=(0.5,))
        return table(evaluate(of_volumes().to(device), some_volumes(), prepare=prepare))

    on_both(results, float64=float64, there=False)


@both_kinds
def test_all_baselines_in_a_run(float64: bool) -> None:
    samples = some_samples(6)

    def results(device: torch.device) -> Any:
        given = some_baselines(device, samples)
        net = small_network().to(device)
        return table(evaluate(net, samples, prepare=SMALL, baselines=given, metrics=[iou]))

    on_both(results, float64=float64, there=False)


@both_kinds
def test_sanity_checks_and_the_score_of_a_training_loop(float64: bool) -> None:
    samples = some_samples(4)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    masks = images[:, 0] > 0.8

    def results(device: torch.device) -> Any:
        net, checks = small_network().to(device), SanityChecks(samples=2, layers=1, faithfulness={})
        run = evaluate(net, samples, prepare=SMALL, metrics=iou, baselines={}, sanity=checks)
        assert run.sanity is not None
        score = MapScore(binarizer=PercentileBinarizer(90), metric=[iou, pixel_auroc])
        score.update(net, images.to(device), masks.to(device))
        similarities = run.sanity.similarities[["ssim", "spearman"]].to_numpy(float)
        return table(run), similarities, [one.estimate for one in score.compute().values()]

    on_both(results, float64=float64, there=False)


@both_kinds
def test_maps_of_the_device_that_were_made_elsewhere(float64: bool) -> None:
    def results(device: torch.device) -> Any:
        def given(sample: Sample) -> Tensor:
            return torch.from_numpy(sample.image).to(device)[::2, ::2]

        alone = evaluate_maps(given, some_samples(4))
        net = small_network().to(device)
        beside = evaluate(net, some_samples(4), prepare=SMALL, maps=given, metrics=iou)
        return table(alone), table(beside)

    on_both(results, float64=float64, there=False)


@both_kinds
def test_a_choice_of_binarizers(float64: bool) -> None:
    def chosen(device: torch.device) -> Any:
        net, binarizers = small_network().to(device), [PercentileBinarizer(q) for q in (80, 95)]
        run = partial(evaluate, net, prepare=SMALL, binarizers=binarizers, metrics=iou)
        choice = choose_binarizers(run(some_samples(4)), by="label")
        other = [
            replace(one, name=f"test {one.name}", group=one.name, image=1 - one.image)
            for one in some_samples(4)
        ]
        labels = [column.binarizer for column in choice.columns]
        return labels, list(choice.scores), table(choice.apply(run(other)))

    on_both(chosen, float64=float64, there=False)


# --- Waiting --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "method", [grad_cam, grad_cam_pp, grad_cam_elementwise, hires_cam, layer_cam, xgrad_cam]
)
def test_a_gradient_method_does_not_wait_for_classes_if_checks_are_put_off(method: Any) -> None:
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([2, 0, 1])
    with pretend_device() as log:
        activations = small_network().to(log.device).activations(images.to(log.device))
        there = classes.to(log.device)
        before = len(log.synchronizations)
        with deferred_checks() as conditions:
            maps = method(activations, there)
        assert len(log.synchronizations) == before, log.report()
        assert conditions
        assert all(bool(condition) for condition in conditions)
        found = maps.cpu()
        with pytest.raises(ClassIndexError, match="got 3"):
            method(activations, torch.tensor([0, 1, 3]).to(log.device))
    assert torch.equal(found, method(small_network().activations(images), classes))


def test_a_map_of_changed_images_that_is_not_finite_is_refused() -> None:
    def run(device: torch.device) -> None:
        calls = count()

        def breaks_on_changed_images(activations: Any, classes: Tensor) -> Tensor:
            return grad_cam(activations, classes) * (1 if next(calls) == 0 else float("nan"))

        evaluate(
            small_network().to(device),
            some_samples(3),
            prepare=SMALL,
            methods=breaks_on_changed_images,
            metrics=ADCC(),
            baselines={},
        )

    with pytest.raises(NonFiniteError, match="maps must be finite"):
        run(torch.device("cpu"))
    with pretend_device() as log, pytest.raises(NonFiniteError, match="maps must be finite"):
        run(log.device)


def test_the_default_baselines_do_not_wait() -> None:
    samples = some_samples(3, sizes=(40,))
    truth = torch.stack([torch.from_numpy(one.mask) for one in samples])
    with pretend_device() as log:
        batch = BaselineInput(
            samples,
            torch.rand(3, 3, 32, 32).to(log.device),
            truth.to(log.device),
            torch.zeros(3, dtype=torch.int64).to(log.device),
            (16, 16),
        )
        assert len([baseline(batch) for baseline in default_baselines().values()]) == 5
    assert not log.synchronizations, log.report()


def log_of_run(samples: list[Sample], **settings: Any) -> Log:
    """Evaluate in batches of three, and return what happened on the device."""
    with pretend_device() as log:
        evaluate(small_network().to(log.device), samples, prepare=SMALL, batch_size=3, **settings)
    return log


WAITS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "IoU": ((32,), {"metrics": iou, "baselines": {}}),
    "defaults": ((32,), {}),
    "three sizes": ((32, 40, 48), {}),
    "maps": (
        (32,),
        {"methods": [grad_cam, layer_cam, hires_cam], "classes": ["predicted", "true"]},
    ),
    "binarizers": ((32,), {"binarizers": [PercentileBinarizer(q) for q in (70, 80, 90, 95)]}),
}


@pytest.mark.parametrize("case", WAITS)
def test_a_batch_waits_twice_whatever_its_sizes_maps_and_metrics(case: str) -> None:
    sizes, settings = WAITS[case]
    one = log_of_run(some_samples(3, sizes=sizes), **settings)
    assert len(one.synchronizations) <= AT_START + PER_BATCH, one.report()
    three = log_of_run(some_samples(9, sizes=sizes), **settings)
    more = len(three.synchronizations) - len(one.synchronizations)
    assert more <= 2 * PER_BATCH, three.report()


@pytest.mark.parametrize("case", WAITS)
def test_no_copy_to_the_host_is_larger_than_the_table_of_scores(case: str) -> None:
    sizes, settings = WAITS[case]
    samples = some_samples(3, sizes=sizes)
    log = log_of_run(samples, **settings)
    scores = evaluate(small_network(), samples, prepare=SMALL, **settings).values.size
    of_batches = [one for one in log.copies_to_host if "plan_run" not in " ".join(one.lines)]
    largest = max(of_batches, key=lambda event: event.size)
    # Values, reasons and weights in 64 bits, and logits and checks.
    assert largest.size <= 3 * 8 * scores + 64 * len(samples), largest
