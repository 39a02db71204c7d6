"""`SanityChecks`: the checks that an evaluation adds on a sub-sample, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Literal, TypeAlias

from torch import Tensor, nn

from cameval._checks import check_count, whole_number
from cameval.errors import SettingError
from cameval.evaluation._plan import Named, Task, callables_by_label
from cameval.evaluation._sanity_cost import count_scoring
from cameval.evaluation.labels import map_by_label
from cameval.metrics import ADCC, ROAD, Deletion, Insertion
from cameval.protocols import Baseline, Metric

__all__ = ["SanityChecks", "SanityCost", "Training", "default_faithfulness"]

Training: TypeAlias = nn.Module | Mapping[str, Tensor] | str | PathLike[str]
"""Another training of the same network: the network, its state dict, or a file of that."""


@dataclass(frozen=True)
class SanityCost:
    """Passes of an image through the network, of all processes together.

    Parameters
    ----------
    images
        Images of the sub-sample.
    start
        Passes before the first image.
    scores
        Passes for each image for the maps and the metrics of faithfulness.
    randomization
        Passes for each image for the maps of networks with random weights, and the original ones.
    checkpoints
        Passes for each image for the maps of other trainings.

    Notes
    -----
    Passes of the head alone, which some methods make, are not counted.

    Examples
    --------
    >>> from cameval.evaluation import SanityChecks
    >>> cost = SanityChecks(samples=20, layers=4).cost(methods=2, controls=2)
    >>> cost.randomization, cost.checkpoints  # the original maps and four stops; no other trainings
    (5, 0)
    >>> cost.per_image == cost.scores + 5, cost.total == cost.start + 20 * cost.per_image
    (True, True)
    """

    images: int
    start: int
    scores: int
    randomization: int
    checkpoints: int

    @property
    def per_image(self) -> int:
        """Passes for each image."""
        return self.scores + self.randomization + self.checkpoints

    @property
    def total(self) -> int:
        """All passes."""
        return self.start + self.images * self.per_image

    def __str__(self) -> str:
        """Return the passes for each image, and all of them.

        Examples
        --------
        >>> from cameval.evaluation import SanityCost
        >>> print(SanityCost(images=32, start=2, scores=220, randomization=6, checkpoints=0))
        7,234 passes: 226 for each of 32 images
        """
        return f"{self.total:,} passes: {self.per_image:,} for each of {self.images:,} images"


@dataclass(frozen=True)
class SanityChecks:
    """Checks of the maps on a sub-sample: random weights, other trainings, faithfulness.

    For ``evaluate(..., sanity=SanityChecks())``. There are three checks:

    - *Random weights.* The network's weights are replaced by random ones, from the last module to
      the first, and each map is compared with the original one (cascading randomization).
    - *Other trainings.* Maps of `checkpoints` are compared with those of the network.
    - *Faithfulness.* Metrics that run the network on changed images, in one table with all metrics
      of the run, for the methods and for the `controls`.

    The similarity of maps is their SSIM and the rank correlation of their pixels, as of
    :func:`cameval.sanity.repeatability`. That of maps of different images is there for comparison.

    Parameters
    ----------
    samples
        Number of images of the sub-sample, or all if there are fewer. One target of each image is
        used. Images with an object come first, and no group has a second image before every group
        has one. The choice depends on `seed` and on the names of groups and samples.
    layers
        Where the randomization stops. A number: so many stops at equal distances, from the last
        module with weights to all of them. Or ``"all"`` modules; or names of modules, as for
        :func:`cameval.sanity.randomized_copies`, in the network that `adapt` returns.
    checkpoints
        Other trainings of the same network, as with other seeds, by name. Each is a network, a
        state dict, or a file of a state dict. Their maps are for the target classes of the
        network that is evaluated.
    faithfulness
        Metrics; see :func:`default_faithfulness`. A metric of the run with the same label has
        precedence. ``{}`` means none.
    controls
        Baselines in the table of faithfulness; by default the blind baselines of the run, and
        random maps if there are none.
    seed
        Seed of the sub-sample, of the random weights, and of the pairs of different images.

    Raises
    ------
    SettingError
        If a number is out of range, or a setting is of another type.

    Examples
    --------
    >>> from cameval.evaluation import SanityChecks
    >>> checks = SanityChecks(samples=20, layers=4)
    >>> print(checks.cost(methods=2, controls=2))
    4,261 passes: 213 for each of 20 images

    ``evaluate(net, samples, sanity=SanityChecks(checkpoints={"seed 1": other_net}))``
    """

    samples: int = 24
    layers: int | Literal["all"] | Sequence[str] = 5
    checkpoints: Mapping[str, Training] = field(default_factory=dict)
    faithfulness: Named[Metric] | None = None
    controls: Named[Baseline] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("samples", self.samples)
        if isinstance(self.layers, int):
            check_count("layers", self.layers)
        elif self.layers != "all":
            words = [] if isinstance(self.layers, str) else list(self.layers)
            if not words or not all(isinstance(word, str) for word in words):
                raise SettingError(
                    "layers must be a number of stops, 'all', or a list of names of modules, got "
                    f"{self.layers!r}"
                )
            object.__setattr__(self, "layers", tuple(words))
        if not isinstance(self.checkpoints, Mapping):
            raise SettingError(
                "checkpoints must be other trainings by name, as in {'seed 1': net}, got "
                f"{type(self.checkpoints).__name__}"
            )
        map_by_label(self.checkpoints, "checkpoints")
        if self.faithfulness is not None:
            callables_by_label(self.faithfulness, "faithfulness", "cameval.metrics")
        if self.controls is not None:
            callables_by_label(self.controls, "controls", "cameval.baselines")
        whole_number("seed", self.seed, 0)

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics of faithfulness by label."""
        if self.faithfulness is None:
            return default_faithfulness()
        return callables_by_label(self.faithfulness, "faithfulness", "cameval.metrics")

    def cost(
        self,
        *,
        methods: int = 1,
        controls: int = 1,
        maps: int = 0,
        stops: int | None = None,
        reruns: int = 0,
        task: Task = "multiclass",
    ) -> SanityCost:
        """Return how many passes the checks take; `evaluate` states the same before it begins.

        Parameters
        ----------
        methods, controls, maps
            Numbers of methods, of controls, and of sources of maps made elsewhere.
        stops
            Number of stops, if `layers` is ``"all"``.
        reruns
            Passes of the whole network that the methods make themselves for a map, as Score-CAM
            does; the sum over the methods.
        task
            The task of the network.

        Returns
        -------
        SanityCost
            The passes of `samples` images.

        Raises
        ------
        SettingError
            If `stops` is not given though it is needed.
        """
        if stops is None:
            if self.layers == "all":
                raise SettingError("stops must be given where layers is 'all', got None")
            stops = self.layers if isinstance(self.layers, int) else len(self.layers)
        scoring = count_scoring(
            self.metrics, methods=methods, controls=controls, maps=maps, reruns=reruns, task=task
        )
        return self.cost_of(self.samples, scoring, stops, reruns)

    def cost_of(self, images: int, scoring: int, stops: int, reruns: int) -> SanityCost:
        """Return the cost for a number of images, if scoring an image takes so many passes.

        Parameters
        ----------
        images
            Number of images.
        scoring
            Passes for the maps of an image and its metrics of faithfulness.
        stops
            Number of stops of the randomization.
        reruns
            As of `cost`.

        Examples
        --------
        >>> from cameval.evaluation import SanityChecks
        >>> cost = SanityChecks().cost_of(images=10, scoring=100, stops=5, reruns=0)
        >>> cost.start, cost.scores, cost.randomization, cost.total  # 1 + 10 * (100 + 6)
        (1, 100, 6, 1061)
        """
        extraction = 1 + reruns
        trainings = len(self.checkpoints)
        return SanityCost(
            images=images,
            start=extraction + trainings,
            scores=scoring,
            randomization=extraction * (1 + stops),
            checkpoints=extraction * trainings,
        )


def default_faithfulness() -> dict[str, Metric]:
    """Return the metrics of faithfulness of `SanityChecks` by label.

    Insertion and deletion have 20 steps.

    Examples
    --------
    >>> from cameval.evaluation import default_faithfulness
    >>> list(default_faithfulness())
    ['insertion', 'deletion', 'road', 'adcc']
    """
    return {
        "insertion": Insertion(steps=20),
        "deletion": Deletion(steps=20),
        "road": ROAD(),
        "adcc": ADCC(),
    }


def checks_of(sanity: "SanityChecks | bool | None") -> SanityChecks | None:
    """Return the checks that are asked for: none for None and False, the defaults for True.

    Raises
    ------
    SettingError
        If it is something else.
    """
    if sanity is None or sanity is False:
        return None
    if sanity is True:
        return SanityChecks()
    if isinstance(sanity, SanityChecks):
        return sanity
    raise SettingError(
        f"sanity must be True, False, None or a SanityChecks, got {type(sanity).__name__}"
    )
