"""Synthetic heads and lesions for the phantom.

A picture is a float array ``(size, size)``, about 0 in air and 1 in fat. Positions are in head
coordinates: the head's outline is the unit circle, x runs to the right, y down. The classes overlap
on purpose: some meningiomas lie at the skull base, where pituitary tumors do, some gliomas are
bright throughout, as meningiomas are, and any lesion may be small or large.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.float64]


BRAIN_EDGE = 0.82
"""Distance from the center of the head at which bone begins."""


_AIR, _BONE, _SCALP, _BRAIN, _FLUID = 0.0, 0.12, 0.85, 0.38, 0.14


@dataclass(frozen=True)
class Head:
    """Pose and appearance of a head in an image that spans [-1, 1] along both axes."""

    center: tuple[float, float]
    half_axes: tuple[float, float]
    tilt: float
    ventricles: float
    vessels: float
    shading: tuple[float, float]

    @classmethod
    def draw(cls, rng: Generator) -> "Head":
        """Return a random head of ordinary size and pose."""
        return cls(
            center=(rng.normal(0, 0.03), rng.uniform(-0.18, -0.08)),
            half_axes=(rng.uniform(0.64, 0.75), rng.uniform(0.7, 0.8)),
            tilt=rng.normal(0, 0.05),
            ventricles=rng.uniform(0.6, 1.3),
            vessels=rng.uniform(0.5, 1.1),
            shading=(rng.normal(0, 0.12), rng.normal(0, 0.12)),
        )

    def at_depth(self, depth: float) -> "Head":
        """Return the head in a slice at a depth, where it is narrower than in the middle."""
        shrink = 1 - 0.06 * depth**2
        return replace(self, half_axes=(self.half_axes[0] * shrink, self.half_axes[1] * shrink))

    def coordinates(self, size: int) -> tuple[Picture, Picture]:
        """Return the head coordinates x and y of every pixel's center."""
        line = (np.arange(size) + 0.5) * 2 / size - 1
        right, down = line[None, :] - self.center[0], line[:, None] - self.center[1]
        cosine, sine = np.cos(self.tilt), np.sin(self.tilt)
        return (
            (cosine * right + sine * down) / self.half_axes[0],
            (cosine * down - sine * right) / self.half_axes[1],
        )


@dataclass(frozen=True)
class Lesion:
    """Position, in head coordinates, and appearance of a lesion.

    `area` is its share of the image, `core_size` the share of its radius that is core and not rim,
    `softness` the width of its edge in radii, `edema` how much it darkens the brain around it.
    `waves` are amplitude and phase of the bumps on its outline, from one bump around to many.
    """

    center: tuple[float, float]
    area: float
    waves: tuple[tuple[float, float], ...]
    rim: float
    core: float
    core_size: float
    texture: float
    softness: float
    edema: float
    in_brain: bool

    def at_depth(self, depth: float, drift: tuple[float, float]) -> "Lesion":
        """Return the lesion in another slice: smaller, shifted by `drift`, its outline rotated."""
        return replace(
            self,
            center=(
                self.center[0] + depth * drift[0],
                self.center[1] + depth * drift[1],
            ),
            area=self.area * (1 - depth**2),
            waves=tuple((amplitude, phase + 0.6 * depth) for amplitude, phase in self.waves),
        )


def skull_base(x: Picture) -> Picture:
    """Return the y coordinate at which the brain ends; it is highest at the sella in the middle."""
    return 0.42 + 0.28 * np.minimum(np.abs(x) / 0.5, 1) ** 2


def draw_slice(
    head: Head, lesion: Lesion, depth: float, rng: Generator, size: int
) -> tuple[Picture, NDArray[np.bool_]]:
    """Return the picture of a head with its lesion, and the mask of the lesion.

    `rng` determines the texture, which changes gradually with `depth`.
    """
    from skimage.filters import gaussian

    x, y = head.coordinates(size)
    picture = _tissue(x, y, depth, rng)
    _add_ventricles(picture, x, y, head.ventricles)
    _add_vessels(picture, x, y, head.vessels)
    distance, allowed = _growth(lesion, head, x, y)
    _add_lesion(picture, lesion, distance, allowed, _smooth_noise(rng, depth, size, 0.02))
    picture *= 1 + head.shading[0] * x + head.shading[1] * y  # the coil's uneven sensitivity
    return gaussian(picture, size / 300), allowed & (distance < 1)


