"""The paragraph on methods says what the runs have recorded, and nothing else."""

from dataclasses import replace

import numpy as np
from evaluations import PLAN, SMALL, samples, small_network

from cameval import OtsuBinarizer, Sample, choose_binarizers, concat, evaluate, evaluate_maps, iou
from cameval.evaluation import Results


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
    assert f"Its images are prepared by {settings['prepare']}." in text
    assert "Maps are computed by cam, grad (grad_cam), with target class predicted." in text
    assert "cells that fill the image evenly" in text
    chosen = "was chosen for each map on other images (4 images), by the highest mean IoU."
    assert f"The binarizer validated {chosen}" in text
    assert "Masks are made by" in text
    assert "center, random (use nothing of the image)" in text
    assert "truth (use the true mask)" in text
    assert "Holm's correction" in text
    assert f"cameval {settings['versions']['cameval']}, python " in text
    assert "made elsewhere" not in text
    assert "random weights" not in text
    print(text)
    only = results.select(kind="method", binarizer="validated")
    assert "Masks are made by" not in only.methods_text()
    assert "baselines" not in only.methods_text()


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
        "Masks are made by o (OtsuBinarizer())",
        "Scores of each image are IoU",
        "Of 2 scores 1 are undefined and not in means",
        f"Versions: cameval {versions['cameval']}, python {versions['python']}, "
        f"torch {versions['torch']}, torchvision {versions['torchvision']}, "
        f"numpy {versions['numpy']}",
    ]
    bare = replace(results, provenance={})
    assert sentences(bare) == [
        "The evaluation has 2 images of 1 group",
        "Scores of each image are IoU",
        "Of 2 scores 1 are undefined and not in means",
    ]
