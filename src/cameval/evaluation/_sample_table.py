"""The table of samples of batches: a row for each target."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cameval.errors import DataError
from cameval.evaluation._batch import BatchScores
from cameval.evaluation._info import SAMPLE, columns_of_json, with_info
from cameval.evaluation._sources import NO_LABEL


def sample_table(batches: Sequence[BatchScores], model: str) -> pd.DataFrame:
    """Return one row for each target of the samples of the batches of a model, in order."""
    samples = pd.DataFrame(
        {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in SAMPLE[1:]}
    )
    for name in ("label", "predicted"):
        samples[name] = samples[name].astype("Int64").mask(samples[name] == NO_LABEL)
    samples.insert(0, "model", model)
    _check_names(samples)
    return with_info(samples, columns_of_json(np.concatenate([batch.info for batch in batches])))


def _check_names(samples: pd.DataFrame) -> None:
    """Check that the rows of a name are one below the other, with different labels."""
    names = samples["sample"]
    first = names.ne(names.shift())  # of the rows of a sample
    again = names[(first & names.duplicated()) | samples.duplicated(["sample", "label"])]
    if len(again):
        raise DataError(f"names of samples must be unique, got {again.iloc[0]!r} twice")
