"""How scores depend on size, shape and certainty."""

from dataclasses import astuple

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label
from strategies import masks

from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.metrics.mask_shape import mask_shape
from cameval.statistics import (
    Interval,
    clustered_regression,
    log_area_regression,
    mean_interval,
    rank_correlation,
)

NAN = float("nan")


# Rank correlation


def jackknifed(x, y, groups, confidence):
    """Interval of Fisher's z from SciPy's coefficient without each group."""
    z = np.arctanh(scipy.stats.spearmanr(x, y).statistic)
    others = np.arctanh(
        [scipy.stats.spearmanr(x[groups != g], y[groups != g]).statistic for g in np.unique(groups)]
    )
    n = others.size
    error = np.sqrt((n - 1) / n * ((others - others.mean()) ** 2).sum())
    return np.tanh(z + error * np.array(scipy.stats.t(n - 1).interval(confidence)))


@given(st.data())
def test_the_correlation_and_its_interval_are_scipys_without_each_group(data):
    n = data.draw(st.integers(4, 12))
    numbers = st.lists(st.integers(0, 5).map(float), min_size=n, max_size=n)  # full of ties
    x, y = np.array(data.draw(numbers)), np.array(data.draw(numbers))
    groups = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    found = rank_correlation(x, y, groups, confidence=0.9)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(astuple(found)[:3]).all()
        return
    assert found.estimate == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    if np.isnan(found.low):
        return
    expected = jackknifed(x, y, groups, 0.9)
    assert [found.low, found.high] == pytest.approx(expected, abs=1e-9)


