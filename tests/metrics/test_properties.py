"""Properties of metrics and baselines: typed attributes, and nothing read from names."""

from dataclasses import dataclass
from functools import partial, wraps
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn

import cameval
from cameval import CAMExtractor, CAMModel, GAPHead, baselines, metrics
from cameval.baselines import knowledge_of, knows
from cameval.data import Objects
from cameval.errors import SettingError
from cameval.evaluation.settings import default_baselines
from cameval.metrics import (
    OUTCOMES,
    BoundaryIoU,
    FBeta,
    HausdorffDistance,
    Outcomes,
    higher_is_better,
    iou,
    of_maps,
    of_masks,
    of_network,
    takes,
)
from cameval.metrics.properties import bounds, categories, truth_of, value_range, within
from cameval.metrics.ranking import score_ranks

UP, DOWN = True, False
PROPERTIES = {  # every metric of the library: what it takes, and whether higher is better
    "masks": {
        **dict.fromkeys(["BoundaryIoU", "FBeta", "SurfaceDice", "Tversky"], UP),
        **dict.fromkeys(["box_iou", "box_precision", "chance_corrected_overlap"], UP),
        **dict.fromkeys(["cohen_kappa", "coverage", "dice", "informedness", "iou"], UP),
        **dict.fromkeys(["matthews_correlation", "overlap_coefficient", "precision"], UP),
        **dict.fromkeys(["size_standardized_iou", "specificity", "volumetric_similarity"], UP),
        **dict.fromkeys(["AverageSurfaceDistance", "CentroidDistance", "HausdorffDistance"], DOWN),
        **dict.fromkeys(["false_positive_rate", "FalsePositivesPerImage"], DOWN),
        **dict.fromkeys(["ObjectF1", "ObjectRecall"], UP),
        **dict.fromkeys(["Outcomes", "marked_area", "score_counts"], None),
        "ZeroWithoutObject": UP,
    },
    "maps": {
        **dict.fromkeys(["CoverageAtArea", "average_precision_skill"], UP),
        **dict.fromkeys(["iou_at_true_area", "max_iou", "pixel_auroc"], UP),
        **dict.fromkeys(["pixel_average_precision", "pointing_game", "pointing_recall"], UP),
        **dict.fromkeys(["relevance_mass_accuracy", "relevance_mass_ratio"], UP),
        **dict.fromkeys(["relevance_mass_skill", "relevance_rank_accuracy"], UP),
        **dict.fromkeys(["dual_polarity_precision", "energy_pointing_game"], UP),
        **dict.fromkeys(["AreaToCover", "complexity"], DOWN),
        "grid_pointing_game": UP,
    },
    "network": {
        **dict.fromkeys(["ADCC", "ARCC", "Insertion", "ROAD"], UP),
        **dict.fromkeys(["average_gain", "increase_in_confidence"], UP),
        **dict.fromkeys(["Deletion", "average_drop"], DOWN),
    },
}
NO_METRICS = {  # what else `cameval.metrics` offers: parts, whole datasets, counts, decorators
    *("FROC", "MaxBoxAcc", "Counts", "MaskShape", "mask_shape", "OUTCOMES"),
    *("PxAP", "ThresholdCurve", "box_intersections", "coherency", "component_boxes"),
    *("containment_metrics", "count_outcomes", "curve_at_areas", "equivalent_radius"),
    *("higher_is_better", "image_diagonal", "largest_box", "noisy_linear_imputation", "of_maps"),
    *(
        "of_masks",
        "of_network",
        "pairwise_box_iou",
        "title_of",
        "share_above",
        "share_below",
        "share_equal",
    ),
    *("is_pixelwise", "on_volumes", "takes", "threshold_curve"),
    *("MetricQuestion", "asks", "question_of", "title_of", "value_range", "within"),
}


def truth_for(metric, truth):
    """Return true masks as the metric takes them."""
    if truth_of(metric) == "mask":
        return truth
    return [Objects.of_components(mask.numpy()) for mask in truth]


KINDS = [(of_masks, "masks"), (of_maps, "maps"), (of_network, "network")]


