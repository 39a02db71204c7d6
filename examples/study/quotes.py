"""The numbers of the runs that the text of the documentation quotes, by the name of each."""

from typing import NamedTuple

from study.catalog import COMPARISONS, SEEDS, Maps
from study.evaluation import HEAD_ANSWERS, P95, VALIDATED
from study.settings import QUESTIONS
from study.tables import MINUS


class Quote(NamedTuple):
    """A cell of a table: the cells that choose its row, by column, and its column.

    Without a run the table is one of all runs. ``interval`` keeps the interval.
    """

    run: str | None
    table: str
    row: dict[str, str]
    column: str
    interval: bool = False


VGG = {"model": "vgg16"}
THRESHOLDS = ("mean", "median", "percentile:75", "percentile:90", P95)
CLASSES = ("meningioma", "glioma", "pituitary", "all")
MAPS = ("CAM", "Grad-CAM++", "LayerCAM", "Eigen-CAM", "class mean", "center", "intensity", "truth")
SHARES = {"> .5": "above .5", "> .5 at most": "above .5 at most", "< .01": "below .01"}
TESTS = (
    *((first, "CAM", "iou") for first in ("Grad-CAM", "Grad-CAM++", "LayerCAM", "Eigen-CAM")),
    *(("CAM", other, "iou") for other in ("class mean", "center", "intensity", "untrained")),
    *(("wrong class", "CAM", "iou"), ("CAM", "class mean", "size_standardized_iou")),
    *((first, P95, metric) for first in ("otsu", "adaptive") for metric in ("iou", "coverage")),
)
PATIENT_RUNS = {
    **dict.fromkeys(SEEDS, "vgg16"),
    "patient-six": "vgg16",
    "patient-frozen": "vgg16",
    "patient-fine": "vgg16:no-last-pool",
    "all": "vgg16",
}


def _of_slices() -> dict[str, Quote]:
    """Return the numbers of the runs by slice."""
    quotes = {}
    for run in ("slice", "slice-frozen"):
        quotes[f"{run} accuracy"] = Quote(run, "classification", VGG, "accuracy")
        for threshold in THRESHOLDS:
            row = {"threshold": threshold}
            for column in ("IoU", "class mean", "center", "area bound"):
                name = f"{run} {threshold.replace(':', ' ')} {column}"
                quotes[name] = Quote(run, "thresholds", row, column)
        for kind in CLASSES:
            row = {"class": kind}
            quotes[f"{run} {kind} IoU"] = Quote(run, "classes", row, "IoU")
            for column, name in SHARES.items():
                quotes[f"{run} {kind} {name}"] = Quote(run, "classes", row, column)
            for baseline in ("center", "class mean", "intensity"):
                row = {"class": kind, "baseline": baseline}
                name = f"{run} {kind} {baseline}"
                quotes[name] = Quote(run, "baselines", row, "of the baseline")
    run = "small-slice"
    for model in ("mobilenet_v2", "squeezenet1_0"):
        quotes[f"{run} {model} accuracy"] = Quote(
            run, "classification", {"model": model}, "accuracy"
        )
    for column, name in (("IoU", "IoU"), ("IoU < .01", "below .01")):
        quotes[f"{run} {name}"] = Quote(run, "thresholds", {"threshold": P95}, column)
    at_75 = {"threshold": "percentile:75"}
    quotes[f"{run} IoU at 75"] = Quote(run, "thresholds", at_75, "IoU")
    return quotes


