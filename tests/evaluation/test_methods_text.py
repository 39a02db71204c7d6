"""The paragraph on methods says what the runs have recorded, and nothing else."""

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from evaluations import PLAN, SMALL, samples, small_network
from pages import KNOWN, made
from torch import Tensor

from cameval import (
    CAMExtractor,
    OtsuBinarizer,
    Preparation,
    Sample,
    cam,
    choose_binarizers,
    concat,
    evaluate,
    evaluate_maps,
    grad_cam,
    iou,
)
from cameval.evaluation import Column, MetricMeaning, Results, SanityChecks
from cameval.metrics import ROAD


def sentences(results: Results) -> list[str]:
    return results.methods_text().removesuffix(".").split(". ")


def test_a_run_of_a_network_with_a_choice_is_described() -> None:
    data = samples(9)
    options = {**PLAN, "prepare": SMALL, "name": "net A"}
    first, second = (evaluate(small_network(), part, **options) for part in (data[:4], data[4:]))
    results = choose_binarizers(first, metric="iou").apply(second)
    text = results.methods_text()
    settings = results.provenance["settings"]
    groups = results.samples["group"].nunique()
    assert text.startswith(f"The evaluation has 5 images of {groups} groups. ")
    assert f"The network is net A (weights {settings['weights'][:16]}, layer features," in text
    assert "multiclass task" in text
    assert "Images are resized to 32 x 32 pixels (each axis by itself), and normalized as" in text
    assert "Preparation(" not in text
    assert (
        "Maps are computed by cam and grad (grad_cam), for the class that the network predicts."
        in text
    )
    assert "cells that fill the image evenly" in text
    chosen = (
        "was chosen for each map on other images (4 images of 2 groups), by the highest mean IoU."
    )
    assert f'The binarizer "validated" {chosen}' in text
    masks = "by p80 (at most the highest 20 % of its pixels) and mean (MeanBinarizer())."
    assert f"Masks are computed from each map by itself, {masks}" in text
    assert "center and random (use nothing of the image)" in text
    assert "truth (uses the true mask)" in text
    assert "Holm's correction" in text
    assert f"cameval {settings['versions']['cameval']}, python " in text
    assert "made elsewhere" not in text
    assert "random weights" not in text
    only = results.select(kind="method", binarizer="validated")
    assert "Masks are computed" not in only.methods_text()
    evaluated = (
        "The evaluation had the binarizers p80 (at most the highest 20 % of its pixels) and mean"
    )
    assert evaluated in only.methods_text()
    assert evaluated not in text
    assert "truth (uses the true mask)" not in only.methods_text()
    assert "left out here, are " in only.methods_text()


def test_the_values_of_maps_are_those_of_the_methods() -> None:
    net, data = small_network(), samples(2)
    results = evaluate(net, data, **{**PLAN, "prepare": SMALL})
    text = results.methods_text()
    assert "Their values are those of the methods, neither scaled nor clipped afterwards" in text
    assert "signed" not in text  # grad_cam has no negative value
    images = torch.stack([SMALL(sample)[0] for sample in data])
    for method, is_signed in ((cam, True), (grad_cam, False)):
        found = CAMExtractor(net, method=method)(images)
        coarse, fine = found.coarse, found.maps
        assert bool((coarse < 0).any()) == bool((fine < 0).any()) == is_signed
        assert fine.amax() > 0.5 * coarse.amax()


def test_random_weights_are_named_where_they_are_recorded() -> None:
    results = evaluate(small_network(), samples(2), **{**PLAN, "prepare": SMALL})
    noted = replace(results, provenance={**results.provenance, "weights_are": "random"})
    weights = results.provenance["settings"]["weights"][:16]
    assert f"(weights {weights}," in results.methods_text()
    assert f"(random weights, hash {weights}," in noted.methods_text()
    assert f"(random weights, hash {weights}," in concat([noted]).methods_text()