def test_every_metric_says_what_it_takes_and_which_way_is_better():
    said = {name for kind in PROPERTIES.values() for name in kind}
    assert said | NO_METRICS == set(metrics.__all__)
    for kind, directions in PROPERTIES.items():
        for name, direction in directions.items():
            metric = getattr(metrics, name)
            assert takes(metric) == kind, name
            assert higher_is_better(metric) is direction, name
    assert takes(cameval.baselines.area_bound) == "masks"
    assert takes(score_ranks) == "maps"


def test_every_metric_class_has_a_word_of_its_own_as_its_label():
    named = [getattr(metrics, name) for kind in PROPERTIES.values() for name in kind]
    words = [vars(m)["label"] if isinstance(m, type) else m.__name__ for m in named]
    assert len(set(words)) == len(words)
    assert all(word.isidentifier() and word == word.lower() for word in words)


@pytest.mark.parametrize(("mark", "kind"), KINDS)
def test_a_decorator_works_with_and_without_keywords(mark, kind):
    @mark
    def bare(*arrays):
        return 1

    @mark()
    def called(*arrays):
        return 2

    @mark(higher_is_better=False, categories=("a", "b"), bounds=bare)
    def all_said(*arrays):
        return 3

    assert (bare(), called(), all_said()) == (1, 2, 3)  # nothing is wrapped
    for metric in (bare, called):
        assert takes(metric) == kind
        assert higher_is_better(metric) is bounds(metric) is None
        assert categories(metric) == ()
    assert (takes(all_said), higher_is_better(all_said)) == (kind, False)
    assert categories(all_said) == ("a", "b")
    assert bounds(all_said) is bare


def test_nothing_is_read_from_a_name_or_a_repr():
    def false_positive_rate(pred, target):
        return pred

    class HausdorffDistance:  # another one than the library's
        def __repr__(self):
            return "iou"

        def __call__(self, pred, target):
            return pred

    for metric in (false_positive_rate, HausdorffDistance(), "iou", None):
        assert takes(metric) is None
        assert higher_is_better(metric) is None

    def center_baseline(batch):
        return batch.truth.float()

    for baseline in (center_baseline, HausdorffDistance(), lambda batch: batch):
        assert knowledge_of(baseline) is None


def test_a_partial_is_read_as_its_function_but_for_what_it_says_itself():
    nested = partial(partial(metrics.size_standardized_iou, reference=0.1))
    assert (takes(nested), higher_is_better(nested)) == ("masks", True)
    depth = partial(score_ranks, lambda ranked: ranked.true)
    assert (takes(depth), higher_is_better(depth)) == ("maps", None)
    own = of_maps(partial(score_ranks, lambda ranked: ranked.true), higher_is_better=False)
    assert higher_is_better(own) is False
    assert higher_is_better(partial(own)) is False
    assert higher_is_better(score_ranks) is None
    assert knowledge_of(partial(baselines.center_baseline)) == "nothing"
    shown = knows("truth")(partial(baselines.center_baseline))
    assert knowledge_of(shown) == "truth"
    assert knowledge_of(baselines.center_baseline) == "nothing"


def test_wrappers_methods_and_classes_say_what_they_wrap():
    @wraps(metrics.false_positive_rate)
    def wrapped(*pair):
        return metrics.false_positive_rate(*pair)

    assert (takes(wrapped), higher_is_better(wrapped)) == ("masks", False)

    class Own:
        @of_maps(higher_is_better=False)
        def error(self, maps, target):
            return maps

    assert (takes(Own().error), higher_is_better(Own().error)) == ("maps", False)

    @of_masks(higher_is_better=True, bounds=iou)
    @dataclass(frozen=True)
    class Setting:
        share: float = 0.5

        def __call__(self, pred, target):
            return pred

    assert (takes(Setting()), higher_is_better(Setting())) == ("masks", True)
    assert bounds(Setting()) is iou  # and not a method of it
    as_torchmetrics = SimpleNamespace(higher_is_better=False)
    assert higher_is_better(as_torchmetrics) is False
    assert takes(as_torchmetrics) is None


