"""Sanity checks of a run: scores of the sub-sample, and the comparison of maps image by image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import as_numpy
from cameval.data import Sample
from cameval.distributed import gather, share_of, wait_for_all
from cameval.errors import DataError
from cameval.evaluation._identity import same_run
from cameval.evaluation._loop import progress_bar, score_planned
from cameval.evaluation._run import Run
from cameval.evaluation._run_folder import read_arrays, write_arrays
from cameval.evaluation._sanity_plan import CheckedRun
from cameval.evaluation._similarities import pairs_of, rows_of_image, rows_of_pairs, table_of
from cameval.evaluation._sources import NO_LABEL, View
from cameval.evaluation._sub_sample import Collector, SubSample
from cameval.evaluation.results import Results, SanityResults
from cameval.evaluation.sanity_checks import SanityChecks
from cameval.extractor import coarse_maps
from cameval.maps import upsample
from cameval.networks import Activations
from cameval.networks.activations import without_graph
from cameval.sanity import repeatability
from cameval.target_classes import choose_classes

Arrays = dict[str, NDArray[Any]]


def score_with_checks(plan: Callable[[], Run], checks: SanityChecks) -> Results:
    """Score a run and its sanity checks with all processes, and return the results of both."""
    checked = same_run(lambda: CheckedRun.of(plan(), checks))
    run = checked.run
    wait_for_all(checked.claim)
    collector = Collector(run, checks.samples, checks.seed)
    results = score_planned(run, seen=collector.see)
    samples = collector.sub_sample()
    part = replace(
        run,
        plan=checked.plan,
        samples=samples,
        settings=replace(run.settings, out=checked.folder, batch_size=1, workers=0),
        record=checked.record,
    )
    scores = score_planned(part, title=f"faithfulness ({checked.cost})", unit="image")
    table = _compare(checked, samples, str(results.samples["model"].iloc[0]))
    return replace(results, sanity=SanityResults(scores, table))


def _compare(checked: CheckedRun, samples: SubSample, model: str) -> Any:
    """Return the table of the similarities of maps, with the work shared by the processes."""
    record = checked.record["sanity"]
    shape = len(checked.steps), len(checked.plan.methods)
    images = _do_units(
        checked,
        "similarities",
        range(len(samples)),
        lambda k: _similarities_of(checked, samples[k]),
        lambda k, unit: (
            str(unit["sample"]) == samples.chosen[k].name
            and unit["ssim"].shape == unit["spearman"].shape == shape
        ),
    )
    pairs = pairs_of([one.group for one in samples.chosen], checked.checks.seed)
    others: dict[int, list[int]] = {}
    for one, other in pairs:
        others.setdefault(one, []).append(other)
    compared = _do_units(
        checked,
        "pairs",
        list(others),
        lambda k: _similarities_of_pairs(checked, images, k, others[k]),
        lambda k, unit: (
            unit["other"].tolist() == [samples.chosen[j].name for j in others[k]]
            and unit["ssim"].shape == unit["spearman"].shape == (len(others[k]), shape[1])
        ),
    )
    rows = [row for k in sorted(images) for row in rows_of_image(model, images[k], record)]
    rows += [row for k in sorted(compared) for row in rows_of_pairs(model, compared[k], record)]
    return table_of(rows)


def _do_units(
    checked: CheckedRun,
    name: str,
    numbers: Sequence[int],
    work: Callable[[int], Arrays],
    fits: Callable[[int, Arrays], bool],
) -> dict[int, Arrays]:
    """Do each unit of work in one process, and return all; finished ones are read from files."""
    folder = None if checked.folder is None else checked.folder / name

    def do_share() -> dict[int, Arrays]:
        mine, found = share_of(numbers), {}
        with progress_bar(checked.run, len(mine), f"sanity: {name}", "image") as bar:
            for k in mine:
                file = None if folder is None else folder / f"{k:06d}.npz"
                if file is not None and file.exists():
                    found[k] = read_arrays(file)
                    if not fits(k, found[k]):
                        raise DataError(
                            f"{file} must hold the similarities of sample {k} of these checks, "
                            "got others; delete it to compute it again"
                        )
                else:
                    found[k] = work(k)
                    if file is not None:
                        write_arrays(file, found[k])
                bar.update()
        return found

    return {k: unit for part in gather(do_share) for k, unit in part.items()}


def _similarities_of(checked: CheckedRun, sample: Sample) -> Arrays:
    """Compare the maps of one image with those of each step, on the network's input."""
    run, methods = checked.run, checked.plan.methods
    assert run.network is not None
    view = View.of([sample], run.prepare, run.network.device)
    activations = run.network.exact.activations(view.images)
    (how,) = checked.plan.target_class.values()
    classes = view.classes(how, activations.logits)
    size = tuple(view.images.shape[2:])

    def coarse_of(of: Activations) -> list[NDArray[Any]]:
        with without_graph():
            found = [coarse_maps(of, method, classes) for method in methods.values()]
        return [as_numpy(one.detach())[0] for one in found]

    original, said = coarse_of(activations), _prediction(run, activations.logits, classes)
    ssim, spearman = (np.full((len(checked.steps), len(methods)), np.nan) for _ in range(2))
    same = np.zeros(len(checked.steps), bool)
    for i, model in enumerate(checked.models):
        changed = model.activations(view.images)
        same[i] = _prediction(run, changed.logits, classes) == said
        for k, coarse in enumerate(coarse_of(changed)):
            ssim[i, k], spearman[i, k] = _similarity(checked, original[k], coarse, size)
    label = NO_LABEL if sample.label is None else sample.label
    return {
        "sample": np.array(sample.name),
        "group": np.array(sample.group),
        "label": np.array(label),
        "size": np.array(size),
        "ssim": ssim,
        "spearman": spearman,
        "same": same,
        **{f"map_{k}": one for k, one in enumerate(original)},
    }


def _similarities_of_pairs(
    checked: CheckedRun, images: Mapping[int, Arrays], one: int, others: Sequence[int]
) -> Arrays:
    """Compare the maps of one image with those of other images."""
    unit, count = images[one], len(checked.plan.methods)
    size = tuple(unit["size"].tolist())
    found = np.array(
        [
            [
                _similarity(checked, unit[f"map_{k}"], images[other][f"map_{k}"], size)
                for k in range(count)
            ]
            for other in others
        ]
    ).reshape(len(others), count, 2)
    return {
        **{name: unit[name] for name in ("sample", "group", "label")},
        "other": np.array([str(images[other]["sample"]) for other in others]),
        "ssim": found[..., 0],
        "spearman": found[..., 1],
    }


def _similarity(
    checked: CheckedRun, first: NDArray[Any], second: NDArray[Any], size: tuple[int, ...]
) -> tuple[float, float]:
    """Return SSIM and rank correlation of two coarse maps; NaN where one is not finite.

    Those of volumes are means over the slices.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan"), float("nan")
    assert checked.run.network is not None
    centers = checked.run.network.cell_centers
    maps = [
        upsample(torch.from_numpy(one)[None], size, cell_centers=centers, image_size=size)[0]
        for one in (first, second)
    ]
    ssim, spearman = (np.asarray(values) for values in repeatability(*maps))
    defined = spearman[~np.isnan(spearman)]
    return float(ssim.mean()), float(defined.mean()) if defined.size else float("nan")


def _prediction(run: Run, logits: Tensor, classes: Tensor) -> object:
    """Return the predicted class of one image; in a multi-label task whether it is the target."""
    if run.task == "multilabel":
        return bool(logits[0, classes[0]] > (0.5 if run.probabilities else 0))
    return int(choose_classes(None, None, logits)[0])