def test_an_interval_is_found_where_there_is_one():
    x, y, groups = (
        np.arange(12.0),
        np.array([0, 2, 1, 3, 5, 4, 7, 6, 9, 8, 10, 11.0]),
        np.arange(12),
    )
    found = rank_correlation(x, y, groups // 2)
    assert [found.low, found.high] == pytest.approx(jackknifed(x, y, groups // 2, 0.95), abs=1e-9)
    assert 0 < found.low < found.estimate < found.high < 1


def test_classes_that_differ_in_both_do_not_correlate_the_two():
    rng = np.random.default_rng(0)
    kind = np.arange(200) % 2
    area, score = rng.random(200) + kind, rng.random(200) + kind
    groups = np.arange(200) // 4
    assert rank_correlation(area, score, groups).low > 0.5
    found = rank_correlation(area, score, groups, within=kind)
    assert found.low < 0 < found.high
    assert abs(found.estimate) < 0.2
    turned = rank_correlation(area, np.where(kind, 9 + area, -area), groups, within=kind)
    assert turned.estimate == pytest.approx(0, abs=1e-12)  # of two equal classes, 1 and -1


def test_the_correlation_within_classes_is_that_of_ranks_less_their_mean():
    rng = np.random.default_rng(1)
    kind = np.repeat(list("abc"), [5, 20, 1])
    x, y = rng.integers(0, 6, 26).astype(float), rng.integers(0, 6, 26).astype(float)
    parts = [
        (scipy.stats.rankdata(v[kind == k]) - (np.sum(kind == k) + 1) / 2) / np.sum(kind == k)
        for k in "abc"
        for v in (x, y)
    ]
    xs, ys = np.concatenate(parts[::2]), np.concatenate(parts[1::2])
    expected = (xs * ys).sum() / np.sqrt((xs**2).sum() * (ys**2).sum())
    found = rank_correlation(x, y, np.arange(26), within=kind)
    assert found.estimate == pytest.approx(expected, abs=1e-12)
    order = rng.permutation(26)
    moved = rank_correlation(x[order], y[order], np.arange(26)[order], within=kind[order])
    assert astuple(moved) == pytest.approx(astuple(found), abs=1e-12)
    undefined = np.append(x, NAN), np.append(y, 3.0)
    longer = rank_correlation(*undefined, np.arange(27), within=np.append(kind, "d"))
    assert astuple(longer)[:3] == pytest.approx(astuple(found)[:3])


@pytest.mark.parametrize("correlation", [0, 0.6])
def test_the_interval_covers_the_correlation_within_classes(correlation):
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(20), np.resize([1, 2, 6, 3], 20))
    covered = []
    for _ in range(300):
        x, e = np.sqrt(0.5) * (rng.normal(size=(2, 20))[:, groups] + rng.normal(size=(2, 60)))
        y = correlation * x + np.sqrt(1 - correlation**2) * e
        found = rank_correlation(x + 3 * (groups % 2), y + groups % 2, groups, within=groups % 2)
        covered.append(found.low <= 6 / np.pi * np.arcsin(correlation / 2) <= found.high)
    assert np.mean(covered) > 0.92  # .95 expected, standard deviation .013


def test_many_groups_are_left_out_in_blocks():
    x, y = np.random.default_rng(0).normal(size=(2, 1000))
    y += x
    found = rank_correlation(x, y, np.arange(1000))
    blocks = rank_correlation(x, y, np.arange(1000) % 200)
    assert found.estimate == blocks.estimate
    assert (found.low, found.high) == pytest.approx((blocks.low, blocks.high))
    assert found.n_groups == 1000
    each = jackknifed(x, y, np.arange(1000), 0.95)
    assert [found.low, found.high] == pytest.approx(each, abs=0.01)


def test_groups_are_left_out_a_few_at_a_time(monkeypatch):
    x, y = np.random.default_rng(0).random((2, 40))
    whole = rank_correlation(x, y, np.arange(40) // 2)
    monkeypatch.setattr("cameval.statistics.dependence._CHUNK", 130)
    assert rank_correlation(x, y, np.arange(40) // 2) == whole


def test_only_the_order_counts():
    rng = np.random.default_rng(0)
    area, score, groups = rng.random(50), rng.random(50), np.arange(50) // 2
    assert rank_correlation(area, score, groups) == rank_correlation(np.log(area), score, groups)
    swapped = rank_correlation(score, area, groups)
    assert swapped == rank_correlation(area, score, groups)
    perfect = rank_correlation(area, -area, groups)
    assert perfect.estimate == -1
    assert np.isnan([perfect.low, perfect.high]).all()  # nothing varies


def test_pairs_with_a_missing_half_are_left_out_and_counted():
    x, y = [1, 2, NAN, 4, 5, 3, 6, 7], [2, 1, 3, NAN, 9, 4, 8, 5]
    found = rank_correlation(x, y, list("aabcdefg"))
    alone = rank_correlation([1, 2, 5, 3, 6, 7], [2, 1, 9, 4, 8, 5], list("aadefg"))
    assert found == Interval(alone.estimate, alone.low, alone.high, 6, 5, 2)
    assert not np.isnan(found.low)
    nothing = rank_correlation([NAN], [1.0], [1])
    assert np.isnan(astuple(nothing)[:3]).all()
    assert (nothing.n, nothing.n_groups, nothing.n_undefined) == (0, 0, 1)


def test_correlations_are_checked():
    with pytest.raises(ShapeError, match="x, y and groups must have one shape"):
        rank_correlation([1.0], [1.0, 2.0], [1])
    with pytest.raises(NonFiniteError, match="x must be finite or NaN"):
        rank_correlation([-np.inf], [1.0], [1])
    with pytest.raises(ShapeError, match="x and within must have one shape"):
        rank_correlation([1.0], [1.0], [1], within=[1, 2])
    with pytest.raises(SettingError, match=r"confidence must be in \(0, 1\)"):
        rank_correlation([1.0], [1.0], [1], confidence=95)


def test_patients_that_repeat_themselves_add_no_certainty():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 30))
    once = rank_correlation(x, y, np.arange(30))
    again = rank_correlation(np.repeat(x, 5), np.repeat(y, 5), np.repeat(np.arange(30), 5))
    assert astuple(again)[:3] == pytest.approx(astuple(once)[:3], abs=1e-12)


# Regression


def explicit_cr2(x, y, groups):
    """Estimates, CR2 standard errors and degrees of freedom, with matrices of all images."""
    n, k = x.shape
    bread = np.linalg.inv(x.T @ x)
    residual = np.eye(n) - x @ bread @ x.T
    errors = residual @ y
    halves = []
    for group in np.unique(groups):
        here = groups == group
        root, directions = np.linalg.eigh(residual[np.ix_(here, here)])
        inverse = np.where(root > 1e-9, 1 / np.sqrt(np.maximum(root, 1e-9)), 0)
        halves.append((here, (directions * inverse) @ directions.T @ x[here] @ bread))
    scores = np.array([half.T @ errors[here] for here, half in halves])
    freedom = []
    for j in range(k):
        pulls = np.array([residual[:, here] @ half[:, j] for here, half in halves])
        form = pulls @ pulls.T
        freedom.append(np.trace(form) ** 2 / (form**2).sum())
    return bread @ x.T @ y, np.sqrt((scores**2).sum(0)), np.array(freedom)


@pytest.fixture
def study():
    rng = np.random.default_rng(0)
    groups = rng.integers(25, size=120)
    area, kind = rng.uniform(0.001, 0.1, 120), np.array(list("gmp"))[groups % 3]
    certainty = rng.random(120)
    effect = 0.05 * np.log2(area) + 0.2 * (kind == "m") + 0.1 * certainty
    return effect + 0.1 * rng.normal(size=25)[groups] + 0.1 * rng.normal(size=120), (
        area,
        kind,
        groups,
        certainty,
    )


@pytest.mark.parametrize("every_image_alone", [False, True])
def test_estimates_errors_and_freedom_are_those_of_explicit_matrices(study, every_image_alone):
    y, (area, kind, groups, certainty) = study
    groups = np.arange(120) if every_image_alone else groups
    found = log_area_regression(
        y, area, kind, groups, covariates={"certainty": certainty}, confidence=0.9
    )
    x = np.column_stack([np.ones(120), np.log2(area), kind == "m", kind == "p", certainty])
    estimates, se, freedom = explicit_cr2(x, y, groups)
    names = ["intercept", "log2(area)", "label[m]", "label[p]", "certainty"]
    assert [one.name for one in found.coefficients] == names
    assert [one.estimate for one in found.coefficients] == pytest.approx(estimates)
    assert [one.se for one in found.coefficients] == pytest.approx(se)
    assert [one.freedom for one in found.coefficients] == pytest.approx(freedom)
    for one in found.coefficients:
        student = scipy.stats.t(one.freedom)
        assert one.p == pytest.approx(2 * student.sf(abs(one.estimate / one.se)))
        low, high = student.interval(0.9)
        assert (one.low, one.high) == pytest.approx(
            (one.estimate + low * one.se, one.estimate + high * one.se)
        )
        assert one.is_reliable
    assert found["log2(area)"].low < 0.05 < found["log2(area)"].high
    residual = y - x @ estimates
    assert found.r_squared == pytest.approx(1 - residual.var() / y.var())
    if every_image_alone:  # HC2
        bread = np.linalg.inv(x.T @ x)
        leverage = np.einsum("ij,jk,ik->i", x, bread, x)
        hc2 = bread @ (x.T * residual**2 / (1 - leverage)) @ x @ bread
        assert [one.se for one in found.coefficients] == pytest.approx(np.sqrt(np.diag(hc2)))
    else:
        assert all(one.freedom < 25 for one in found.coefficients)


def test_what_a_single_patient_determines_has_no_error():
    rng = np.random.default_rng(0)
    groups = np.arange(40) // 4
    rare, x = groups == 7, rng.normal(size=40)
    found = clustered_regression(x + rng.normal(size=40), {"rare": rare, "x": x}, groups)
    assert np.isnan([found["rare"].se, found["rare"].low, found["rare"].p]).all()
    assert not found["rare"].is_reliable
    design = np.column_stack([np.ones(40), rare, x])
    y = x + rng.normal(size=40)
    _, se, freedom = explicit_cr2(design, y, groups)
    again = clustered_regression(y, {"rare": rare, "x": x}, groups)
    assert (again["x"].se, again["x"].freedom) == pytest.approx((se[2], freedom[2]))


@pytest.mark.parametrize("sizes", [[4], [1, 2, 1, 5, 3, 13, 2, 8]])
def test_few_groups_do_not_find_too_many_slopes(sizes):
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(8), np.resize(sizes, 8))
    rejected = []
    for _ in range(500):
        x = rng.normal(size=8)[groups]
        y = rng.normal(size=8)[groups] + 0.3 * rng.normal(size=groups.size)
        rejected.append(clustered_regression(y, {"x": x}, groups)["x"].p < 0.05)
    assert 0.01 < np.mean(rejected) < 0.08  # .05 expected, standard deviation .010


def test_the_intercept_alone_is_the_mean():
    values, groups = [1.0, 2.0, 6.0], [1, 2, 3]
    (mean,) = clustered_regression(values, {}, groups).coefficients
    assert mean.estimate == pytest.approx(3)
    assert mean.se == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))