def test_a_metric_of_maps_that_needs_no_truth_takes_one_like_all_others():
    scores = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    truth = scores > 0.5
    assert torch.equal(metrics.complexity(scores, truth), metrics.complexity(scores))
    for name in PROPERTIES["maps"]:
        metric = getattr(metrics, name)
        metric = metric() if isinstance(metric, type) else metric
        assert metric(scores, truth_for(metric, truth)).shape == (2,), name


def test_codes_have_names_and_no_direction():
    assert categories(Outcomes()) == OUTCOMES
    assert categories(partial(Outcomes())) == OUTCOMES
    assert higher_is_better(Outcomes()) is None
    assert categories(iou) == categories(HausdorffDistance()) == ()


def test_the_area_bound_bounds_the_iou_and_is_no_score_of_its_own():
    assert bounds(baselines.area_bound) is iou
    assert bounds(partial(baselines.area_bound)) is iou
    assert higher_is_better(baselines.area_bound) is None
    for name in [name for kind in PROPERTIES.values() for name in kind]:
        assert bounds(getattr(metrics, name)) is None


@pytest.mark.parametrize("value", ["yes", 1, 0, torch.tensor(True), "max"])
def test_a_direction_is_a_bool_or_none(value):
    for metric in (SimpleNamespace(higher_is_better=value), partial(SimpleNamespace)):
        metric.higher_is_better = value
        with pytest.raises(SettingError, match="higher_is_better must be True, False or None, got"):
            higher_is_better(metric)
    for mark, _ in KINDS:
        with pytest.raises(SettingError, match="higher_is_better must be True, False or None"):
            mark(higher_is_better=value)
        with pytest.raises(SettingError, match="higher_is_better must be True, False or None"):
            mark(lambda pred, target: pred, higher_is_better=value)


def test_other_attributes_are_checked_too():
    for value in ("mask", 3, ("masks",)):
        with pytest.raises(SettingError, match="takes must be one of 'masks', 'maps', 'network'"):
            takes(SimpleNamespace(takes=value))
    for value in ("abc", ["a"], (1, 2), 0):
        with pytest.raises(SettingError, match="categories must be a tuple of names, got"):
            categories(SimpleNamespace(categories=value))
        with pytest.raises(SettingError, match="categories must be a tuple of names, got"):
            of_masks(categories=value or 0)
    with pytest.raises(SettingError, match="bounds must be a metric or None, got 'iou'"):
        bounds(SimpleNamespace(bounds="iou"))
    with pytest.raises(SettingError, match="bounds must be a metric or None, got 'iou'"):
        of_masks(bounds="iou")
    for value in ("everything", 1, None, True):
        with pytest.raises(SettingError, match="must be one of 'nothing', 'image', 'labels'"):
            knows(value)
    with pytest.raises(SettingError, match=r"knows of .* must be one of .*, got 'all'"):
        knowledge_of(SimpleNamespace(knows="all"))


def test_what_cannot_have_attributes_is_refused():
    class Slotted:
        __slots__ = ()

        def score(self):
            return 1

    for thing in (len, Slotted().score, Slotted(), 3, HausdorffDistance()):
        with pytest.raises(SettingError, match="metric must be a function, a class or a partial"):
            of_masks(thing)
    for thing in (len, Slotted().score):
        with pytest.raises(SettingError, match="baseline must be a function, a class or a partial"):
            knows("image")(thing)


