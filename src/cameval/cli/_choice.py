"""``--choose-on``: binarizer and method are chosen on some images, and scored on the others."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Subset

from cameval.cli._inputs import names_of
from cameval.data import read_names
from cameval.errors import DataError, SettingError
from cameval.evaluation import Choice, Results, choose_binarizers, concat

_LABEL = "validated"


@dataclass(frozen=True)
class Chosen:
    """Results of the images that are reported, and what was chosen on others, if anything.

    Parameters
    ----------
    results
        Of all models.
    samples
        The samples of these results.
    choices
        The choice of each model by its name.
    binarizer, method
        What the report is about; None for the best on the images that are reported.
    """

    results: Results
    samples: Any
    choices: dict[str, Choice]
    binarizer: str | None = None
    method: str | None = None

    @property
    def labels(self) -> dict[str, str | None]:
        """The labels that the page and the terminal are about."""
        return {"binarizer": self.binarizer, "method": self.method}

    def of_model(self, name: str) -> dict[str, Choice]:
        """Return the choice of a model by the label of its binarizer."""
        return {_LABEL: self.choices[name]} if name in self.choices else {}


def check_choice(dataset: Any, options: Namespace) -> None:
    """Check before the work that the file names some of the images, and leaves others.

    Raises
    ------
    DataError
        If an image of the file is not evaluated, or no other is.
    """
    if options.choose_on is None:
        return
    given = read_names(options.choose_on)
    names = names_of(dataset)
    if strange := [name for name in given if name not in {*names}]:
        raise DataError(
            f"--choose-on {options.choose_on} must name images that are evaluated, got "
            f"{strange[0]!r}; their names are such as {', '.join(map(repr, names[:2]))}"
        )
    if not 0 < len({*given}) < len({*names}):
        raise DataError(
            f"--choose-on {options.choose_on} must name some of the {len(names):,} images and "
            f"leave others to be scored, got {len({*given}):,}"
        )


def choose(parts: Sequence[Results], dataset: Any, options: Namespace) -> Chosen:
    """Choose on the images that the file of ``--choose-on`` names, and keep the others.

    Raises
    ------
    SettingError
        If no metric of masks can choose.
    """
    if options.choose_on is None:
        return Chosen(concat(parts), dataset, {})
    given = set(read_names(options.choose_on))
    left = [index for index, name in enumerate(names_of(dataset)) if name not in given]
    choices: dict[str, Choice] = {}
    scored: list[Results] = []
    for part in parts:
        names = [str(name) for name in part.to_pandas()["sample"].unique()]
        used, others = ([name for name in names if (name in given) is one] for one in (True, False))
        (model,) = {str(one) for one in part.to_pandas()["model"].unique()}
        choices[model] = choose_binarizers(part.select(sample=used), _metric(part))
        scored.append(choices[model].apply(part.select(sample=others), _LABEL))
    best = {choice.best_method() for choice in choices.values()}
    method = best.pop() if len(best) == 1 else None
    return Chosen(concat(scored), Subset(dataset, left), choices, _LABEL, method)


def describe_choices(chosen: Chosen) -> list[str]:
    """Return a line on what was chosen for each model."""
    lines = []
    for model, choice in chosen.choices.items():
        table = choice.to_pandas().query("kind == 'method'")
        rows = table[table["target_class"] == table["target_class"].iloc[0]]
        words = ", ".join(f"{row.method} {row.binarizer}" for row in rows.itertuples())
        images = choice.record()["images"]
        if len(rows) > 1:
            words = f"method {choice.best_method()} (the best of {len(rows)}); {words}"
        lines.append(f"{model}: chosen on {images:,} other images: {words}")
    if chosen.choices and chosen.method is None:
        lines.append(
            "the best method differs between networks: that of the report is the best of each on "
            "the scored images"
        )
    return lines


def _metric(results: Results) -> str:
    """Return the first metric of masks that has a direction and is no upper bound."""
    metrics = results.meanings.metrics
    for column in results.columns:
        meaning = metrics[column.metric]
        if column.binarizer and meaning.bounds is None and meaning.higher_is_better is not None:
            return column.metric
    raise SettingError(
        "--choose-on must have a metric of masks with a direction, got none; add --metric iou"
    )