def test_scale_and_order_of_the_covariates_do_not_matter(study):
    y, (area, _, groups, certainty) = study
    one = clustered_regression(y, {"area": area, "certainty": certainty}, groups)
    other = clustered_regression(y, {"certainty": 1e6 * certainty, "area": area}, groups)
    assert one["certainty"].p == pytest.approx(other["certainty"].p)
    assert one["certainty"].se == pytest.approx(1e6 * other["certainty"].se)
    assert astuple(one["area"]) == pytest.approx(astuple(other["area"]))
    with pytest.raises(KeyError, match="'size' is none of"):
        one["size"]


def test_incomplete_images_are_left_out_and_counted(study):
    y, (area, kind, groups, certainty) = (study[0].copy(), study[1])
    y[::10] = NAN
    area = area.copy()
    area[0] = 0  # an empty truth, whose metric is undefined
    certainty = np.where(np.arange(120) == 5, NAN, certainty)
    found = log_area_regression(y, area, kind, groups, covariates={"c": certainty})
    kept = ~np.isnan(y + certainty)
    direct = log_area_regression(
        y[kept], area[kept], kind[kept], groups[kept], covariates={"c": certainty[kept]}
    )
    assert found.coefficients == direct.coefficients
    assert (found.n, found.n_undefined) == (107, 13)


