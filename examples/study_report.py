"""The study's tables, figure and summary: from scores of single slices to what a reader sees."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

import cameval
from cameval.data import CLASS_NAMES
from cameval.plots import overlay

SOURCES = ("CAM", "center disc", "class-mean mask")
Table = pd.DataFrame


@dataclass(frozen=True, eq=False)
class Pictures:
    """What the example figure is drawn from, slice by slice."""

    names: list[str]
    images: Tensor
    masks: Tensor
    maps: Tensor
    binarizers: Mapping[str, cameval.Binarizer]


def write(
    out: Path,
    *,
    settings: dict[str, Any],
    best: str,
    leaking: int,
    classification: Table,
    predictions: Table,
    mask_scores: Table,
    map_scores: Table,
    pictures: Pictures,
) -> Path:
    """Write every table as CSV, the figure, and the one-page summary; return the summary's path."""
    for name, table in {
        "classification": classification,
        "predictions": predictions,
        "mask_scores": mask_scores,
        "map_scores": map_scores,
    }.items():
        table.to_csv(out / f"{name}.csv", index=False)
    cam = mask_scores[mask_scores["source"] == "CAM"]
    threshold = str(cam.groupby("binarizer", sort=False)["iou"].mean().idxmax())
    at_best = mask_scores[mask_scores["binarizer"] == threshold]
    draw_examples(at_best, pictures, out / "examples.png")
    sections = [
        "# Where does a network look that tells brain tumors apart?",
        setting(settings, mask_scores, leaking),
        findings(classification, best, at_best, threshold),
        "## Classification",
        "Mean (standard deviation) over the folds; precision, recall and F1 are macro means.",
        markdown(classification_table(classification, predictions)),
        f"## Thresholds: IoU of the maps of {best}",
        "Each slice's map of the predicted class, thresholded strictly above the value named. "
        "Beside it: blind maps through the same threshold, and the cap, the highest mean IoU that "
        "masks of these areas could reach. In brackets 95 % intervals, resampling patients.",
        markdown(threshold_table(mask_scores)),
        f"## Classes: IoU at {threshold}",
        f"{threshold} is the best of the five on these very slices, as in the paper: an optimistic "
        "choice.",
        markdown(class_table(at_best)),
        f"## Other measures of the masks at {threshold}",
        markdown(pd.concat([source_table(at_best, MASK_COLUMNS), cap_row(at_best)]).fillna("")),
        "## The maps without a threshold",
        "Chance is 0.5 for AUROC and the tumor's share of the frame for the others.",
        markdown(source_table(map_scores, MAP_COLUMNS)),
        "## Examples",
        "Per class the slice of median and of best IoU. White: the tumor. Dashed blue: the mask at "
        f"{threshold}. Heat: the map, each on its own scale.",
        "![maps, masks and tumors](examples.png)",
        notes(mask_scores, map_scores),
    ]
    report = out / "report.md"
    report.write_text("\n\n".join(sections) + "\n")
    return report


# --- Tables -------------------------------------------------------------------------------------

MASK_COLUMNS = {
    "iou": "IoU",
    "dice": "Dice",
    "coverage": "coverage",
    "precision": "precision",
    "informedness": "informedness",
    "size_standardized_iou": "size-standardized IoU, r = .05",
}
MAP_COLUMNS = {
    "pointing_game": "pointing game",
    "relevance_mass_accuracy": "mass in tumor",
    "relevance_rank_accuracy": "rank accuracy",
    "pixel_auroc": "AUROC",
    "pixel_average_precision": "average precision",
}


def classification_table(classification: Table, predictions: Table) -> Table:
    """Table 2 of the paper, with the blind answer below: always the most frequent class."""
    columns = ["accuracy", "precision", "recall", "f1"]
    by_model = classification.groupby("model", sort=False)[columns]
    table = by_model.mean().map(number) + by_model.std().map(lambda sd: f" ({number(sd)})")
    counts = predictions.drop_duplicates("slice")["label"].value_counts()
    table.loc[f"always {counts.index[0]}"] = [number(counts.iloc[0] / counts.sum()), "", "", ""]
    return table.rename_axis("model").reset_index()


def threshold_table(scores: Table) -> Table:
    """IoU at each threshold: the map, two blind maps, and the cap."""
    rows = []
    for binarizer, group in scores.groupby("binarizer", sort=False):
        source = {name: group[group["source"] == name] for name in SOURCES}
        cam = source["CAM"]
        rows.append(
            {"threshold": binarizer, "mask area": f"{cam['mask_area'].mean():.1%}"}
            | {f"IoU, {name}": interval(source[name], "iou") for name in SOURCES}
            | {"cap": number(cam["area_cap"].mean())}
            | {f"coverage, {name}": number(source[name]["coverage"].mean()) for name in SOURCES}
        )
    return pd.DataFrame(rows)


def class_table(scores: Table) -> Table:
    """IoU of each class: mean, and the paper's two success rates."""
    rows = []
    for label in (*CLASS_NAMES, "all"):
        group = scores if label == "all" else scores[scores["label"] == label]
        for name in SOURCES:
            one = group[group["source"] == name]
            rows.append(
                {
                    "class": f"{label} ({len(one)})" if name == "CAM" else "",
                    "source": name,
                    "IoU": interval(one, "iou"),
                    "IoU > .5": f"{cameval.share_above(one['iou'].to_numpy(), 0.5):.1%}",
                    "IoU < .01": f"{cameval.share_below(one['iou'].to_numpy(), 0.01):.1%}",
                    "cap": number(one["area_cap"].mean()),
                    "cap > .5": f"{cameval.share_above(one['area_cap'].to_numpy(), 0.5):.1%}",
                }
            )
    return pd.DataFrame(rows)


