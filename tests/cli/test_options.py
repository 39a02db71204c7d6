"""Every option of ``cameval evaluate`` arrives where it is used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cameval.cli import main
from cameval.data import phantom_samples
from cameval.evaluation import Preparation
from cameval.extractor import CAMExtractor
from cameval.protocols import Baseline, BaselineInput


class Enough(Exception):
    """The call of `evaluate` has been noted."""


@pytest.fixture
def call(tmp_path, monkeypatch) -> Callable[..., dict[str, Any]]:
    """Return a function that notes what a command gives to `evaluate`."""

    def note(model: CAMExtractor, samples: object, **options: object) -> None:
        noted.update(options, model=model, samples=samples)
        raise Enough

    noted: dict[str, Any] = {}
    monkeypatch.setattr("cameval.cli._evaluate.evaluate", note)

    def command(words: str = "") -> dict[str, Any]:
        noted.clear()
        torch.rand(3)  # random numbers that were drawn before do not matter
        base = "evaluate --model resnet18 --num-classes 3 --phantom 3 --size 64"
        with pytest.raises(Enough):
            main([*base.split(), *words.split(), "--out", str(tmp_path)])
        return dict(noted)

    return command


OPTIONS: dict[str, tuple[str, object]] = {
    "--batch-size 3": ("batch_size", 3),
    "--workers 2": ("workers", 2),
    "--seed 5": ("seed", 5),
    "--task binary": ("task", "binary"),
    "--task auto": ("task", None),
    "--classes true predicted": ("classes", ["true", "predicted"]),
    "--size 48": ("prepare", Preparation(size=48)),
    "--crop 0.5": ("prepare", Preparation(size=64, crop=0.5)),
}


@pytest.mark.parametrize(("words", "expected"), OPTIONS.items(), ids=OPTIONS)
def test_an_option_arrives(call, words, expected) -> None:
    name, value = expected
    assert call(words)[name] == value
    assert call()[name] != value or words == "--task auto"


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--method", "methods", ["layer_cam", "random_cam:3"]),
        ("--binarizer", "binarizers", ["mean", "adaptive:31,mean"]),
        ("--metric", "metrics", ["dice", "pointing_game:tolerance=3"]),
        ("--baseline", "baselines", ["center", "random:seed=2", "mean_mask", "untrained"]),
    ],
)
def test_words_arrive_as_labels(call, option, name, words) -> None:
    assert list(call(f"{option} {' '.join(words)}")[name]) == words


def test_the_alignment_arrives(call) -> None:
    assert call()["model"].alignment == "half_pixel"
    assert call("--alignment receptive_field")["model"].alignment == "receptive_field"


def test_the_layer_arrives(call) -> None:
    assert call("--layer layer3")["model"].model.layer == "layer3"


def test_the_folder_and_the_name_of_the_model_arrive(call, tmp_path) -> None:
    noted = call()
    assert (noted["name"], noted["out"]) == ("resnet18", Path(tmp_path) / "runs" / "resnet18")
    assert noted["class_names"] == ["meningioma", "glioma", "pituitary"]


def test_the_number_of_threads_is_set_for_the_run_alone(call, monkeypatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", counts.append)
    before = torch.get_num_threads()
    call("--threads 7")
    assert counts == [7, before]


def test_the_seed_arrives_at_the_network_and_at_the_samples(call) -> None:
    first, second = call("--seed 0"), call("--seed 1")
    weights = [next(noted["model"].model.parameters()) for noted in (first, second)]
    assert not torch.equal(*weights)
    images = [noted["samples"][0].image for noted in (first, second)]
    assert (images[0] != images[1]).any()
    assert (images[1] == next(phantom_samples(seed=1)).image).all()


def maps_of(baseline: Baseline) -> torch.Tensor:
    """Return the map of a baseline for the first sample of another phantom."""
    sample = next(phantom_samples(seed=7))
    truth = torch.from_numpy(sample.mask)[None]
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return baseline(BaselineInput([sample], images, truth, torch.tensor([1]), (2, 2)))


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ("untrained", "--method layer_cam"),
        ("untrained", "--alignment receptive_field"),
        ("mean_mask", "--crop 0.5"),
    ],
)
def test_an_option_changes_the_baselines_that_use_it(call, baseline, words) -> None:
    before, after = (
        maps_of(call(f"--baseline {baseline} {more}")["baselines"][baseline])
        for more in ("", words)
    )
    assert not torch.equal(before, after)


def test_the_seed_of_the_untrained_copy_is_that_of_the_command(call, tmp_path) -> None:
    torch.save(call()["model"].model.state_dict(), tmp_path / "resnet18.pth")
    before, after = (
        maps_of(
            call(f"--weights {tmp_path / 'resnet18.pth'} --baseline untrained --seed {seed}")[
                "baselines"
            ]["untrained"]
        )
        for seed in (0, 1)
    )
    assert not torch.equal(before, after)
