"""What labels stand for: kept as data, and never read out of a name."""

import dataclasses
import json
from functools import partial

import pytest
import torch
from evaluations import PLAN, SMALL, mean_inside, samples, small_network
from torch import Tensor

import cameval
from cameval import OtsuBinarizer, evaluate
from cameval.baselines import center_baseline, intensity_baseline, knows
from cameval.errors import DataError
from cameval.evaluation import Meanings, Origin, Results
from cameval.evaluation._plan import Plan
from cameval.evaluation.meaning import (
    BaselineMeaning,
    BinarizerMeaning,
    MethodMeaning,
    MetricMeaning,
    TargetClassMeaning,
)
from cameval.metrics import HausdorffDistance, Outcomes, of_maps, of_masks
from cameval.protocols import BaselineInput

ALL = Meanings(
    methods={"cam": MethodMeaning("cam")},
    baselines={
        "center": BaselineMeaning("center_baseline", "nothing"),
        "mine": BaselineMeaning("f"),
    },
    binarizers={
        "otsu": BinarizerMeaning("OtsuBinarizer()"),
        "validated": BinarizerMeaning("chosen", Origin("other images", "iou", True)),
        "optimum": BinarizerMeaning("chosen", Origin("these same images", "hd", False)),
        "grouped": BinarizerMeaning("x", Origin("other images of the same groups", "iou", True)),
    },
    metrics={
        "iou": MetricMeaning("iou", "masks", True),
        "hd": MetricMeaning("HausdorffDistance()", "masks", False),
        "mine": MetricMeaning("mine", "maps"),
        "codes": MetricMeaning("Outcomes()", "masks", categories=("match", "miss")),
        "bound": MetricMeaning("area_bound", "masks", True, bounds="iou"),
        "share": MetricMeaning("s", "masks", True, reference=0.01),
        "auroc": MetricMeaning("pixel_auroc", "maps", True, chance="half"),
        "drop": MetricMeaning("average_drop", "network", False),
        "boxes": MetricMeaning("box_iou", "masks", True, truth="objects"),
    },
    target_class={
        "predicted": TargetClassMeaning("predicted", "predicted"),
        "2": TargetClassMeaning("2", 2),
        "least": TargetClassMeaning("least"),
    },
)


def test_what_is_written_as_json_is_read_again() -> None:
    assert Meanings.of(json.loads(json.dumps(ALL.to_record()))) == ALL
    assert Meanings.of(None) == Meanings()
    assert Meanings.of({}) == Meanings()
    assert Meanings.of({"metrics": {}}).metric("iou") is None


def test_what_is_not_known_is_none() -> None:
    assert ALL.metric("hd").higher_is_better is False
    assert ALL.metric("center_of_mass_error") is None
    assert ALL.origin("otsu") is None
    assert ALL.origin("validated") == Origin("other images", "iou", True)
    assert ALL.origin("no such") is None


@pytest.mark.parametrize(
    "record",
    [
        *(3, [], "metrics", {"metric": {}}, {"metrics": []}, {"metrics": {"iou": "iou"}}),
        {"metrics": {"iou": {"setting": "iou"}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "best": "max"}}},
        {"metrics": {"iou": {"setting": "iou", "takes": None}}},
        {"metrics": {"iou": {"setting": 3, "takes": "masks"}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "higher_is_better": 1}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "categories": [1]}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "categories": "ab"}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "categories": None}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "bounds": 3}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "reference": "x"}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "chance": "coin"}}},
        {"metrics": {"iou": {"setting": "iou", "takes": "masks", "truth": "boxes"}}},
        {"baselines": {"center": {"setting": "c", "knows": "everything"}}},
        {"baselines": {"center": {"setting": "c", "knows": ["truth"]}}},
        {"baselines": {"center": {"setting": None}}},
        {"methods": {"cam": {"setting": 3}}},
        {"methods": {"cam": {}}},
        {"binarizers": {"p80": {"setting": "p80", "origin": "chosen on validation data by iou"}}},
        {"binarizers": {"p80": {"setting": "p80", "origin": {}}}},
        {
            "binarizers": {
                "p80": {
                    "setting": "p80",
                    "origin": {"chosen_on": "mars", "metric": "iou", "higher_is_better": True},
                }
            }
        },
        {"target_class": {"x": {"setting": "x", "classes": "guessed"}}},
        {"target_class": {"x": {"setting": "x", "classes": True}}},
        {"target_class": {"x": {"setting": "x", "classes": 1.5}}},
    ],
    ids=lambda record: str(record)[:70],
)
def test_a_record_that_is_another_is_refused(record) -> None:
    with pytest.raises(DataError, match="must"):
        Meanings.of(record)


@pytest.mark.parametrize(
    "settings",
    [
        *(("mars", "iou", True), (None, "iou", True), ("other images", 3, True)),
        *(("other images", "iou", None), ("other images", "iou", "max")),
    ],
)
def test_an_origin_is_one_of_three(settings) -> None:
    with pytest.raises(DataError, match="meanings of a table"):
        Origin(*settings)


# --- Written by an evaluation ---------------------------------------------------------------------


@of_maps(higher_is_better=False)
def iou_accuracy_score(maps: Tensor, target: Tensor) -> Tensor:
    """Return a distance under the name of a score."""
    return (maps - target.float()).abs().mean((-2, -1))


@of_masks(higher_is_better=True)
def hausdorff_distance_error(pred: Tensor, target: Tensor) -> Tensor:
    """Return a score under the name of a distance."""
    return cameval.iou(pred, target)


@knows("truth")
def blind_center(batch: BaselineInput) -> Tensor:
    return batch.truth.float()