def _smooth_noise(rng: Generator, depth: float, size: int, scale: float) -> Picture:
    """Return noise of unit variance with blobs of `scale` image widths, changing with `depth`."""
    from skimage.filters import gaussian

    near, far = rng.standard_normal((2, size, size))
    noise = gaussian(np.cos(depth) * near + np.sin(depth) * far, scale * size, mode="wrap")
    centered: Picture = (noise - noise.mean()) / noise.std()
    return centered


def _tissue(x: Picture, y: Picture, depth: float, rng: Generator) -> Picture:
    """Return the picture of air, scalp, bone, brain and the face below the brain."""
    size = len(x)
    radius = np.hypot(x, y)
    layer = np.minimum(radius, np.hypot(x / 0.78, (y - 0.7) / 0.72))  # skull and jaw
    blobs = _smooth_noise(rng, depth, size, 0.024)
    brain = _BRAIN + 0.025 * blobs - 0.12 * _furrows(blobs, layer)
    brain[(np.abs(x) < 0.012) & (y < -0.2)] = _FLUID  # the falx
    face = 0.28 + 0.06 * _smooth_noise(rng, depth, size, 0.016)
    face[np.hypot(x / 0.16, (y - 0.72) / 0.13) < 1] = 0.03  # the sphenoid sinus
    inside = np.where(y < skull_base(x), brain, np.clip(face, 0.03, 1))
    shell = np.interp(layer, [0.82, 0.9, 0.92, 0.985, 1], [_BONE, _BONE, _SCALP, _SCALP, _AIR])
    return np.where(layer < BRAIN_EDGE, inside, shell)


def _furrows(blobs: Picture, layer: Picture) -> Picture:
    """Return dark lines that are deep at the surface of the brain and faint in the middle."""
    surface: Picture = np.clip((layer - 0.3) / 0.4, 0.1, 1)
    return surface * np.exp(-((blobs / 0.22) ** 2))


def _add_ventricles(picture: Picture, x: Picture, y: Picture, width: float) -> None:
    side = np.abs(x) - 0.1 + 0.25 * (y + 0.15)  # both lean outward
    lateral = np.hypot(side / (0.06 * width), (y + 0.15) / 0.17)
    third = np.hypot(x / (0.018 * width), (y - 0.12) / 0.09)
    depth = np.clip(2.5 * (1 - np.minimum(lateral, third)), 0, 1)
    picture += depth * (_FLUID - picture)


def _add_vessels(picture: Picture, x: Picture, y: Picture, brightness: float) -> None:
    """Add bright dots: the sagittal sinus at the top, a carotid on each side of the sella."""
    for place_x, place_y, radius in ((0.0, -0.78, 0.035), (0.2, 0.49, 0.03), (-0.2, 0.49, 0.03)):
        dot = np.exp(-(((x - place_x) ** 2 + (y - place_y) ** 2) / radius**2))
        picture += dot * (brightness - picture)


def _growth(
    lesion: Lesion, head: Head, x: Picture, y: Picture
) -> tuple[Picture, NDArray[np.bool_]]:
    """Return each pixel's distance from the middle of the lesion and whether it may grow there.

    The distance is 1 on the outline. The lesion has exactly its area: where bone limits it, it is
    larger elsewhere.
    """
    right = (x - lesion.center[0]) * head.half_axes[0]
    down = (y - lesion.center[1]) * head.half_axes[1]
    angle = np.arctan2(down, right)
    reach = 1.0 + sum(
        amplitude * np.cos(bumps * angle + phase)
        for bumps, (amplitude, phase) in enumerate(lesion.waves, start=1)
    )
    distance: Picture = np.hypot(right, down) / np.maximum(reach, 0.4)
    allowed = np.hypot(x, y) < BRAIN_EDGE
    if lesion.in_brain:
        allowed &= y < skull_base(x)
    pixels = max(1, round(lesion.area * x.size))
    radius = np.partition(distance[allowed], pixels)[pixels]
    return distance / radius, allowed


