"""`StudyFacts`: what only the author of a study knows, for the section for reviewers."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import wraps
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from cameval.errors import DataError, SettingError

__all__ = ["StudyFacts"]


def _fact(answer: str, title: str) -> Any:
    """Return a field that is not given by default: to which answer it belongs, and its title."""
    return field(default=None, metadata={"answer": answer, "title": title})


T = TypeVar("T")


def _with_known_names(cls: type[T]) -> type[T]:
    """Raise a `SettingError` with near names, in place of a TypeError, for a name of no fact."""
    known: Any = cls
    make = known.__init__

    @wraps(make)
    def init(self: object, **facts: Any) -> None:
        _check_names(facts, known)
        make(self, **facts)

    known.__init__ = init
    return cls


def _check_names(names: Iterable[object], cls: Any) -> None:
    known = [one.name for one in fields(cls)]
    if strange := [name for name in names if name not in known]:
        near = ", ".join(get_close_matches(str(strange[0]), known)) or "none"
        raise SettingError(
            f"facts must be among {', '.join(known)}, got {strange[0]!r}; near names: {near}"
        )


@_with_known_names
@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """Facts of a study that a run does not know. Each is a sentence or two; each may be left out.

    A fact that is left out is listed as not given. Nothing is inferred in its place.

    Parameters
    ----------
    intended_use
        What the maps are used for, and by whom.
    analysis_plan
        What was fixed before the scores were known: main metric, method, binarizer, comparison.
    data_source
        Where the images come from: sites, years, data set with its version.
    selection
        Which patients or images are included, and which are not.
    acquisition
        Imaging device, sequence or protocol.
    ethics
        Approval and consent.
    truth_drawn_by
        Who drew the true masks: profession, experience, tool, instructions.
    readers
        Number of readers who drew each image.
    reader_agreement
        How well readers agree, and how disagreement was resolved.
    unlabeled
        What a pixel without a label means, and which pixels or objects are ignored.
    training_data
        The data on which the network was trained, and with which labels.
    separation
        How training, tuning and test data were separated, such as by patient.
    tuning
        What else was tuned, such as network, layer, method and preparation, and on which data.
    metric_reasons
        Why these metrics: what an error costs in the intended use.
    hardware
        The computer.
    availability
        Where code, weights, data and these results are available.

    Raises
    ------
    SettingError
        If there is no fact of a name, a fact is no text, or `readers` no number of at least 1.

    Examples
    --------
    >>> from cameval.report import StudyFacts
    >>> StudyFacts(truth_drawn_by="Two radiologists.", readers=2).given
    {'truth_drawn_by': 'Two radiologists.', 'readers': 2}
    """

    intended_use: str | None = _fact("task", "intended use")
    analysis_plan: str | None = _fact("tuning", "fixed before the scores were known")
    data_source: str | None = _fact("data", "source")
    selection: str | None = _fact("data", "selection")
    acquisition: str | None = _fact("data", "acquisition")
    ethics: str | None = _fact("data", "ethics")
    truth_drawn_by: str | None = _fact("truth", "drawn by")
    readers: int | None = _fact("truth", "readers of each image")
    reader_agreement: str | None = _fact("truth", "agreement of readers")
    unlabeled: str | None = _fact("truth", "unlabeled pixels")
    training_data: str | None = _fact("network", "training data")
    separation: str | None = _fact("network", "separation of training and test data")
    tuning: str | None = _fact("tuning", "other tuning")
    metric_reasons: str | None = _fact("metrics", "reasons")
    hardware: str | None = _fact("computing", "hardware")
    availability: str | None = _fact("computing", "availability")

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None:
                continue
            if one.name == "readers":
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    raise SettingError(
                        f"readers must be a whole number of at least 1, got {value!r}"
                    )
            elif not isinstance(value, str) or not value.strip():
                raise SettingError(
                    f"{one.name} must be text, got {value!r}; leave it out if it is not known"
                )

    @property
    def given(self) -> dict[str, str | int]:
        """The facts that are given, by name."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "StudyFacts":
        """Return the facts of a dictionary.

        Raises
        ------
        SettingError
            If a name is not that of a fact, or a value is not of its kind.

        Examples
        --------
        >>> from cameval.report import StudyFacts
        >>> StudyFacts.of({"truth_drawn_by": "Two radiologists.", "readers": 2}).given
        {'truth_drawn_by': 'Two radiologists.', 'readers': 2}
        """
        _check_names(values, cls)
        return cls(**values)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "StudyFacts":
        """Return the facts of a TOML or JSON file: names and values, without sections.

        Raises
        ------
        DataError
            If the file cannot be read, or is no TOML or JSON file of names and values.
        SettingError
            If a name is not that of a fact, or a value is not of its kind.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from cameval.report import StudyFacts
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "facts.toml")
        ...     _ = file.write_text('truth_drawn_by = "Two radiologists."')
        ...     StudyFacts.read(file).truth_drawn_by
        'Two radiologists.'
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path} must be a TOML or JSON file of facts, got {error}") from error
        if not isinstance(values, dict):
            raise DataError(f"{path} must hold names and values, got {type(values).__name__}")
        return cls.of(values)


def facts_of(facts: StudyFacts | None, answer: str) -> list[tuple[str, str, str | int | None]]:
    """Return name, title and value of each fact that belongs to an answer; None if not given."""
    return [
        (one.name, one.metadata["title"], None if facts is None else getattr(facts, one.name))
        for one in fields(StudyFacts)
        if one.metadata["answer"] == answer
    ]
