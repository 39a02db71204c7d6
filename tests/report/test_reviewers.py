"""The section for reviewers: what the run knows, what only the author knows, and nothing else."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from evaluations import SMALL, samples, small_network
from pages import BASELINES, elsewhere, made, of_targets, undefined, written

import cameval
from cameval import choose_binarizers, concat, evaluate
from cameval.cli import main
from cameval.errors import DataError, SettingError
from cameval.evaluation import Results
from cameval.evaluation._times import Stopwatch, sessions_in, total_time
from cameval.evaluation.meaning import CONSTANT, MetricMeaning
from cameval.metrics import MetricQuestion
from cameval.report import StudyFacts, page_tests, reviewer_summary, verdict_lines

pytestmark = pytest.mark.usefixtures("no_figures")

KEYS = [
    *("task", "data", "truth", "network", "tuning", "metrics"),
    *("undefined", "negatives", "baselines", "intervals", "tests", "subgroups", "computing"),
]
FACTS = StudyFacts(truth_drawn_by="Two <radiologists>.", readers=2, ethics="Approved.")


def answers(results: Results, facts: StudyFacts | None = None, **options) -> dict:
    """Return the answers, which must be plain JSON."""
    summary = reviewer_summary(results, facts, **options)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert (summary["format"], summary["version"]) == ("cameval reviewers", 2)
    assert list(summary["answers"]) == KEYS
    for one in summary["answers"].values():
        assert list(one) == ["question", "run", "values", "author"]
        assert one["question"].endswith("?")
        assert one["run"]
        for sentence in one["run"]:
            assert re.fullmatch(r"[^\s].*\.", sentence), sentence
            assert not re.search(r"\b(None|nan|True|False)\b", sentence), sentence
    return summary["answers"]


# --- The page, the file and the function ----------------------------------------------------------


def test_page_and_file_say_what_the_function_says(tmp_path) -> None:
    results = made()
    page = written(results, tmp_path, facts=FACTS, binarizer="p95")
    found = answers(results, FACTS, binarizer="p95")
    assert json.loads((tmp_path / "reviewers.json").read_text(encoding="utf-8")) == (
        reviewer_summary(results, FACTS, binarizer="p95")
    )
    table = page.table("Questions and answers")
    assert [head for _, head, _ in table.rows] == [one["question"] for one in found.values()]
    for (_, _, cells), one in zip(table.rows, found.values(), strict=True):
        assert cells[0] == " ".join(one["run"])
    assert "reviewers" in page.ids


def test_what_is_not_given_is_listed_and_not_invented(tmp_path) -> None:
    results = made()
    table = written(results, tmp_path, facts=FACTS).table("Questions and answers")
    cell = table.find("Who drew the truth, and how large is it?", "what the author states")
    assert cell == (
        "Drawn by: Two <radiologists>. · Readers of each image: 2 | "
        "not given: agreement of readers, unlabeled pixels"
    )
    nothing = [one["author"] for one in answers(results).values()]
    assert {name for facts in nothing for name in facts} == {f.name for f in fields(StudyFacts)}
    assert all(value is None for facts in nothing for value in facts.values())
    given = answers(results, FACTS)
    assert {k: v for one in given.values() for k, v in one["author"].items() if v is not None} == (
        FACTS.given
    )


# --- Facts of the author --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("facts.toml", 'truth_drawn_by = "Two <radiologists>."\nreaders = 2\nethics="Approved."'),
        ("facts.json", json.dumps(FACTS.given)),
    ],
)
def test_facts_are_read_from_files(name, text, tmp_path) -> None:
    (tmp_path / name).write_text(text)
    assert StudyFacts.read(tmp_path / name) == FACTS


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("readers = 0", SettingError, "readers must be a whole number of at least 1, got 0"),
        ("readers = true", SettingError, "readers must be a whole number"),
        ("ethics = 3", SettingError, "ethics must be text, got 3; leave it out"),
        ("ethics = ' '", SettingError, "ethics must be text"),
        ("reader = 2", SettingError, "facts must be among intended_use, .*, got 'reader'"),
        ("readers", DataError, "must be a TOML or JSON file of facts"),
    ],
)
def test_other_facts_are_refused(text, error, message, tmp_path) -> None:
    (tmp_path / "facts.toml").write_text(text)
    with pytest.raises(error, match=message):
        StudyFacts.read(tmp_path / "facts.toml")


def test_files_that_hold_no_facts_are_refused(tmp_path) -> None:
    (tmp_path / "facts.json").write_text("[1]")
    for path in (tmp_path / "facts.json", tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(DataError, match=path.name):
            StudyFacts.read(path)


def test_the_command_line_takes_a_file_of_facts(tmp_path, capsys) -> None:
    made().to_csv(tmp_path / "results.csv")
    (tmp_path / "facts.toml").write_text('truth_drawn_by = "A reader."')
    assert main(["report", str(tmp_path), "--facts", str(tmp_path / "facts.toml")]) == 0
    written_file = json.loads((tmp_path / "reviewers.json").read_text())
    assert written_file["answers"]["truth"]["author"]["truth_drawn_by"] == "A reader."
    assert main(["report", str(tmp_path), "--facts", str(tmp_path / "other.toml")]) == 2
    assert "other.toml must be a TOML or JSON file of facts" in capsys.readouterr().err


def test_every_fact_and_question_is_documented() -> None:
    text = Path(__file__).parents[2].joinpath("docs", "reviewers.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^``(\w+)``  +\S.*$", text, re.MULTILINE)
    assert rows == [one.name for one in fields(StudyFacts)]
    of_questions = text.split("The author states\n", 1)[1].split("Facts of the author", 1)[0]
    starts = re.findall(r"^(\w+)(?: .*)?$", of_questions, re.MULTILINE)
    aliases = {"negatives": "images"}  # "images without" and "object", in two lines
    assert [one for one in starts if one != "object"] == [aliases.get(one, one) for one in KEYS]


# --- Answers of the run ---------------------------------------------------------------------------


def test_data_and_truth_are_counted_once_for_several_models() -> None:
    results = made(models=("net", "other"))
    found = answers(results)
    assert found["data"]["values"] == {
        **{"images": 24, "groups": 8, "targets": 24, "targets_with_object": 24},
        "targets_by_class": {"0": 8, "1": 8, "2": 8},
    }
    areas = results.samples["area"][:24]
    assert found["truth"]["values"]["objects"] == 24
    assert found["truth"]["values"]["area_median"] == pytest.approx(areas.median())
    assert [one["model"] for one in found["network"]["values"]["models"]] == ["net", "other"]


def test_objects_are_compared_with_the_cells_of_the_maps() -> None:
    results = made()
    assert answers(results)["truth"]["values"]["cells_of_maps"] == []
    provenance = {**results.provenance, "cells": [4, 5]}
    found = answers(replace(results, provenance=provenance))["truth"]
    share = (results.samples["area"] < 1 / 20).mean()
    assert 0 < share < 1
    assert found["values"]["share_smaller_than_a_cell"] == pytest.approx(share)
    assert "4 by 5 cells" in found["run"][1]
    large = replace(results, samples=results.samples.assign(area=0.5), provenance=provenance)
    assert "no object is smaller" in answers(large)["truth"]["run"][1]


def test_what_is_compared_without_a_choice_is_said_so() -> None:
    found = answers(made())["tuning"]
    text = " ".join(found["run"])
    assert "best of 4 combinations on these same images, an optimistic choice" in text
    assert "2 methods and 2 binarizers are compared in the same tables" in text
    assert found["values"]["compared"]["combinations"] == {"net": 4}
    assert found["values"]["choices"] == []
    one = answers(made(methods=("cam",), binarizers=("p95",)))["tuning"]["run"]
    assert one[0] == (
        "In this run one method and one binarizer were evaluated; earlier runs are not recorded."
    )
    of_maps = answers(made(methods=("cam",), metrics=("pixel_auroc",)))["tuning"]["run"]
    assert of_maps[0] == "In this run one method was evaluated; earlier runs are not recorded."
    fixed = answers(made(), method="cam", binarizer="p95")["tuning"]
    assert "given to the report as fixed" in fixed["run"][0]
    assert (fixed["values"]["fixed_method"], fixed["values"]["fixed_binarizer"]) == ("cam", "p95")


def parts_of(results: Results, n: int) -> tuple[Results, Results]:
    """Return the results of the first images, and of the others."""
    rows = np.arange(len(results)) < n
    first, others = (
        replace(
            results,
            samples=results.samples[part].reset_index(drop=True),
            **{k: getattr(results, k)[part] for k in ("values", "codes", "weights")},
        )
        for part in (rows, ~rows)
    )
    return first, others


def test_a_choice_is_told_with_its_images() -> None:
    validation, test = parts_of(made(n=30, groups=30), 12)
    chosen = choose_binarizers(validation).apply(test)
    found = answers(chosen, binarizer="validated", method="cam")["tuning"]
    assert found["run"][:3] == [
        "The method cam was given to the report as fixed before the scores.",
        "The binarizer of each map was chosen on other images by the highest mean IoU.",
        "The choice validated was made on 12 images.",
    ]
    assert found["values"]["choices"] == [
        {
            **{"label": "validated", "chosen_on": "other images", "metric": "iou"},
            **{"by": None, "images": 12},
        }
    ]
    best = choose_binarizers(test).apply(test, label="best")
    optimistic = answers(best, binarizer="best")["tuning"]
    assert "these same images by the highest mean IoU, an optimistic choice" in optimistic["run"][0]
    assert optimistic["values"]["choices"][0]["chosen_on"] == "these same images"


def test_a_method_that_was_chosen_on_other_images_is_not_called_fixed(tmp_path) -> None:
    validation, test = parts_of(made(n=30, groups=30), 12)
    choice = choose_binarizers(validation)
    chosen, method = choice.apply(test), choice.best_method()
    found = answers(chosen, binarizer="validated", method=method)["tuning"]
    told = f"method {method} (the best of 2)"
    assert found["run"][:2] == [
        f"The {told} and the binarizer of each map were chosen on 12 other images of 12 groups, by "
        "the highest mean IoU.",
        "Whether network, layer, methods or preparation were tuned on these images is not "
        "recorded.",
    ]
    assert found["values"]["fixed_method"] == method
    counts = {"method": method, "n_methods": 2, "images": 12, "groups": 12}
    assert found["values"]["method_chosen"] == [{"model": "net", **counts}]
    page = written(chosen, tmp_path / "a", binarizer="validated", method=method)
    caution = f"The {told} and the thresholds were chosen on 12 other images of 12 groups."
    assert page.caution.startswith(caution)
    assert "method and threshold chosen on other images: " in page.text
    other = next(one for one in ("cam", "grad_cam") if one != method)
    page = written(chosen, tmp_path / "b", binarizer="validated", method=other)
    assert f"The method {other} was given to the report as fixed before the scores." in page.text
    assert page.caution.startswith("The thresholds were chosen on 12 other images of 12 groups.")
    assert "method and threshold" not in page.text
    few = choose_binarizers(parts_of(made(n=30, groups=30), 8)[0])
    chosen, method = few.apply(test), few.best_method()
    page = written(chosen, tmp_path / "c", binarizer="validated", method=method)
    few_groups = "the thresholds were chosen on 8 other images of 8 groups, fewer than 10."
    assert f"The method {method} (the best of 2) and {few_groups}" in page.caution


def test_of_a_method_that_is_best_on_these_same_images_the_choice_is_optimistic() -> None:
    results = made(n=30, groups=30)
    choice = choose_binarizers(results)
    best = choice.apply(results, "best")
    found = answers(best, binarizer="best", method=choice.best_method())["tuning"]
    assert found["run"][0].endswith(
        "were chosen on these same images, by the highest mean IoU, an optimistic choice."
    )


def test_networks_with_choices_of_their_own_are_told_apart_where_they_differ() -> None:
    parts, method = [], "grad_cam"
    for model, n in (("a", 12), ("b", 12), ("b", 10)):
        validation, test = parts_of(made(n=30, groups=30, models=(model,)), n)
        choice = choose_binarizers(validation)
        assert choice.best_method() == method
        parts.append(choice.apply(test))
    alike, different = concat(parts[:2]), concat([parts[0], parts[2]])
    said = answers(alike, binarizer="validated", method=method)["tuning"]["run"]
    assert said[0].startswith(f"The method {method} (the best of 2) and")
    said = answers(different, binarizer="validated", method=method)["tuning"]["run"]
    assert [one[:3] for one in said[:2]] == ["a: ", "b: "]
    assert "chosen on 12 other images" in said[0]
    assert "chosen on 10 other images" in said[1]


def test_metrics_are_told_by_their_typed_questions(tmp_path) -> None:
    asked = MetricQuestion("border", "Where is the rim?", "Never.", falls_with_size=True)
    metrics = {
        "iou": MetricMeaning("mine", "masks", True, value_range=(0, 1)),
        "rim": MetricMeaning("rim", "masks", True, value_range=(0, np.inf), question=asked),
    }
    results = made(metrics=metrics)
    found = answers(results)["metrics"]
    assert found["run"] == [
        "Not documented: iou; border: rim.",
        "No metric is about overlap, objects or faithfulness.",
        "Of equally well placed maps, those of smaller objects score lower in rim.",
        "The table below has the question of each.",
    ]
    first, second = found["values"]["metrics"]
    assert (first["label"], first["aspect"], first["question"]) == ("iou", None, None)
    assert second["question"] == "Where is the rim?"
    assert second["value_range"] == [0, None]
    table = written(results, tmp_path).table("What each metric asks")
    assert table.find("iou", "question") == "not documented"
    assert table.find("rim", "when it misleads, or what it does not say") == "Never."


def test_undefined_scores_are_counted_by_reason() -> None:
    results = undefined(made(), np.s_[:3], 1)
    codes = results.codes.copy()
    codes[5, [c.kind == "method" for c in results.columns]] |= CONSTANT
    found = answers(replace(results, codes=codes))["undefined"]
    total = int(np.isnan(results.values).sum())
    assert total > 0
    assert found["values"]["undefined"] == total
    assert found["values"]["by_reason"] == {"empty truth": total}
    assert found["values"]["rows_with_constant_map"] == 1
    assert "A method gives a constant map on 1 of 24 images." in found["run"]
    assert answers(made())["undefined"]["run"] == ["Every score is defined."]


def test_negatives_are_told_with_the_metrics_that_are_defined_there() -> None:
    metrics = ("iou", "false_positive_rate")
    results = of_targets(made(60, metrics=metrics), absent=lambda i: i % 3 == 1)
    found = answers(results)["negatives"]
    assert found["values"] == {
        **{"negatives": 20, "images": 20, "metrics_defined": ["false_positive_rate"]},
        "separate_means": True,
        "hidden_objects": 0,
    }
    without = of_targets(made(60, metrics=("iou",)), absent=lambda i: i % 3 == 1)
    assert "No metric of the run is defined there." in answers(without)["negatives"]["run"]
    assert answers(made())["negatives"]["values"]["negatives"] == 0


@pytest.mark.parametrize(("groups", "few"), [(9, True), (10, False), (1, False)])
def test_intervals_that_are_marked_are_counted(groups, few, tmp_path) -> None:
    results = made(groups=groups)
    found = answers(results)["intervals"]
    summary = results.summary()
    assert found["values"]["groups"] == groups
    assert found["values"]["means"] == len(summary)
    assert found["values"]["of_few_groups"] == (len(summary) if few else 0)
    assert found["values"]["without_interval"] == (len(summary) if groups == 1 else 0)
    text = " ".join(found["run"])
    assert ("their intervals are marked *" in text) == few
    assert ("as of a class, is marked *" in text) == (groups == 10)
    if few:
        assert "* An interval of fewer than ten groups" in written(results, tmp_path).text
    assert "Each image is a group" not in text


def test_images_that_are_their_own_groups_are_told() -> None:
    results = made(n=12, groups=12)
    assert "Each image is a group" in " ".join(answers(results)["intervals"]["run"])
    assert answers(results)["data"]["run"][0].startswith("12 images, each a group")


def test_the_tests_are_those_of_the_page() -> None:
    results = made(n=40, groups=20)
    found, table = answers(results)["tests"], page_tests(results)
    assert found["values"]["tests"] == len(table) > 1
    assert found["values"]["correction"] == "Holm"
    assert found["values"]["binarizer_chosen_by_these_scores"]
    assert found["values"]["p_holm_below_alpha"] == int((table["p_holm"] < 0.05).sum())
    shown = pd.DataFrame(found["values"]["comparisons"])
    pd.testing.assert_frame_equal(shown, table)
    assert (shown["p"] < shown["p_holm"]).any()
    assert set(shown["family"]) == {found["values"]["family"]}
    fixed = answers(results, binarizer="p95")["tests"]
    assert not fixed["values"]["binarizer_chosen_by_these_scores"]
    alone = answers(made(methods=("cam",), baselines={}))["tests"]
    assert alone["run"] == ["No difference was tested."]
    few = answers(made(groups=4))["tests"]["values"]
    assert few["with_too_few_groups"] == few["tests"]


def test_baselines_are_told_with_the_masks_and_the_test() -> None:
    knows = {**BASELINES, "uniform": "nothing", "class mean": "labels"}
    results = made(baselines=knows, value=lambda c: 0.2 if c.method == "uniform" else 0.3)
    found = answers(results, binarizer="p95")["baselines"]
    assert found["question"] == "What were the maps compared with?"
    assert found["run"][:2] == [
        "Blind baselines, which see nothing: center, uniform.",
        "Other baselines, by what they know: intensity (image), truth (truth), class mean "
        "(labels).",
    ]
    assert found["run"][2] == (
        "In IoU of masks by p95, each method is tested against center, intensity, uniform and "
        "class mean by flipping the signs of whole groups. A difference from truth is not tested. "
        "The best blind baseline of masks by p95 is center, chosen by its mean on these same "
        "images."
    )
    assert found["values"]["baselines"] == knows
    (one,) = found["values"]["compared"]
    assert (one["binarizer"], one["best_blind"]) == ("p95", "center")
    assert one["tested"] == ["center", "intensity", "uniform", "class mean"]
    assert one["not_tested"] == ["truth"]
    seen = answers(made(baselines={"intensity": "image"}))["baselines"]["run"]
    assert seen[0] == "No blind baseline was evaluated."
    assert "The best blind" not in " ".join(seen)
    assert answers(made(baselines={}))["baselines"]["run"] == ["No blind baseline was evaluated."]


def test_subgroups_are_told_with_their_sizes() -> None:
    results = made(models=("net", "other"))
    n = len(results)
    table = results.samples.assign(
        view=["front", "side", None] * (n // 3), age=np.tile(np.arange(24.0), 2), site="A"
    )
    found = answers(replace(results, samples=table))["subgroups"]
    assert found["values"] == {
        "classes": 3,
        "columns": {"view": {"front": 8, "side": 8, "not known": 8}},
        "columns_left_out": ["age"],
    }
    assert "Differences between them are not tested." in found["run"]


def test_of_maps_made_elsewhere_no_network_is_told() -> None:
    found = answers(elsewhere(made()))
    assert found["network"]["run"] == ["All maps were made elsewhere."]
    assert "faithfulness" not in " ".join(found["metrics"]["run"])


@pytest.mark.parametrize("provenance", [{}, {"settings": {"seed": 1}}])
def test_results_without_a_record_are_answered(provenance) -> None:
    found = answers(replace(made(), provenance=provenance))
    assert found["computing"]["run"][0].startswith("Computing time is not recorded")
    assert found["network"]["run"] == ["Not recorded."]


# --- Computing time -------------------------------------------------------------------------------

RUN = {"methods": [cameval.cam], "metrics": [cameval.iou], "prepare": SMALL, "batch_size": 2}


def test_the_time_of_a_run_is_that_of_all_its_sessions(tmp_path, monkeypatch) -> None:
    clock = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr("cameval.evaluation._times.perf_counter", lambda: next(clock))

    every = samples(7)
    with pytest.raises(RuntimeError, match="disk"):
        evaluate(small_network(), Stream(every, 4), out=tmp_path, **RUN)
    first = total_time([sessions_in(tmp_path)])
    assert first == {"seconds": 1.0, "batches": 2, "sessions": 1}
    results = evaluate(small_network(), Stream(every), out=tmp_path, **RUN)
    assert results.provenance["computing"] == {"seconds": 2.0, "batches": 4, "sessions": 2}
    assert Results.load(tmp_path).provenance["computing"] == results.provenance["computing"]
    again = evaluate(small_network(), Stream(every), out=tmp_path, **RUN)  # nothing is computed
    assert again.provenance["computing"] == results.provenance["computing"]
    memory = evaluate(small_network(), every, **RUN)
    assert memory.provenance["computing"] == {"seconds": 2.0, "batches": 4, "sessions": 1}
    assert memory.provenance["identity"].keys() == results.provenance["identity"].keys()
    assert "computing" not in memory.provenance["identity"]
    assert np.array_equal(memory.values, results.values, equal_nan=True)
    found = answers(concat([memory]))["computing"]
    assert found["values"]["runs"][0]["batches"] == 4
    assert found["run"][0].startswith(f"2 s, on cpu, {torch.get_num_threads()} thread")


class Stream(torch.utils.data.IterableDataset):
    """Samples, of which the reading may fail after some."""

    def __init__(self, made: list, fails_after: int | None = None) -> None:
        self.made, self.fails_after = made, fails_after

    def __iter__(self):
        for k, sample in enumerate(self.made):
            if k == self.fails_after:
                raise RuntimeError("the disk is gone")
            yield sample


def test_a_damaged_time_is_left_out(tmp_path) -> None:
    watch = Stopwatch(tmp_path)
    watch.count()
    for name, text in {"a": "{", "b": "[1]", "c": '{"seconds": "x", "batches": 1}'}.items():
        (tmp_path / "times" / f"{name}.json").write_text(text)
    assert sessions_in(tmp_path) == {watch.name: (watch.seconds, 1)}


def test_a_part_of_the_batches_is_told_as_one() -> None:
    results = made()
    time = {"seconds": 4000.0, "batches": 2, "sessions": 1}
    settings = {**results.provenance["settings"], "samples": 24, "batch_size": 8}
    record = {**results.provenance, "settings": settings, "computing": time, "processes": 3}
    found = answers(replace(results, provenance=record))["computing"]
    assert found["run"][0] == "1 h 6 min for 2 of 3 batches, summed over 3 processes."


def test_a_page_is_about_the_binarizer_that_was_chosen_on_other_images(tmp_path) -> None:
    validation, test = parts_of(made(n=30, groups=30), 12)
    chosen = choose_binarizers(validation).apply(test, label="other")
    best = choose_binarizers(test).apply(chosen, label="best")
    by_default = written(best, tmp_path / "a").text
    assert by_default == written(best, tmp_path / "b", binarizer="other").text
    assert by_default != written(best, tmp_path / "c", binarizer="best").text
    assert verdict_lines(best) == verdict_lines(best, binarizer="other")
    assert reviewer_summary(best) == reviewer_summary(best, binarizer="other")
    assert page_tests(best).equals(page_tests(best, binarizer="other"))
    assert set(page_tests(best)["binarizer"]) == {"other"}
