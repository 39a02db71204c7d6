"""Where a network looks that tells brain tumors apart.

After Kang, Park, Ahn, Van Messem and De Neve, "Towards a Quantitative Analysis of Class Activation
Mapping for Deep Learning-based Computer-Aided Diagnosis": train classifiers of MRI slices in five
folds, take the class activation maps of the best, turn them into masks with five thresholds, and
measure how well the masks agree with the tumors. Read it from top to bottom, as the paper goes;
`slices`, `training` and `study_report` beside it hold what a reader may take for granted.

Without arguments it makes phantom slices and trains two small networks on them. With the figshare
brain-tumor data (doi 10.6084/m9.figshare.1512427):

    python examples/brain_tumor_study.py --data DIR --models mobilenet_v2 squeezenet1_0
"""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import study_report
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from slices import Slices, load_slices, paint
from study_settings import Settings, claim, parse, record
from torch import Tensor
from tqdm import tqdm
from training import (
    SMALL,
    build,
    fine_tune,
    fit_head,
    load_trained,
    pooled_features,
    predict,
    prepare,
    save_atomically,
)

import cameval
from cameval import CAMExtractor, CAMModel
from cameval.data import CLASS_NAMES
from cameval.errors import CamevalError, DataError
from cameval.extractor import Alignment

# The paper's five thresholds.
BINARIZERS: dict[str, cameval.Binarizer] = {
    "mean": cameval.MeanBinarizer(),
    "median": cameval.MedianBinarizer(),
    "p75": cameval.PercentileBinarizer(75),
    "p90": cameval.PercentileBinarizer(90),
    "p95": cameval.PercentileBinarizer(95),
}
MASK_METRICS: dict[str, cameval.MaskMetric] = {
    "iou": cameval.iou,
    "dice": cameval.dice,
    "coverage": cameval.coverage,
    "precision": cameval.precision,
    "informedness": cameval.informedness,
    "size_standardized_iou": cameval.size_standardized_iou,
    "area_cap": cameval.area_cap,
}
MAP_METRICS: dict[str, cameval.MapMetric] = {
    "pointing_game": cameval.pointing_game,
    "relevance_mass_accuracy": cameval.relevance_mass_accuracy,
    "relevance_rank_accuracy": cameval.relevance_rank_accuracy,
    "pixel_auroc": cameval.pixel_auroc,
    "pixel_average_precision": cameval.pixel_average_precision,
}


# --- 1. Folds -----------------------------------------------------------------------------------


def assign_folds(slices: Slices, split: str, count: int, seed: int) -> NDArray[np.intp]:
    """Give every slice the fold in which it is tested."""
    labels, everyone = slices.labels.numpy(), np.zeros(len(slices.labels))
    published = slices.folds
    if (
        split == "patient"
        and published is not None
        and set(published.tolist()) == set(range(count))
        and not shared_patients(slices.patients, published)
    ):
        folds = published
    else:
        tests = {
            "patient": StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(
                everyone, labels, slices.patients
            ),
            "slice": StratifiedKFold(count, shuffle=True, random_state=seed).split(
                everyone, labels
            ),
            "file": StratifiedKFold(count, shuffle=False).split(everyone, labels),
        }[split]
        folds = np.empty(len(labels), dtype=np.intp)
        for fold, (_, test) in enumerate(tests):
            folds[test] = fold
    for fold in range(count):
        missing = set(range(len(CLASS_NAMES))) - set(labels[folds != fold].tolist())
        if missing or not (folds == fold).any():
            raise DataError(
                f"every fold must have slices, and every class slices outside it, got none in or "
                f"outside fold {fold}; use fewer folds or more slices"
            )
    shared = shared_patients(slices.patients, folds)
    if split == "patient" and shared:
        raise DataError(f"no patient may be in two folds, got {len(shared)}: {shared[:5]}")
    if shared:
        total = len(set(slices.patients.tolist()))
        print(
            f"WARNING: {len(shared)} of {total} patients have slices in more than one fold. The "
            f"networks are tested on patients that they were trained on (--split {split}).",
            file=sys.stderr,
        )
    return folds