ANSWERS = {  # to what the paper leaves open, with the same networks
    "coarse values": "on the coarse map's values",
    "coarse mask": "on the coarse map, mask enlarged",
    "inclusive": "at the threshold too",
    "own pixels": "the slice's own pixels",
    "aligned": "by receptive fields",
    "right alone": "rightly classified alone",
}
TRAINED_AGAIN: dict[str, tuple[str, str, str]] = {  # run, question and answer
    "seed 1": ("slice", "training-seed", "1"),
    "seed 2": ("slice", "training-seed", "2"),
    "by number": ("slice", "fold-order", "by number"),
    "by name": ("slice", "fold-order", "by name"),
    "unstratified": ("slice", "stratified", "as the order has them"),
    **{
        head: ("slice-head", "head", answer)
        for head, answer in HEAD_ANSWERS.items()
        if head != "gap"
    },
    "crop": ("slice-crop", "crop", "center, 7/8 of the side"),
    "1 epoch": ("slice-epochs", "epochs", "1"),
    "6 epochs": ("slice-epochs", "epochs", "6"),
    "lower rate": ("slice-learning-rate", "learning-rate", "0.0001"),
    "higher rate": ("slice-learning-rate", "learning-rate", "0.0009"),
    "from block 4": ("slice-layers", "layers", "from block 4 on"),
}


def _of_switches() -> dict[str, Quote]:
    """Return what each answer to a question that the paper leaves open gives, and changes."""
    rows = {"as run": ("slice", {"question": "as run"})}
    for name, answer in ANSWERS.items():
        rows[name] = "slice", {"answer": answer}
    for name, (run, question, answer) in TRAINED_AGAIN.items():
        rows[name] = run, {"question": f"{QUESTIONS[question]} (trained again)", "answer": answer}
    return {
        f"switch {name}{suffix}": Quote(run, "switches", row, column)
        for name, (run, row) in rows.items()
        for suffix, column in (
            *(("", "change"), (" IoU", f"IoU at {P95}"), (" accuracy", "accuracy")),
            (" area bound", "area bound at percentile:95"),
        )
    }


def _of_patients(run: str, network: str) -> dict[str, Quote]:
    """Return the numbers of a run by patient."""
    model, table = {"model": network}, f"methods-{network.replace(':', '_')}"
    quotes = {f"{run} accuracy": Quote(run, "classification", model, "all slices", interval=True)}
    for name in MAPS:
        for column in ("IoU", "IoU at percentile:95", "size-standardized IoU", "coverage"):
            quote = Quote(run, table, {"map": name}, column, interval=True)
            quotes[f"{run} {name} {column.replace(':', ' ')}"] = quote
    for kind in CLASSES:
        row = {"class": kind}
        quotes[f"{run} {kind} IoU"] = Quote(run, "classes-validated", row, "IoU", interval=True)
        quotes[f"{run} {kind} below .01"] = Quote(run, "classes-validated", row, "< .01")
        quotes[f"{run} {kind} IoU at p95"] = Quote(run, "classes-percentile-95", row, "IoU")
        for column, name in SHARES.items():
            quotes[f"{run} {kind} {name} at p95"] = Quote(run, "classes-percentile-95", row, column)
        for baseline in ("center", "class mean", "intensity"):
            at = row | {"baseline": baseline}
            quote = Quote(run, "baselines-percentile-95", at, "of the baseline")
            quotes[f"{run} {kind} {baseline} at p95"] = quote
            quote = Quote(run, "baselines-validated", at, "of the baseline")
            quotes[f"{run} {kind} {baseline}"] = quote
            for suffix, where in (("", "validated"), (" at p95", "percentile-95")):
                quote = Quote(run, f"baselines-{where}", at, "p")
                quotes[f"{run} {kind} minus {baseline}{suffix} p"] = quote
    for first, second, metric in TESTS:
        row = {"comparison": f"{first} {MINUS} {second}", "metric": metric}
        name = f"{run} {first} minus {second} {metric}".replace(":", " ")
        quotes[name] = Quote(run, "tests", row, "difference", interval=True)
        quotes[f"{name} p"] = Quote(run, "tests", row, "p")
    grid = {"model": network}
    quotes[f"{run} truth at best"] = Quote(run, "resolution", grid, "truth, best threshold")
    quotes[f"{run} some map"] = Quote(run, "resolution", grid, "some map, at least")
    quotes[f"{run} optimism"] = Quote(run, "choices", grid, "optimism")
    return quotes


