"""The runs of which the documentation shows results."""

from dataclasses import dataclass
from typing import NamedTuple

BLOCK_5 = ("--freeze-until", "block4", "--epochs", "3")
VGG = ("--models", "vgg16", *BLOCK_5)
FROZEN = ("--models", "vgg16", "--freeze-until", "block4", "--freeze")
SMALL = ("--models", "mobilenet_v2", "squeezenet1_0")
PAPER = ("--protocol", "paper")
PATIENTS = ("--known-patients",)
SWITCHES = ("--switches", "maps", "training-seed", "fold-order", "stratified")


@dataclass(frozen=True)
class PlannedRun:
    """A run of the study: its folder, its title, and its options.

    ``networks_of`` names a run whose trained networks it takes.
    """

    name: str
    title: str
    options: tuple[str, ...]
    networks_of: str | None = None

    @property
    def intervals(self) -> bool:
        """Whether the patients of all slices are known, so that intervals are to be trusted."""
        return "--known-patients" in self.options

    def arguments(self, data: str, weights: str, runs: str) -> list[str]:
        """Return the arguments of the study, for folders of slices, weights and runs."""
        shared = ["--data", data, "--pretrained", weights, *self.options]
        if "--freeze-until" in self.options:
            shared += ["--features", f"{runs}/features"]
        if self.networks_of is not None:
            shared += ["--checkpoints", f"{runs}/{self.networks_of}/checkpoints"]
        return [*shared, "--out", f"{runs}/{self.name}", "--resume"]


RUNS = {
    one.name: one
    for one in (
        PlannedRun("slice", "VGG-16, block 5 trained, by slice", (*VGG, *PAPER, *SWITCHES)),
        PlannedRun(
            "slice-frozen",
            "VGG-16, frozen, by slice",
            (*FROZEN, *PAPER, "--switches", "none"),
        ),
        PlannedRun("patient", "VGG-16, block 5 trained, by patient", (*VGG, *PATIENTS)),
        *(
            PlannedRun(
                f"patient-seed-{seed}",
                f"VGG-16, block 5 trained, by patient, seed {seed}",
                (*VGG, *PATIENTS, "--seed", str(seed)),
            )
            for seed in (1, 2)
        ),
        PlannedRun(
            "patient-six",
            "VGG-16, block 5 trained for six epochs, by patient",
            ("--models", "vgg16", *BLOCK_5[:-1], "6", *PATIENTS),
        ),
        PlannedRun("patient-frozen", "VGG-16, frozen, by patient", (*FROZEN, *PATIENTS)),
        PlannedRun(
            "patient-fine",
            "VGG-16 without its last pooling, block 5 trained, by patient",
            ("--models", "vgg16:no-last-pool", *BLOCK_5, *PATIENTS),
        ),
        PlannedRun(
            "patient-block4",
            "VGG-16, blocks 4 and 5 trained, by patient",
            ("--models", "vgg16", "--freeze-until", "block3", "--epochs", "3", *PATIENTS),
        ),
        PlannedRun(
            "all",
            "VGG-16, block 5 trained, all slices, by the folds of cvind.mat",
            (*VGG, "--no-merge-ids"),
        ),
        PlannedRun(
            "small-frozen",
            "MobileNetV2, also at 448 px, and SqueezeNet, frozen, by patient",
            (*SMALL, "mobilenet_v2@448", *PATIENTS, "--freeze"),
        ),
        PlannedRun(
            "small-aligned",
            "MobileNetV2, frozen, by patient, maps aligned by receptive fields",
            (*SMALL[:2], *PATIENTS, "--freeze", "--alignment", "receptive_field"),
            networks_of="small-frozen",
        ),
        PlannedRun(
            "small-slice",
            "MobileNetV2 and SqueezeNet, frozen, all slices, by slice",
            (*SMALL, *PAPER, "--freeze", "--switches", "none"),
        ),
        PlannedRun(
            "gain",
            "MobileNetV2 with attention mining, by patient",
            (
                *("--models", "mobilenet_v2", "mobilenet_v2+longer", "mobilenet_v2+gain"),
                *("--gain", "10", "0.5", "--epochs", "3", "--folds", "3", *PATIENTS),
            ),
        ),
        *(
            PlannedRun(
                f"slice-{switch}",
                f"VGG-16, by slice, another {title}",
                (*VGG, *PAPER, "--switches", switch),
                networks_of="slice",
            )
            for switch, title in (
                ("head", "head"),
                ("epochs", "number of epochs"),
                ("crop", "crop"),
                ("layers", "set of layers that train"),
                ("learning-rate", "learning rate"),
            )
        ),
    )
}


class Maps(NamedTuple):
    """The class activation maps of a run, of one network if it has several."""

    run: str
    network: str | None = None

    @property
    def title(self) -> str:
        """The title of the run, and the network if one is named."""
        return RUNS[self.run].title + (f": {self.network}" if self.network else "")


COMPARISONS = (  # on the same slices, of which all patients are known
    (Maps("patient"), Maps("patient-frozen")),
    (Maps("patient-six"), Maps("patient")),
    (Maps("patient-block4"), Maps("patient")),
    (Maps("patient-fine"), Maps("patient")),
    (Maps("small-aligned", "mobilenet_v2"), Maps("small-frozen", "mobilenet_v2")),
    (Maps("small-frozen", "mobilenet_v2@448"), Maps("small-frozen", "mobilenet_v2")),
)
COMPARED_AT = ("validated", "percentile:95")
SEEDS = ("patient", "patient-seed-1", "patient-seed-2")
