"""Lesions drawn by chance, class by class: where they lie and how they look.

The classes overlap on purpose: some meningiomas lie at the skull base, where pituitary tumors do,
some gliomas are bright throughout, as meningiomas are, and any lesion may be small or large.
"""

import numpy as np
from numpy.random import Generator

from cameval.data.anatomy import BRAIN_EDGE, Lesion, skull_base

__all__ = ["draw_lesion"]

_MEAN_AREAS = (0.018, 0.022, 0.008)  # over all slices, in frames
_LEAST_AREA, _GREATEST_AREA = 0.0012, 0.065


def draw_lesion(rng: Generator, label: int) -> Lesion:
    """Draw a lesion of a class: 0 meningioma, 1 glioma, 2 pituitary tumor."""
    return (_meningioma, _glioma, _pituitary_tumor)[label](rng)


def _area(rng: Generator, label: int) -> float:
    """Draw the area of a lesion in its largest slice; over all its slices it is about 3/4 of it."""
    mean, spread = _MEAN_AREAS[label] / 0.72, 0.6
    area = rng.lognormal(np.log(mean) - spread**2 / 2, spread)
    return float(np.clip(area, _LEAST_AREA / 0.19, _GREATEST_AREA))


def _waves(rng: Generator, amplitude: float) -> tuple[tuple[float, float], ...]:
    return tuple(
        (rng.normal(0, amplitude / bumps**0.8), rng.uniform(0, 2 * np.pi)) for bumps in range(1, 7)
    )


def _meningioma(rng: Generator) -> Lesion:
    """Draw an even, bright lesion with a sharp edge, at the skull, the falx or the skull base."""
    side = rng.choice([-1, 1])
    site = rng.choice(["convexity", "falx", "base"], p=[0.55, 0.25, 0.2])
    if site == "convexity":
        angle = rng.uniform(-0.3, 0.45 * np.pi)
        reach = BRAIN_EDGE - rng.uniform(0.02, 0.12)
        place = (side * reach * np.cos(angle), -reach * np.sin(angle))
    elif site == "falx":
        place = (side * rng.uniform(0.02, 0.1), rng.uniform(-0.7, -0.3))
    else:
        x = side * rng.uniform(0.1, 0.5)
        place = (x, float(skull_base(np.asarray(x))) - rng.uniform(0.02, 0.12))
    level = rng.normal(0.69, 0.11)
    return Lesion(
        place=place,
        area=_area(rng, 0),
        waves=_waves(rng, 0.05),
        rim=level,
        core=level - 0.3 * (rng.random() < 0.1),
        core_size=0.4,
        texture=rng.choice([0.03, 0.08], p=[0.75, 0.25]),
        softness=0.05,
        edema=rng.uniform(0, 0.1),
        in_brain=True,
    )


def _glioma(rng: Generator) -> Lesion:
    """Draw an irregular lesion in a hemisphere: mostly a ring, else dull or bright throughout."""
    kind = rng.choice(["ring", "dull", "solid"], p=[0.6, 0.25, 0.15])
    dull = rng.normal(0.27, 0.05)
    rim = dull + 0.04 if kind == "dull" else rng.normal(0.7, 0.11)
    return Lesion(
        place=(rng.choice([-1, 1]) * rng.uniform(0.15, 0.52), rng.uniform(-0.45, 0.25)),
        area=_area(rng, 1),
        waves=_waves(rng, 0.17),
        rim=rim,
        core=rim if kind == "solid" else dull,
        core_size=rng.uniform(0.55, 0.8),
        texture=rng.uniform(0.04, 0.1),
        softness=rng.uniform(0.06, 0.14),
        edema=rng.uniform(0.02, 0.14),
        in_brain=True,
    )


def _pituitary_tumor(rng: Generator) -> Lesion:
    """Draw a small, bright lesion in the sella, sometimes with a cyst."""
    level = rng.normal(0.66, 0.09)
    return Lesion(
        place=(rng.normal(0, 0.03), rng.normal(0.45, 0.03)),
        area=_area(rng, 2),
        waves=_waves(rng, 0.07),
        rim=level,
        core=level - 0.35 * (rng.random() < 0.2),
        core_size=rng.uniform(0.4, 0.7),
        texture=rng.uniform(0.03, 0.07),
        softness=0.07,
        edema=0.0,
        in_brain=False,
    )
