"""Outcomes: the rule in fractions, its boundaries, its precedence, and the counts of its codes."""

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_sets import as_set, double, side_by_side
from strategies import mask_pairs

from cameval.errors import ArrayTypeError, SettingError
from cameval.metrics import dice, size_standardized_iou
from cameval.metrics.outcome import OUTCOMES, Outcomes, containment_metrics, count_outcomes
from cameval.metrics.properties import takes

NAN = float("nan")
SHARES = st.integers(1, 20).map(lambda n: n / 20)


def outcome(pair, rule):
    """Name the outcome as its definition reads, in fractions."""
    pred, target = (as_set(mask) for mask in pair)
    overlap = Fraction(len(pred & target), len(pred | target))
    covered = Fraction(len(pred & target), len(target))
    right = Fraction(len(pred & target), len(pred)) if pred else 0
    limits = {f.name: Fraction(str(getattr(rule, f.name))) for f in fields(rule)}
    if overlap >= limits["match"]:
        return "match"
    if covered < limits["miss"]:
        return "miss"
    if covered >= limits["includes"] and right < limits["loose"]:
        return "includes"
    if right >= limits["inside"] and covered < limits["loose"]:
        return "inside"
    return "partial"


@given(mask_pairs(min_true=1), st.builds(Outcomes, SHARES, SHARES, SHARES, SHARES, SHARES))
def test_the_code_is_that_of_the_first_outcome_that_holds(pair, drawn):
    for rule in (Outcomes(), drawn):
        assert OUTCOMES[int(double(rule)(*pair))] == outcome(pair, rule)


@pytest.mark.parametrize(
    ("predicted", "true", "both", "expected"),
    [
        (20, 10, 10, "match"),  # IoU 1/2
        (21, 10, 10, "includes"),
        (10, 20, 10, "match"),
        (10, 21, 10, "inside"),
        (10, 10, 0, "miss"),
        (100, 101, 10, "miss"),  # coverage 10/101
        (100, 100, 10, "partial"),  # coverage 1/10
        (19, 10, 9, "includes"),  # coverage 9/10, precision 9/19
        (18, 10, 9, "partial"),  # precision 9/18
        (200, 100, 89, "partial"),  # coverage 89/100
        (10, 19, 9, "inside"),  # precision 9/10, coverage 9/19
        (10, 18, 9, "partial"),
        (5, 51, 5, "miss"),  # inside, but coverage 5/51
        (5, 50, 5, "inside"),
        (0, 50, 0, "miss"),
        (1000, 499, 499, "includes"),  # everything predicted
        (1000, 500, 500, "match"),
        (499, 1000, 499, "inside"),  # everything true
        (99, 1000, 99, "miss"),
    ],
)
def test_the_outcomes_at_their_limits(predicted, true, both, expected):
    code = Outcomes()(*side_by_side(predicted, true, both))
    assert OUTCOMES[int(code)] == expected


def test_the_limits_can_be_moved():
    pair = side_by_side(100, 20, 20)
    assert Outcomes()(*pair) == OUTCOMES.index("includes")
    assert Outcomes(match=0.2)(*pair) == OUTCOMES.index("match")
    assert Outcomes(loose=0.2)(*pair) == OUTCOMES.index("partial")
    pair = side_by_side(100, 100, 15)
    assert Outcomes()(*pair) == OUTCOMES.index("partial")
    assert Outcomes(miss=0.2)(*pair) == OUTCOMES.index("miss")
    assert Outcomes(includes=0.15)(*pair) == OUTCOMES.index("includes")
    assert Outcomes(inside=0.15)(*pair) == OUTCOMES.index("inside")


@pytest.mark.parametrize("name", ["match", "miss", "includes", "inside", "loose"])
@pytest.mark.parametrize("share", [0, -0.1, 1.1, NAN, "0.5"])
def test_limits_are_shares(name, share):
    with pytest.raises(SettingError, match=rf"{name} must be a number in \(0, 1\], got"):
        replace(Outcomes(), **{name: share})


def test_codes_are_counted_and_so_is_what_is_undefined():
    codes = np.array([[0.0, 4, 4], [NAN, 1, 0]])
    expected = {"match": 2, "miss": 1, "includes": 0, "inside": 0, "partial": 2, "undefined": 1}
    for same in (codes, torch.from_numpy(codes), torch.from_numpy(codes).float()):
        assert count_outcomes(same) == expected
    assert list(count_outcomes(codes)) == [*OUTCOMES, "undefined"]
    assert sum(count_outcomes(np.array([])).values()) == 0


@pytest.mark.parametrize("code", [0.5, -1, 5, float("inf")])
def test_only_codes_are_counted(code):
    with pytest.raises(SettingError, match="codes must be whole numbers from 0 to 4 or NaN, got 1"):
        count_outcomes(np.array([0.0, code]))
    with pytest.raises(ArrayTypeError, match="codes must be floating"):
        count_outcomes(np.array([0, 1]))


@given(mask_pairs(min_true=1))
def test_the_containment_metrics_factor_the_dice(pair):
    scores = {name: double(metric)(*pair) for name, metric in containment_metrics(0.1).items()}
    product = scores["overlap_coefficient"] * scores["volumetric_similarity"]
    assert double(dice)(*pair) == pytest.approx(product, rel=1e-14)
    expected = double(size_standardized_iou)(*pair, 0.1)
    np.testing.assert_equal(scores["size_standardized_iou"], expected)
    assert OUTCOMES[int(scores["outcome"])] == outcome(pair, Outcomes())


def test_the_containment_metrics_are_seven_metrics_of_masks():
    metrics = containment_metrics()
    assert {takes(metric) for metric in metrics.values()} == {"masks"}
    assert list(metrics) == [
        "iou",
        "size_standardized_iou",
        "coverage",
        "informedness",
        "overlap_coefficient",
        "volumetric_similarity",
        "outcome",
    ]
