"""Where networks look that classify brain tumors on slices of MRI.

After Kang, Park, Ahn, Van Messem and De Neve, "Towards a Quantitative Analysis of Class Activation
Mapping for Deep Learning-based Computer-Aided Diagnosis". Networks learn to tell three kinds of
tumor apart. Their class activation maps show which regions a decision rests on, thresholds turn
the maps into masks, and the masks are compared with tumors that were outlined by hand.

``--protocol paper`` follows the paper and names what the paper does not say. ``--protocol strict``,
the default, asks the same question with other safeguards: no patient is both trained on and tested
on, and epochs and thresholds are chosen on other patients than those that are tested.

Without arguments the study generates phantom slices and trains two small networks on them;
``--download DIR`` fetches the figshare brain-tumor data (doi 10.6084/m9.figshare.1512427).

Read this file from top to bottom; its helpers are in ``study/``.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from study import evaluation, page, training
from study.data import Slices, Study, make_phantom
from study.evaluation import MAP, OPTIMUM, VALIDATED, FoldResult, Variation, baselines_of
from study.networks import Candidate, class_map, grid_of
from study.settings import OF_TRAINING, Run, Settings, check_kept, parse
from study.tables import best_model
from torch import Tensor
from torch.utils.data import Subset

from cameval import CAMExtractor, CAMModel, distributed, iou
from cameval.data import Fold, fetch_figshare, folds_by_group, folds_by_sample
from cameval.errors import CamevalError, DataError
from cameval.evaluation import Preparation, Results, choose_binarizers, evaluate

# --- 1. The slices --------------------------------------------------------------------------------


def load_slices(settings: Settings, run: Run) -> Slices:
    """Load the slices of a folder, of figshare, or of a phantom."""
    phantom = run.out / f"phantom-{settings.slices}-{settings.size}-{settings.seed}"
    folder = phantom if settings.data == "phantom" else Path(settings.data)
    if run.download is not None:
        fetch_figshare(run.download)
    if folder == phantom and not phantom.exists():
        make_phantom(phantom, settings.slices, settings.size, settings.seed)
    of_patients = {"known_patients": settings.known_patients, "merge_ids": settings.merge_ids}
    return Slices(folder, run.out / "slices.h5", **of_patients)


# --- 2. Folds: which patients or slices train, validate and test ----------------------------------


def divide(settings: Settings, slices: Slices) -> list[Fold]:
    """Divide the slices into folds by patient (strict) or by slice (paper), each tested once."""
    labels, patients, count, seed = slices.labels, slices.patients, settings.folds, settings.seed
    if settings.protocol == "strict":
        published = slices.published_folds
        folds = folds_by_group(labels, patients, count, seed=seed, published=published)
        if slices.unknown_patients and not are_published(slices, folds):
            raise DataError(
                "slices of unknown patients (ids F1 to F5) must be in the folds of cvind.mat, got "
                "others; give --no-merge-ids, or leave them out with --known-patients"
            )
        return folds
    by_name = np.argsort(np.array(slices.names), kind="stable")  # in which 10 comes before 2
    return folds_by_sample(
        labels,
        patients,
        count,
        seed=seed if settings.fold_order == "shuffled" else None,
        order=by_name if settings.fold_order == "lexicographic" else None,
        stratified=settings.stratified,
    )


def are_published(slices: Slices, folds: Sequence[Fold]) -> bool:
    """Tell whether the folds are those of the data set."""
    published = slices.published_folds
    return published is not None and all((published[f.test] == f.number).all() for f in folds)


def warn_of_folds(study: Study) -> None:
    """Warn if published folds are not used, or patients are both trained on and tested on."""
    slices, folds = study.slices, study.folds
    strict, published = study.settings.protocol == "strict", slices.published_folds is not None
    if strict and published and not are_published(slices, folds):
        print("NOTE: cvind.mat is not used: other folds, or persons in two", file=sys.stderr)
    if shared := {patient for fold in folds for patient in fold.shared}:
        text = f"{len(shared)} of {len(set(study.slices.patients))} patients are in several folds"
        print(f"WARNING: {text}: networks are tested on patients they have seen", file=sys.stderr)


# --- 3. Classification ----------------------------------------------------------------------------


def train(study: Study, candidate: Candidate, fold: Fold) -> None:
    """Train one network in one fold, unless that was done before."""
    settings, device, checkpoint = study.settings, study.run.device, study.file(candidate, fold)
    if checkpoint.exists():
        return
    size = settings.size_of(candidate)
    images, _ = study.slices.pictures(size, settings.crop)
    labels = torch.from_numpy(study.slices.labels)
    material = training.Material(images, labels, fold, study.run.kept_outputs)
    if settings.freeze:
        features = study.run.out / "features" / f"{candidate.file}-{size}-{settings.crop}.pt"
        training.train_linear(candidate, material, settings, checkpoint, device, features)
    else:
        training.fine_tune(candidate, material, settings, checkpoint, device)


def keep_outputs(study: Study, candidates: Sequence[Candidate], *, untrained: bool = True) -> None:
    """Compute the outputs of frozen layers once, and of the untrained networks of the baselines."""
    settings, run, slices = study.settings, study.run, study.slices
    if settings.freeze_until is None or settings.keep == "none":
        return

    def keep(candidate: Candidate, start: str, images: Tensor) -> None:
        model = candidate.build_seeded(start, len(slices.class_names), settings.seed)
        model = training.with_frozen(model.to(run.device), candidate, settings, run.kept_outputs)
        mirrored = settings.augment == "mirror" and not settings.freeze and start != "none"
        title = f"frozen layers of {candidate}{' untrained' * (start == 'none')}"
        training.keep_outputs(model, images, mirrored=mirrored, title=title)

    def work() -> None:
        for candidate in candidates:
            images, _ = slices.pictures(settings.size_of(candidate), settings.crop)
            keep(candidate, settings.pretrained, images)
            if untrained:
                strict = settings.protocol == "strict"
                keep(candidate, "none", images if strict else images[study.folds[-1].test])

    distributed.wait_for_all(lambda: work() if distributed.rank() == 0 else None)


def train_all(study: Study) -> None:
    """Train every network in every fold; several processes share the work."""
    candidates, folds = study.settings.candidates, study.folds
    if study.settings.freeze:  # the folds of a network share its features
        jobs = [(one, fold) for one in distributed.share_of(candidates) for fold in folds]
    else:
        jobs = distributed.share_of([(one, fold) for one in candidates for fold in folds])

    def work() -> None:
        for candidate, fold in jobs:
            train(study, candidate, fold)

    distributed.wait_for_all(work)


def load_model(study: Study, candidate: Candidate, fold: Fold) -> CAMModel:
    """Load a network as it was trained in a fold."""
    changes = candidate.network in ("googlenet", "inception_v3")  # their input, if pretrained
    start = study.settings.pretrained if changes else "none"
    model = candidate.build(start, len(study.slices.class_names))
    weights = torch.load(study.file(candidate, fold), map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    model = model.eval().to(study.run.device)
    return training.with_frozen(model, candidate, study.settings, study.run.kept_outputs).eval()


def classify(study: Study) -> pd.DataFrame:
    """Predict every slice by the network of the fold in which it is tested."""
    slices, rows = study.slices, []
    for candidate in study.settings.candidates:
        images, _ = slices.pictures(study.settings.size_of(candidate), study.settings.crop)
        for fold in study.folds:
            logits = training.predict(load_model(study, candidate, fold), images[fold.test])
            columns = {
                "model": str(candidate),
                "fold": fold.number,
                "sample": [slices.names[i] for i in fold.test],
                "group": slices.patients[fold.test],
                "label": slices.labels[fold.test],
                "predicted": logits.argmax(1).numpy(),
                "probability": logits.softmax(1).amax(1).numpy(),
            }
            rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


# --- 4. The strict protocol: thresholds chosen on other patients ----------------------------------


def evaluate_strict(study: Study, candidate: Candidate, fold: Fold) -> FoldResult:
    """Score one fold; thresholds are chosen on its validation slices, for its test slices.

    Two more thresholds are reported for each map: ``validated``, the best on the validation slices,
    and ``test optimum``, the best on the test slices. The difference of their scores is the
    optimism of choosing on the test slices.
    """
    settings, file = study.settings, f"{candidate.file}-fold{fold.number}"
    score = partial(
        evaluate,
        CAMExtractor(load_model(study, candidate, fold), alignment=settings.alignment),
        methods=evaluation.METHODS,
        binarizers=evaluation.BINARIZERS,
        baselines=baselines_of(candidate, study.slices, fold, settings, study.run),
        prepare=Preparation(settings.size_of(candidate), settings.crop),
        name=str(candidate),
        class_names=study.slices.class_names,
        seed=settings.seed,
    )
    validation = score(
        Subset(study.slices, fold.validation.tolist()),
        metrics={"iou": iou},
        out=study.run.out / "evaluation" / f"{file}-validation",
    )
    test = score(
        Subset(study.slices, fold.test.tolist()),
        metrics=evaluation.METRICS,
        classes=["predicted", "true"],
        out=study.run.out / "evaluation" / f"{file}-test",
    )
    validated, optimum = choose_binarizers(validation), choose_binarizers(test)
    results = optimum.apply(validated.apply(test, label=VALIDATED), label=OPTIMUM)
    right = (validation.samples["label"] == validation.samples["predicted"]).to_numpy(bool)
    return FoldResult(results, validated, optimum, float(right.mean()))


def run_strict(study: Study) -> Path | None:
    """Score every network on every slice, by the network that has not seen its patient."""
    results = [
        evaluate_strict(study, candidate, fold)
        for candidate in study.settings.candidates
        for fold in study.folds
    ]
    if distributed.rank() > 0:
        return None
    return page.write_strict(study, results)


# --- 5. The paper's protocol, and what it leaves open ---------------------------------------------


def evaluate_paper(study: Study, candidate: Candidate, fold: Fold) -> Results:
    """Score one fold with the paper's five thresholds, none of which is chosen before."""
    settings, slices, size = study.settings, study.slices, study.settings.size_of(candidate)
    grid = (size, size) if settings.truth_grid == "input" else None
    return evaluate(
        CAMExtractor(load_model(study, candidate, fold), alignment=settings.alignment),
        Subset(slices, fold.test.tolist()),
        methods={MAP: class_map},
        binarizers=evaluation.PAPER_BINARIZERS,
        metrics=evaluation.PAPER_METRICS,
        baselines=baselines_of(candidate, slices, fold, settings, study.run),
        prepare=Preparation(size, settings.crop, truth_size=grid),
        out=study.run.out / "evaluation" / f"{candidate.file}-fold{fold.number}-test",
        name=str(candidate),
        class_names=slices.class_names,
        seed=settings.seed,
    )


