"""Networks of any kind on the command line: their names, weights and preparation."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cameval.cli import main
from cameval.cli._networks import NamedNetwork, load_networks
from cameval.cli._parser import parse
from cameval.cli._remarks import describe_normalization
from cameval.evaluation import Preparation, Results
from cameval.networks import load_network

CODE = """
from torch import nn


def small(channels, num_classes):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, num_classes),
    )


def gray(num_classes=3):
    return small(1, num_classes)


def color(num_classes=3):
    return small(3, num_classes)


def infrared():
    return small(4, 3)
"""

SMALL = "evaluate --phantom 3 --size 64 --metric iou --binarizer percentile:80 --baseline center"
SMALL += " --no-report --threads 1 --layer 1"


ENDS_IN_A_GRID = """

def grid():
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(),
                         nn.Linear(16, 3))
"""


@pytest.fixture
def nets(tmp_path, monkeypatch) -> Path:
    """Write a file of networks to the working directory."""
    (tmp_path / "nets.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "nets.py"


def loaded(words: str) -> dict[str, NamedNetwork]:
    """Return the networks of a command."""
    return load_networks(parse(["evaluate", "--out", "run", *words.split()]))


def prepared(words: str) -> Preparation:
    (network,) = loaded(words).values()
    return network.prepare


def told(capsys, words: str) -> str:
    """Return what a mistaken command prints, one line."""
    assert main(words.split()) == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return str(text)


# --- Names ----------------------------------------------------------------------------------------


def test_networks_have_the_names_that_are_given_in_the_tables(nets) -> None:
    command = f"{SMALL} --model {nets}:color mine={nets}:color --out run"
    assert main(command.split()) == 0
    results = Results.from_csv(Path("run/results.csv"))
    assert results.samples["model"].unique().tolist() == [f"{nets}:color", "mine"]
    folders = sorted(path.name for path in Path("run/runs").iterdir())
    assert folders == sorted([re.sub(r"[/:]+", "_", f"{nets}:color"), "mine"])
    one, two = (results.select(model=name).values for name in (f"{nets}:color", "mine"))
    assert one.tolist() == two.tolist()


def test_two_weights_of_one_network_are_two_models(nets) -> None:
    for seed in (0, 1):
        net = load_network("nets.py:color", num_classes=5, seed=seed)
        torch.save({"state_dict": nn.DataParallel(net).state_dict()}, f"w{seed}.pth")
    found = loaded("--model a=nets.py:color b=nets.py:color --weights w0.pth w1.pth")
    assert [network.net[4].out_features for network in found.values()] == [5, 5]
    weights = [found[name].net[4].weight for name in ("a", "b")]
    assert not torch.equal(*weights)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["resnet18-best.pth"], "--model resnet18"),
        (["mine.pth", "resnet18.pth"], "--model mine=resnet18"),
        (["color.pth"], "--model nets.py:color"),
    ],
)
def test_a_folder_of_weights_has_a_file_by_the_name(nets, files, words) -> None:
    (nets.parent / "weights").mkdir()
    name = "nets.py:color" if "color" in words else "resnet18"
    net = load_network(name, seed=5)
    torch.save(net.state_dict(), nets.parent / "weights" / files[0])
    for other in files[1:]:
        (nets.parent / "weights" / other).touch()
    (network,) = loaded(f"{words} --weights weights").values()
    expected = net.state_dict()
    assert all(torch.equal(t, expected[key]) for key, t in network.net.state_dict().items())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model nets.py:colour", "must have the function 'colour', got none; near names: color"),
        ("--model nest.py:color", "nest.py: the file must exist"),
        ("--model resnet18 a/b=resnet18", "a network must be one of torchvision's classifiers"),
        ("--model nets.py:gray nets.py:gray", "--model must name each network once, got nets.py:"),
        ("--model nets.py:infrared --num-classes 3", "num_classes must not be given"),
        ("--model nets.py:gray --mean 0.5", "--mean and --std must both be given, got --mean alon"),
        (
            "--model nets.py:gray --mean .1 .2 --std .1",
            "mean and std must have one number for each",
        ),
        (
            "--model nets.py:gray --mean .1 .2 --std .1 .2",
            "--mean must have one number for each of",
        ),
        ("--model nets.py:gray --std 1", "--mean and --std must both be given, got --std alone"),
        ("--model nets.py:gray --classes tru", "index of a class, got 'tru'; near name: true"),
        ("--model nets.py:gray --classes -1", "index of a class, got '-1'"),
        ("--model nets.py:gray --classes 3", "3"),
    ],
)
def test_mistakes_are_told_in_one_line(nets, capsys, words, message) -> None:
    if "-1" in words:
        words = words.replace("--classes -1", "--classes=-1")
    assert message in told(capsys, f"{SMALL} --out run {words}")


# --- Preparation ----------------------------------------------------------------------------------


def test_images_are_prepared_as_the_network_or_the_options_have_it(nets) -> None:
    assert prepared("--model resnet18") == Preparation()
    assert prepared("--model resnet18 --mean .1 .2 .3 --std .4 .5 .6 --size 96") == Preparation(
        size=96, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)
    )
    gray = prepared("--model nets.py:gray --fit pad")
    assert (gray.mean, gray.std) == (
        Preparation.for_channels(1).mean,
        Preparation.for_channels(1).std,
    )
    assert gray.fit == "pad"
    assert len(prepared("--model nets.py:infrared").mean) == 4


@pytest.mark.parametrize("words", ["", "--mean 0.3 --std 0.2"])
def test_a_network_of_one_channel_is_evaluated(nets, words) -> None:
    assert main(f"{SMALL} --model nets.py:gray --out run {words}".split()) == 0
    assert len(Results.from_csv(Path("run/results.csv"))) == 3


def test_a_network_of_timm_has_its_own_preparation() -> None:
    timm = pytest.importorskip("timm")
    known = timm.create_model("vit_tiny_patch16_384").pretrained_cfg
    prepare = prepared("--model timm:vit_tiny_patch16_384")
    assert prepare.size == (384, 384)
    assert (prepare.mean, prepare.std) == (known["mean"], known["std"])
    assert prepare.mean == (0.5, 0.5, 0.5)
    given = prepared("--model timm:vit_tiny_patch16_384 --size 96 --mean 0.5 --std 2")
    assert (given.size, given.mean, given.std) == ((96, 96), (0.5,) * 3, (2,) * 3)


def test_a_network_of_timm_is_evaluated(tmp_path) -> None:
    pytest.importorskip("timm")
    command = SMALL.removesuffix(" --layer 1") + f" --model timm:resnet10t --out {tmp_path}"
    assert main([*command.split(), "--num-classes", "3"]) == 0
    results = Results.from_csv(tmp_path / "results.csv")
    assert results.samples["model"].unique().tolist() == ["timm:resnet10t"]


# --- What is scored -------------------------------------------------------------------------------


def test_target_classes_may_be_given_by_index(nets) -> None:
    command = f"{SMALL} --model nets.py:color --classes 2 predicted 0 --out run"
    assert main(command.split()) == 0
    results = Results.from_csv(Path("run/results.csv"))
    assert list(dict.fromkeys(c.target_class for c in results.columns)) == ["2", "predicted", "0"]
    assert main(f"{SMALL} --model nets.py:color --classes 2 --out two".split()) == 0
    two = Results.from_csv(Path("two/results.csv"))
    assert two.values.tolist() == results.select(target_class="2").values.tolist()


def test_the_largest_component_is_that_of_each_binarizer(nets) -> None:
    words = "--binarizer otsu adaptive:31,mean largest_component:mean"
    for name, more in (("one", "--largest-component"), ("two", "")):
        kinds = words if more else (
            "--binarizer largest_component:otsu largest_component:(adaptive:31,mean) "
            "largest_component:mean"
        )  # fmt: skip
        assert main(f"{SMALL} {kinds} {more} --model nets.py:color --out {name}".split()) == 0
    one, two = (Results.from_csv(Path(name) / "results.csv") for name in ("one", "two"))
    assert one.columns == two.columns
    assert one.values.tolist() == two.values.tolist()


# --- Before the work ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "words", "message"),
    [
        ("matplotlib", "", "needs matplotlib, .*its extra 'report', or use --no-report"),
        ("jinja2", "", "needs jinja2"),
        (
            "pyarrow",
            "--no-report --parquet",
            "--parquet needs pyarrow, .*'parquet', or leave out --parquet",
        ),
    ],
)
@pytest.mark.parametrize("command", ["evaluate --model resnet18", "score --maps a=maps"])
def test_a_missing_package_is_told_before_the_work(
    tmp_path, capsys, monkeypatch, package, words, message, command
) -> None:
    for name in [name for name in sys.modules if name.startswith("cameval.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("cameval.report", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)

    def fail(*_: Any) -> None:
        pytest.fail("the work has begun")

    monkeypatch.setattr("cameval.cli._commands.load_networks", fail)
    monkeypatch.setattr("cameval.cli._commands.load_samples", fail)
    found = told(capsys, f"{command} --phantom 2 --out {tmp_path / 'run'} {words}")
    assert re.search(message, found), found


def test_mistyped_words_are_told_before_networks_are_loaded(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("cameval.cli._commands.load_networks", pytest.fail)
    command = f"evaluate --model resnet18 --phantom 2 --out {tmp_path} --no-report"
    for words, message in {
        "--method GradCAM++": "got .GradCAM\\+\\+.; near names: grad_cam_pp, grad_cam",
        "--binarizer percentil:95": "got 'percentil'; near names: percentile",
        "--binarizer percentile:q=95": "no setting 'q', only percentile",
        "--binarizer adaptive:blocksize=3": "near name: block_size",
        "--binarizer largest_component:ots": "the setting must be one of .* near names: otsu",
        "--metric otsu": "--metric must be one of its own words, got 'otsu', a word of --binarizer",
        "--metric IoU": "near names: iou",
        "--metric iou,dice": "must have its words apart, got 'iou,dice'; put spaces between",
        "--metric pointing_game:tolerence=3": "near name: tolerance",
        "--baseline mean-mask": "near names: mean_mask",
        "--baseline mean_mask:by_clas=True": "near name: by_class",
        "--method zzz": "--method must be one of ablation_cam, .*, got 'zzz'",
    }.items():
        found = told(capsys, f"{command} {words}")
        assert re.search(message, found, re.DOTALL), found


def test_a_layer_that_is_not_proved_is_named_by_an_option(nets, tmp_path, capsys) -> None:
    nets.write_text(CODE + ENDS_IN_A_GRID)
    words = SMALL.replace("--layer 1", "--model nets.py:grid --out run").split()
    assert main(words) == 2
    message = capsys.readouterr().err
    assert "the layer of the maps cannot be proved. Name it: --layer 2, with a grad" in message
    assert "--method grad_cam;" in message
    assert "adapt" not in message
    assert main([*words, "--layer", "1"]) == 0


@pytest.mark.parametrize("method", ["cam", "local_linear_cam"])
def test_a_method_that_needs_another_head_is_told_with_options(nets, capsys, method) -> None:
    nets.write_text(CODE + ENDS_IN_A_GRID)
    message = told(capsys, f"{SMALL} --model nets.py:grid --out run --method {method}")
    assert "got an inner layer; use a method that works with every head, such as --meth" in message
    assert "cameval." not in message


def test_the_last_step_is_told_before_the_layer(nets, capsys) -> None:
    nets.write_text(CODE + "\n\ndef ends():\n    return nn.Sequential(color(), nn.Softmax(1))\n")
    command = SMALL.replace("--layer 1", "--model nets.py:ends --out run")
    message = told(capsys, command)
    first = "Give the network without its last step, a softmax, by a function in a file of Python"
    assert (
        f"cannot be proved. {first}: --model file.py:function. Or name it: --layer 0.1" in message
    )


def test_one_mean_is_that_of_all_channels(nets) -> None:
    assert prepared("--model nets.py:color --mean 0 --std 1").mean == (0, 0, 0)
    assert prepared("--model nets.py:infrared --mean 0 --std 1").std == (1, 1, 1, 1)
    assert prepared("--model nets.py:gray --mean 0 --std 1").mean == (0,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--model nets.py:color", "images are normalized with ImageNet's mean and std; --mean"),
        ("--model nets.py:gray resnet18", "images for nets.py:gray are normalized with ImageNet's"),
        ("--model nets.py:infrared", None),  # not normalized
        ("--model resnet18", None),
        ("--model nets.py:color --mean 0 --std 1", None),
        ("--model nets.py:color --mean .485 .456 .406 --std .229 .224 .225", None),
    ],
)
def test_it_is_said_how_images_of_own_networks_are_normalized(nets, words, said) -> None:
    options = parse(["evaluate", "--out", "run", *words.split()])
    lines = describe_normalization(load_networks(options), options)
    assert [line.startswith(str(said)) for line in lines] == ([] if said is None else [True])
    assert all("--mean and --std, ImageNet's too, silence this line" in line for line in lines)


def test_the_grid_of_an_input_of_one_cell_is_said(nets, capsys) -> None:
    command = SMALL.replace("--size 64", "--size 8 --model nets.py:color --out run")
    assert main(command.split()) == 0
    assert "the grid of the maps is 1 x 1; a larger --size" in capsys.readouterr().out


FIXED_SIZE = """