def test_a_class_that_is_undefined_throughout_is_not_in_the_model(study):
    y, (area, kind, groups, _) = study
    found = log_area_regression(np.where(kind == "p", NAN, y), area, kind, groups)
    assert [one.name for one in found.coefficients] == ["intercept", "log2(area)", "label[m]"]


def test_one_group_has_no_error():
    found = clustered_regression([1.0, 2.0, 4.0], {"x": [0, 1, 2]}, [1, 1, 1])
    assert found["x"].estimate == pytest.approx(1.5)
    assert np.isnan(astuple(found["x"])[2:]).all()


def test_what_cannot_be_told_apart_is_refused(study):
    y, (area, kind, groups, certainty) = study
    with pytest.raises(SettingError, match="linearly independent, got 'twice'"):
        clustered_regression(y, {"once": certainty, "twice": 2 * certainty + 1}, groups)
    with pytest.raises(SettingError, match="got 'c', which is constant"):
        clustered_regression(y, {"c": np.full(120, 7)}, groups)
    with pytest.raises(SettingError, match="got 'zero'"):
        clustered_regression(y, {"zero": np.zeros(120)}, groups)
    is_glioma = {"glioma": kind == "g"}
    with pytest.raises(SettingError, match="got 'glioma'"):
        log_area_regression(y, area, kind, groups, covariates=is_glioma)


def test_regressions_are_checked(study):
    y, (area, kind, groups, certainty) = study
    with pytest.raises(NonFiniteError, match="area must be positive where the metric is defined"):
        log_area_regression(y, np.where(area > 0.05, area, 0), kind, groups)
    with pytest.raises(ShapeError, match="values, x and groups must have one shape"):
        clustered_regression(y, {"x": certainty[:5]}, groups)
    with pytest.raises(ShapeError, match="values, area and label must have one shape"):
        log_area_regression(y, area, kind[:5], groups)
    with pytest.raises(ShapeError, match="more defined images than coefficients, got 2 images"):
        clustered_regression([1.0, 2.0, NAN], {"x": [1.0, 2.0, 3.0]}, [1, 2, 3])
    with pytest.raises(SettingError, match="must not be named 'intercept'"):
        clustered_regression(y, {"intercept": certainty}, groups)
    with pytest.raises(SettingError, match=r"must not be named 'log2\(area\)'"):
        log_area_regression(y, area, kind, groups, covariates={"log2(area)": certainty})
    with pytest.raises(SettingError, match=r"confidence must be in \(0, 1\)"):
        clustered_regression(y, {}, groups, confidence=2)