@knows("nothing")
def truth_itself(batch: BaselineInput) -> Tensor:
    return torch.ones(batch.truth.shape)


def center_of_mass_of_truth(batch: BaselineInput) -> Tensor:
    return batch.truth.float()


def plan(**parts: object) -> Plan:
    empty = {"target_class": {"predicted": "predicted"}, "methods": {"cam": cameval.cam}}
    empty |= {"baselines": {}, "binarizers": {"otsu": OtsuBinarizer()}}
    return Plan(**empty | {"metrics": {"iou": cameval.iou}} | parts)


@pytest.mark.parametrize(
    ("metric", "takes", "higher"),
    [
        (iou_accuracy_score, "maps", False),
        (hausdorff_distance_error, "masks", True),
        (partial(iou_accuracy_score), "maps", False),
        (HausdorffDistance(95), "masks", False),
        (cameval.metrics.false_positive_rate, "masks", False),
        (cameval.metrics.average_drop, "network", False),
        (cameval.pixel_auroc, "maps", True),
        (mean_inside, "maps", True),
        (of_masks(lambda pred, target: cameval.iou(pred, target)), "masks", None),
    ],
)
def test_the_direction_of_a_metric_is_what_it_says_and_not_its_name(metric, takes, higher) -> None:
    for label in ("iou", "distance", "false_positive_rate"):
        meaning = plan(metrics={label: metric}).meanings().metrics[label]
        assert (meaning.takes, meaning.higher_is_better) == (takes, higher)


@pytest.mark.parametrize(
    ("baseline", "known"),
    [
        (blind_center, "truth"),
        (truth_itself, "nothing"),
        (center_of_mass_of_truth, None),
        (partial(blind_center), "truth"),
        (lambda batch: batch.truth.float(), None),
        (center_baseline, "nothing"),
        (intensity_baseline, "image"),
    ],
)
def test_what_a_baseline_knows_is_what_it_says_and_not_its_name(baseline, known) -> None:
    for label in ("spy", "center", "truth"):
        assert plan(baselines={label: baseline}).meanings().baselines[label].knows == known


def test_codes_bounds_and_references_are_told_by_the_metrics() -> None:
    bound = cameval.baselines.area_bound
    metrics = {"overlap": cameval.iou, "most": bound, "how": Outcomes()}
    metrics |= {"size": partial(cameval.size_standardized_iou, reference=0.02)}
    metrics |= {"rank": cameval.pixel_auroc, "point": cameval.pointing_game}
    found = plan(metrics=metrics).meanings().metrics
    assert found["most"].bounds == "overlap"
    assert found["overlap"].bounds is None
    assert found["how"].categories == ("match", "miss", "includes", "inside", "partial")
    assert found["size"].reference == 0.02
    assert (found["rank"].chance, found["point"].chance) == ("half", "area")
    assert found["overlap"].chance is None
    assert plan(metrics={"most": bound}).meanings().metrics["most"].bounds is None


def test_what_of_the_truth_a_metric_is_given_is_recorded() -> None:
    @of_masks(higher_is_better=True, truth="objects")
    def found(masks: Tensor, objects: object) -> Tensor:
        return masks.flatten(1).any(1).float()

    meanings = plan(metrics={"iou": cameval.iou, "found": found, "own": partial(found)}).meanings()
    assert {label: one.truth for label, one in meanings.metrics.items()} == {
        "iou": "mask",
        "found": "objects",
        "own": "objects",
    }
    assert MetricMeaning("iou", "masks").truth == "mask"  # also of a record from before


def test_the_target_class_is_told_by_the_setting_and_not_by_its_label() -> None:
    target_class = {"true": "predicted", "predicted": "true", "7": 2, "3": lambda z: z.argmin(1)}
    found = plan(target_class=target_class).meanings().target_class
    classes = {label: meaning.classes for label, meaning in found.items()}
    assert classes == {"true": "predicted", "predicted": "true", "7": 2, "3": None}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_results_of_an_evaluation_hold_what_their_labels_mean(kind, tmp_path) -> None:
    options = PLAN | {"prepare": SMALL, "progress": False}
    options |= {"baselines": {"spy": truth_itself, "blind": blind_center}}
    options |= {"metrics": {"iou": iou_accuracy_score, "distance": hausdorff_distance_error}}
    results = evaluate(small_network(), samples(2), **options)
    assert {k: m.higher_is_better for k, m in results.meanings.metrics.items()} == {
        "iou": False,
        "distance": True,
    }
    assert {k: b.knows for k, b in results.meanings.baselines.items()} == {
        "spy": "nothing",
        "blind": "truth",
    }
    assert [*results.meanings.target_class] == ["predicted"]
    assert results.meanings.binarizers["p80"].origin is None
    getattr(results, f"to_{kind}")(tmp_path / f"table.{kind}")
    again = getattr(Results, f"from_{kind}")(tmp_path / f"table.{kind}")
    assert again.meanings == results.meanings
    selected = again.select(metric="iou")
    assert selected.meanings == results.meanings


def test_results_without_a_record_know_nothing() -> None:
    results = evaluate(small_network(), samples(2), prepare=SMALL, baselines={}, **PLAN)
    nothing = dataclasses.replace(results, provenance={})
    assert nothing.meanings == Meanings()
    assert (nothing.task, nothing.class_names) == (None, ())
    damaged = dataclasses.replace(results, provenance={"meanings": {"metrics": 3}})
    with pytest.raises(DataError, match="meanings of a table: metrics must be a known one"):
        damaged.meanings  # noqa: B018
