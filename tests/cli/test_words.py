"""Words of the command line: the labels of methods, binarizers, metrics and baselines."""

import re
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, isclass, signature
from pathlib import Path
from typing import Any

import pytest
from skimage.filters import threshold_li

import cameval
from cameval import binarizers, metrics
from cameval.binarizers import LargestComponent
from cameval.cli import main
from cameval.cli._words import BASELINES, BINARIZERS, METHODS, METRICS, parse_word, parse_words
from cameval.errors import SettingError
from cameval.evaluation import (
    default_baselines,
    default_binarizers,
    default_methods,
    default_metrics,
    label_of,
)
from cameval.methods import OtherClass, RandomCAM

KINDS = {"method": METHODS, "binarizer": BINARIZERS, "metric": METRICS, "baseline": BASELINES}
WORDS = [(kind, word) for kind, known in KINDS.items() for word in known]


def needs_settings(thing: Any) -> bool:
    """Tell whether a class cannot be made without settings."""
    parameters = signature(thing).parameters.values() if isclass(thing) else ()
    return any(one.default is Parameter.empty for one in parameters)


@pytest.mark.parametrize(("kind", "word"), WORDS)
def test_every_word_is_the_label_of_its_thing(kind, word) -> None:
    thing = KINDS[kind][word]
    if needs_settings(thing):
        with pytest.raises(SettingError, match=f"{word}: settings must fit, got: missing"):
            parse_word(word, KINDS[kind], "word")
        assert thing.label == word
    else:
        assert label_of(parse_word(word, KINDS[kind], "word")) == word


WITH_SETTINGS = [
    ("binarizer", "percentile:95"),
    ("binarizer", "percentile:97.5"),
    ("binarizer", "adaptive:31"),
    ("binarizer", "adaptive:31,mean"),
    ("binarizer", "adaptive:31,mean,0.1"),
    ("binarizer", "adaptive:method=median"),
    ("binarizer", "adaptive:method=median,offset=-1"),
    ("binarizer", "niblack:k=0.5"),
    ("binarizer", "largest_component:otsu"),
    ("binarizer", "largest_component:percentile:95"),
    ("binarizer", "largest_component:adaptive:method=mean"),
    ("binarizer", "largest_component:(adaptive:31,mean)"),
    ("binarizer", "largest_component:(largest_component:(adaptive:31,mean))"),
    ("method", "other_class:grad_cam"),
    ("method", "other_class:random_cam:3"),
    ("method", "random_cam:7"),
    ("metric", "size_standardized_iou:reference=0.1"),
    ("metric", "pointing_game:tolerance=15"),
    ("metric", "tversky:0.3,0.7"),
    ("metric", "f_beta:2"),
    ("metric", "hausdorff_distance:100"),
    ("metric", "hausdorff_distance:spacing=(1,0.5),penalize_empty=True"),
    ("metric", "centroid_distance:penalize_empty=True"),
    ("metric", "zero_without_object:iou"),
    ("metric", "zero_without_object:iou,1"),
    ("metric", "zero_without_object:f_beta:2"),
    ("metric", "object_recall:0.5,iou"),
    ("metric", "road:(10,90)"),
    ("metric", "road:(50,),0.02"),
    ("baseline", "gaussian:0.1"),
    ("baseline", "random:seed=3"),
    ("baseline", "random:(7,7),3"),
]


@pytest.mark.parametrize(("kind", "word"), WITH_SETTINGS)
def test_a_word_with_settings_is_the_label_of_its_thing(kind, word) -> None:
    assert label_of(parse_word(word, KINDS[kind], "word")) == word


THINGS = [
    ("binarizer", cameval.PercentileBinarizer(95.0)),
    ("binarizer", cameval.AdaptiveBinarizer()),
    ("binarizer", cameval.AdaptiveBinarizer(31, offset=0.5)),
    ("binarizer", binarizers.MultiOtsuBinarizer(nbins=32)),
    ("binarizer", LargestComponent(cameval.AdaptiveBinarizer(31, "mean"))),
    ("method", OtherClass(cameval.grad_cam)),
    ("method", OtherClass(OtherClass(RandomCAM(seed=4)))),
    ("metric", metrics.HausdorffDistance(100, (1.0, 0.5), border="contour")),
    ("metric", metrics.SurfaceDice(2.0)),
    ("metric", metrics.ROAD((50.0,))),
]


@pytest.mark.parametrize(("kind", "thing"), THINGS, ids=[label_of(thing) for _, thing in THINGS])
def test_the_label_of_a_thing_is_read_as_that_thing(kind, thing) -> None:
    assert parse_word(label_of(thing), KINDS[kind], "word") == thing


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("adaptive:51,gaussian", "adaptive"),
        ("adaptive:block_size=31", "adaptive:31"),
        ("percentile: 95.0", "percentile:95"),
        ("largest_component:(otsu)", "largest_component:otsu"),
    ],
)
def test_words_of_the_same_settings_have_one_label(word, label) -> None:
    assert label_of(parse_word(word, BINARIZERS, "word")) == label