def fixed(side=24, channels=3):
    return nn.Sequential(nn.Conv2d(channels, 4, 4, 4), nn.ReLU(), nn.Flatten(),
                         nn.Linear(4 * side**2, 3))


def unusual():
    return fixed(25)


def one():
    return fixed(channels=1)
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fixed", "--size must be one that the network takes, got 64; of the usual sizes it takes"),
        ("fixed", " it takes 96: mat1 and mat2"),
        ("unusual", "got 64; it takes none of the usual sizes, 28, 32, .* it was trained on: mat1"),
        (
            "one --mean .1 .2 --std .1 .2",
            "--mean must have one number for each of the network's 1 channel, got 2; give --mean "
            r"and --std one number, as in --mean 0.449 --std 0.226$",
        ),
        (
            "gray --size 64 --mean .1 .2 .3 --std .1 .2 .3",
            "the network's 1 channel, got 3; .* --std 0.226$",
        ),
        (
            "fixed --mean .1 .2 --std .1 .2",  # the size of 64 is another mistake
            "the network's 3 channels, got 2; give --mean and --std 3 numbers, or one for all$",
        ),
    ],
)
def test_a_network_for_one_size_is_told_with_its_size(nets, capsys, words, message) -> None:
    nets.write_text(CODE + FIXED_SIZE)
    found = told(capsys, f"{SMALL} --out run --model nets.py:{words}")
    assert re.search(message, found), found


def test_the_size_that_is_told_is_taken(nets) -> None:
    nets.write_text(CODE + FIXED_SIZE)
    assert main([*f"{SMALL} --out run --model nets.py:fixed".split(), "--size", "96"]) == 0