def shared_patients(patients: NDArray[np.str_], folds: NDArray[np.intp]) -> list[str]:
    """Return the patients who are in more than one fold."""
    return [p for p in np.unique(patients).tolist() if len(set(folds[patients == p].tolist())) > 1]


# --- 2. Classification --------------------------------------------------------------------------


def cross_validate(
    name: str,
    slices: Slices,
    folds: NDArray[np.intp],
    settings: Settings,
    out: Path,
    device: torch.device,
) -> Iterator[tuple[int, CAMModel]]:
    """Yield each fold with the network trained on all the others.

    It is read from its checkpoint, whether trained now or by the run that is resumed: both give the
    same numbers.
    """
    passes = 1 if settings.freeze else settings.epochs
    total = passes * sum(int((folds != fold).sum()) for fold in range(settings.folds))
    pooled: Tensor | None = None
    with tqdm(total=total, desc=name, unit="img") as bar:
        for fold in range(settings.folds):
            train = torch.from_numpy(np.flatnonzero(folds != fold))
            checkpoint = checkpoint_path(name, fold, out)
            if not checkpoint.exists():
                # Frozen features must be the same in every fold, also of a random network.
                torch.manual_seed(settings.seed + (0 if settings.freeze else fold))
                model = build(name, settings.pretrained, len(CLASS_NAMES)).to(device)
                images, labels = slices.images[train], slices.labels[train]
                if settings.freeze:
                    if pooled is None:
                        pooled = pooled_features(model, slices.images)
                    fit_head(model, pooled[train], labels)
                else:
                    pretrained = name not in SMALL and settings.pretrained != "none"
                    fine_tune(
                        model,
                        images,
                        labels,
                        epochs=settings.epochs,
                        pretrained=pretrained,
                        bar=bar,
                    )
                save_atomically(model.cpu().state_dict(), checkpoint)
            done = sum(int((folds != earlier).sum()) for earlier in range(fold + 1))
            bar.update(passes * done - bar.n)
            yield fold, load_trained(name, checkpoint, len(CLASS_NAMES)).to(device)


def checkpoint_path(name: str, fold: int, out: Path) -> Path:
    """Say where a trained network is kept."""
    return out / "checkpoints" / f"{name}-fold{fold}.pth"


def classification_scores(truth: NDArray[np.intp], predicted: NDArray[np.intp]) -> dict[str, float]:
    """Table 2 of the paper, for one fold: accuracy, and macro means over the classes."""
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }


# --- 3. Localization ----------------------------------------------------------------------------


def localize(
    model: CAMModel,
    slices: Slices,
    test: NDArray[np.intp],
    train: NDArray[np.intp],
    alignment: Alignment,
) -> tuple[list[pd.DataFrame], list[pd.DataFrame], Tensor]:
    """Score the maps of one fold's test slices, and the blind maps beside them.

    The blind maps are the center of the frame, and the mean mask of the predicted class over the
    training slices. All three go through the same binarizers.
    """
    extract = CAMExtractor(model, method=cameval.cam, alignment=alignment)
    results = [extract(prepare(b, model)) for b in slices.images[test].split(32)]
    maps = torch.cat([result.maps.cpu() for result in results])
    predicted = torch.cat([result.classes.cpu() for result in results])
    truth = slices.masks[test]
    mean_masks = cameval.class_mean_masks(
        slices.masks[train], slices.labels[train], len(CLASS_NAMES)
    )
    sources = {
        "CAM": maps,
        "center disc": cameval.center_map((truth.shape[-2], truth.shape[-1])).expand_as(maps),
        "class-mean mask": mean_masks[predicted],
    }
    about = {
        "slice": [slices.names[i] for i in test],
        "patient": slices.patients[test],
        "label": [CLASS_NAMES[c] for c in slices.labels[test]],
        "predicted": [CLASS_NAMES[c] for c in predicted],
        "tumor_area": truth.float().mean((1, 2)).numpy(),
    }
    mask_rows, map_rows = [], []
    for source, candidates in sources.items():
        scores = {name: metric(candidates, truth).numpy() for name, metric in MAP_METRICS.items()}
        map_rows.append(pd.DataFrame(about | {"source": source} | scores))
        for binarizer_name, binarize in BINARIZERS.items():
            masks = binarize(candidates)
            scores = {name: metric(masks, truth).numpy() for name, metric in MASK_METRICS.items()}
            scores["mask_area"] = masks.float().mean((1, 2)).numpy()
            row = about | {"source": source, "binarizer": binarizer_name} | scores
            mask_rows.append(pd.DataFrame(row))
    return mask_rows, map_rows, maps