def source_table(scores: Table, columns: dict[str, str]) -> Table:
    """Mean of each measure, for the map and the blind maps."""
    rows = []
    for name in SOURCES:
        one = scores[scores["source"] == name]
        rows.append({"": name} | {title: interval(one, key) for key, title in columns.items()})
    return pd.DataFrame(rows)


def cap_row(scores: Table) -> Table:
    """Return what masks of the maps' sizes could have reached, where that is less than 1."""
    cam = scores[scores["source"] == "CAM"]
    reach = cam.assign(iou=cam["area_cap"], dice=2 * cam["area_cap"] / (1 + cam["area_cap"]))
    return pd.DataFrame(
        [{"": "cap"} | {MASK_COLUMNS[name]: interval(reach, name) for name in ("iou", "dice")}]
    )


def interval(scores: Table, column: str) -> str:
    """Write a mean with its interval by patient."""
    found = cameval.bootstrap_mean(scores[column].to_numpy(), scores["patient"].to_numpy())
    return f"{number(found.estimate)} [{number(found.low)}, {number(found.high)}]"


def number(value: float) -> str:
    """Write a score with three decimals and no needless zero."""
    return f"{value:.3f}".replace("0.", ".", 1)


def markdown(table: Table) -> str:
    """Write a table in Markdown, aligned so that it reads in a terminal too."""
    cells = [[str(column) for column in table.columns], *table.astype(str).to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in cells
    ]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


# --- Words --------------------------------------------------------------------------------------


def setting(settings: dict[str, Any], scores: Table, leaking: int) -> str:
    """Say what was run."""
    slices = scores.drop_duplicates("slice")
    data = "phantom slices" if settings["data"] == "phantom" else "MRI slices"
    text = (
        f"{len(slices)} {data} of {slices['patient'].nunique()} patients, {settings['size']} x "
        f"{settings['size']} pixels; {settings['folds']} folds by {settings['split']}; "
        f"{'frozen features' if settings['freeze'] else str(settings['epochs']) + ' epochs'}; "
        f"{settings['alignment'].replace('_', '-')} alignment; seed {settings['seed']}."
    )
    if leaking:
        text += (
            f" **{leaking} patients are in more than one fold: the networks were tested on "
            "patients that they were trained on, and the numbers are too good.**"
        )
    return text


def findings(classification: Table, best: str, at_best: Table, threshold: str) -> str:
    """Say in plain words what the numbers say."""
    accuracy = classification.groupby("model")["accuracy"].mean()[best]
    iou = {name: at_best[at_best["source"] == name]["iou"].mean() for name in SOURCES}
    cap = at_best[at_best["source"] == "CAM"]["area_cap"].mean()
    blind = max(SOURCES[1:], key=lambda name: iou[name])
    verdict = "above" if iou["CAM"] > iou[blind] else "not above"
    return (
        f"{best} classifies {accuracy:.0%} of the slices correctly. Its maps, thresholded at "
        f"{threshold}, reach a mean IoU of {number(iou['CAM'])} with the tumors. That is {verdict} "
        f"the {number(iou[blind])} of a blind guess ({blind}). Masks of the maps' sizes could have "
        f"reached {number(cap)}."
    )


def notes(mask_scores: Table, map_scores: Table) -> str:
    """Say what was left out, and with what all was made."""
    cam = mask_scores[mask_scores["source"] == "CAM"]
    constant = int((cam["mask_area"] == 0).groupby(cam["slice"]).all().sum())
    undefined = int(mask_scores["iou"].isna().sum() + map_scores[[*MAP_COLUMNS]].isna().sum().sum())
    versions = ", ".join(f"{name} {version(name)}" for name in ("cameval", "torch", "torchvision"))
    return (
        f"Constant maps (empty masks): {constant} slices. Undefined scores: {undefined}. "
        f"Scores of single slices: mask_scores.csv and map_scores.csv. Made with {versions}, "
        f"Python {platform.python_version()}.\n\n"
        "Agreement with the tumor's mask says whether a map is plausible, not whether it is "
        "faithful to what the network computes."
    )


# --- Figure -------------------------------------------------------------------------------------


def draw_examples(at_best: Table, pictures: Pictures, path: Path) -> None:
    """Draw, for each class, the slices of median and best IoU: the map, and its mask."""
    cam = at_best[at_best["source"] == "CAM"]
    figure = Figure(figsize=(11, 8.6), layout="constrained")
    axes = figure.subplots(len(CLASS_NAMES), 4)
    for row, label in zip(axes, CLASS_NAMES, strict=True):
        ranked = cam[cam["label"] == label].sort_values(["iou", "slice"])
        for column, (title, place) in enumerate({"median": len(ranked) // 2, "best": -1}.items()):
            example = ranked.iloc[place]
            index = pictures.names.index(example["slice"])
            image, truth, heat = (
                x[index] for x in (pictures.images, pictures.masks, pictures.maps)
            )
            mask = pictures.binarizers[example["binarizer"]](heat)
            overlay(row[2 * column], image, heat=heat, truth=truth)
            overlay(row[2 * column + 1], image, mask=mask, truth=truth)
            row[2 * column].set_title(f"{label}, slice {example['slice']}", fontsize=10)
            row[2 * column + 1].set_title(f"{title} IoU: {number(example['iou'])}", fontsize=10)
    figure.savefig(path, dpi=110)
