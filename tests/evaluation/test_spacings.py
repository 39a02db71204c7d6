"""Samples with and without a spacing: refused or warned of, and the unit in titles and texts."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from evaluations import PLAN, small_network

from cameval import OtsuBinarizer, Preparation, Sample, concat, evaluate, evaluate_maps, iou
from cameval.errors import DataError, SettingError
from cameval.evaluation import MixedSpacingWarning, Results
from cameval.evaluation.spacings import Spacings
from cameval.metrics import (
    AverageSurfaceDistance,
    CentroidDistance,
    HausdorffDistance,
    SurfaceDice,
    ZeroWithoutObject,
    equivalent_radius,
    of_masks,
    pointing_game,
)
from cameval.report import verdict_lines, write_report

USES_SPACING = [
    HausdorffDistance(),
    AverageSurfaceDistance(),
    SurfaceDice(2),
    CentroidDistance(),
    ZeroWithoutObject(SurfaceDice(2)),
    partial(pointing_game, tolerance=2),
]
USES_NONE = [
    iou,
    HausdorffDistance(spacing=(1, 1)),
    CentroidDistance(relative_to=equivalent_radius),
    pointing_game,
    partial(pointing_game, tolerance=2, spacing=1.0),
]
SAID = (
    "3 of 6 images state no spacing: their distances are in pixels, the others in the unit of the "
    "spacing; the mean of 95% Hausdorff distance (px or unit of spacing, mixed) mixes them."
)


class Lazy:
    """A data set that is read while the run goes on."""

    def __init__(self, samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> Sample:
        return self.samples[number]


def data(*spacings, axes: int = 2) -> list[Sample]:
    rng = np.random.default_rng(0)
    found = []
    for k, spacing in enumerate(spacings):
        mask = np.zeros((8,) * axes, bool)
        mask[(slice(k % 4, k % 4 + 3),) * axes] = True
        image = ((mask + rng.random(mask.shape)) / 2).astype(np.float32)
        found.append(Sample(f"image {k}", image, mask, label=k % 2, spacing=spacing))
    return found


def scored(samples, metrics=None, **options) -> Results:
    return evaluate_maps(
        lambda sample: np.roll(sample.image, 1, -1),
        samples,
        binarizers=OtsuBinarizer(),
        metrics=metrics or HausdorffDistance(),
        baselines={},
        progress=False,
        batch_size=2,
        **options,
    )


def titles(results: Results) -> list[str]:
    return [results.meanings.title(one) for one in dict.fromkeys(c.metric for c in results.columns)]


def half() -> list[Sample]:
    return data((0.5, 0.5), None, (2, 2), None, (2, 2), None)


@pytest.mark.parametrize("metric", USES_SPACING)
def test_a_list_with_some_spacings_is_refused_before_the_work(metric) -> None:
    message = r"all samples must have a spacing, or none, for \S+, got 3 of 6 without one; give"
    with pytest.raises(DataError, match=message):
        scored(half(), metric)
    with pytest.raises(DataError, match=message):
        evaluate(small_network(), half(), **{**PLAN, "metrics": metric, "baselines": {}})
    scored([one for one in half() if one.spacing], metric)
    scored([one for one in half() if not one.spacing], metric)


@pytest.mark.parametrize("metric", USES_NONE)
def test_metrics_without_a_length_or_with_a_spacing_of_their_own_take_all(metric) -> None:
    assert len(scored(half(), metric)) == len(scored(Lazy(half()), metric)) == 6


@pytest.mark.parametrize("metric", USES_SPACING)
def test_a_data_set_with_some_spacings_warns_at_the_end(metric) -> None:
    with pytest.warns(MixedSpacingWarning) as told:
        results = scored(Lazy(half()), metric)
    (one,) = told
    assert "got 3 of 6 images without one: their lengths are in pixels" in str(one.message)
    assert one.filename.endswith("test_spacings.py")
    assert Spacings.of(results.provenance) == Spacings(3, 3, (), 2)


def test_a_network_with_some_spacings_warns_at_the_end() -> None:
    options = {**PLAN, "metrics": HausdorffDistance(), "prepare": Preparation(32), "baselines": {}}
    with pytest.warns(MixedSpacingWarning, match="3 of 6 images without one"):
        evaluate(small_network(), Lazy(half()), progress=False, **options)


def test_the_report_and_the_terminal_say_so(tmp_path) -> None:
    with pytest.warns(MixedSpacingWarning):
        results = scored(Lazy(half()))
    assert SAID in " ".join(verdict_lines(results))
    write_report(results, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    cautions = " ".join(re.findall(r'<p class="caution">(.*?)</p>', page, re.DOTALL))
    assert SAID in re.sub(r"<[^>]+>", "", cautions)
    of_all = scored(data((1, 1), (1, 1)))
    assert "spacing; the mean" not in " ".join(verdict_lines(of_all))
    with pytest.warns(MixedSpacingWarning):
        both = scored(Lazy(half()), [HausdorffDistance(), iou])
    assert "state no spacing" not in " ".join(verdict_lines(both.select(metric="iou")))


def test_runs_that_differ_are_cautioned_of_together() -> None:
    with_one = scored(data((2, 2), (2, 2)), name="mm")
    without = scored(data(None, None), name="px")
    said = " ".join(verdict_lines(concat([with_one, without])))
    assert "The images of px state no spacing, the others do: the units of" in said
    others = [replace(one, name=f"{one.name} b") for one in data(None, None, None)]
    folds = concat([scored(data((2, 2), (2, 2))), scored(others)])
    said = " ".join(verdict_lines(folds))
    assert "3 of 5 images state no spacing: their distances are in pixels" in said
    assert titles(folds) == ["95% Hausdorff distance (px or unit of spacing, mixed)"]


@pytest.mark.parametrize(
    ("spacings", "axes", "unit"),
    [
        ([None, None], 2, "px"),
        ([None, None], 3, "voxels"),
        ([(1, 1), (2, 2)], 2, "unit of spacing"),
        ([(5, 1, 1), (5, 1, 1)], 3, "unit of spacing"),
    ],
)
def test_the_title_has_the_unit_that_the_run_knows(spacings, axes, unit, tmp_path) -> None:
    results = scored(data(*spacings, axes=axes), [HausdorffDistance(), SurfaceDice(2)])
    expected = [f"95% Hausdorff distance ({unit})", f"surface Dice (tolerance 2, {unit})"]
    assert titles(results) == expected
    assert f"95\\% Hausdorff distance ({unit}) $\\downarrow$" in results.to_latex()
    results.to_csv(tmp_path / "scores.csv")
    assert titles(Results.from_csv(tmp_path / "scores.csv")) == expected
    assert titles(concat([results])) == expected
    unknown = {k: v for k, v in results.provenance.items() if k != "spacings"}
    assert "(px or unit of spacing)" in titles(replace(results, provenance=unknown))[0]


def test_labels_and_names_of_the_user_have_priority_and_keep_the_arrow() -> None:
    results = scored(data(None, None), {"HD_95": HausdorffDistance()})
    assert titles(results) == ["HD 95"]
    results = scored(data(None, None))
    table = results.to_latex(names={"hausdorff_distance": "HD95 in px"})
    assert r"HD95 in px $\downarrow$ \\" in table
    assert "HD95 in px is the larger of two" in results.methods_text(
        names={"hausdorff_distance": "HD95 in px"}
    )


def test_a_metric_of_ones_own_states_its_unit() -> None:
    @of_masks(higher_is_better=False, from_sample=("spacing",), title="my distance", unit="spacing")
    def mine(pred, target, spacing=1.0):
        return HausdorffDistance(spacing=spacing)(pred, target)

    assert titles(scored(data(None, None), mine)) == ["my distance (px)"]
    with pytest.raises(SettingError, match="unit must be 'spacing' or None, got 'mm'"):
        of_masks(unit="mm")(lambda pred, target: pred)


def test_the_record_has_the_spacing_of_the_grid_of_the_scores(tmp_path) -> None:
    prepare = Preparation(size=None, truth_size=4)
    results = scored(data((1, 2), (1, 2)), prepare=prepare, out=tmp_path / "run")
    assert Spacings.of(results.provenance) == Spacings(2, 0, (2.0, 4.0), 2)
    assert Spacings.of(Results.load(tmp_path / "run").provenance) == Spacings(2, 0, (2.0, 4.0), 2)


@pytest.mark.parametrize(
    "record",
    [None, [], {"known": -1, "unknown": 2}, {"known": "3", "unknown": 3}, {"unknown": 3}],
)
def test_a_strange_record_says_nothing(record) -> None:
    assert Spacings.of({"spacings": record}) == Spacings()
    assert Spacings.of_all({"spacings": record}).unit is None


DEFINITIONS = {
    HausdorffDistance(): "the larger of two 95 % percentiles: that of the distances from each",
    HausdorffDistance(100): "the largest distance from a border pixel (next to the background",
    HausdorffDistance(border="contour"): ", weighted by the length of the elements",
    AverageSurfaceDistance(): "the mean distance from each border pixel",
    AverageSurfaceDistance(penalize_empty=True): "; an empty mask has the diagonal of the image",
    SurfaceDice(2.5): "that is at most 2.5 from the nearest one of the other.",
    CentroidDistance(): "the distance between the centroids of mask and truth.",
    CentroidDistance(relative_to=equivalent_radius): "divided by the radius of a disc",
}


@pytest.mark.parametrize("metric", DEFINITIONS)
def test_the_methods_text_defines_distances(metric) -> None:
    results = scored(data((2, 2), (2, 2)), metric)
    title = titles(results)[0]
    text = results.methods_text()
    assert f"The {title} is the " in text
    assert DEFINITIONS[metric] in text
    is_length = not title.endswith("of the truth)")
    same = "Lengths are in the unit of the spacing, which is 2 x 2 for each image."
    assert (same in text) is is_length


def test_the_methods_text_has_the_unit() -> None:
    assert "Lengths are in pixels." in scored(data(None, None)).methods_text()
    several = scored(data((1, 1), (2, 2))).methods_text()
    assert "Lengths are in the unit of the spacing of each image." in several
    with pytest.warns(MixedSpacingWarning):
        mixed = scored(Lazy(half())).methods_text()
    assert "Of 6 images 3 have no spacing: their lengths are in pixels, the others" in mixed
    assert "Lengths are" not in scored(data(None, None), iou).methods_text()


def test_the_methods_text_of_volumes_has_their_words() -> None:
    text = scored(data((5, 1, 1), (5, 1, 1), axes=3)).methods_text()
    assert "The evaluation has 2 volumes" in text
    assert "each volume a group of its own" in text
    assert "Scores of each volume are" in text
    assert "which is 5 x 1 x 1 for each volume" in text
    assert "image" not in text.partition("Intervals")[0]
