"""What is kept of a study so that it can only go on as what it was."""

import dataclasses
import json
from pathlib import Path

from cameval.errors import DataError
from study.folds import Split
from study.settings import Settings
from study.slices import Slices


def record(
    out: Path,
    settings: Settings,
    slices: Slices,
    splits: list[Split],
    starts: dict[str, str],
) -> None:
    """Keep settings, the fold of every slice, and hashes of the weights that training starts from.

    Raises
    ------
    DataError
        If the study that is resumed had other slices or folds: what its networks were trained on
        would be tested. Or if it started from other weights: its networks would be mixed.
    """
    out.mkdir(parents=True, exist_ok=True)
    started = out / "starts.json"
    if started.exists() and json.loads(started.read_text()) != starts:
        raise DataError(
            f"a resumed study must start from the weights of {started}, got others; have the files "
            "of --pretrained changed? Start anew with another --out"
        )
    started.write_text(json.dumps(starts, indent=2) + "\n")
    folds = {slices.names[i]: split.fold for split in splits for i in split.test.tolist()}
    kept = out / "folds.json"
    if kept.exists() and json.loads(kept.read_text()) != folds:
        raise DataError(
            f"a resumed study must have the slices and folds of {kept}, got others; has the data "
            "changed? Start anew with another --out"
        )
    kept.write_text(json.dumps(folds) + "\n")
    (out / "settings.json").write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n")
