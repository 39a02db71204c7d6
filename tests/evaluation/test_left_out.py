"""What was evaluated and is not in a table is told: images, pairs, baselines, metrics, pixels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from evaluations import samples, small_network

from cameval import Results, Sample, cam, choose_binarizers, concat, dice, evaluate, grad_cam, iou
from cameval.baselines import ClassMeanBaseline, area_bound, center_baseline, intensity_baseline
from cameval.binarizers import OtsuBinarizer, PercentileBinarizer
from cameval.errors import SettingError
from cameval.evaluation import Preparation
from cameval.evaluation._ignored_pixels import IgnoredPixels
from cameval.evaluation._left_out import LeftOut
from cameval.report import reviewer_summary, verdict_lines


def run(made: list[Sample], name: str = "net", **more: Any) -> Results:
    options: dict[str, Any] = {
        "methods": [cam, grad_cam],
        "metrics": [iou, dice, area_bound],
        "binarizers": [PercentileBinarizer(75), OtsuBinarizer()],
        "baselines": {"center": center_baseline, "intensity": intensity_baseline},
        "prepare": Preparation(size=32),
    }
    return evaluate(small_network(), made, name=name, progress=False, **(options | more))


def said(results: Results) -> str:
    return " ".join(" ".join(verdict_lines(results)).replace("\u00a0", " ").split())


@pytest.fixture(scope="module")
def made() -> list[Sample]:
    return samples(8, sizes=(32,))


@pytest.fixture(scope="module")
def results(made) -> Results:
    return run(made)


SELECTED: dict[str, dict[str, Any]] = {
    "3 of 8 images": {"sample": [f"image {k}" for k in range(5)]},
    "3 of 4 pairs of method and binarizer": {
        "method": ["cam", "center", "intensity"],
        "binarizer": "otsu",
    },
    "2 of 4 pairs of method and binarizer and the baselines center and intensity": {
        "method": "cam"
    },
    "the baseline center": {"method": ["cam", "grad_cam", "intensity"]},
    "the metric dice": {"metric": ["iou", "area_bound"]},
}


@pytest.mark.parametrize("text", SELECTED)
def test_what_is_selected_is_told(text, results, tmp_path) -> None:
    some = results.select(**SELECTED[text])
    some.to_csv(tmp_path / "some.csv")
    for table in (some, concat([some]), Results.from_csv(tmp_path / "some.csv")):
        assert f"Evaluated, and not in this table: {text}. No p value is corrected" in said(table)
        assert f"Evaluated, and left out here, are {text}." in table.methods_text()
        assert f"\n% evaluated, and left out here: {text}\n" in table.to_latex()
    tuning = reviewer_summary(some)["answers"]["tuning"]
    assert f"Evaluated, and not in this table: {text}." in tuning["run"]
    assert not [one for one in tuning["run"] if one.startswith("In this run")]
    assert tuning["values"]["left_out"] == vars(LeftOut.of(some)) | {
        name: list(getattr(LeftOut.of(some), name)) for name in ("baselines", "metrics", "networks")
    }


def test_a_whole_table_has_nothing_left_out(results, made) -> None:
    names = results.samples["sample"].tolist()
    assert "left out" not in results.to_latex()
    assert not LeftOut.of(results)
    assert "not in this table" not in said(results)
    assert "left out here" not in results.methods_text()
    assert not LeftOut.of(results.select(metric=["iou", "dice"]))  # a bound is no choice
    parts = [results.select(sample=names[:5]), results.select(sample=names[5:])]
    assert not LeftOut.of(concat(parts))
    both = concat([results, run(made, "other")])
    assert str(LeftOut.of(both.select(model="other"))) == "the network net"


def test_images_of_a_choice_are_not_left_out(results) -> None:
    names = results.samples["sample"].tolist()
    choice = choose_binarizers(results.select(sample=names[:5]), metric="iou")
    chosen = choice.apply(results.select(sample=names[5:]))
    assert not LeftOut.of(chosen)
    assert not LeftOut.of(chosen.select(binarizer="validated", metric=["iou", "dice"]))
    assert LeftOut.of(choice.apply(results.select(sample=names[6:]))).images == 6


@pytest.mark.parametrize(
    "damage", [{"columns": [3, ["a"]]}, {"chosen": {"a": 3}}, {"sums_of_samples": None}]
)
def test_a_record_that_is_damaged_says_nothing(damage, results) -> None:
    assert not LeftOut.of(replace(results, provenance={**results.provenance, **damage}))


def test_ignored_pixels_are_told(made, tmp_path) -> None:
    rows = np.arange(32)[:, None] + np.zeros((32, 32), int)
    some = [
        Sample(one.name, one.image, one.mask, label=one.label, group=one.group, ignore=rows < most)
        for one, most in zip(made, [0, 0, 8, 8, 16, 16, 24, 24], strict=True)
    ]
    table = run(some)
    table.to_csv(tmp_path / "table.csv")
    text = "In 6 of 8 images pixels are ignored, in the median 50.0 % of the image: scores, bounds"
    assert text in said(table)
    assert text in said(Results.from_csv(tmp_path / "table.csv"))
    assert text in table.methods_text()
    assert IgnoredPixels.of(table.select(sample="image 2")) == IgnoredPixels(1, 1, 0.25)
    assert IgnoredPixels.of(table.select(sample="image 0")) is None
    assert "ignored" not in said(run(made))


def test_inverted_masks_are_told(made) -> None:
    small = [replace(one, mask=np.zeros_like(one.mask), targets=()) for one in made]
    for one in small:
        one.mask[4:8, 4:8] = True
    turned = [replace(one, mask=~one.mask, targets=()) for one in small[:5]]
    text = "The objects of 5 of 8 images cover more than 90.0 % of the scored pixels: check whether"
    assert text in said(run([*turned, *made[5:]]))
    some = said(run([*turned[:2], *small[2:]]))
    assert (
        f"The objects of 2 of 8 images, such as {made[0].name}, cover more than 90.0 % of the "
        "scored pixels, the others 1.6 % at most: check whether the masks are inverted."
    ) in some
    assert "inverted" not in said(run(small))
    between = np.zeros((32, 32), bool)
    between[:20] = True
    medium = replace(made[7], mask=between, targets=())
    assert "inverted" not in said(run([*turned[:2], *small[2:7], medium]))


def test_objects_that_cover_everything_are_told(made) -> None:
    whole = replace(made[0], mask=np.ones((32, 32), bool), targets=())
    between = np.zeros((32, 32), bool)
    between[:20] = True
    medium = [replace(one, mask=between, targets=()) for one in made[1:]]
    text = f"The objects of 1 of 8 images, such as {made[0].name}, cover all scored pixels: any "
    assert f"{text}marked pixel is in them." in said(run([whole, *medium]))
    assert "cover" not in said(run(medium))


def test_objects_that_a_preparation_hides_are_counted(made) -> None:
    corner = np.zeros((32, 32), bool)
    corner[:2, :2] = True
    hidden = Sample("corner", made[0].image, corner, label=0, group="corner")
    table = run([*made, hidden], prepare=Preparation(size=32, crop=0.75))
    assert "Of the objects of 1 of 9 images no pixel is scored" in said(table)
    answers = reviewer_summary(table)
    negatives, truth = (answers["answers"][key] for key in ("negatives", "truth"))
    assert negatives["values"]["hidden_objects"] == 1
    assert "Of 1 object no true pixel is scored" in " ".join(negatives["run"]).replace(
        "\u00a0", " "
    )
    assert truth["values"]["objects"] == 8
    whole = reviewer_summary(run(made))["answers"]["negatives"]
    assert whole["values"]["hidden_objects"] == 0


@pytest.mark.parametrize(
    ("prepare", "part"),
    [
        (Preparation(32, crop=0.75), "cropped to the centered square with 75 % of the shorter"),
        (Preparation(32, fit="crop"), "cropped to the centered part with the aspect ratio of"),
        (Preparation(32, fit="crop", crop=0.5), "cropped to the centered part with 50 % of the"),
    ],
)
def test_a_crop_is_told(prepare, part, made) -> None:
    cropped = run(made, prepare=prepare)
    assert f"The images are {part}" in said(cropped)
    assert ": objects outside of it are not scored." in said(cropped)
    assert "cropped" not in said(run(made, prepare=Preparation(32)))
    both = said(concat([cropped, run(made, "whole", prepare=Preparation(32))]))
    assert f"The images of net are {part}" in both


def test_large_objects_in_a_crop_may_be_those_of_the_crop(made) -> None:
    middle = np.zeros((32, 32), bool)
    middle[8:24, 8:24] = True
    data = [replace(one, mask=middle, targets=()) for one in made]
    text = said(run(data, prepare=Preparation(32, crop=0.5)))
    assert "whether the masks are inverted, or the crop shows nothing else." in text


def test_a_class_mean_of_scored_images_is_refused(made, tmp_path) -> None:
    def scored(data: list[Sample], part: list[Sample], **more: Any) -> Results:
        baselines = {"mean": ClassMeanBaseline.of(part, 3)}
        return run(data, baselines=baselines, **more)

    said = f"baseline mean must be of other images than .* got '{made[5].name}' in both; make it of"
    with pytest.raises(SettingError, match=said):
        scored(made[5:], made)
    other = [replace(one, image=one.image[::-1].copy()) for one in made]
    first = scored(made, other, out=tmp_path / "run")
    again = scored(made, other, out=tmp_path / "run")
    np.testing.assert_array_equal(first.values, again.values)


def test_a_choice_knows_groups_in_other_spellings(made) -> None:
    first = [replace(one, group=f"00{k}") for k, one in enumerate(made[:4])]
    second = [replace(one, group=f"{k}.0") for k, one in enumerate(made[4:])]
    applied = choose_binarizers(run(first)).apply(run(second))
    origin = applied.meanings.origin("validated")
    assert origin is not None
    assert origin.chosen_on == "other images of the same groups"


def test_groups_that_differ_in_spelling_are_told(made) -> None:
    names = ["7", "7.0", "007", "P8", "p8", "80", "8.5", "9"]
    table = run([replace(one, group=name) for one, name in zip(made, names, strict=True)])
    text = "8 groups are 5 without differences of spelling, as between 7 and 7.0"
    assert text in said(table)
    assert "spelling" not in said(run(made))


def test_networks_have_the_same_groups(made, results) -> None:
    others = run([replace(one, group=one.name) for one in made], "other")
    text = "a sample must have the same group in all models, got 'person 0' and 'image 0'"
    for parts in ([others, results], [results, others]):
        with pytest.raises(SettingError, match="a sample must have the same group in all models"):
            concat(parts)
    with pytest.raises(SettingError, match=text):
        concat([others, results])
    names = made[0].name, made[1].name
    two = [replace(one, name=names[0]) for one in made[1:3]]
    assert len(concat([results, run(made, "other"), run(two[:1], "third")])) == 17
