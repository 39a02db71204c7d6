"""The page about the command line: its commands run, and print what the page shows."""

import doctest
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile, rmtree

import numpy as np
import pytest
import torch
from torchvision.models import squeezenet1_1

import cameval
from cameval.cli import main
from cameval.cli._parser import parse
from cameval.networks import load_network

PAGE = Path(cameval.__file__).parents[2] / "docs" / "command_line.rst"


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of the console blocks of a page, and the output that is shown."""
    for block in re.findall(r"^\.\. code-block:: console\n\n((?:   .*\n|\n)+)", text, re.MULTILINE):
        lines = re.sub(r"\\\n +", "", re.sub(r"^   ", "", block, flags=re.MULTILINE))
        for part in re.split(r"^\$ ", lines, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.strip("\n")


SHOWN = [(command, output) for command, output in commands(PAGE.read_text()) if output]


@pytest.fixture(scope="module")
def folder() -> Path:
    """Make the files of the page with its own code."""
    names = {"np": np}
    source = doctest.script_from_examples(PAGE.read_text())
    exec(compile(source, str(PAGE), "exec"), names)
    made = names["folder"]
    assert isinstance(made, Path)
    (made / "accepted").mkdir()  # of the workflow
    copyfile(made / "study.toml", made / "accepted" / "settings.toml")
    return made


def test_the_page_has_commands() -> None:
    assert len(SHOWN) == 8
    assert len(list(commands(PAGE.read_text()))) > 7


@pytest.mark.parametrize("command", [command for command, _ in commands(PAGE.read_text())])
def test_every_command_is_one(folder, command, monkeypatch) -> None:
    monkeypatch.chdir(folder)  # the files of settings are read
    program, *words = shlex.split(command)
    assert program == "cameval"
    parse(words)


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_a_command_prints_what_the_page_shows(folder, command, output, capsys, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    assert main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out.strip("\n") == output


def test_a_network_of_a_dictionary_takes_its_weights(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    (block,) = re.findall(r"code-block:: python\n\n(   # dict_nets.py\n(?:   .*\n|\n)+)", text)
    Path("dict_nets.py").write_text(textwrap.dedent(block))
    plain = load_network("dict_nets.py:Net", num_classes=4)
    torch.save({"state_dict": plain.state_dict()}, "checkpoint.pth")
    (words,) = re.findall(r"``(--model dict_nets.py:net .*?)``", text)
    more = "evaluate --phantom 3 --size 64 --metric iou --baseline center --no-report --out run"
    assert main([*more.split(), *words.split()]) == 0
    loaded = load_network("dict_nets.py:net", "checkpoint.pth")
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(loaded(images), plain(images)["logits"])
    capsys.readouterr()
    more = more.replace("run", "new --model dict_nets.py:Net --num-classes 4")
    assert main(more.split()) == 2
    message = capsys.readouterr().err
    assert "got a dict of 2: 'logits' (2, 4), 'features' (2, 8); let the function of" in message
    assert "return cameval.adapt(net, select=lambda outputs: outputs['logits']) in place" in message


def workflow() -> tuple[str, list[str]]:
    """Return the section about a build that fails, and the commands of its workflow."""
    yaml = pytest.importorskip("yaml", reason="PyYAML, of the extra test, is not installed")
    section = PAGE.read_text().partition("A build that fails\n----")[2]
    section = section.partition("Reports and networks\n----")[0]
    (block,) = re.findall(r"code-block:: yaml\n\n((?:   .*\n|\n)+)", section)
    steps = yaml.safe_load(block)["jobs"]["compare"]["steps"]
    return section, [step["run"] for step in steps if step.get("run", "").startswith("cameval ")]


def test_the_commands_of_the_workflow_are_commands(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "accepted").mkdir()
    (tmp_path / "accepted" / "settings.toml").write_text('model = "resnet18"\nphantom = 8')
    options = [parse(shlex.split(command)[1:]) for command in workflow()[1]]
    assert [one.command for one in options] == ["evaluate", "compare"]
    assert options[1].new == options[0].out


ACCEPTED = """evaluate --model squeezenet1_1 --num-classes 3 --weights old.ckpt
    --phantom 12 --size 64 --metric iou --method grad_cam --binarizer otsu
    --baseline center --no-report --out first"""


def test_the_workflow_needs_the_files_that_the_page_names(tmp_path, monkeypatch, capsys) -> None:
    section, (evaluate, compare) = workflow()
    named = set(re.findall(r"``([\w.]+\.(?:csv|json|toml))``", section.partition("code-block")[0]))
    assert named == {"results.csv", "results.json", "settings.toml"}
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("old.ckpt", "new.ckpt")):
        torch.manual_seed(seed)
        torch.save(squeezenet1_1(num_classes=3).state_dict(), name)
    assert main(ACCEPTED.split()) == 0
    (tmp_path / "accepted").mkdir()
    for name in named:
        copyfile(tmp_path / "first" / name, tmp_path / "accepted" / name)
    rmtree(tmp_path / "first")
    assert main(shlex.split(evaluate)[1:]) == 0
    capsys.readouterr()
    assert main(shlex.split(compare)[1:]) == 0
    found = capsys.readouterr()
    assert "no group differs" in found.out
    accuracy, weights = found.err.splitlines()
    assert re.fullmatch(r"note: accuracy (\S+ %) and \1 \(not tested\)", accuracy)
    assert weights == "note: both runs have the same weights"
    rmtree(tmp_path / "new")
    ((with_weights, _),) = commands(section)
    assert main(shlex.split(with_weights)[1:]) == 0
    capsys.readouterr()
    assert main(shlex.split(compare)[1:]) in (0, 1)
    found = capsys.readouterr()
    assert ", of which" in found.out
    assert re.fullmatch(r"note: accuracy \S+ % and \S+ % \(not tested\)\n", found.err)


def test_the_commands_of_a_job_are_commands() -> None:
    page = PAGE.parent / "jobs" / "medical_slices.rst"
    found = [command for command, _ in commands(page.read_text())]
    assert found
    for command in found:
        parse(shlex.split(command)[1:])


def test_every_option_of_data_and_maps_is_on_the_page() -> None:
    text = PAGE.read_text()
    options = vars(parse(["score", "--maps", "maps", "--out", "run"]))
    small = {"command", "name", "workers", "batch_size", "seed", "parquet", "cache"}
    small |= {"name_column", "label_column", "mask_orientation", "value_range"}
    small |= {"largest", "segmentation"}
    missing = [name for name in options if f"--{name.replace('_', '-')}" not in text]
    assert {*missing} <= small