def test_maps_made_elsewhere_are_described_without_a_network() -> None:
    truth = np.zeros((8, 8), bool)
    data = [
        Sample(name, np.ones((8, 8, 3), np.float32), mask, group="p")
        for name, mask in (("a", ~truth), ("b", truth))
    ]
    results = evaluate_maps(
        {"theirs": lambda one: 1.0 * one.mask},
        data,
        metrics=iou,
        binarizers={"o": OtsuBinarizer()},
        baselines={},
    )
    versions = results.provenance["settings"]["versions"]
    assert sentences(results) == [
        "The evaluation has 2 images of 1 group",
        "Maps made elsewhere are theirs; they are not scaled",
        "Masks are computed from each map by itself, by o (OtsuBinarizer())",
        "Scores of each image are IoU",
        "1 of 2 scores of maps (IoU) are undefined and not in means",
        f"Versions: cameval {versions['cameval']}, python {versions['python']}, "
        f"torch {versions['torch']}, torchvision {versions['torchvision']}, "
        f"numpy {versions['numpy']}",
    ]
    bare = replace(results, provenance={})
    assert sentences(bare) == [
        "The evaluation has 2 images of 1 group",
        "Scores of each image are iou",
        "1 of 2 scores of maps (iou) are undefined and not in means",
    ]


def test_undefined_scores_are_counted_by_metric_and_apart_for_baselines() -> None:
    images = made(4, metrics=("iou", "dice"), binarizers=("p95",), baselines={"center": "nothing"})
    values = images.values.copy()
    for k, column in enumerate(images.columns):
        values[: 1 if column.kind == "method" else 2, k] = np.nan
        if column.metric == "dice":
            values[:, k] = 0.5
    maps, guesses = (
        sum(column.metric == "iou" and column.kind == kind for column in images.columns)
        for kind in ("method", "baseline")
    )
    text = replace(images, values=values).methods_text()
    assert (
        f"{maps} of {4 * maps} scores of maps (IoU) and {2 * guesses} of {4 * guesses} scores of "
        "baselines (IoU) are undefined and not in means."
    ) in text


def chosen(by: Literal["label"] | None) -> Results:
    """Return results with chosen binarizers: cam has p95 for class round, otherwise otsu."""

    def level(column: Column) -> float:
        return 0.4 if column.binarizer == "otsu" else 0.2

    images = made(24, value=level, metrics=("iou",), baselines={"center": "nothing"})
    at = images.columns.index(Column("predicted", "method", "cam", "p95", "iou"))
    images.values[(images.samples["label"] == 0).to_numpy(bool), at] = 0.9
    names = images.samples["sample"].tolist()
    first, second = (images.select(sample=part) for part in (names[:12], names[12:]))
    return choose_binarizers(first, by=by).apply(second)


def test_each_map_has_its_threshold_in_the_text() -> None:
    plain, by_class = (chosen(by).methods_text() for by in (None, "label"))
    assert "It is p95 for cam; otsu for grad_cam and center." in plain
    assert "On the images of this choice cam has the highest mean IoU of 2 methods." in plain
    assert (
        "chosen for each map and true class on other images of the same groups (12 images"
        in by_class
    )
    assert (
        "For cam it is p95 for round, otsu for square and long; for grad_cam it is otsu for round, "
        "square and long; for center it is otsu for round, square and long."
    ) in by_class
    parts = [replace(chosen(by="label"), samples=chosen("label").samples.assign(model="a"))]
    assert "For cam it is p95" in concat(parts).methods_text()


def of_network(
    model: str, best: str, *, n: int = 12, by: Literal["label"] | None = None
) -> Results:
    """Return results of a network, with binarizers chosen on `n` images: otsu or p95 for cam."""

    def level(column: Column) -> float:
        return 0.9 if (column.method == "cam") == (column.binarizer == best) else 0.2

    images = made(24, models=(model,), value=level, metrics=("iou",), baselines={})
    names = images.samples["sample"].tolist()
    choice = choose_binarizers(images.select(sample=names[:n]), by=by)
    return choice.apply(images.select(sample=names[12:]))


def test_each_network_has_its_own_thresholds_in_the_text() -> None:
    both = concat([of_network("a", "p95"), of_network("b", "otsu", n=3)])
    assert (
        'The binarizer "validated" was chosen for each map of each network on other images of the '
        "same groups, by the highest mean IoU. "
        "For a (chosen on 12 images of 8 groups) it is p95 for cam; otsu for grad_cam. "
        "For b (chosen on 3 images of 3 groups) it is otsu for cam; p95 for grad_cam. "
    ) in both.methods_text()
    assert "such choices" not in both.methods_text()
    text = both.methods_text(names={"a": "ResNet", "p95": "the top 5 %", "group": "patient"})
    assert "on other images of the same patients, by the highest mean IoU." in text
    assert "For ResNet (chosen on 12 images of 8 patients) it is the top 5 % for cam;" in text
    by_class = concat([of_network(name, "p95", by="label") for name in ("a", "b")]).methods_text()
    assert "chosen for each map and true class of each network on other images" in by_class
    for name in ("a", "b"):
        assert (
            f"For {name} (chosen on 12 images of 8 groups): for cam it is p95 for round, square "
            "and long; for grad_cam it is otsu for round, square and long. "
        ) in by_class