def test_intervals_for_groups_cover_and_the_others_do_not():
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(40), 5)
    covered = {"mean": 0, "mean by image": 0, "slope": 0, "slope by image": 0}
    for _ in range(400):
        x = rng.normal(size=40)[groups]
        y = rng.normal(size=40)[groups] + 0.3 * rng.normal(size=200)
        for name, by in (("", groups), (" by image", np.arange(200))):
            mean = mean_interval(y, by)
            slope = clustered_regression(y, {"x": x}, by)["x"]
            covered["mean" + name] += mean.low <= 0 <= mean.high
            covered["slope" + name] += slope.low <= 0 <= slope.high
    assert 364 <= covered["mean"] <= 393  # 380 expected, standard deviation 4.4
    assert 360 <= covered["slope"] <= 393
    assert covered["mean by image"] < 300
    assert covered["slope by image"] < 300


# Shape


def test_shapes_by_hand():
    picture = np.zeros((5, 8, 9), bool)
    picture[0, 2:4, 1:7] = True  # 2 by 6
    picture[1, 3, 3] = True  # one pixel
    picture[2] = np.eye(8, 9)  # a diagonal is one part
    picture[3, :4, :4] = picture[3, 7, 4:9] = True  # the larger of two parts
    found = mask_shape(picture)
    assert found.area == pytest.approx(np.array([12, 1, 8, 21, 0]) / 72)
    assert found.components.tolist() == [1, 1, 1, 2, 0]
    # along the diagonal 8 diagonals of a pixel, across it one: sides 8 sqrt(2) and sqrt(2)
    np.testing.assert_allclose(found.elongation, [3, 1, 8, 1, NAN], rtol=1e-12)
    np.testing.assert_allclose(found.irrectangularity, [0, 0, 0.5, 0, NAN], atol=1e-12)


def test_an_ellipse_is_as_elongated_as_its_axes():
    y, x = np.mgrid[-300:301, -300:301]
    angle = 0.5
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    found = mask_shape((along / 270) ** 2 + (across / 90) ** 2 < 1)
    assert found.elongation == pytest.approx(3, rel=0.01)
    assert found.irrectangularity == pytest.approx(1 - np.pi / 4, abs=0.01)


@given(masks(min_true=1))
def test_shapes_are_those_of_a_search_over_all_angles(mask):
    found = mask_shape(mask)
    parts = label(mask.numpy(), connectivity=2)
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    rows, columns = np.nonzero(largest)
    corners = np.array([(r + i, c + j) for r, c in zip(rows, columns, strict=True)
                        for i in (0, 1) for j in (0, 1)])  # fmt: skip
    # the angles of all pairs of corners, the sides of the hull among them
    steps = (corners[:, None] - corners).reshape(-1, 2)
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    along = corners @ np.array([np.cos(angles), np.sin(angles)])
    across = corners @ np.array([-np.sin(angles), np.cos(angles)])
    area = (np.ptp(along, axis=0) * np.ptp(across, axis=0)).min()
    assert found.components == parts.max()
    assert found.irrectangularity.item() == pytest.approx(1 - largest.sum() / area, abs=1e-5)
    assert found.elongation >= 1


@given(masks(min_true=1))
def test_shapes_do_not_depend_on_the_view(mask):
    if np.bincount(label(mask.numpy()).ravel())[1:].size > 1:
        return  # which of two equal parts comes first depends on it
    found = [mask_shape(view.contiguous()) for view in (mask, mask.mT, mask.flip(0), mask.flip(1))]
    for other in found[1:]:
        torch.testing.assert_close(astuple(other), astuple(found[0]))


def test_shapes_keep_axes_and_kind():
    batch = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(0)) > 0.5
    found = mask_shape(batch)
    assert found.elongation.shape == (2, 3)
    assert found.elongation.dtype == torch.get_default_dtype()
    arrays = mask_shape(batch.numpy())
    assert arrays.area.dtype == np.float64
    assert arrays.elongation[1, 2] == mask_shape(batch[1, 2].numpy()).elongation
    assert mask_shape(batch[:0]).area.shape == (0, 3)
    with pytest.raises(ArrayTypeError, match="masks must be boolean"):
        mask_shape(batch.float())
