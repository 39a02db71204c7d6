"""`Results`: the table of an evaluation, with summaries, tests and files."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval._checks import warn_user
from cameval.errors import DataError, SettingError
from cameval.evaluation import _plots as plots
from cameval.evaluation import _similarities as similarities
from cameval.evaluation import _summaries as summaries
from cameval.evaluation._batch import BatchScores
from cameval.evaluation._class_names import numbers_of, with_class_names
from cameval.evaluation._csv_tables import read_csv, write_csv
from cameval.evaluation._ignored_pixels import ignored_record
from cameval.evaluation._latex import latex_table
from cameval.evaluation._methods_text import methods_text
from cameval.evaluation._parquet_tables import read_parquet, write_parquet
from cameval.evaluation._plan import Task, check_task
from cameval.evaluation._plots import PlotKind
from cameval.evaluation._result_texts import short_page, short_text
from cameval.evaluation._run_folder import RunFolder, is_there, with_model_name
from cameval.evaluation._sample_sums import sums_record
from cameval.evaluation._sample_table import sample_table
from cameval.evaluation._tables import Parts, find
from cameval.evaluation._times import sessions_in, total_time
from cameval.evaluation.dark_images import DarkImages
from cameval.evaluation.meaning import CONSTANT, Column, Meanings
from cameval.evaluation.same_data import count_differing
from cameval.evaluation.same_maps import same_maps_record
from cameval.evaluation.spacings import Spacings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Results", "SanityResults"]


@dataclass(frozen=True, eq=False)
class Results:
    """Scores of an evaluation: one value for each sample, target and column.

    Parameters
    ----------
    samples
        One row for each target of each sample of each model: model, sample, group, label (missing
        where it is not known), the columns of ``Sample.info``, present (whether the target has a
        true pixel), predicted (missing without a classifier), probability (of the predicted
        class), area (the share of the pixels that are true).
    columns
        The target class, method, binarizer and metric of each column of `values`.
    values
        Scores ``(N, K)``, NaN where undefined.
    codes
        The reason why each score is undefined, and whether its map is constant, ``(N, K)``.
    provenance
        Settings, versions, a hash of the weights, the seed, the date, the computing time, and how
        many images are almost black (:class:`~cameval.evaluation.DarkImagesWarning`) or have a
        spacing (:class:`~cameval.evaluation.MixedSpacingWarning`). In results of the command line,
        ``"weights_are": "random"`` notes a network without weights, and ``"left_out"`` how many
        images the command line left out: ``"unnamed"`` and ``"without_mask"``.
    weights
        The denominator of each score that is a ratio of pixel counts, NaN for others, ``(N, K)``.
        By default all are NaN.
    sanity
        Results of the sanity checks on a sub-sample, if there are any. They are of the whole run,
        and are not in a selection of it.

    Notes
    -----
    ``to_pandas()`` is the tidy table: one row for each value.

    A sample with several targets has several rows, one below the other, with different labels. In a
    task with several labels, ``predicted`` is the label of the row if its probability is above .5,
    else missing, and ``probability`` is that of this label.

    Examples
    --------
    Two kinds of maps of eight slices of four patients, from functions of the sample:

    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from cameval import OtsuBinarizer, Results, Sample, evaluate_maps, iou
    >>> truth = np.zeros((32, 32), dtype=bool)
    >>> truth[8:24, 4:12] = True
    >>> draw = np.random.default_rng(0).random
    >>> samples = [
    ...     Sample(f"slice {k}", image, truth, label=k % 2, group=f"patient {k // 2}")
    ...     for k, image in enumerate(draw((8, 32, 32), dtype=np.float32))
    ... ]
    >>> maps = {"exact": lambda one: 1.0 * one.mask, "noisy": lambda one: one.mask + draw((32, 32))}
    >>> results = evaluate_maps(
    ...     maps, samples, binarizers=OtsuBinarizer(), metrics=iou, progress=False
    ... )
    >>> len(results), len(results.columns), len(results.to_pandas())
    (8, 6, 48)
    >>> float(results.pivot("iou").loc["exact", "otsu"])
    1.0
    >>> means = results.select(method="exact").summary(by="label")
    >>> means[["label", "n", "n_groups", "mean"]].to_dict("list")
    {'label': [0, 1], 'n': [4, 4], 'n_groups': [4, 4], 'mean': [1.0, 1.0]}

    Is another map worse? Without a map to compare with, each pair is tested:

    >>> tests = results.select(kind="method").compare("iou")
    >>> tests[["first", "second"]].to_dict("records")
    [{'first': 'exact', 'second': 'noisy'}]
    >>> bool(tests["difference"][0] > 0)
    True
    >>> results.dependence("iou", on="area")["n"].tolist()
    [8, 8, 8, 8, 8, 8]

    Files hold the same, to the bit:

    >>> with TemporaryDirectory() as folder:
    ...     results.to_csv(f"{folder}/results.csv")
    ...     results.to_parquet(f"{folder}/results.parquet")
    ...     of_csv = Results.from_csv(f"{folder}/results.csv")
    ...     of_parquet = Results.from_parquet(f"{folder}/results.parquet")
    >>> [bool((again.values == results.values).all()) for again in (of_csv, of_parquet)]
    [True, True]

    The folder of a run can be read while the run goes on:

    >>> with TemporaryDirectory() as folder:
    ...     run = evaluate_maps(maps, samples, metrics=iou, out=folder, progress=False)
    ...     len(Results.load(folder))
    8
    """

    samples: pd.DataFrame
    columns: tuple[Column, ...]
    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    provenance: Mapping[str, Any]
    weights: NDArray[np.float64] = None  # type: ignore[assignment]  # None becomes NaN
    sanity: "SanityResults | None" = None

    def __post_init__(self) -> None:
        """Fill in the weights."""
        if self.weights is None:
            object.__setattr__(self, "weights", np.full(np.shape(self.values), np.nan))

    # --- Construction -----------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | PathLike[str], *, name: str | None = None) -> "Results":
        """Read the batches that a run has written to its folder; the run may be unfinished.

        Of a folder of the command line, the table ``results.csv`` is read.

        Parameters
        ----------
        path
            The folder of the run.
        name
            A new name of its one model, so that runs of one network can be concatenated. By default
            the model keeps its name.

        Raises
        ------
        DataError
            If the folder holds no run, or a file of it is damaged.
        SettingError
            If a name is given and the run has several models, or the name is empty.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from cameval import Results, Sample, concat, evaluate_maps, pixel_auroc
        >>> image = np.arange(4, dtype=np.float32).reshape(2, 2) / 3
        >>> samples = [Sample("x-ray 7", image, image > 0.5)]
        >>> with TemporaryDirectory() as run:
        ...     _ = evaluate_maps(
        ...         lambda one: one.image, samples, metrics=pixel_auroc, out=run, progress=False
        ...     )
        ...     both = concat([Results.load(run, name="base"), Results.load(run, name="new")])
        >>> both.samples["model"].tolist()
        ['base', 'new']
        """
        found = cls._read_folder(path)
        return found if name is None else found.renamed(name)

    @classmethod
    def _read_folder(cls, path: str | PathLike[str]) -> "Results":
        folder = RunFolder(Path(path))
        if not is_there(folder.path / "run.json"):
            if is_there(folder.path / "results.csv"):
                return cls.from_csv(folder.path / "results.csv")
            runs = sorted(map(str, folder.path.glob("runs/*"))) if is_there(folder.path) else []
            if runs:
                raise DataError(
                    f"{path} must hold a finished run (results.csv), got none yet; its unfinished "
                    f"runs are in {', '.join(runs)}"
                )
        record = folder.record()
        columns = [Column(*column) for column in record["columns"]]
        parts = [folder.read(number, len(columns)) for number in folder.numbers()]
        if not parts:
            raise DataError(f"{path} must hold at least one batch of scores, got none yet")
        time = total_time([sessions_in(folder.path)])
        found = results_of(parts, columns, record | {"computing": time})
        return replace(found, sanity=SanityResults.load(folder.path / "sanity"))

    def renamed(self, name: str) -> "Results":
        """Return the results of one model with another name of it, also in their record.

        Parameters
        ----------
        name
            The new name of the model.

        Raises
        ------
        SettingError
            If there are several models, or the name is empty.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import Sample, evaluate_maps, pixel_auroc
        >>> image = np.arange(4, dtype=np.float32).reshape(2, 2) / 3
        >>> samples = [Sample("x-ray 7", image, image > 0.5)]
        >>> results = evaluate_maps(
        ...     lambda one: one.image, samples, metrics=pixel_auroc, progress=False
        ... )
        >>> results.renamed("epoch 12").samples["model"].tolist()
        ['epoch 12']
        """
        models = self.samples["model"].astype(str).unique().tolist()
        if not isinstance(name, str) or not name:
            raise SettingError(f"name must be text that is not empty, got {name!r}")
        if len(models) != 1:
            raise SettingError(
                f"name must be given for results of one model, got {', '.join(models)}; load them "
                "without it and choose one with select(model=...)"
            )
        checks = self.sanity
        return replace(
            self,
            samples=self.samples.assign(model=name),
            provenance=with_model_name(self.provenance, name),
            sanity=checks
            and replace(
                checks,
                scores=checks.scores.renamed(name),
                similarities=checks.similarities.assign(model=name),
            ),
        )

    def __len__(self) -> int:
        """Return the number of rows: targets of samples, times models."""
        return len(self.samples)

    def __repr__(self) -> str:
        """Return what was evaluated on how many samples, and the best mean of each model.

        Where labels are known, the share of right predictions of each model is there too.

        A sample, target or group that several models share counts once. If binarizers were chosen
        on other images (`Choice.apply`), the mean is the best one with these.
        """
        return short_text(self)

    def _repr_html_(self) -> str:
        """Return the same as a small table, for notebooks."""
        return short_page(self)

    # --- Queries ----------------------------------------------------------------------------------

    @cached_property
    def meanings(self) -> Meanings:
        """The meanings of all labels: of methods, baselines, binarizers, metrics and classes."""
        known = Meanings.of(self.provenance.get("meanings"))
        return replace(known, unit=Spacings.of_all(self.provenance).unit)

    @property
    def task(self) -> Task | None:
        """The task of the network; None if it is not known."""
        return check_task((self.provenance.get("settings") or {}).get("task"))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty if they are not known."""
        return tuple(self.provenance.get("settings", {}).get("class_names") or ())

    def select(self, **conditions: Hashable | Sequence[Hashable]) -> "Results":
        """Return the results of some samples and columns.

        Parameters
        ----------
        **conditions
            A value, or several, for columns of `samples` (``label=2``, ``group="p7"``) and for the
            fields of a :class:`Column` (``method="cam"``, ``metric=["iou", "dice"]``). None selects
            what is not known, as in ``label=None``. Labels and predicted classes may be given by
            their names, as in ``label="edema"`` or ``class_name="edema"``, if the results have
            `class_names`.

        Raises
        ------
        SettingError
            If there is no such column, or nothing is left.

        Examples
        --------
        See the class: ``results.select(method="exact")``.
        """
        numbers = {
            name: numbers_of(wanted, self.class_names) if name in ("label", "predicted") else wanted
            for name, wanted in conditions.items()
        }
        rows, columns = find(self._with_names(conditions), self.columns, numbers)
        return replace(
            self,
            samples=self.samples.iloc[rows].reset_index(drop=True),
            columns=tuple(self.columns[i] for i in columns),
            values=self.values[np.ix_(rows, columns)],
            codes=self.codes[np.ix_(rows, columns)],
            weights=self.weights[np.ix_(rows, columns)],
            sanity=None,
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the tidy table, one row for each value.

        Its columns are those of `samples`, the fields of :class:`Column`, ``value``, ``reason``
        (why the value is undefined, else empty), ``constant`` (whether the map is constant) and
        ``weight`` (the denominator of a ratio of pixel counts).
        """
        return self._parts.tidy()

    def summary(
        self,
        by: str | Sequence[str] = (),
        *,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        r"""Return means, interval by group, quartiles and counts of each column.

        Parameters
        ----------
        by
            Columns of `samples` by which the rows are split first: ``"label"``, ``"class_name"``
            (the name of the label, if the results have `class_names`), ``"present"``
            (targets with an object, and without), ``"predicted"``, a column of ``Sample.info``, or
            ``"correct"`` (whether label and prediction agree; in a task with several labels,
            whether the label is predicted where it is present and only there). Models are always
            separate.
        confidence
            Of the intervals; see :func:`mean_interval`.

        Returns
        -------
        pandas.DataFrame
            One row for each column and part: n (rows with a score), n_groups, n_undefined,
            n_constant, n_negative (how many of the n have no object; ``by="present"`` separates
            them), mean, low, high, macro, pooled, median, q25, q75, is_reliable (whether the
            interval is of ten groups or more; of fewer it may be too narrow).

        Raises
        ------
        SettingError
            If there is no such column, or it has a name of the summary.

        Notes
        -----
        There are three means of the scores :math:`s_i` of the rows. ``mean`` counts every row alike
        (the micro average). ``macro`` is the mean over the labels of the mean of each label, so
        that rare labels count as much as frequent ones; it is NaN if no label is known. ``pooled``
        is the score of all pixels taken together,

        .. math:: \frac{\sum_i w_i s_i}{\sum_i w_i},

        where :math:`w_i` is the denominator of :math:`s_i` (`weights`), such as the size of the
        union for IoU. A target without an object, which has no IoU, adds its union to the
        denominator. ``pooled`` is NaN for metrics that are no ratio of pixel counts. The interval
        is that of ``mean``.
        """
        split = ["model", *([by] if isinstance(by, str) else by)]
        return summaries.summary(
            self._with_names(split),
            self.columns,
            self.values,
            (self.codes & CONSTANT) > 0,
            split,
            self.meanings,
            confidence=confidence,
            weights=self.weights,
            multilabel=self.task == "multilabel",
        )

    def _with_names(self, used: Iterable[str]) -> pd.DataFrame:
        return with_class_names(self.samples, self.class_names, used)

    def pivot(
        self, metric: str, *, index: str = "method", columns: str = "binarizer", **conditions: Any
    ) -> pd.DataFrame:
        """Return the means of one metric as a two-way table.

        Parameters
        ----------
        metric
            The metric.
        index, columns
            The rows and the columns of the table: fields of :class:`Column`, or columns of
            `samples`.
        **conditions
            As for `select`.
        """
        return summaries.pivot(self.select(metric=metric, **conditions).to_pandas(), index, columns)

    def compare(
        self,
        metric: str,
        *,
        over: str = "method",
        by: str | Sequence[str] = (),
        reference: str | None = None,
        resamples: int = 10_000,
        seed: int | None = None,
        **conditions: Any,
    ) -> pd.DataFrame:
        """Test differences in one metric between methods, binarizers or models, sample by sample.

        Values are paired by sample and label.

        Parameters
        ----------
        metric
            The metric.
        over
            What is compared: ``"method"`` (baselines included), ``"binarizer"``,
            ``"target_class"`` or ``"model"``.
        by
            Columns of `samples` by which the samples are split first, as of `summary`, such as
            ``"label"``, ``"class_name"``, ``"present"`` or a column of ``Sample.info``. Each part
            has its own tests, and the correction is for all tests of the table. A sample and label
            must be in one part: of two models ``"predicted"`` and ``"correct"`` may differ.
        reference
            Compare all with this one; by default every pair.
        resamples, seed
            Number and seed of the random signs. By default the seed of the run.
        **conditions
            As for `select`. They must fix everything but `over`.

        Returns
        -------
        pandas.DataFrame
            One row for each pair of each part, as of :class:`cameval.statistics.PairedTest`: the
            mean over images of the difference; p of the sign-flip test with the interval that
            agrees with it (low, high); the same after Holm's correction over the table (p_holm,
            low_holm, high_holm); why an interval is missing (reason, reason_holm); is_reliable
            (whether ten groups or more differ; with fewer the interval may be too narrow); the
            effect size; counts; how many patterns of signs p is a share of (n_patterns), whether
            these are all (is_exact), and the smallest possible p (least_p). ``n_undefined`` are
            pairs with an undefined value, ``n_unpaired`` rows that only one of the two has; neither
            is in the mean.

            A reason is empty where there is an interval, ``"no pair"`` where no pair has both
            values, ``"no group differs"``, ``"too few groups"`` where no difference of so many
            groups could be rejected at the level of the test, as with fewer than six groups, or
            ``"too few resamples"`` for this level.

        Raises
        ------
        SettingError
            If something else than `over` still varies, there is nothing to compare, two have no
            sample and label in common, or `by` names no column or one that differs between them.

        Warns
        -----
        UserWarning
            If rows are in one of the two only, the truths of a sample and label differ in area, or
            the images of two models differ.

        Notes
        -----
        ``p`` is that of a test alone, and ``p_holm`` is corrected for the tests of this call. A
        report prints another correction of the same ``p``: for all paired tests of its page, as one
        family. Its ``p_holm`` is therefore higher or lower, by the number of tests on the page.
        :func:`cameval.report.page_tests` returns the tests of a report, and :doc:`/statistics`
        defines both families. For a paper, state the family, or report the tests of the page.
        """
        chosen = self.select(metric=metric, **conditions)
        seed = self._seed if seed is None else seed
        split = [by] if isinstance(by, str) else [*by]
        samples = chosen._with_names(split)
        if "correct" in split:
            right = summaries.correct(samples, multilabel=self.task == "multilabel")
            samples = samples.assign(correct=right)
        table = chosen._parts._replace(samples=samples).tidy()
        if over == "model":
            count, n = count_differing(chosen).get("image", (0, 0))
            if count:
                warn_user(
                    f"{count} of {n} samples have different images in different models: scores of "
                    "different images are not comparable"
                )
        return summaries.compare(table, over, reference, resamples, seed, split)

    def dependence(self, metric: str, *, on: str = "area", **conditions: Any) -> pd.DataFrame:
        """Return the rank correlation of a metric with the size of the truth, or with confidence.

        Classes differ in both, so the correlation is computed within the true classes.

        Parameters
        ----------
        metric
            The metric.
        on
            ``"area"`` or ``"probability"``.
        **conditions
            As for `select`.

        Returns
        -------
        pandas.DataFrame
            Spearman's coefficient with its interval, for each column and model.
        """
        chosen = self.select(metric=metric, **conditions)
        return summaries.dependence(chosen.samples, chosen.columns, chosen.values, on)

    # --- Plots and tables for people --------------------------------------------------------------

    def plot(
        self,
        kind: PlotKind = "headline",
        axes: "Axes | None" = None,
        *,
        model: str | None = None,
        method: str | None = None,
        binarizer: str | None = None,
        metric: str | None = None,
        names: Mapping[str, str] | None = None,
    ) -> "Axes":
        """Plot the scores of a model, or compare models. Needs Matplotlib, of the extra ``report``.

        Orange is the network, gray the guess (the best blind baseline, with the same binarizer),
        blue an upper bound. Means are over the targets with an object.

        Parameters
        ----------
        kind
            ``"headline"``: the mean of each method with its 95 % interval by group, controls
            hollow; below, the best guess (its mean and interval also as a gray band) and the best
            baseline of the image alone. The blue tick is the mean bound of the masks of the row,
            if it was evaluated, as by default or with ``metrics=[iou, area_bound]``. At the right,
            the paired difference to the best guess with its interval, as in a report: ▲ better,
            ▼ worse, ≈ no clear difference, ? too few groups or only random maps to compare with,
            by p adjusted for all tests of the results. A dagger marks a mean over fewer images than
            others, or than could have a score, with the counts below the axis; there is also how
            the binarizer was chosen, if that was on these same images or the same groups. The title
            says of how many images and groups the means are; below the axis is what a report says
            of few groups, random maps and what is left out of the results. All methods are drawn;
            the name of the given one, or of the best, is bold.

            ``"models"``: the paired differences of two models or more, over the targets that both
            have: a row for each binarizer, or for the given or chosen one alone, the difference of
            the means as a dot, filled where a difference is shown, with its interval. All pairs of
            two or three models are drawn, and of more those with the first. p and intervals are
            those of a report, where models are compared in this metric, adjusted for all tests
            there; otherwise those of a report in this metric. Of more than three models the
            binarizer is the best of the first model. At the right the symbols as above: ▲ the first
            is better.

            ``"classes"``: the scores of each class, with its mean and that of the guess; of more
            than 30 classes the 12 best and the 12 worst. A line is the 95 % interval by group, for
            classes of at least five groups.

            ``"pairs"``: a line for each image from its score with the guess to that with the map;
            for more than 150 images a histogram of the differences.

            ``"size"``: scores against the area of the object, hollow where the prediction is wrong,
            with the guess and the bound. More than 1,000 images are counted in bins, with a
            stronger color for more images; lines join the means of each column of bins.

            ``"thresholds"``: the mean of each method against the share of the image that is marked.
            A dot is a binarizer of the results; a line joins those that mark a fixed share (of a
            percentile, the median or a top area). The others, as Otsu's, are hollow marks beside
            them, and the only ones if no binarizer marks a fixed share. If a single one does, it is
            named on the axis with its share. A binarizer that was chosen for each map, as by
            `Choice.apply`, is no further mark but a circle around that of the binarizer it is.

            ``"choices"``: the mean of each method with each binarizer, in a cell whose color is
            stronger the better it is; the best method is first, its best cell is framed. The last
            row is the best guess with each binarizer. The best cell is chosen on these same images.
            A dagger marks means over fewer images.

            ``"confidence"``: scores against the probability of the predicted class, hollow where
            the prediction is wrong, with the guess; for more than 1,000 images in bins, as by size.
        axes
            Axes of Matplotlib to draw on; by default those of a new figure of pyplot, which a
            notebook or ``pyplot.show()`` shows. No other global state of Matplotlib is changed.
        model
            The model; needed if there are several, but for ``"models"``, of which it chooses the
            pairs with this model.
        method, binarizer
            By default the binarizer is the one that was chosen on other images (`Choice.apply`),
            if there is one, and otherwise the one with the best mean on these images. The method
            is the one with the best mean; for ``"models"``, of the first model.
        metric
            By default the first metric of masks, or of maps, that is no upper bound.
        names
            How labels of models, maps, binarizers, metrics, target classes and classes are written,
            as of `to_latex`: ``{"grad_cam": "Grad-CAM"}``. ``{"group": "patient"}`` is the word for
            a group. They are text of Matplotlib and are not escaped. Labels that are not in the
            plot are ignored.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.

        Raises
        ------
        SettingError
            If there is no such kind, model, method, binarizer or metric; if it cannot be drawn, as
            ``"pairs"`` without a blind baseline, ``"classes"`` of fewer than two classes or
            ``"models"`` of one model.
        MissingPackageError
            If Matplotlib is not installed.
        ArrayTypeError
            If `axes` are something else.

        Examples
        --------
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from torchvision.models import resnet18
        >>> from cameval import Sample, evaluate, grad_cam
        >>> draw, truth = np.random.default_rng(0).random, np.eye(64, dtype=bool)
        >>> images = [draw((64, 64, 3), dtype=np.float32) for _ in range(6)]
        >>> samples = [Sample(f"image {k}", image, truth) for k, image in enumerate(images)]
        >>> results = evaluate(resnet18(), samples, methods=grad_cam, progress=False)
        >>> axes = results.plot("pairs", Figure().subplots())
        >>> axes.get_ylabel()
        'IoU of each image'
        >>> axes = results.plot("choices", Figure().subplots())
        >>> [text.get_text() for text in axes.get_yticklabels()]
        ['grad_cam', 'best guess']
        >>> axes = results.plot("choices", Figure().subplots(), names={"grad_cam": "Grad-CAM"})
        >>> axes.get_yticklabels()[0].get_text()
        'Grad-CAM'

        Two models:

        >>> from cameval import concat
        >>> other = evaluate(resnet18(), samples, methods=grad_cam, name="other", progress=False)
        >>> axes = concat([results, other]).plot("models", Figure().subplots())
        >>> [text.get_text() for text in axes.texts if "better" in text.get_text()]
        ['← other better', 'ResNet better →']
        """
        return plots.plot(
            self,
            kind,
            axes,
            model=model,
            method=method,
            binarizer=binarizer,
            metric=metric,
            names=names,
        )

    def to_latex(
        self,
        cell: str = "mean [low, high]",
        *,
        by: str | Sequence[str] = (),
        names: Mapping[str, str] | None = None,
    ) -> str:
        r"""Return the summary as a table of LaTeX, for the package ``booktabs``.

        Parameters
        ----------
        cell
            What is in a cell: numbers of `summary` by their names, and any other text, as in
            ``"mean (n)"`` or ``r"median \quad q25--q75"``. Text that is no name is kept as it is.
        by
            Columns by which the rows are split, as of `summary`: each metric then has a column for
            each class with ``"class_name"``.
        names
            How labels of maps, binarizers, metrics and classes are written, and also the heads and
            headings of the table, as in ``{"cam": "CAM"}``. They are LaTeX and are not escaped.
            Labels that are not in the table are ignored, so that several tables share the names.
            ``{"group": "patient"}`` is the word for a group; an irregular plural is ``"groups"``.

        Returns
        -------
        str
            A ``tabular`` with a row for each method or baseline and binarizer, and a column for
            each metric whose scores are averaged. Metrics of maps are in the same rows if there is
            one binarizer, else in rows of their own, without a binarizer.
            Baselines have a heading that says what they use: nothing of the image (blind), the
            label, the image or the truth.
            Special characters of labels are escaped. Numbers have three digits; what is undefined
            is a dash, and an interval without ends is left out. A metric of which less is better
            has a downward arrow, also behind a name of `names`. An interval of fewer than ten
            groups, which may be too narrow, is marked ``*``, with a note below the table. A dagger
            marks what is over fewer images than others of the table, and what the maps leave
            undefined for some images; notes below the table have the counts and the reasons. There
            is none if `cell` has ``n`` or ``n_undefined``. Comments above the table have the
            numbers of images, targets and groups, and the settings of the binarizers, or how they
            were chosen and which each map has.

        Raises
        ------
        SettingError
            If `cell` has no number of the summary, or a word like the name of one; if no metric is
            averaged; or if `by` names no column.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import OtsuBinarizer, Sample, evaluate_maps, iou
        >>> samples = [Sample("a", np.eye(8, dtype=np.float32), np.eye(8, dtype=bool))]
        >>> results = evaluate_maps(
        ...     {"exact": lambda one: 1.0 * one.mask},
        ...     samples,
        ...     metrics=iou,
        ...     binarizers=OtsuBinarizer(),
        ...     progress=False,
        ... )
        >>> part = results.select(kind="method")
        >>> print(part.to_latex("mean (n)", names={"otsu": "Otsu"}))
        % 1 image, 1 target, 1 group
        % evaluated, and left out here: the baselines center, random, intensity and edges
        % otsu: OtsuBinarizer()
        \begin{tabular}{llr}
        \toprule
        method & binarizer & IoU \\
        \midrule
        exact & Otsu & 1.000 (1) \\
        \bottomrule
        \end{tabular}
        <BLANKLINE>
        """
        return latex_table(self, cell, [by] if isinstance(by, str) else by, names)

    def methods_text(self, *, names: Mapping[str, str] | None = None) -> str:
        """Return a paragraph that says how the scores were measured, to adapt for a paper.

        It says what the runs have recorded and nothing else: images and groups; network, layer,
        task and preparation; the share of right predictions, where labels are known; methods; the
        threshold of each map (a share of its pixels, a rule, or a choice for each map or each map
        and class); metrics, baselines with what they use; sanity checks; intervals and tests;
        versions. What is not recorded, such as where the images
        come from, is left out. Reports answer more, with facts of the author: see
        :func:`cameval.report.reviewer_summary`.

        Parameters
        ----------
        names
            How labels of models, maps, binarizers, metrics and classes are written, as of
            `to_latex`: ``{"grad_cam": "Grad-CAM", "group": "patient"}``. Labels without a name have
            how they are written in Python, if that is more than the label. Labels that are not in
            the results are ignored.

        Returns
        -------
        str
            Sentences on one line.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import OtsuBinarizer, Sample, evaluate_maps, iou
        >>> samples = [Sample(k, np.eye(8, dtype=np.float32), np.eye(8, dtype=bool)) for k in "ab"]
        >>> results = evaluate_maps(
        ...     {"exact": lambda one: 1.0 * one.mask},
        ...     samples,
        ...     metrics=iou,
        ...     binarizers=OtsuBinarizer(),
        ...     baselines={},
        ...     progress=False,
        ... )
        >>> for sentence in results.methods_text().split(". ")[:4]:
        ...     print(sentence)
        The evaluation has 2 images, each image a group of its own
        Maps made elsewhere are exact; they are not scaled
        Masks are computed from each map by itself, by otsu (OtsuBinarizer())
        Scores of each image are IoU
        >>> text = results.methods_text(names={"otsu": "Otsu's method", "exact": "the truth"})
        >>> print(text.split(". ")[2])
        Masks are computed from each map by itself, by Otsu's method
        """
        return methods_text(self, names, self.sanity)

    # --- Input and output -------------------------------------------------------------------------

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the tidy table as CSV, and the provenance as ``.json`` with the same name.

        Values that are read again are equal to the bit. Sanity checks are in files of their own:
        ``results-sanity.csv`` and ``results-similarities.csv`` beside ``results.csv``.
        """
        write_csv(self._parts, Path(path))
        if self.sanity is not None:
            scores, maps = _paths_of_sanity(Path(path))
            self.sanity.scores.to_csv(scores)
            similarities.write_table(self.sanity.similarities, maps)

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write the tidy table with the provenance as Parquet. Needs the extra ``parquet``.

        Sanity checks are in files of their own, as of `to_csv`: ``results-sanity.parquet`` and
        ``results-similarities.csv``.

        Raises
        ------
        MissingPackageError
            If pyarrow is not installed.
        """
        write_parquet(self._parts, Path(path))
        if self.sanity is not None:
            scores, maps = _paths_of_sanity(Path(path))
            self.sanity.scores.to_parquet(scores)
            similarities.write_table(self.sanity.similarities, maps)

    @classmethod
    def from_csv(cls, path: str | PathLike[str]) -> "Results":
        """Read results that `to_csv` wrote.

        Raises
        ------
        DataError
            If the file is not such a table; the field is named.
        """
        found = cls(*read_csv(Path(path)))
        return found._with_sanity_of(Path(path), cls.from_csv)

    @classmethod
    def from_parquet(cls, path: str | PathLike[str]) -> "Results":
        """Read results that `to_parquet` wrote.

        Raises
        ------
        DataError
            If the file is not such a table; the field is named.
        """
        found = cls(*read_parquet(Path(path)))
        return found._with_sanity_of(Path(path), cls.from_parquet)

    @property
    def _parts(self) -> Parts:
        """What is in a file of the table; the record notes whether there are sanity checks."""
        record = {**self.provenance, "has_sanity": self.sanity is not None}
        return Parts(self.samples, self.columns, self.values, self.codes, record, self.weights)

    def _with_sanity_of(self, path: Path, read: Callable[[Path], "Results"]) -> "Results":
        """Return the results with the sanity checks in the files beside theirs, if noted."""
        provenance = dict(self.provenance)
        noted = provenance.pop("has_sanity", False)
        scores, maps = _paths_of_sanity(path)
        checks = SanityResults(read(scores), similarities.read_table(maps)) if noted else None
        return replace(self, provenance=provenance, sanity=checks)

    @property
    def _seed(self) -> int:
        return int(self.provenance.get("settings", {}).get("seed") or 0)


def results_of(
    parts: Sequence[BatchScores], columns: Sequence[Column], provenance: Mapping[str, Any]
) -> Results:
    """Return the results of batches, in order."""
    samples = sample_table(parts, str(provenance["settings"]["model"]))
    values, codes, weights = (
        np.concatenate([getattr(p, n) for p in parts]) for n in ("values", "codes", "weights")
    )
    names, brightest, ignored, spacing, axes = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("sample", "brightest", "ignored", "spacing", "axes")
    )
    labels, sums, map_sums = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("label", "sums", "map_sums")
    )
    dark, spacings = DarkImages.count(names, brightest), Spacings.count(names, spacing, axes)
    record = {**provenance, **dark.to_record(), **spacings.to_record()}
    record |= sums_record(names, labels, sums) | ignored_record(names, ignored)
    given = [
        label for label, one in Meanings.of(record.get("meanings")).methods.items() if one.given
    ]
    if map_sums.shape[1] == len(given):
        record |= same_maps_record(given, names, sums, map_sums)
    return Results(samples, tuple(columns), values, codes, record, weights)


@dataclass(frozen=True, eq=False)
class SanityResults:
    """Results of the sanity checks of a run, on a sub-sample with one target for each image.

    Parameters
    ----------
    scores
        The scores of methods and controls: the metrics of the run, and those of faithfulness. Its
        ``provenance["sanity"]`` says what was done, and how many passes it took at most.
    similarities
        One row for each map that is compared with another one: model, sample, group, label and
        method of the map; ``check``, with what it is compared (``"random weights"``, ``"other
        training"`` or ``"other image"``); ``step``, the layer down to which the weights are random,
        the checkpoint, or the other sample; ``random_modules``, how many modules have random
        weights; ``ssim`` and ``spearman``, NaN where a map is not finite, the latter also where one
        is constant; ``same_prediction``, whether the changed network predicts the same class.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from torch import nn
    >>> from cameval import Sample, cam, evaluate
    >>> from cameval.evaluation import SanityChecks, SanityResults
    >>> net = nn.Sequential(
    ...     nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    ... )
    >>> images = np.random.default_rng(0).random((3, 32, 32, 3), dtype=np.float32)
    >>> truth = np.eye(32, dtype=bool)
    >>> samples = [Sample(f"image {k}", image, truth) for k, image in enumerate(images)]
    >>> checks = SanityChecks(samples=2)
    >>> with TemporaryDirectory() as folder:
    ...     results = evaluate(
    ...         net, samples, methods=cam, sanity=checks, out=folder, progress=False
    ...     )
    ...     kept = SanityResults.load(Path(folder) / "sanity")
    >>> similar = results.sanity.summary()
    >>> similar[["method", "check"]].drop_duplicates().to_dict("list")
    {'method': ['cam', 'cam'], 'check': ['random weights', 'other image']}
    >>> len(results.sanity.scores), len(kept.scores)
    (2, 2)
    """

    scores: Results
    similarities: pd.DataFrame

    @classmethod
    def load(cls, path: Path) -> "SanityResults | None":
        """Read what is finished of the checks in a folder; None if nothing is."""
        folder = RunFolder(path)
        if not (path / "run.json").is_file() or not folder.numbers():
            return None
        scores = Results.load(path)
        record = scores.provenance["sanity"]
        model = str(scores.provenance["settings"]["model"])
        rows = similarities.rows_in(path, model, record)
        return cls(scores, similarities.table_of(rows))

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Return the mean similarity of each method in each step, with intervals by group.

        Parameters
        ----------
        confidence
            Of the intervals.

        Returns
        -------
        pandas.DataFrame
            One row for each model, method, check and step: random_modules, n, then for SSIM and
            rank correlation the mean, the ends of its interval (low, high), the number of groups
            and of undefined values; and the share of images with the same prediction. All pairs of
            different images are one row; the interval of their mean is a jackknife over groups.

        Examples
        --------
        See the class.
        """
        return similarities.summarize(self.similarities, confidence)


def _paths_of_sanity(path: Path) -> tuple[Path, Path]:
    """Return the files of the scores and of the similarities beside a file of results."""
    return (
        path.with_name(f"{path.stem}-sanity{path.suffix}"),
        path.with_name(f"{path.stem}-similarities.csv"),
    )