def vary(study: Study, best: Candidate, answer: Variation) -> tuple[Study, Candidate]:
    """Return the study and the network with one answer to an open question changed."""
    changed = replace(study, settings=replace(study.settings, **dict(answer.changes)))
    candidate = best if answer.head is None else replace(best, head=answer.head)
    if answer.trains:
        name = f"{answer.question}-{answer.answer}".replace("/", "of").replace(" ", "_")
        out, kept = study.run.out / "switches" / name, study.run.kept_outputs
        run = replace(study.run, out=out, features=kept, checkpoints=None)
        folds = divide(changed.settings, study.slices) if answer.divides else study.folds
        changed = replace(changed, run=run, folds=folds)
    return changed, candidate


def run_paper(study: Study) -> Path | None:
    """Take the network that classifies best, and score its maps on the last fold."""
    predictions = classify(study)
    best, last = Candidate.parse(distributed.of_first(best_model(predictions))), study.folds[-1]
    results = evaluate_paper(study, best, last)

    varied = {one: vary(study, best, one) for one in evaluation.variations(study.settings, best)}
    trained = [varied[answer] for answer in varied if answer.trains]
    for other, one in trained:
        keep_outputs(other, [one], untrained=False)
    again = distributed.share_of(trained)

    def work() -> None:
        for other, candidate in again:
            train(other, candidate, other.folds[-1])

    distributed.wait_for_all(work)
    if distributed.rank() > 0:
        return None
    scored = []
    for answer, (other, one) in varied.items():
        model, size = load_model(other, one, other.folds[-1]), other.settings.size_of(one)
        table = evaluation.paper_scores(model, study.slices, other.folds[-1], size, other.settings)
        scored.append((answer, table))
    model = load_model(study, best, last)
    return page.write_paper(study, model, best, predictions, results, scored)


