"""What each baseline knows, in the words of the page."""

from typing import TypeAlias

from cameval.baselines import Knows

__all__ = ["BEST_OF", "ROLES", "Role"]

Role: TypeAlias = Knows | None
"""What a baseline says that it knows; None where it does not say."""

ROLES: dict[Role, str] = {
    "nothing": "blind",
    "labels": "labels alone",
    "image": "image alone",
    None: "baseline",
    "truth": "knows the truth",
}
"""How a baseline is marked in tables, in the order in which they stand there."""

BEST_OF: dict[Role, str] = {
    "nothing": "best blind map",
    "labels": "best of labels alone",
    "image": "best of image alone",
    None: "best baseline",
    "truth": "from the truth",
}
"""Title of the column that holds the best score of each kind."""
