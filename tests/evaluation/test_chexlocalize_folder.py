"""A folder in the layout of the CheXlocalize repository, scored to its published formulas.

The files have the names and fields of the repository's sample: images by patient and study,
contours and run lengths of the truth, a pickle for the map of each image and finding, CheXpert's
table. The reference below is written from the formulas of ``eval.py``, of
``tune_heatmap_threshold.py`` and of ``heatmap_to_segmentation.py``. It reads no file and calls
nothing of the library.
"""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from run_lengths import encode
from skimage.filters import threshold_otsu

from cameval import evaluate_maps, pointing_game
from cameval.data import CHEXLOCALIZE_FINDINGS, CheXlocalizeDataset, MapFolder
from cameval.errors import DataError, SettingError, ShapeError
from cameval.evaluation import CheXlocalizeProtocol, CheXlocalizeScores, pair_maps

FINDINGS = ["Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Airspace Opacity",
            "Edema", "Consolidation", "Atelectasis", "Pneumothorax", "Pleural Effusion",
            "Support Devices"]  # fmt: skip
GRID = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
NAN = float("nan")


@dataclass(frozen=True)
class Part:
    """The files of one part of the data, and what is in them: truth and maps by image."""

    folder: Path
    names: list[str]
    truth: dict[str, dict[str, np.ndarray]]
    maps: dict[str, dict[str, torch.Tensor]]


def write_part(folder: Path, seed: int, absent: set[str], count: int = 16) -> Part:
    """Write images, truth and maps; findings in `absent` occur nowhere."""
    draw = np.random.default_rng(seed)
    part = Part(folder, [], {}, {})
    contours: dict[str, Any] = {}
    runs: dict[str, Any] = {}
    rows = ["Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding"]
    (folder / "gradcam_maps_val").mkdir(parents=True)
    for n in range(count):
        view = ("view1_frontal", "view2_lateral")[n % 2]
        name = f"patient{64541 + seed * 100 + n // 2}_study1_{view}"
        size = int(draw.integers(30, 50)), int(draw.integers(30, 50))
        path = folder / "valid" / f"{name.replace('_', '/', 2)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, size).astype(np.uint8)).save(path)
        rows.append(f"CheXpert-v1.0/valid/{name.replace('_', '/', 2)}.jpg,Male,73,Frontal,AP,0.0")
        part.names.append(name)
        part.truth[name], part.maps[name] = {}, {}
        contours[name], runs[name] = {"img_size": list(size)}, {}
        for number, finding in enumerate(FINDINGS):
            mask = np.zeros(size, bool)
            for _ in range(int(draw.integers(0, 3)) * (finding not in absent)):
                y, x = (int(draw.integers(0, side - 16)) for side in size)
                height, width = (int(side) for side in draw.integers(4, 15, 2))
                mask[y : y + height + 1, x : x + width + 1] = True
                corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
                contours[name].setdefault(finding, []).append(corners)
            runs[name][finding] = {"size": list(size), "counts": encode(mask)[1]}
            part.truth[name][finding] = mask
            # The network sees a square: the map has another aspect ratio than the image.
            blurred = torch.from_numpy(mask).float()[None, None]
            blurred = torch.nn.functional.adaptive_avg_pool2d(blurred, 9) ** (0.2 + number / 3)
            noise = torch.from_numpy(draw.normal(0, 0.1, (1, 1, 9, 9))).float()
            values = (blurred + noise) * float(draw.random() > 0.2)  # zeros: it is not predicted
            part.maps[name][finding] = values
            content = {
                "map": values,
                "prob": float(draw.random()),
                "task": finding,
                "gt": int(mask.any()),
                "cxr_img": torch.zeros(3, 9, 9),
                "cxr_dims": size[::-1],
            }
            target = folder / "gradcam_maps_val" / f"{name}_{finding}_map.pkl"
            target.write_bytes(pickle.dumps(content))
    (folder / "gt_annotations_val.json").write_text(json.dumps(contours))
    (folder / "gt_segmentations_val.json").write_text(json.dumps(runs))
    (folder / "valid.csv").write_text("\n".join(rows) + "\n")
    return part