def test_one_of_two_networks_is_described_alone() -> None:
    both = concat([of_network("a", "p95"), of_network("b", "otsu", n=3)])
    text = both.select(model="b").methods_text()
    assert "The network is b (weights" in text
    assert (
        "chosen for each map on other images of the same groups (3 images of 3 groups), by" in text
    )
    assert "It is otsu for cam; p95 for grad_cam." in text
    assert "8 groups), by" not in text


def test_choices_of_folds_are_counted_for_their_network() -> None:
    first, second = of_network("a", "p95"), of_network("a", "otsu", n=3)
    names = first.samples["sample"].tolist()
    folds = [first.select(sample=names[:6]), second.select(sample=names[6:])]
    text = concat(folds).methods_text()
    assert text.count("The network is a (weights ") == 1
    assert "was chosen for each map on other images of the same groups, by the highest" in text
    assert "For a, choice 1 of 2 (chosen on 12 images of 8 groups) it is p95 for cam;" in text
    assert "For a, choice 2 of 2 (chosen on 3 images of 3 groups) it is otsu for cam;" in text


def test_many_choices_are_counted() -> None:
    several = concat([of_network(f"net {k}", "p95") for k in range(9)])
    text = several.methods_text()
    assert "There are 9 such choices, of different runs." in text
    assert "For net 1" not in text


def test_what_networks_have_in_common_is_in_the_text_once() -> None:
    other = Preparation(size=48)
    runs = {
        name: evaluate(small_network(), samples(2), **PLAN, prepare=prepare, name=name)
        for name, prepare in (("a", SMALL), ("b", SMALL), ("c", other))
    }
    text = concat([runs["a"], runs["b"]]).methods_text()
    weights = runs["a"].provenance["settings"]["weights"][:16]
    facts = f"(weights {weights}, layer features, multiclass task)"
    assert f"The networks are a {facts} and b {facts}. Images are resized to 32 x 32" in text
    assert text.count("Images are ") == text.count("images are ") + 1 == 1
    several = concat([*runs.values()]).methods_text()
    assert "For a and b, images are resized to 32 x 32 pixels" in several
    assert "For c, images are resized to 48 x 48 pixels" in several
    assert several.count("mages are ") == 2


def test_names_of_the_author_are_in_the_text() -> None:
    names = {"cam": "CAM", "otsu": "Otsu's method", "iou": "Jaccard", "group": "patient"}
    names |= {"round": "meningioma", "validated": "tuned", "center": "Center", "net": "ResNet"}
    text = chosen("label").methods_text(names=names)
    assert "of 8 patients." in text
    assert "The network is ResNet (" in text
    assert "Maps are computed by CAM and grad_cam, for" in text
    assert "by p95 (PercentileBinarizer(percentile=95)) and Otsu's method." in text
    assert 'The binarizer "tuned" was chosen for each map and true class' in text
    assert "(12 images of 8 patients), by the highest mean Jaccard." in text
    assert "For CAM it is p95 for meningioma, Otsu's method for square and long;" in text
    assert "baseline Center (uses nothing" in text
    assert "unless stated otherwise, by patient. " in text
    assert "differences of whole patients are" in text
    assert "group" not in text.replace("of the same groups", "")


def of_groups(n_groups: int, **options) -> str:
    return made(n_groups, groups=n_groups, **options).methods_text(names={"group": "patient"})


def test_intervals_and_tests_are_described_as_they_are_computed() -> None:
    text = of_groups(8)
    assert "`" not in text
    assert (
        "Each end is the farther one of that of Student's t and that of a score interval with the "
        "same quantile of t; both have a cluster-robust variance with the correction for few "
        "clusters by Bell and McCaffrey (CR2) and Satterthwaite's degrees of freedom"
    ) in text
    assert "All patterns of signs are used, so that p is exact. Corrected p values have" in text
    assert "one table of comparisons, one figure or one report; the interval" in text
    five = "p is exact; 5 patients have 32 patterns, so that no p below 0.0625 is possible."
    assert five in of_groups(5)
    assert "is possible" not in of_groups(6)
    assert "Up to 20 patients all patterns of signs are used, of more patients random" in (
        of_groups(21)
    )
    assert "Up to 20" not in of_groups(20)
    assert "(CR2)" not in of_groups(1)


