"""What summaries, plots and reports read of results, as a type."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.evaluation._plan import Task
from cameval.evaluation.meaning import Column, Meanings


class ScoreTable(Protocol):
    """A table of scores with its meanings: what `Results` is, for modules that it imports."""

    @property
    def samples(self) -> pd.DataFrame: ...

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def values(self) -> NDArray[np.float64]: ...

    @property
    def codes(self) -> NDArray[np.uint8]: ...

    @property
    def provenance(self) -> Mapping[str, Any]: ...

    @property
    def meanings(self) -> Meanings: ...

    @property
    def task(self) -> Task | None: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def select(self, **conditions: Any) -> Self: ...

    def summary(
        self, by: str | Sequence[str] = (), *, confidence: float = 0.95
    ) -> pd.DataFrame: ...
