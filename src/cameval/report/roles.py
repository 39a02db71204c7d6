"""What each baseline knows, and so what a score says beside it."""

from typing import Literal

__all__ = ["ROLES", "Role", "role_of"]

Role = Literal["blind", "image", "other", "ceiling"]
"""What a baseline knows: nothing of the image, the image alone, who can say, or the truth."""

ROLES: dict[Role, str] = {
    "blind": "blind",
    "image": "image alone",
    "other": "baseline",
    "ceiling": "knows the truth",
}
_BLIND = ("center", "gaussian", "random", "classmean", "class_mean", "leavegroupout")
_IMAGE = ("intensity", "edge", "untrained")


def role_of(described: str) -> Role:
    """Return the role of a baseline by its setting, in words."""
    word = described.lower()
    if "oracle" in word or "ceiling" in word:
        return "ceiling"
    return "blind" if word.startswith(_BLIND) else "image" if word.startswith(_IMAGE) else "other"