def test_every_baseline_says_what_it_knows_and_has_a_label():
    network = CAMModel(nn.Conv2d(3, 4, 3), GAPHead(nn.Linear(4, 2))).eval()
    means = baselines.ClassMeanBaseline(torch.zeros(2, 3, 3))
    made = {
        "center_baseline": baselines.center_baseline,
        "GaussianBaseline": baselines.GaussianBaseline(),
        "RandomBaseline": baselines.RandomBaseline(),
        "intensity_baseline": baselines.intensity_baseline,
        "edge_baseline": baselines.edge_baseline,
        "UntrainedBaseline": baselines.UntrainedBaseline(CAMExtractor(network)),
        "ClassMeanBaseline": means,
        "LeaveGroupOutBaseline": _leave_out(by_class=False),
        "truth_baseline": baselines.truth_baseline,
    }
    said = {name: knowledge_of(baseline) for name, baseline in made.items()}
    assert said == {
        **dict.fromkeys(["center_baseline", "GaussianBaseline", "RandomBaseline"], "nothing"),
        **dict.fromkeys(["intensity_baseline", "edge_baseline", "UntrainedBaseline"], "image"),
        "ClassMeanBaseline": "labels",
        "LeaveGroupOutBaseline": "nothing",
        "truth_baseline": "truth",
    }
    assert knowledge_of(_leave_out(by_class=True)) == "labels"
    public = {name for name in baselines.__all__ if name.endswith(("Baseline", "_baseline"))}
    assert public == set(made)
    assert all(knowledge_of(baseline) for baseline in default_baselines().values())
    assert {name: baseline.label for name, baseline in made.items()} == {
        "center_baseline": "center",
        "GaussianBaseline": "gaussian",
        "RandomBaseline": "random",
        "intensity_baseline": "intensity",
        "edge_baseline": "edges",
        "UntrainedBaseline": "untrained",
        "ClassMeanBaseline": "class_mean",
        "LeaveGroupOutBaseline": "mean_mask",
        "truth_baseline": "truth",
    }


def test_a_decorated_baseline_has_the_label_that_is_given():
    @knows("image", label="darkness")
    def dark(batch):
        return -batch.images.mean(1)

    @knows("nothing")
    def bare(batch):
        return batch.truth.float()

    assert (dark.label, knowledge_of(dark)) == ("darkness", "image")
    assert not hasattr(bare, "label")
    for label in ("", "two words", "a:b", "a,b", 3):
        with pytest.raises(SettingError, match="label must be a word"):
            knows("image", label=label)


def test_a_baseline_of_ones_own_says_what_it_knows():
    @knows("labels")
    def by_class(batch):
        return batch.truth.float()

    @dataclass(frozen=True)
    class Own:
        knows: ClassVar[str] = "image"

    assert knowledge_of(by_class) == "labels"
    assert knowledge_of(Own()) == "image"


def _leave_out(*, by_class):
    return baselines.LeaveGroupOutBaseline.of(
        [
            cameval.Sample(
                name, torch.zeros(4, 4).numpy(), torch.ones(4, 4).bool().numpy(), 0, name
            )
            for name in "ab"
        ],
        by_class=by_class,
    )


def test_a_range_is_two_ascending_numbers_of_which_one_may_be_infinite():
    @within(0, 2)
    def twice(pred, target):
        return 2 * iou(pred, target)

    assert value_range(twice) == value_range(partial(twice)) == (0.0, 2.0)
    assert value_range(HausdorffDistance()) == (0, float("inf"))
    for ends in ((1, 0), (0, 0), (float("-inf"), float("inf")), (float("nan"), 1)):
        with pytest.raises(SettingError, match="two ascending numbers"):
            within(*ends)
    strange = SimpleNamespace(value_range="all")
    with pytest.raises(SettingError, match=r"got 'all' of namespace"):
        value_range(strange)


def test_scores_stay_in_the_range_that_a_metric_says():
    draw = torch.Generator().manual_seed(0)
    masks, truth = torch.rand(2, 200, 6, 5, generator=draw) > torch.rand(
        2, 200, 1, 1, generator=draw
    )
    maps = torch.randn(200, 6, 5, generator=draw)
    checked = 0
    for name in metrics.__all__:
        metric = getattr(metrics, name)
        made = {"BoundaryIoU": BoundaryIoU(), "FBeta": FBeta(2.0)}.get(name, metric)
        if isinstance(made, type) or value_range(made) is None:
            continue
        if (kind := takes(made)) not in ("masks", "maps"):
            continue
        scores = made(masks if kind == "masks" else maps, truth_for(made, truth))
        low, high = value_range(made)
        inside = (scores >= low - 1e-12) & (scores <= high + 1e-12) | scores.isnan()
        assert inside.all(), name
        checked += 1
    assert checked >= 18
