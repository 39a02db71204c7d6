"""The table that an evaluation ends with, and what can be asked of it."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError
from cameval.evaluation import summaries, tables
from cameval.evaluation.choice import Choice
from cameval.evaluation.chosen import VALIDATED, with_chosen
from cameval.evaluation.joining import joined, sample_table
from cameval.evaluation.plan import Column
from cameval.evaluation.scoring import DEGENERATE, BatchScores
from cameval.evaluation.store import RunFolder

__all__ = ["Results"]


@dataclass(frozen=True, eq=False)
class Results:
    """One value for each sample and column, and where they come from.

    Parameters
    ----------
    samples
        One row for each sample of each model: model, sample, group, label, predicted, probability,
        area (the share of its pixels that are true).
    columns
        What each column of `values` is a score of.
    values
        Scores ``(N, K)``, NaN where undefined.
    codes
        Why a score is undefined and whether its map is constant, ``(N, K)``.
    provenance
        Settings, versions, a hash of the weights, the seed, the date.

    Notes
    -----
    ``to_pandas()`` is the tidy table: one row for each value.
    """

    samples: pd.DataFrame
    columns: tuple[Column, ...]
    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    provenance: Mapping[str, Any]

    # --- Made of ----------------------------------------------------------------------------------

    @classmethod
    def of(
        cls, parts: Sequence[BatchScores], columns: Sequence[Column], provenance: Mapping[str, Any]
    ) -> "Results":
        """Put batches together, in order."""
        samples = sample_table(parts, str(provenance["settings"]["model"]))
        values, codes = (
            np.concatenate([getattr(p, n) for p in parts]) for n in ("values", "codes")
        )
        return cls(samples, tuple(columns), values, codes, provenance)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Results":
        """Read what a run has written so far to its folder `out`; the run may still be going.

        Raises
        ------
        DataError
            If the folder holds no run, or a file of it is damaged.
        """
        folder = RunFolder(Path(path))
        record = folder.record()
        parts = [folder.read(number) for number in folder.numbers()]
        if not parts:
            raise DataError(f"{path} must hold at least one batch of scores, got none yet")
        return cls.of(parts, [Column(*column) for column in record["columns"]], record)

    @classmethod
    def concat(cls, parts: Sequence["Results"]) -> "Results":
        """Put the results of several models, or of several parts of the data, under each other.

        Columns in another order are put into that of the first.

        Raises
        ------
        SettingError
            If their columns differ, a model has a sample twice, a label of chosen binarizers was
            not chosen alike (on validation data, by one metric) in all parts, or the label of a
            metric stands for another metric.
        """
        return joined(parts)

    def __len__(self) -> int:
        """Return the number of rows: samples, times models."""
        return len(self.samples)

    def __repr__(self) -> str:
        """Say how much there is."""
        undefined = int(np.isnan(self.values).sum())
        return (
            f"Results({len(self)} samples x {len(self.columns)} columns, {undefined} undefined "
            f"values, models {', '.join(map(str, self.samples['model'].unique()))})"
        )

    # --- Asked ------------------------------------------------------------------------------------

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, as far as they are known."""
        return tuple(self.provenance.get("settings", {}).get("class_names") or ())

    def select(self, **conditions: Hashable | Sequence[Hashable]) -> "Results":
        """Keep some samples and columns.

        Parameters
        ----------
        **conditions
            A value, or several, for columns of `samples` (``label=2``, ``group="p7"``) and for the
            fields of a :class:`Column` (``method="cam"``, ``metric=["iou", "dice"]``).

        Raises
        ------
        SettingError
            If there is no such column, or nothing is left.

        Examples
        --------
        ``results.select(metric="iou", binarizer="p95", kind="method").summary()``
        """
        rows, columns = tables.chosen(self.samples, self.columns, conditions)
        return replace(
            self,
            samples=self.samples.iloc[rows].reset_index(drop=True),
            columns=tuple(self.columns[i] for i in columns),
            values=self.values[np.ix_(rows, columns)],
            codes=self.codes[np.ix_(rows, columns)],
        )

    def with_chosen(self, choice: Choice, label: str = VALIDATED) -> "Results":
        """Add the scores of each map under the binarizer that was chosen for it, as more columns.

        Parameters
        ----------
        choice
            What `choose_binarizers` returned for results of the same network on other images.
        label
            Under which label the scores stand beside those of the binarizers. A choice made on
            these same images needs one of its own, such as ``"test optimum"``.

        Returns
        -------
        Results
            For each map and metric of masks one column more, whose binarizer is `label`. Its
            setting says by which metric it was chosen, and whether on validation data, on other
            images of the same groups (patients), or on these same images;
            ``provenance["chosen"]`` says which. The folds of a cross-validation have equal columns
            for `concat` however they chose.

        Raises
        ------
        SettingError
            If the results are of several models or of another than the choice, the label is that
            of a binarizer, a map has no binarizer that was chosen for it, the choice was made on a
            part of these images, or on all of them and the label is the default.

        Notes
        -----
        Images are the same where name, group and label are, however they were prepared.
        """
        return with_chosen(self, choice, label)

    def to_pandas(self) -> pd.DataFrame:
        """Return the tidy table, one row for each value.

        Its columns are those of `samples`, the fields of :class:`Column`, ``value``, ``reason``
        (why the value is undefined, else empty) and ``degenerate`` (whether the map is constant).
        """
        return tables.tidy(self.samples, self.columns, self.values, self.codes)

    def summary(
        self,
        by: str | Sequence[str] = (),
        *,
        confidence: float = 0.95,
        resamples: int = 10_000,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """Return mean, interval by group, quartiles and counts of each column.

        Parameters
        ----------
        by
            Columns of `samples` by which the rows are split first: ``"label"``, ``"predicted"``,
            ``"correct"`` (whether label and prediction agree). Models are always apart.
        confidence, resamples, seed
            Of the cluster bootstrap; see :func:`bootstrap_mean`. By default the seed of the run.

        Returns
        -------
        pandas.DataFrame
            One row for each column and part: n, n_groups, n_undefined, n_degenerate, mean, low,
            high, median, q25, q75.
        """
        split = ["model", *([by] if isinstance(by, str) else by)]
        seed = self._seed if seed is None else seed
        return summaries.summary(
            self.samples,
            self.columns,
            self.values,
            (self.codes & DEGENERATE) > 0,
            split,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )

    def pivot(
        self, metric: str, *, index: str = "method", columns: str = "binarizer", **conditions: Any
    ) -> pd.DataFrame:
        """Return the means of one metric as a table of two ways.

        Parameters
        ----------
        metric
            The metric.
        index, columns
            What runs down and across: fields of :class:`Column`, or columns of `samples`.
        **conditions
            As for `select`.
        """
        return summaries.pivot(self.select(metric=metric, **conditions).to_pandas(), index, columns)

    def compare(
        self,
        metric: str,
        *,
        over: str = "method",
        reference: str | None = None,
        resamples: int = 10_000,
        seed: int | None = None,
        **conditions: Any,
    ) -> pd.DataFrame:
        """Test differences in one metric between methods, binarizers or models, sample by sample.

        Parameters
        ----------
        metric
            The metric.
        over
            What is compared: ``"method"`` (baselines included), ``"binarizer"``, ``"explained"``,
            or ``"model"``.
        reference
            Compare all with this one; by default every pair.
        resamples, seed
            Of the sign-flip test and the interval. By default the seed of the run.
        **conditions
            As for `select`, so that nothing else varies.

        Returns
        -------
        pandas.DataFrame
            One row for each pair: the difference of the means by group with its interval, p values
            (sign-flip, Holm-corrected over the table, Wilcoxon), the effect size, counts.

        Raises
        ------
        SettingError
            If something else than `over` still varies, or there is nothing to compare.
        """
        chosen = self.select(metric=metric, **conditions)
        seed = self._seed if seed is None else seed
        return summaries.compare(chosen.to_pandas(), over, reference, resamples, seed)

    def dependence(
        self, metric: str, *, on: str = "area", seed: int | None = None, **conditions: Any
    ) -> pd.DataFrame:
        """Return the rank correlation of a metric with the size of the truth, or with confidence.

        Parameters
        ----------
        metric
            The metric.
        on
            ``"area"`` or ``"probability"``.
        seed
            Of the interval by group; by default the seed of the run.
        **conditions
            As for `select`.

        Returns
        -------
        pandas.DataFrame
            Spearman's coefficient with its interval, for each column and model.
        """
        chosen = self.select(metric=metric, **conditions)
        seed = self._seed if seed is None else seed
        return summaries.dependence(chosen.samples, chosen.columns, chosen.values, on, seed)

    # --- Kept -------------------------------------------------------------------------------------

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the tidy table, and the provenance beside it as ``.json``.

        Values are written so that reading gives back every bit.
        """
        tables.write_csv(self.to_pandas(), self.provenance, Path(path))

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write the tidy table as Parquet, the provenance inside. Needs ``cameval[parquet]``."""
        tables.write_parquet(self.to_pandas(), self.provenance, Path(path))

    @classmethod
    def from_csv(cls, path: str | PathLike[str]) -> "Results":
        """Read what `to_csv` wrote.

        Raises
        ------
        DataError
            If the file is not such a table; the field is named.
        """
        return cls(*tables.untidy(*tables.read_csv(Path(path))))

    @classmethod
    def from_parquet(cls, path: str | PathLike[str]) -> "Results":
        """Read what `to_parquet` wrote.

        Raises
        ------
        DataError
            If the file is not such a table; the field is named.
        """
        return cls(*tables.untidy(*tables.read_parquet(Path(path))))

    @property
    def _seed(self) -> int:
        return int(self.provenance.get("settings", {}).get("seed") or 0)
