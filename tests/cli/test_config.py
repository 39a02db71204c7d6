"""Files of settings: read as the command line would be, overridden by it, and written by a run."""

import re
from pathlib import Path

import pytest

from cameval.cli import main
from cameval.cli._config import settings_text
from cameval.cli._parser import parse
from cameval.evaluation import Results

COMMANDS = {
    "evaluate": ["evaluate", "--model", "resnet18", "--out", "run"],
    "score": ["score", "--maps", "a=maps", "--out", "run"],
}

FILE = """
model = "resnet18"
method = ["grad_cam", "cam"]
binarizer = "otsu"
batch_size = 4
size = 64
crop = 1
mean = [0.5]
std = 0.25
classes = ["true", 3]
parquet = true
report = false
largest-component = false
out = "a folder"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_settings_of_a_file_are_those_of_the_command_line(tmp_path) -> None:
    found = vars(parse(["evaluate", "--config", write(tmp_path, FILE)]))
    words = "--model resnet18 --method grad_cam cam --binarizer otsu --batch-size 4 --size 64"
    words += " --crop 1 --mean 0.5 --std 0.25 --classes true 3 --parquet --no-report --out"
    expected = vars(parse(["evaluate", *words.split(), "a folder"]))
    assert found | {"config": None, "model": ["resnet18"]} == expected
    assert found["model"] == ["resnet18"]
    assert type(found["crop"]) is float


def test_the_command_line_overrides_the_file(tmp_path) -> None:
    words = "--size 80 --method eigen_cam --no-parquet --report --largest-component --out other"
    found = parse(["evaluate", f"--config={write(tmp_path, FILE)}", *words.split()])
    assert (found.size, found.method, found.out) == (80, ["eigen_cam"], "other")
    assert (found.parquet, found.no_report, found.largest_component) == (False, False, True)
    assert found.batch_size == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metod = 'cam'", "must be an option of `cameval evaluate`, got 'metod'; near names: meth"),
        ("config = 'a.toml'", "got 'config'"),
        ("help = true", "got 'help'"),
        ("[evaluate]\nsize = 3", "got 'evaluate'; near names: "),
        ("size = '64'", "size must be a whole number, got '64'"),
        ("size = 64.0", "size must be a whole number, got 64.0"),
        ("size = true", "size must be a whole number, got True"),
        ("crop = 'half'", "crop must be a number, got 'half'"),
        ("method = [3]", "method must be text, got 3"),
        ("method = []", "method must have at least one value, got none"),
        ("out = ['a', 'b']", "out must be text, got \\['a', 'b'\\]"),
        ("parquet = 'yes'", "parquet must be true or false, got 'yes'"),
        ("fit = 'sqeeze'", "fit must be one of squeeze, crop, pad, got 'sqeeze'"),
        ("value-range = [1]", "value-range must be a list of 2, got \\[1\\]"),
        ("size = \n", "must be a TOML file of settings, got: .*line 1"),
    ],
)
def test_other_settings_are_refused_in_one_line(tmp_path, capsys, text, message) -> None:
    assert main(["evaluate", "--config", write(tmp_path, text)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert re.search(message, told), told


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_told(tmp_path, capsys, content) -> None:
    if content is not None:
        (tmp_path / "a.toml").write_bytes(content)
    assert main(["score", "--config", str(tmp_path / "a.toml")]) == 2
    assert "a.toml must be a TOML file of settings, got: " in capsys.readouterr().err


def test_an_abbreviation_is_refused(tmp_path, capsys) -> None:
    path = write(tmp_path, FILE)
    assert main([*COMMANDS["evaluate"], "--conf", path]) == 2
    assert "--config must be written in full" in capsys.readouterr().err


def test_what_is_missing_in_the_file_too_is_asked_for(tmp_path, capsys) -> None:
    assert main(["evaluate", "--config", write(tmp_path, "out = 'run'")]) == 2
    assert "the following arguments are required: --model" in capsys.readouterr().err


OPTIONS = [
    ("evaluate", ""),
    ("evaluate", "--classes true 3 --mean 0.1 1e-07 --std 1 2 --mask-value 3 4 --threads 2"),
    ("evaluate", "--model a=resnet18 b=nets.py:build --stretch-contrast --no-report --layer x.3"),
    ("score", "--value-range -160 240.5 --pattern {name}_{label} --per-class --parquet"),
]


@pytest.mark.parametrize(("command", "words"), OPTIONS)
@pytest.mark.parametrize("name", ["run", 'a "b" \\ c\té\x7f', "\n"])
def test_written_settings_are_read_as_they_were(tmp_path, command, words, name) -> None:
    options = parse([*COMMANDS[command], *words.split(), "--names", name])
    path = write(tmp_path, settings_text(options, command))
    again = vars(parse([command, "--config", path]))
    assert again | {"config": None} == vars(options)


def test_names_that_are_no_text_are_left_out() -> None:
    text = settings_text(parse([*COMMANDS["score"], "--names", "\udc80"]), "score")
    assert "# names is no text: give it on the command line" in text
    text.encode()


SMALL = "evaluate --phantom 3 --model squeezenet1_1 --num-classes 3 --size 64 --metric iou"
SMALL += " --baseline center --no-report --threads 1"


def test_a_run_is_repeated_by_its_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL.split(), "--binarizer", "percentile:80", "--out", "first"]) == 0
    again = ["evaluate", "--config", "first/settings.toml"]
    before = Path("first/results.csv").read_bytes()
    assert main(again) == 0
    assert main([*again, "--out", "second"]) == 0
    first, second = (Results.from_csv(Path(name) / "results.csv") for name in ("first", "second"))
    assert Path("first/results.csv").read_bytes() == before
    assert first.columns == second.columns
    assert first.values.tolist() == second.values.tolist()
    texts = [(Path(name) / "settings.toml").read_text() for name in ("first", "second")]
    assert texts[0].replace('out = "first"', 'out = "second"') == texts[1]


def test_a_refused_command_leaves_the_settings_of_the_run(tmp_path, capsys) -> None:
    command = [*SMALL.split(), "--out", str(tmp_path)]
    assert main(command) == 0
    kept = (tmp_path / "settings.toml").read_text()
    assert main([*command, "--seed", "7"]) == 2
    assert (tmp_path / "settings.toml").read_text() == kept
