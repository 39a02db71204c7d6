"""Where a network looks that tells brain tumors apart.

After Kang, Park, Ahn, Van Messem and De Neve, "Towards a Quantitative Analysis of Class Activation
Mapping for Deep Learning-based Computer-Aided Diagnosis". Networks learn to tell three kinds of
tumor apart on slices of MRI. Their class activation maps say where they looked, thresholds turn the
maps into masks, and the masks are compared with the tumors that were outlined by hand.

There are two protocols. ``--protocol paper`` follows the paper, and names what the paper does not
say. ``--protocol strict``, the default, asks the same question with other safeguards: no patient
is both trained on and tested on, and epochs and thresholds are chosen on other patients than those
that are tested. Read this file from top to bottom; its parts are in `study/`.

Without arguments it makes phantom slices and trains two small networks on them. With the figshare
brain-tumor data (doi 10.6084/m9.figshare.1512427):

    python examples/brain_tumor_study.py --download DIR
    python examples/brain_tumor_study.py --data DIR --protocol paper
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from study import paper_report, strict_report
from study.candidates import Candidate
from study.classification import best_model
from study.download import fetch
from study.folds import Split, splits_by_patient, splits_by_slice
from study.frozen import train_frozen
from study.grids import grid_of, grids_of
from study.looking import Looked, as_in_the_paper, strictly
from study.processes import (
    agreed,
    by_the_first,
    device_of,
    first_alone,
    joined,
    rank,
    share_of,
    together,
)
from study.record import record
from study.settings import Run, Settings, claim, parse
from study.slices import Slices, make_phantom
from study.switches import Variation, paper_scores, variations
from study.training import Material, epochs_of, fine_tune, load_trained, predict
from study.untrained import Untrained
from tqdm import tqdm

from cameval import CAMModel
from cameval.errors import CamevalError, SettingError
from cameval.evaluation._identity import weights_hash

# --- 1. The slices ------------------------------------------------------------------------------


def get_slices(settings: Settings, run: Run) -> Slices:
    """Find the slices: those at hand, those of figshare, or a phantom of our own."""
    name = f"phantom-{settings.slices}-{settings.size}-{settings.seed}"
    phantom, packed = run.out / name, run.out / "slices.h5"
    folder = phantom if settings.data == "phantom" else Path(settings.data)

    def found() -> Slices:
        if run.download is not None:
            fetch(run.download)
        if folder == phantom and not phantom.exists():
            make_phantom(phantom, settings)
        return Slices(folder, packed)

    return first_alone(found)


# --- 2. Folds: who is trained on, who is tested on ------------------------------------------------


def get_splits(settings: Settings, slices: Slices) -> list[Split]:
    """Divide the slices into folds, each of which is tested once."""
    if settings.protocol == "strict":
        return splits_by_patient(slices, settings.folds, settings.seed)
    return splits_by_slice(
        slices,
        settings.folds,
        settings.fold_order,
        settings.seed,
        stratified=settings.stratified,
    )


def warn_of_folds(settings: Settings, slices: Slices, splits: list[Split]) -> None:
    """Warn if patients are trained on and tested on, or published folds are not used."""
    if rank() > 0:
        return
    own = slices.published_folds
    used = own is None or all((own[split.test] == split.fold).all() for split in splits)
    if settings.protocol == "strict" and not used:
        print(
            "NOTE: the folds of cvind.mat are not used: they are not as many as asked for, or "
            "put persons in two folds whose ids differ in a trailing letter alone.",
            file=sys.stderr,
        )
    shared = {patient for split in splits for patient in split.shared}
    if shared:
        print(
            f"WARNING: {len(shared)} of {len(set(splits[0].patients))} patients have slices in "
            "more than one fold. As with all folds by slice, networks are tested on patients they "
            "were trained on.",
            file=sys.stderr,
        )


# --- 3. Classification: the networks learn -------------------------------------------------------


def train(
    candidate: Candidate,
    split: Split,
    slices: Slices,
    settings: Settings,
    run: Run,
    bar: "tqdm[None]",
) -> None:
    """Train one network in one fold, unless that was done before."""
    checkpoint = checkpoint_of(candidate, split, run.out)
    if checkpoint.exists():
        bar.update(epochs_of(candidate, settings) * len(split.train))
        return
    size = settings.size_of(candidate)
    pictures = slices.pictures(size, settings.crop)
    material = Material(pictures, torch.from_numpy(slices.labels), split)
    if settings.freeze:
        kept = run.out / "features" / f"{candidate.trunk.file}-{size}-{settings.crop}.npy"
        train_frozen(candidate, material, settings, checkpoint, kept, run.device)
        bar.update(epochs_of(candidate, settings) * len(split.train))
    else:
        fine_tune(candidate, material, settings, checkpoint, run.device, bar)


def train_all(slices: Slices, splits: list[Split], settings: Settings, run: Run) -> None:
    """Train every network in every fold; several processes share the work."""
    if settings.freeze:  # a network's folds share its features
        mine = [(one, split) for one in share_of(settings.candidates) for split in splits]
    else:
        mine = share_of([(one, split) for one in settings.candidates for split in splits])
    total = sum(epochs_of(candidate, settings) * len(split.train) for candidate, split in mine)

    def work() -> None:
        with tqdm(total=total, unit="img", mininterval=1, disable=rank() > 0) as bar:
            for candidate, split in mine:
                bar.set_description(f"training {candidate}, fold {split.fold + 1}")
                train(candidate, split, slices, settings, run, bar)

    together(work)


def checkpoint_of(candidate: Candidate, split: Split, out: Path) -> Path:
    """Say where a trained network is kept."""
    return out / "checkpoints" / f"{candidate.file}-fold{split.fold}.pth"


def trained(
    candidate: Candidate, split: Split, slices: Slices, settings: Settings, run: Run
) -> CAMModel:
    """Return a network as it was trained in a fold."""
    checkpoint = checkpoint_of(candidate, split, run.out)
    classes = len(slices.class_names)
    return load_trained(candidate, settings.pretrained, checkpoint, classes, run.device)


def before_training(
    candidate: Candidate, slices: Slices, settings: Settings, run: Run
) -> Untrained:
    """Return the maps of the network before training, a baseline of the trained one."""
    return Untrained(candidate, settings.seed, len(slices.class_names), run.device)


def classify(slices: Slices, splits: list[Split], settings: Settings, run: Run) -> pd.DataFrame:
    """Predict every slice by the network of the fold in which it is tested."""
    rows = []
    for candidate in settings.candidates:
        images = slices.pictures(settings.size_of(candidate), settings.crop).images
        for split in splits:
            logits = predict(trained(candidate, split, slices, settings, run), images[split.test])
            rows.append(
                pd.DataFrame(
                    {
                        "model": str(candidate),
                        "fold": split.fold,
                        "sample": [slices.names[i] for i in split.test],
                        "group": slices.patients[split.test],
                        "label": slices.labels[split.test],
                        "predicted": logits.argmax(1).numpy(),
                        "probability": logits.softmax(1).amax(1).numpy(),
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


# --- 4. The strict protocol: thresholds chosen on other patients ---------------------------------


def strict_protocol(
    slices: Slices, splits: list[Split], settings: Settings, run: Run
) -> Path | None:
    """Score every network on every slice, by the network that has not seen the slice's patient.

    In each fold the threshold is chosen on the validation patients, for the test patients.
    """
    folds: list[Looked] = []
    total = len(settings.candidates) * sum(len(s.validation) + len(s.test) for s in splits)
    with tqdm(total=total, desc="maps and masks", unit="slice", disable=rank() > 0) as bar:
        for candidate in settings.candidates:
            untrained = before_training(candidate, slices, settings, run)
            for split in splits:
                model = trained(candidate, split, slices, settings, run)
                folder = run.out / "evaluation"
                folds.append(
                    strictly(candidate, model, slices, split, settings, untrained, folder, bar)
                )
    if rank() > 0:
        return None
    return strict_report.write(run.out, settings, slices, splits, folds, grids_of(settings))


# --- 5. The paper's protocol, and what it leaves open --------------------------------------------


def paper_protocol(
    slices: Slices, splits: list[Split], settings: Settings, run: Run
) -> Path | None:
    """Take the network that classifies best, and score its maps on the last fold."""
    predictions = classify(slices, splits, settings, run)
    best = Candidate.parse(agreed(best_model(predictions)))
    last = splits[-1]
    with tqdm(total=len(last.test), desc="maps and masks", disable=rank() > 0) as bar:
        model = trained(best, last, slices, settings, run)
        untrained = before_training(best, slices, settings, run)
        folder = run.out / "evaluation"
        results = as_in_the_paper(best, model, slices, last, settings, untrained, folder, bar)
    answers = list(variations(settings, best))
    train_again(answers, best, slices, splits, settings, run)
    if rank() > 0:
        return None
    varied = [(one, vary(one, best, slices, splits, settings, run)) for one in answers]
    return paper_report.write(
        run.out, settings, slices, splits, best, predictions, results, varied, model
    )


def varied_by(
    variation: Variation,
    best: Candidate,
    slices: Slices,
    splits: list[Split],
    settings: Settings,
    run: Run,
) -> tuple[Candidate, Split, Settings, Run]:
    """Change one answer: say which network learns from which slices, and where it is kept."""
    changed = variation.of(settings)
    candidate = best if variation.head is None else replace(best, head=variation.head)
    if not variation.trains:
        return candidate, splits[-1], changed, run
    name = "-".join([variation.question, variation.answer]).replace("/", "of").replace(" ", "_")
    there = replace(run, out=run.out / "switches" / name)
    return candidate, get_splits(changed, slices)[-1], changed, there


def train_again(
    answers: list[Variation],
    best: Candidate,
    slices: Slices,
    splits: list[Split],
    settings: Settings,
    run: Run,
) -> None:
    """Train the best network once more for each answer that asks for it; processes share these."""
    mine = share_of([one for one in answers if one.trains])

    def work() -> None:
        for one in mine:
            candidate, split, changed, there = varied_by(one, best, slices, splits, settings, run)
            images = epochs_of(candidate, changed) * len(split.train)
            with tqdm(total=images, unit="img", mininterval=1, disable=rank() > 0) as bar:
                bar.set_description(f"training, {one.question}: {one.answer}")
                train(candidate, split, slices, changed, there, bar)

    together(work)


def vary(
    variation: Variation,
    best: Candidate,
    slices: Slices,
    splits: list[Split],
    settings: Settings,
    run: Run,
) -> pd.DataFrame:
    """Score the last fold with one answer changed."""
    candidate, split, changed, there = varied_by(variation, best, slices, splits, settings, run)
    model = trained(candidate, split, slices, changed, there)
    return paper_scores(model, slices, split.test, changed.size_of(candidate), changed)


# --- 6. The whole study --------------------------------------------------------------------------


def checked_start(candidate: Candidate, settings: Settings) -> str:
    """Build a network and hash its weights; refuse one whose input is too small for a map."""
    with torch.random.fork_rng([]):
        torch.manual_seed(settings.seed)
        model = candidate.build(settings.pretrained, 3).eval()
    size = settings.size_of(candidate)
    cells = grid_of(candidate, size)
    if min(cells) < 2:
        raise SettingError(
            f"the input must be large enough for a map of at least 2 x 2 cells, got {size} px for "
            f"{candidate}; take a larger one with --size or {candidate.network}@SIZE"
        )
    return weights_hash(model)


def study(settings: Settings, run: Run) -> Path | None:
    """Run the whole study and return the report, in the first process."""
    claim(run, settings)
    starts = {str(one): checked_start(one, settings) for one in settings.candidates}
    slices = get_slices(settings, run)
    splits = get_splits(settings, slices)
    warn_of_folds(settings, slices, splits)
    by_the_first(lambda: record(run.out, settings, slices, splits, starts, run.device))
    train_all(slices, splits, settings, run)
    protocol = strict_protocol if settings.protocol == "strict" else paper_protocol
    return protocol(slices, splits, settings, run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    settings, run = parse(arguments)
    try:
        with joined():
            run = replace(run, out=agreed(run.out), device=device_of(run.device))
            report = study(settings, run)
    except CamevalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\ninterrupted; what is finished is kept: go on with --resume --out {run.out}",
            file=sys.stderr,
        )
        return 130
    if report is not None:
        print((run.out / "summary.txt").read_text())
        print(f"report: {report}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
