"""What is kept of a study so that it can only go on as what it was."""

import dataclasses
import json
from pathlib import Path

from cameval.errors import DataError
from study.folds import Split
from study.settings import Settings
from study.slices import Slices


def record(out: Path, settings: Settings, slices: Slices, splits: list[Split]) -> None:
    """Keep the settings and the fold of every slice, once all that they need is there.

    Raises
    ------
    DataError
        If the study that is resumed had other slices or folds: what its networks were trained on
        would be tested.
    """
    out.mkdir(parents=True, exist_ok=True)
    folds = {slices.names[i]: split.fold for split in splits for i in split.test.tolist()}
    kept = out / "folds.json"
    if kept.exists() and json.loads(kept.read_text()) != folds:
        raise DataError(
            f"a resumed study must have the slices and folds of {kept}, got others; has the data "
            "changed? Start anew with another --out"
        )
    kept.write_text(json.dumps(folds) + "\n")
    (out / "settings.json").write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n")
