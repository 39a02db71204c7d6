"""Questions of metrics: each metric of the library has one, and what it states of size holds."""

from functools import partial, wraps

import pytest
import torch

import cameval.metrics as metrics
from cameval.baselines import area_bound
from cameval.data import Objects
from cameval.errors import SettingError
from cameval.metrics import (
    FalsePositivesPerImage,
    MetricQuestion,
    asks,
    iou,
    of_masks,
    question_of,
    takes,
)
from cameval.metrics.properties import higher_is_better, truth_of
from cameval.metrics.questions import _BY_CLASS, _OF_FUNCTIONS

NO_FORMULA = {"score_counts"}  # a metric only with a formula of the user
MISSED = MetricQuestion("overlap", "How much of the truth is missed?", "A full mask has 0.")


def test_every_metric_of_the_library_has_a_question() -> None:
    named = {name: getattr(metrics, name) for name in metrics.__all__}
    of_library = {name: one for name, one in named.items() if takes(one)}
    assert len(of_library) > 40
    for name, metric in of_library.items():
        there = _BY_CLASS.get(metric) if isinstance(metric, type) else question_of(metric)
        assert (there is None) == (name in NO_FORMULA), name
    assert question_of(area_bound).aspect == "bound"


def test_a_metric_is_known_by_its_object_and_not_by_its_name() -> None:
    def dice(pred, target):
        return (pred & target).sum((-2, -1))

    class Mine(metrics.HausdorffDistance):
        """Another metric than its base."""

    assert question_of(dice) is None
    assert question_of(Mine(95)) is None
    assert question_of(metrics.HausdorffDistance(95)).aspect == "border"
    assert question_of(partial(partial(iou))) is question_of(iou)
    assert question_of(wraps(iou)(lambda pred, target: -iou(pred, target))) is None
    assert question_of("iou") is None


def test_a_metric_of_the_user_has_the_question_that_it_is_given() -> None:
    @of_masks(higher_is_better=False)
    @asks(MISSED)
    def miss_rate(pred, target):
        return 1 - metrics.coverage(pred, target)

    class AsClass:
        question = MISSED

    assert question_of(miss_rate) is question_of(partial(miss_rate)) is MISSED
    assert question_of(AsClass()) is MISSED
    miss_rate.question = "how much"
    with pytest.raises(SettingError, match="question must be a MetricQuestion, got 'how much'"):
        question_of(miss_rate)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("place", "Where?", "Never."), "aspect must be one of overlap, size, "),
        (("overlap", " ", "Never."), "question must be a sentence"),
        (("overlap", "Where?", 3), "misleads must be a sentence"),
        (("overlap", "Where?", "Never.", 1), "falls_with_size must be True or False"),
        (("overlap", "Where?", "Never.", False, "full"), "best_mask must be one of empty, whole"),
    ],
)
def test_a_question_is_checked(values, message) -> None:
    with pytest.raises(SettingError, match=message):
        MetricQuestion(*values)
    with pytest.raises(SettingError, match="must be a MetricQuestion"):
        asks("Where?")


def shifted_disks(radius: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a map that is highest 6 pixels beside the center of a disk, and the disk."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    maps = torch.exp(-((y - 48) ** 2 + (x - 54) ** 2) / (2 * 12**2))
    return maps, (y - 48) ** 2 + (x - 48) ** 2 < radius**2


FALLING = [
    metric
    for metric, question in _OF_FUNCTIONS.items()
    if question.falls_with_size and truth_of(metric) == "mask"
]


@pytest.mark.parametrize("metric", FALLING, ids=lambda metric: metric.__name__)
def test_where_scores_fall_with_size_a_smaller_object_scores_lower(metric) -> None:
    scores = []
    for radius in (5, 9):
        maps, disk = shifted_disks(radius)
        scores.append(metric(maps > 0.8 if takes(metric) == "masks" else maps, disk).item())
    assert scores[0] < scores[1]


BEST = [(metric, one.best_mask) for metric, one in _OF_FUNCTIONS.items() if one.best_mask]


@pytest.mark.parametrize(("metric", "mask"), BEST, ids=lambda one: getattr(one, "__name__", one))
def test_the_best_mask_has_the_best_score_of_all(metric, mask) -> None:
    truths = torch.rand(20, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.6
    masks = truths.roll(1, 0) | truths.roll(2, 0)
    score = metric(torch.full_like(truths, mask == "whole"), truths)
    others = metric(masks, truths)
    best = others.amax() if higher_is_better(metric) else others.amin()
    assert (score >= best).all() if higher_is_better(metric) else (score <= best).all()


def test_an_empty_mask_has_no_false_positives() -> None:
    metric = FalsePositivesPerImage()
    assert question_of(metric).best_mask == "empty"
    truth = torch.zeros(1, 8, 8, dtype=torch.bool)
    truth[0, 2:5, 2:5] = True
    objects = [Objects.of_components(truth[0].numpy())]
    assert metric(torch.zeros_like(truth), objects).item() == 0
    assert metric(truth.roll(3, 1), objects).item() == 1