def test_defaults_are_labeled_as_the_command_line_names_them() -> None:
    for defaults, known in [
        (default_methods(), METHODS),
        (default_binarizers(), BINARIZERS),
        (default_metrics(), METRICS),
        (default_baselines(), BASELINES),
    ]:
        for label, thing in defaults.items():
            assert label_of(thing) == label
            assert parse_word(label, known, "word") == thing


@pytest.mark.parametrize(
    ("thing", "label"),
    [
        (partial(metrics.size_standardized_iou, reference=0.1), 0.1),
        (partial(metrics.size_standardized_iou, reference=0.3), 0.3),
    ],
)
def test_the_label_of_a_partial_is_read_as_that_partial(thing, label) -> None:
    again = parse_word(label_of(thing), METRICS, "word")
    assert (again.func, again.keywords) == (thing.func, {"reference": label})


@dataclass(frozen=True)
class Own:
    """A thing of a user with a setting and without a label."""

    share: float = 0.1


def test_things_that_no_word_can_write_have_labels_too() -> None:
    def mine(maps: object) -> object:
        return maps

    class Thing:
        pass

    assert label_of(mine) == "mine"
    assert label_of("validated") == "validated"
    assert label_of(2) == "2"
    assert label_of(Thing()) == "Thing"
    assert label_of(Own(0.5)) == "Own:0.5"
    assert label_of(Own()) == "Own"
    assert label_of(cameval.SkimageBinarizer(threshold_li)) == "skimage:threshold_li"
    fewer = cameval.SkimageBinarizer(threshold_li, tolerance=0.5)
    assert label_of(fewer) == "skimage:threshold_li,tolerance=0.5"
    assert label_of(LargestComponent(lambda maps: maps > 0)) == "largest_component"


def test_a_setting_in_quotes_may_hold_a_comma() -> None:
    with pytest.raises(SettingError, match=r"method must be .* got 'a,b'"):
        parse_word("adaptive:31,'a,b'", BINARIZERS, "word")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["magic"], "--binarizer must be one of adaptive, .*, got 'magic'"),
        (["otsu", "otsu"], "--binarizer must be named once, got 'otsu' twice"),
        (["largest_component:magic"], "largest_component:magic: the setting must be one of"),
        (["largest_component:3"], "largest_component:3: the setting must be one of .* got '3'"),
        (["otsu:3"], "otsu:3: settings must fit"),
        (["otsu:width=3"], "otsu:width=3: settings must fit"),
    ],
)
def test_words_that_do_not_fit_are_refused(words, message) -> None:
    with pytest.raises(SettingError, match=message):
        parse_words(words, BINARIZERS, "--binarizer")


@pytest.mark.parametrize(
    "word", ["iou:3", "iou:reference=2", "size_standardized_iou:0.1,0.2", "pointing_game:width=3"]
)
def test_settings_that_a_function_does_not_have_are_refused(word) -> None:
    with pytest.raises(SettingError, match=f"{word}: settings must fit, got: "):
        parse_word(word, METRICS, "--metric")


@pytest.mark.parametrize("command", ["evaluate", "score"])
def test_help_lists_the_words_of_each_option(capsys, command) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    found = {
        option: {*words.split(", ")}
        for option, words in re.findall(r"--(\w+) NAME \[NAME \.\.\.\] ([\w, ]+) \(", shown)
    }
    expected = {
        "binarizer": {*BINARIZERS},
        "metric": {*METRICS},
        "baseline": {*BASELINES, "mean_mask", "untrained"},
        "method": {*METHODS},
    }
    if command == "score":
        of_networks = {name for name, one in METRICS.items() if metrics.takes(one) == "network"}
        assert {"insertion", "road"} < of_networks
        expected["metric"] -= of_networks
        expected["baseline"] -= {"untrained", "truth"}
        del expected["method"]
    assert {option: found[option] for option in expected} == expected


@pytest.mark.parametrize(
    ("text", "near"), [("--METHOD otsu", "--method"), ("--config run.toml", "method")]
)
def test_near_names_are_told_in_any_case(text, near, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text('METHOD = "otsu"')
    assert main(["evaluate", "--model", "resnet18", "--out", "run", *text.split()]) == 2
    assert f"near names: {near}" in capsys.readouterr().err


def test_help_of_metrics_says_how_settings_are_given_and_where_the_list_is(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "hausdorff_distance:100 for the maximum (the 95th percentile by default)" in shown
    assert parse_word("hausdorff_distance:100", METRICS, "--metric").percentile == 100
    assert metrics.HausdorffDistance().percentile == 95
    page = Path(__file__).parents[2] / "docs" / "api" / "metrics.rst"
    assert "docs/api/metrics.rst" in shown
    assert page.is_file()
