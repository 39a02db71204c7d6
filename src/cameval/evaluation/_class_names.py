"""Names of the classes in a table of samples, and classes that are given by their names."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from cameval.errors import SettingError
from cameval.evaluation._tables import COLUMN


def numbers_of(wanted: Any, class_names: Sequence[str]) -> Any:
    """Return classes that are given by their names as numbers; others as they are.

    Examples
    --------
    >>> from cameval.evaluation._class_names import numbers_of
    >>> numbers_of(["edema", 3], ["effusion", "edema"])
    [1, 3]
    """
    if isinstance(wanted, list | tuple | set | frozenset):
        return [numbers_of(one, class_names) for one in wanted]
    if not isinstance(wanted, str):
        return wanted
    if wanted not in class_names:
        known = ", ".join(class_names) or "none"
        raise SettingError(f"a class must be a number or one of the names {known}, got {wanted!r}")
    return class_names.index(wanted)


def with_class_names(
    samples: pd.DataFrame, class_names: Sequence[str], used: Iterable[str]
) -> pd.DataFrame:
    """Return the sample table, with the names of the classes if other columns are used.

    So they are also in the text of the error about a column that there is not.
    """
    others = {*used} - {*samples.columns, *COLUMN}
    if not others:
        return samples
    if not class_names:
        if "class_name" not in others:
            return samples
        raise SettingError(
            "class_name needs results with class_names, got none; give them to evaluate, or use "
            "label"
        )
    names = dict(enumerate(class_names))
    named = [
        pd.NA if pd.isna(label) else names.get(int(label), str(label)) for label in samples["label"]
    ]
    return samples.assign(class_name=pd.Series(named, samples.index, dtype=object))