# --- 6. The whole study ---------------------------------------------------------------------------


def check_start(study: Study) -> None:
    """Keep what decides the numbers of a study, or compare a resumed study with it."""
    settings, run, slices = study.settings, study.run, study.slices
    weights = {}
    for one in settings.candidates:
        state = one.build_seeded(settings.pretrained, 3, settings.seed).state_dict()
        values = b"".join(value.numpy().tobytes() for value in state.values())
        weights[str(one)] = sha256(values).hexdigest()
    start = {
        "folds of the slices": {slices.names[i]: f.number for f in study.folds for i in f.test},
        "starting weights": weights,
        "kind of device": run.device.type,
        "number of threads": torch.get_num_threads(),
        "version of torch": torch.__version__,
    }
    check_kept(run.out / "start.json", start, resume=True)
    study.checkpoints.mkdir(parents=True, exist_ok=True)
    for one in settings.candidates:
        needed = {name: asdict(settings)[name] for name in OF_TRAINING}
        needed |= {"folds of the slices": start["folds of the slices"]}
        needed |= {"starting weights": weights[str(one)]}
        file = study.checkpoints / f"{one.file}-training.json"
        check_kept(file, needed, resume=True)
        file.write_text(json.dumps(needed, indent=1) + "\n")
    (run.out / "start.json").write_text(json.dumps(start, indent=1) + "\n")
    (run.out / "settings.json").write_text(json.dumps(asdict(settings), indent=2) + "\n")


def run_study(settings: Settings, run: Run) -> Path | None:
    """Run the whole study and return the report, in the first process."""
    check_kept(run.out / "settings.json", asdict(settings), resume=run.resume)
    for one in settings.candidates:
        one.build(settings.pretrained, 3)  # refuses weights that are missing
        grid_of(one, settings.size_of(one), settings.alignment)  # and an input that is too small
    slices = distributed.first_alone(lambda: load_slices(settings, run))
    study = Study(settings, run, slices, divide(settings, slices))
    if distributed.rank() == 0:
        warn_of_folds(study)
    distributed.wait_for_all(lambda: check_start(study) if distributed.rank() == 0 else None)
    keep_outputs(study, settings.candidates)
    train_all(study)
    return run_strict(study) if settings.protocol == "strict" else run_paper(study)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    settings, run = parse(arguments)
    try:
        with distributed.process_group():
            out, device = distributed.of_first(run.out), distributed.own_device(run.device)
            run = replace(run, out=out, device=device)
            report = run_study(settings, run)
    except CamevalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ninterrupted; continue with --resume --out {run.out}", file=sys.stderr)
        return 130
    if report is not None:
        print((run.out / "summary.txt").read_text())
        print(f"report: {report}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