def _add_lesion(
    picture: Picture,
    lesion: Lesion,
    distance: Picture,
    allowed: NDArray[np.bool_],
    noise: Picture,
) -> None:
    swelling = np.exp(-((np.maximum(distance - 1, 0) / 0.5) ** 2))
    picture -= lesion.edema * swelling * (allowed & (picture > _FLUID))
    core = _step((lesion.core_size - distance * (1 + 0.2 * noise)) / 0.06)
    color = lesion.rim + core * (lesion.core - lesion.rim) + lesion.texture * noise
    inside = allowed * _step((1 - distance) / lesion.softness)
    picture += inside * (np.clip(color, 0.05, 1.2) - picture)


def _step(values: Picture) -> Picture:
    """Return the logistic function: 0 far below zero, 1 far above."""
    return 0.5 + 0.5 * np.tanh(values / 2)


_MEAN_AREAS = (0.018, 0.022, 0.008)  # over all slices, in shares of the image


_LEAST_AREA, _GREATEST_AREA = 0.0012, 0.065


def draw_lesion(rng: Generator, label: int) -> Lesion:
    """Return a random lesion of a class: 0 meningioma, 1 glioma, 2 pituitary tumor."""
    return (_meningioma, _glioma, _pituitary_tumor)[label](rng)


def _area(rng: Generator, label: int) -> float:
    """Return a random area of a lesion in its largest slice; its mean over slices is about 3/4."""
    mean, spread = _MEAN_AREAS[label] / 0.72, 0.6
    area = rng.lognormal(np.log(mean) - spread**2 / 2, spread)
    return float(np.clip(area, _LEAST_AREA / 0.19, _GREATEST_AREA))


def _waves(rng: Generator, amplitude: float) -> tuple[tuple[float, float], ...]:
    return tuple(
        (rng.normal(0, amplitude / bumps**0.8), rng.uniform(0, 2 * np.pi)) for bumps in range(1, 7)
    )


def _meningioma(rng: Generator) -> Lesion:
    """Return an even, bright lesion with a sharp edge, at the skull, the falx or the skull base."""
    side = rng.choice([-1, 1])
    site = rng.choice(["convexity", "falx", "base"], p=[0.55, 0.25, 0.2])
    if site == "convexity":
        angle = rng.uniform(-0.3, 0.45 * np.pi)
        reach = BRAIN_EDGE - rng.uniform(0.02, 0.12)
        center = (side * reach * np.cos(angle), -reach * np.sin(angle))
    elif site == "falx":
        center = (side * rng.uniform(0.02, 0.1), rng.uniform(-0.7, -0.3))
    else:
        x = side * rng.uniform(0.1, 0.5)
        center = (x, float(skull_base(np.asarray(x))) - rng.uniform(0.02, 0.12))
    level = rng.normal(0.69, 0.11)
    return Lesion(
        center=center,
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
    """Return an irregular lesion in a hemisphere: mostly a ring, else dull or bright throughout."""
    kind = rng.choice(["ring", "dull", "solid"], p=[0.6, 0.25, 0.15])
    dull = rng.normal(0.27, 0.05)
    rim = dull + 0.04 if kind == "dull" else rng.normal(0.7, 0.11)
    return Lesion(
        center=(rng.choice([-1, 1]) * rng.uniform(0.15, 0.52), rng.uniform(-0.45, 0.25)),
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
    """Return a small, bright lesion in the sella, sometimes with a cyst."""
    level = rng.normal(0.66, 0.09)
    return Lesion(
        center=(rng.normal(0, 0.03), rng.normal(0.45, 0.03)),
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
