"""How a label of chosen binarizers came about, as the settings of a run say it."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = [  # noqa: RUF022 - sorted as Python sorts
    "Direction",
    "Origin",
    "SAME_GROUPS",
    "SAME_IMAGES",
    "VALIDATION",
]

Direction = Literal["max", "min"]
"""Whether more or less of a metric is better."""

VALIDATION: Final = "chosen on validation data"
SAME_GROUPS: Final = "chosen on other images of the same groups"
SAME_IMAGES: Final = "chosen on these same images"
"""How the setting of a label begins whose binarizers were chosen; the metric follows."""

_LEAST = "the least "


@dataclass(frozen=True)
class Origin:
    """On which images binarizers were chosen, and by what.

    Parameters
    ----------
    where
        `VALIDATION`, `SAME_GROUPS` or `SAME_IMAGES`.
    best
        ``"min"`` where the least was chosen.
    metric
        Label of the metric.

    Examples
    --------
    >>> from cameval.evaluation.origins import VALIDATION, Origin
    >>> Origin(VALIDATION, "max", "iou").words, Origin(VALIDATION, "min", "hd").words
    ('chosen on validation data by iou', 'chosen on validation data by the least hd')
    >>> Origin.of("chosen on validation data by the least hd").best
    'min'
    """

    where: str
    best: Direction
    metric: str

    @classmethod
    def of(cls, described: object) -> "Origin | None":
        """Read the setting of a binarizer; None if it is not one that was chosen."""
        where, _, metric = str(described).partition(" by ")
        if where not in (VALIDATION, SAME_GROUPS, SAME_IMAGES):
            return None
        if metric.startswith(_LEAST):
            return cls(where, "min", metric.removeprefix(_LEAST))
        return cls(where, "max", metric)

    @property
    def words(self) -> str:
        """The setting, in words."""
        return f"{self.where} by {_LEAST if self.best == 'min' else ''}{self.metric}"