def _of_small_networks() -> dict[str, Quote]:
    """Return the numbers of MobileNetV2 and SqueezeNet, frozen, by patient."""
    run, quotes = "small-frozen", {}
    for model in ("mobilenet_v2", "mobilenet_v2@448", "squeezenet1_0"):
        row, name = {"model": model}, f"{run} {model.replace('@', ' ')}"
        table = f"methods-{model.replace('@', '_')}"
        quotes[f"{name} accuracy"] = Quote(run, "classification", row, "all slices", interval=True)
        quotes[f"{name} truth at best"] = Quote(run, "resolution", row, "truth, best threshold")
        for map_name in ("CAM", "class mean"):
            at = {"map": map_name}
            quotes[f"{name} {map_name} IoU"] = Quote(run, table, at, "IoU", interval=True)
    table = "methods-mobilenet_v2"
    quotes["small-aligned CAM IoU"] = Quote("small-aligned", table, {"map": "CAM"}, "IoU", True)
    return quotes


def _compared(first: Maps, second: Maps) -> dict[str, Quote]:
    """Return difference and p of the IoU of two runs, at chosen thresholds and at a fixed one."""
    name = " minus ".join(" ".join(filter(None, maps)) for maps in (first, second))
    name = name.replace("@", " ")
    quotes = {}
    for suffix, threshold in (("", VALIDATED), (" at p95", P95)):
        row = {"first": first.title, "second": second.title, "threshold": threshold}
        quote = Quote(None, "comparisons", row, "difference", interval=True)
        quotes[f"{name}{suffix}"] = quote
        quotes[f"{name}{suffix} p"] = Quote(None, "comparisons", row, "p")
    return quotes


def _of_seeds() -> dict[str, Quote]:
    """Return mean and standard deviation over the runs with other seeds."""
    return {
        f"seeds {name} {column}": Quote(None, "seeds", {"measure": row}, column)
        for name, row in (("accuracy", "accuracy"), ("IoU", f"IoU, {VALIDATED}"))
        for column in ("mean", "sd")
    }


ATTENTION = {"short": "", "longer": "+longer", "mining": "+gain"}


def _of_attention_mining() -> dict[str, Quote]:
    """Return the numbers of MobileNetV2 with and without attention mining, by patient."""
    run, quotes = "gain", {}
    networks = {name: f"mobilenet_v2{recipe}" for name, recipe in ATTENTION.items()}
    for name, network in networks.items():
        model, table = {"model": network}, f"methods-{network.replace('+', '_')}"
        for map_name in ("CAM", "class mean"):
            quotes[f"gain {name} {map_name} IoU"] = Quote(
                run, table, {"map": map_name}, "IoU", True
            )
        quotes[f"gain {name} accuracy"] = Quote(run, "classification", model, "all slices", True)
    for binarizer in ("otsu", "adaptive"):  # of the network that classifies best
        row = {"comparison": f"{binarizer} {MINUS} {P95}", "metric": "iou"}
        quotes[f"gain longer {binarizer} p"] = Quote(run, "tests", row, "p")
    for first, second in (("longer", "mining"), ("short", "mining")):
        row = {"comparison": f"{networks[first]} {MINUS} {networks[second]}", "metric": "iou"}
        quotes[f"gain {first} minus {second}"] = Quote(run, "tests", row, "difference", True)
        quotes[f"gain {first} minus {second} p"] = Quote(run, "tests", row, "p")
    return quotes


QUOTES: dict[str, Quote] = {
    **_of_slices(),
    **_of_switches(),
    **{
        n: q for run, network in PATIENT_RUNS.items() for n, q in _of_patients(run, network).items()
    },
    **{n: q for first, second in COMPARISONS for n, q in _compared(first, second).items()},
    **_of_small_networks(),
    **_of_seeds(),
    **_of_attention_mining(),
}