def convert(folder: Path) -> None:
    """Convert the pickles once, as the documentation of the reader says."""
    for path in (folder / "gradcam_maps_val").glob("*_map.pkl"):
        with path.open("rb") as file:
            info = pickle.load(file)
        np.save(path.with_suffix(".npy"), info["map"].squeeze().numpy())


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Return a validation part and a test part."""
    place = tmp_path_factory.mktemp("chexlocalize")
    validation = write_part(place / "val", 0, {"Lung Lesion", "Pneumothorax"})
    test = write_part(place / "test", 1, {"Pneumothorax"})
    for part in (validation, test):
        convert(part.folder)
    return validation, test


# The library


def load(part: Part, truth: str = "gt_segmentations_val.json", **settings):
    folder = part.folder
    dataset = CheXlocalizeDataset(
        folder / "valid", folder / truth, table=folder / "valid.csv", **settings
    )
    maps = MapFolder(
        folder / "gradcam_maps_val",
        pattern="{name}_{class}_map",
        class_names=dataset.class_names,
        stretch=True,
    )
    return pair_maps(maps, dataset)


def score(validation: Part, test: Part, truth: str) -> CheXlocalizeScores:
    protocol = CheXlocalizeProtocol()
    return protocol(load(test, truth), protocol.tune(load(validation, truth)))


# The reference


def resized(part: Part, name: str, finding: str) -> np.ndarray:
    values, size = part.maps[name][finding], part.truth[name][finding].shape
    return torch.nn.functional.interpolate(
        values, size=size, mode="bilinear", align_corners=False
    ).numpy()[0, 0]


def segmented(values: np.ndarray, threshold: float | None) -> np.ndarray:
    if values.min() == values.max():
        return np.zeros(values.shape, bool)
    if threshold is None:
        return values > threshold_otsu(values)
    scaled = values - values.min()
    return scaled / scaled.max() > threshold


def calculated_iou(pred: np.ndarray, true: np.ndarray, true_pos_only: bool) -> float:
    union = np.logical_or(pred, true).sum()
    if true_pos_only and (pred.sum() == 0 or true.sum() == 0):
        return NAN
    return NAN if union == 0 else np.logical_and(pred, true).sum() / union


def ious(part: Part, finding: str, threshold: float | None, true_pos_only: bool) -> list[float]:
    return [
        calculated_iou(
            segmented(resized(part, name, finding), threshold),
            part.truth[name][finding],
            true_pos_only,
        )
        for name in part.names
    ]


def hits(part: Part, finding: str) -> list[float]:
    found = []
    for name in part.names:
        values, true = resized(part, name, finding), part.truth[name][finding]
        share = true[values == values.max()].mean()  # of several maxima
        found.append(float(share) if true.any() else NAN)
    return found


def mean(values: list[float]) -> float:
    defined = [value for value in values if value == value]
    return sum(defined) / len(defined) if defined else NAN


def tuned(part: Part, finding: str) -> float | None:
    means = [mean(ious(part, finding, threshold, True)) for threshold in GRID]
    return None if np.isnan(means).all() else GRID[int(np.nanargmax(means))]


def bootstrapped(values: list[float]) -> tuple[float, float]:
    """Return the 25th and the 975th of the sorted means of 1000 replicates, counted from 1."""
    draw = np.random.default_rng(0)
    means = []
    for _ in range(1000):
        replicate = mean([values[i] for i in draw.integers(len(values), size=len(values))])
        means += [replicate] if replicate == replicate else []
    means.sort()
    low, high = int(0.025 * len(means)) - 1, int(0.975 * len(means)) - 1
    return (means[max(low, 0)], means[high]) if means else (NAN, NAN)


@pytest.mark.parametrize("truth", ["gt_segmentations_val.json", "gt_annotations_val.json"])
def test_the_folder_is_scored_to_the_published_formulas(parts, truth):
    validation, test = parts
    scores = score(validation, test, truth)
    assert list(scores.thresholds) == list(range(10))
    assert tuple(FINDINGS) == CHEXLOCALIZE_FINDINGS
    for label, finding in enumerate(FINDINGS):
        threshold = tuned(validation, finding)
        assert scores.thresholds[label] == threshold
        for found, values in (
            (scores.iou, ious(test, finding, threshold, True)),
            (scores.iou_all, ious(test, finding, threshold, False)),
            (scores.pointing, hits(test, finding)),
        ):
            low, high = bootstrapped(values)
            one = found[label]
            assert one.n == sum(value == value for value in values)
            assert one.n_undefined == len(values) - one.n
            np.testing.assert_allclose(
                [one.estimate, one.low, one.high], [mean(values), low, high], rtol=1e-6
            )


def test_the_folder_has_every_case(parts):
    """Thresholds differ, one finding is tuned nowhere, one is absent, some marks are wrong."""
    scores = score(*parts, "gt_segmentations_val.json")
    cuts = [scores.thresholds[label] for label in range(10)]
    assert len(set(cuts)) > 3
    lesion, absent = FINDINGS.index("Lung Lesion"), FINDINGS.index("Pneumothorax")
    assert cuts[lesion] is cuts[absent] is None
    assert scores.iou[lesion].n > 0
    assert (scores.iou[absent].n, scores.iou_all[absent].estimate) == (0, 0)
    assert all(scores.iou_all[k].n > scores.iou[k].n for k in range(10))


def test_scores_are_a_table_with_the_names_of_the_findings(parts):
    scores = score(*parts, "gt_segmentations_val.json")
    table = scores.to_pandas(CHEXLOCALIZE_FINDINGS)
    assert len(table) == 30
    assert table["finding"].unique().tolist() == FINDINGS
    edema = table[(table["finding"] == "Edema") & (table["score"] == "iou_all")].iloc[0]
    one = scores.iou_all[FINDINGS.index("Edema")]
    assert (edema["mean"], edema["low"], edema["high"]) == (one.estimate, one.low, one.high)
    assert (edema["n"], edema["n_undefined"]) == (one.n, one.n_undefined)
    cuts = table.groupby("finding")["threshold"].first()
    assert np.isnan(cuts["Lung Lesion"])
    assert cuts["Edema"] == scores.thresholds[FINDINGS.index("Edema")]
    assert scores.to_pandas(["a"])["finding"].unique().tolist() == ["a", *range(1, 10)]


# Pairs


def test_pairs_of_samples_with_the_maps_of_their_targets(parts):
    part = parts[1]
    pairs = list(load(part))
    assert [sample.name for _, sample in pairs] == part.names
    for maps, sample in pairs:
        expected = np.stack([resized(part, sample.name, finding) for finding in FINDINGS])
        assert maps.shape == (10, *sample.shape)
        np.testing.assert_allclose(maps, expected, atol=1e-6)
        assert sample.info["sex"] == "Male"


def test_pickles_alone_are_refused_with_the_way_to_convert_them(tmp_path):
    part = write_part(tmp_path, 2, set(), count=1)
    with pytest.raises(DataError, match=r"must hold maps .* pickle.*np\.save"):
        next(load(part))


def test_pairs_name_the_map_that_does_not_fit(parts):
    part = parts[1]
    dataset = CheXlocalizeDataset(part.folder / "valid", part.folder / "gt_segmentations_val.json")
    maps = MapFolder(
        part.folder / "gradcam_maps_val", pattern="{name}_{class}_map",
        class_names=dataset.class_names,
    )  # fmt: skip
    wide = next(name for name in part.names if np.diff(part.truth[name]["Edema"].shape) > 9)
    with pytest.raises(ShapeError, match=f"sample '{wide}' of class 0.*aspect ratio"):
        next(pair_maps(maps, [dataset[part.names.index(wide)]]))
    with pytest.raises(SettingError, match="maps must be one source of maps, got 2"):
        next(pair_maps([maps, lambda sample: sample.image], dataset))


def test_files_of_maps_have_the_name_of_their_folder_as_label(parts):
    first, second = (part.folder / "gradcam_maps_val" for part in parts)
    settings = {"metrics": [pointing_game], "baselines": {}, "progress": False}
    dataset = CheXlocalizeDataset(
        parts[1].folder / "valid", parts[1].folder / "gt_segmentations_val.json"
    )
    maps = MapFolder(
        second, pattern="{name}_{class}_map", class_names=dataset.class_names, stretch=True
    )
    for one in (maps, [maps]):
        results = evaluate_maps(one, [dataset[0]], **settings)
        assert [column.method for column in results.columns] == ["gradcam_maps_val"]
    with pytest.raises(SettingError, match="folders of maps must have different names"):
        evaluate_maps([first, second], dataset, **settings)