def test_limits_of_intervals_are_those_of_the_metrics() -> None:
    assert "degrees of freedom, and no interval goes beyond the limits of the score." in (
        of_groups(8, metrics=("iou",))
    )
    assert "and no interval goes beyond the known limits of a score." in (
        of_groups(8, metrics={"iou": KNOWN["iou"], "own": MetricMeaning("own", "masks")})
    )
    unknown = of_groups(8, metrics={"own": MetricMeaning("own", "masks")})
    assert "goes beyond" not in unknown
    assert "Satterthwaite's degrees of freedom." in unknown


def test_sanity_checks_are_described_if_there_are_any() -> None:
    other = small_network()
    with torch.no_grad():
        for tensor in other.parameters():
            tensor.add_(0.1)
    settings = {**PLAN, "prepare": SMALL}

    def checked(**options) -> Results:
        checks = SanityChecks(samples=3, **{"faithfulness": {"road": ROAD((30.0,))}} | options)
        return evaluate(small_network(), samples(5), **settings, sanity=checks)

    results = checked(checkpoints={"b": other})
    text = results.methods_text(names={"group": "patient", "b": "seed 2", "grad": "Grad-CAM"})
    groups = results.sanity.scores.samples["group"].nunique()
    assert f"Sanity checks are made on 3 images of {groups} patients. " in text
    assert (
        "The maps of cam and Grad-CAM are compared with those of a network whose weights are "
        "random from some module to the last one and other trainings of the network (seed 2), by "
        "SSIM and the rank correlation of their pixels. Maps of different images are compared, too."
    ) in text
    assert (
        "Faithfulness to the network is measured by ROAD (percentiles 30), for the maps of cam "
        "and Grad"
    ) in text
    alone = checked(faithfulness={}).methods_text()
    assert "other trainings" not in alone
    assert "Faithfulness" not in alone
    assert "random from some module" in alone
    assert "Sanity" not in results.select(method="cam").methods_text()  # they are of the whole run


def test_a_preparation_is_in_words_and_a_function_is_named() -> None:
    wide = Preparation(
        size=(32, 48), crop=0.9, fit="crop", truth_size=16, mean=(0.5,) * 3, std=(0.25,) * 3
    )
    text = evaluate(small_network(), samples(2), **{**PLAN, "prepare": wide}).methods_text()
    assert (
        "Images are cropped to the centered part with 90 % of the largest, resized to 32 x 48 "
        "pixels (after a cut to the aspect ratio of the input), normalized by the means 0.5, 0.5, "
        "0.5 and standard deviations 0.25, 0.25, 0.25, and maps are scored on 16 x 16 pixels. "
    ) in text
    own = evaluate(small_network(), samples(2), **{**PLAN, "prepare": prepare_small})
    assert "Images are prepared by " in own.methods_text()
    assert "prepare_small" in own.methods_text()


def prepare_small(sample: Sample) -> tuple[Tensor, Tensor]:
    return SMALL(sample)


def test_the_share_of_right_predictions_is_in_the_text_where_it_is_known() -> None:
    results = made(40, groups=20)
    samples = results.samples
    predicted = samples["label"].where(np.arange(40) >= 3, (samples["label"] + 1) % 3)
    results = replace(results, samples=samples.assign(predicted=predicted))
    assert "Of 40 labeled images 92.5 % are classified right." in results.methods_text()
    assert ", 92.5 % classified right" in repr(results).replace("; ", ", ")
    assert '<td style="text-align:left">92.5 % classified right</td>' in results._repr_html_()
    other = replace(results, samples=results.samples.assign(model="other"))
    both = concat([results, other])
    assert "92.5 % are classified right by net. " in both.methods_text()
    assert "net: 92.5 % classified right; other: 92.5 % classified right" in repr(both)
    for column in ("label", "predicted"):
        without = replace(results, samples=samples.assign(**{column: np.nan}))
        assert "classified right" not in repr(without) + without.methods_text()


def test_words_of_one_baseline_and_of_a_choice_named_chosen() -> None:
    results = made(12, baselines={"disc": "nothing"})
    assert "with the baseline disc (uses nothing of the image)." in results.methods_text()
    assert "for the class that the network predicts." in results.methods_text()
    names = results.samples["sample"].tolist()
    first, second = (results.select(sample=part) for part in (names[:6], names[6:]))
    both = choose_binarizers(first).apply(second, label="chosen")
    text = both.methods_text()
    assert 'The binarizer "chosen" was chosen for each map' in text
