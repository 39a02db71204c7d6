"""Where a network looks that tells brain tumors apart.

After Kang, Park, Ahn, Van Messem and De Neve, "Towards a Quantitative Analysis of Class Activation
Mapping for Deep Learning-based Computer-Aided Diagnosis". Networks learn to tell three kinds of
tumor apart on slices of MRI. Their class activation maps say where they looked, thresholds turn the
maps into masks, and the masks are held against the tumors that a radiologist has outlined.

There are two protocols. ``--protocol paper`` does as the paper did. ``--protocol strict``, the
default, asks the same question so that the answer can be trusted: no patient is trained on and
tested on, and nothing is chosen on the slices that are tested. Read this file from top to bottom;
`study/` beside it holds what you may take for granted.

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
from study.looking import Looked, as_in_the_paper, strictly
from study.processes import device_of, joined, rank, share_of, together
from study.record import record
from study.settings import Run, Settings, claim, parse
from study.slices import Slices, paint
from study.strict_tables import Grid
from study.switches import Variation, paper_scores, variations
from study.training import Material, epochs_of, fine_tune, load_trained, predict
from tqdm import tqdm

from cameval import CAMModel
from cameval.errors import CamevalError

# --- 1. The slices ------------------------------------------------------------------------------


def get_slices(settings: Settings, run: Run) -> Slices:
    """Find the slices: those at hand, those of figshare, or a phantom of our own."""
    if (wanted := run.download) is not None:
        together(lambda: fetch(wanted) if rank() == 0 else wanted)
    folder = Path(settings.data)
    if settings.data == "phantom":
        folder = run.out / "phantom"
        if not folder.exists():
            together(lambda: paint(folder, settings) if rank() == 0 else None)
    packed = run.out / "slices.h5"
    return together(lambda: Slices(folder, packed))


# --- 2. Folds: who is trained on, who is tested on ------------------------------------------------


def get_splits(settings: Settings, slices: Slices) -> list[Split]:
    """Divide the slices into folds, each of which is tested once."""
    if settings.protocol == "strict":
        return splits_by_patient(slices, settings.folds, settings.seed)
    return splits_by_slice(slices, settings.folds, settings.fold_order, settings.seed)


def warn_of_leaks(splits: list[Split]) -> None:
    """Say aloud which patients are trained on and tested on."""
    shared = {patient for split in splits for patient in split.shared}
    if shared and rank() == 0:
        print(
            f"WARNING: {len(shared)} of {len(set(splits[0].patients))} patients have slices in "
            "more than one fold. As in the paper, the networks are tested on patients that they "
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
    jobs = [(candidate, split) for candidate in settings.candidates for split in splits]
    mine = share_of(jobs)
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


def trained(candidate: Candidate, split: Split, slices: Slices, run: Run) -> CAMModel:
    """Return a network as it was trained in a fold."""
    checkpoint = checkpoint_of(candidate, split, run.out)
    return load_trained(candidate, checkpoint, len(slices.class_names), run.device)


def classify(slices: Slices, splits: list[Split], settings: Settings, run: Run) -> pd.DataFrame:
    """Predict every slice by the network of the fold in which it is tested."""
    rows = []
    for candidate in settings.candidates:
        images = slices.pictures(settings.size_of(candidate), settings.crop).images
        for split in splits:
            logits = predict(trained(candidate, split, slices, run), images[split.test])
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


# --- 4. The strict protocol: the question, asked so that the answer can be trusted ---------------


def strict_protocol(
    slices: Slices, splits: list[Split], settings: Settings, run: Run
) -> Path | None:
    """Score every network on every slice, by the network that has not seen the slice's patient.

    In each fold the threshold is chosen on the validation patients and read on the test patients.
    """
    folds: list[Looked] = []
    total = len(settings.candidates) * sum(len(s.validation) + len(s.test) for s in splits)
    with tqdm(total=total, desc="maps and masks", unit="slice", disable=rank() > 0) as bar:
        for candidate in settings.candidates:
            for split in splits:
                model = trained(candidate, split, slices, run)
                folder = run.out / "evaluation"
                folds.append(strictly(candidate, model, slices, split, settings, folder, bar))
    if rank() > 0:
        return None
    return strict_report.write(
        run.out, settings, slices, splits, folds, grids_of(settings, slices, splits, run)
    )


def grids_of(settings: Settings, slices: Slices, splits: list[Split], run: Run) -> dict[str, Grid]:
    """Return the grid of each network's maps, and where its cells lie as the study lays them."""
    grids: dict[str, Grid] = {}
    for candidate in settings.candidates:
        model, size = trained(candidate, splits[0], slices, run), settings.size_of(candidate)
        with torch.no_grad():
            cells = model.features(torch.zeros(1, 3, size, size, device=run.device)).shape[2:]
        place = model.place if settings.alignment == "receptive_field" else None
        grids[str(candidate)] = Grid((cells[0], cells[1]), place, size)
    return grids


# --- 5. The paper's protocol, and what it leaves open --------------------------------------------


def paper_protocol(
    slices: Slices, splits: list[Split], settings: Settings, run: Run
) -> Path | None:
    """Take the network that classifies best, and score its maps on the last fold."""
    predictions = classify(slices, splits, settings, run)
    best = Candidate.parse(best_model(predictions))
    last = splits[-1]
    with tqdm(total=len(last.test), desc="maps and masks", disable=rank() > 0) as bar:
        model = trained(best, last, slices, run)
        folder = run.out / "evaluation"
        results = as_in_the_paper(best, model, slices, last, settings, folder, bar)
    varied: list[tuple[Variation, pd.DataFrame]] = []
    for variation in variations(settings, best):
        scores = vary(variation, best, slices, splits, settings, run)
        varied.append((variation, scores))
    if rank() > 0:
        return None
    return paper_report.write(
        run.out, settings, slices, splits, best, predictions, results, varied, model
    )


def vary(
    variation: Variation,
    best: Candidate,
    slices: Slices,
    splits: list[Split],
    settings: Settings,
    run: Run,
) -> pd.DataFrame:
    """Score the last fold with one answer changed; train the network anew where that needs it."""
    changed = variation.of(settings)
    candidate = best if variation.head is None else replace(best, head=variation.head)
    split, place = splits[-1], run
    if variation.trains:
        split = get_splits(changed, slices)[-1]
        name = "-".join([variation.question, variation.answer]).replace("/", "of")
        place = replace(run, out=run.out / "switches" / name.replace(" ", "_"))

        def work() -> None:
            if rank() == 0:
                images = epochs_of(candidate, changed) * len(split.train)
                with tqdm(total=images, desc=f"training, {variation.answer}", unit="img") as bar:
                    train(candidate, split, slices, changed, place, bar)

        together(work)
    model = trained(candidate, split, slices, place)
    return paper_scores(model, slices, split.test, changed.size_of(candidate), changed)


# --- 6. The whole study --------------------------------------------------------------------------


def study(settings: Settings, run: Run) -> Path | None:
    """Run the whole study and return the report, in the first process."""
    claim(run, settings)
    for candidate in settings.candidates:
        candidate.build(settings.pretrained, 3)  # a wrong name or file: better now
    slices = get_slices(settings, run)
    splits = get_splits(settings, slices)
    warn_of_leaks(splits)
    together(lambda: record(run.out, settings, slices, splits) if rank() == 0 else None)
    train_all(slices, splits, settings, run)
    protocol = strict_protocol if settings.protocol == "strict" else paper_protocol
    return protocol(slices, splits, settings, run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    settings, run = parse(arguments)
    try:
        with joined():
            report = study(settings, replace(run, device=device_of(run.device)))
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