# --- 4. The study -------------------------------------------------------------------------------


def run(settings: Settings, out: Path, device: torch.device) -> Path:
    """Run the whole study and return the report."""
    for name in settings.models:
        build(name, settings.pretrained, len(CLASS_NAMES))  # a wrong name or file: better now
    folder = out / "phantom"
    if settings.data != "phantom":
        folder = Path(settings.data)
    elif not folder.exists():
        paint(folder, settings)
    slices = load_slices(folder, settings.size)
    folds = assign_folds(slices, settings.split, settings.folds, settings.seed)
    record(out, settings, slices.names, folds)
    truth = slices.labels.numpy()

    rows, predictions = [], []
    for name in settings.models:
        for fold, model in cross_validate(name, slices, folds, settings, out, device):
            test = np.flatnonzero(folds == fold)
            probabilities = predict(model, slices.images[test]).numpy()
            predicted = probabilities.argmax(1)
            rows.append(
                {"model": name, "fold": fold} | classification_scores(truth[test], predicted)
            )
            predictions.append(
                pd.DataFrame(
                    {
                        "model": name,
                        "fold": fold,
                        "slice": [slices.names[i] for i in test],
                        "patient": slices.patients[test],
                        "label": [CLASS_NAMES[c] for c in truth[test]],
                        "predicted": [CLASS_NAMES[c] for c in predicted],
                        "probability": probabilities.max(1),
                    }
                )
            )
    classification = pd.DataFrame(rows)
    best = classification.groupby("model", sort=False)["accuracy"].mean().idxmax()

    mask_rows: list[pd.DataFrame] = []
    map_rows: list[pd.DataFrame] = []
    maps = torch.empty_like(slices.images)
    for fold in tqdm(range(settings.folds), desc="maps and masks", unit="fold"):
        checkpoint = checkpoint_path(str(best), fold, out)
        model = load_trained(str(best), checkpoint, len(CLASS_NAMES)).to(device)
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        masks_of_fold, maps_of_fold, maps[test] = localize(
            model, slices, test, train, settings.alignment
        )
        mask_rows += [rows.assign(fold=fold) for rows in masks_of_fold]
        map_rows += [rows.assign(fold=fold) for rows in maps_of_fold]

    return study_report.write(
        out,
        settings=dataclasses.asdict(settings),
        best=str(best),
        leaking=len(shared_patients(slices.patients, folds)),
        classification=classification,
        predictions=pd.concat(predictions, ignore_index=True),
        mask_scores=pd.concat(mask_rows, ignore_index=True),
        map_scores=pd.concat(map_rows, ignore_index=True),
        pictures=study_report.Pictures(slices.names, slices.images, slices.masks, maps, BINARIZERS),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    settings, out, device, resume = parse(arguments)
    try:
        claim(out, settings, resume)
        report = run(settings, out, device)
    except CamevalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\ninterrupted; finished folds are kept: go on with --resume --out {out}",
            file=sys.stderr,
        )
        return 130
    print(report.read_text())
    print(f"report: {report}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
