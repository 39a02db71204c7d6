"""Frozen layers of the study: their outputs are kept, and change nothing but the time."""

from collections.abc import Callable
from pathlib import Path

import brain_tumor_study as study
import numpy as np
import pandas as pd
import pytest
import torch
from study import training
from study.frozen import FrozenLayers, KeptOutputs, cut_of, freeze, identity_of, key_of
from study.networks import Candidate
from study.settings import Settings, parse
from torch import Tensor, nn
from torchvision.models import squeezenet1_1

from cameval import CAMModel
from cameval.data import folds_by_group
from cameval.errors import DataError, NonFiniteError, SettingError

CPU = torch.device("cpu")
NETWORK = Candidate("squeezenet1_1")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Features of a SqueezeNet, without its head, as a file of half-precision numbers."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        state = squeezenet1_1().half().state_dict()
    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.pth"
    torch.save({k: v for k, v in state.items() if k.startswith("features.")}, path)
    return str(path)


@pytest.fixture(scope="module")
def material() -> training.Material:
    torch.manual_seed(0)
    labels = torch.arange(50) % 3
    images = (torch.rand(50, 64, 64) * 0.5 + labels[:, None, None] * 0.25).clamp(0, 1)
    groups = np.array([str(k // 2) for k in range(50)])
    return training.Material(images, labels, folds_by_group(labels, groups, 5)[0])


@pytest.fixture
def settings_of(weights: str) -> Callable[..., Settings]:
    def read(*arguments: str) -> Settings:
        models = ["--models", str(NETWORK), "--pretrained", weights, "--size", "64"]
        return parse([*models, "--epochs", "2", "--freeze-until", "block2", *arguments])[0]

    return read


def model_of(weights: str) -> CAMModel:
    return NETWORK.build_seeded(weights, 3, 0)


def trained(
    material: training.Material, settings: Settings, out: Path, kept: Path | None
) -> dict[str, Tensor]:
    known = training.Material(material.images, material.labels, material.fold, kept)
    training.fine_tune(NETWORK, known, settings, out, CPU)
    return torch.load(out, weights_only=True)


def kept_in(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


# --- Training -------------------------------------------------------------------------------------


def test_training_on_kept_outputs_is_training_without_them_to_the_bit(
    material: training.Material,
    settings_of: Callable[..., Settings],
    weights: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without = trained(material, settings_of("--keep", "none"), tmp_path / "a.pth", None)
    single, kept = settings_of("--keep", "float32"), tmp_path / "kept"
    model = training.with_frozen(model_of(weights), NETWORK, single, kept)
    training.keep_outputs(model, material.images, mirrored=True, title="")
    assert len(model.features[0].kept) == 100

    def computed(self: FrozenLayers, images: Tensor) -> Tensor:
        raise AssertionError("every output is kept")

    monkeypatch.setattr(FrozenLayers, "compute", computed)
    with_kept = trained(material, single, tmp_path / "b.pth", kept)
    assert with_kept.keys() == without.keys()
    assert all(torch.equal(with_kept[name], without[name]) for name in without)


def test_frozen_layers_keep_their_weights_and_the_others_train(
    material: training.Material, settings_of: Callable[..., Settings], weights: str, tmp_path: Path
) -> None:
    before = model_of(weights).state_dict()
    after = trained(material, settings_of("--keep", "none"), tmp_path / "a.pth", None)
    cut = cut_of(model_of(weights), "block2", 64)
    assert (cut.frozen, cut.rest[0]) == (("0", "1", "2"), "3")
    for name, value in before.items():
        frozen = name.removeprefix("features.").split(".")[0] in cut.frozen
        assert torch.equal(after[name], value) == (frozen and name.startswith("features."))


def test_half_precision_rounds_the_outputs_alone(
    material: training.Material, settings_of: Callable[..., Settings], weights: str, tmp_path: Path
) -> None:
    half = training.with_frozen(model_of(weights), NETWORK, settings_of(), tmp_path / "kept")
    exact = training.with_frozen(model_of(weights), NETWORK, settings_of("--keep", "none"), None)
    images = training.normalize(material.images[:4], CPU)
    expected = exact.features[0](images)
    assert torch.equal(half.features[0](images), expected.half().float())


# --- What is kept ---------------------------------------------------------------------------------


def double(images: Tensor) -> Tensor:
    return images[:, :1] * 2


def test_outputs_are_found_by_the_content_of_the_image(tmp_path: Path) -> None:
    images = torch.rand(5, 3, 4, 4)
    kept = KeptOutputs(tmp_path / "kept", "float32", "double")
    kept.add([images[:2], images[1:4]], double)
    again = KeptOutputs(tmp_path / "kept", "float32", "double")
    assert (len(kept), len(again)) == (4, 4)
    calls: list[int] = []

    def counted(batch: Tensor) -> Tensor:
        calls.append(len(batch))
        return double(batch)

    chosen = images[[3, 4, 0]].contiguous(memory_format=torch.channels_last)
    assert torch.equal(again.find(chosen, counted), double(images[[3, 4, 0]]))
    assert calls == [1]
    assert key_of(images[0]) != key_of(images[0] + 1e-7)


@pytest.mark.parametrize("lost", ["half a row", "a line", "half a line"])
def test_what_was_interrupted_is_continued(tmp_path: Path, lost: str) -> None:
    images, folder = torch.rand(6, 3, 4, 4), tmp_path / "kept"
    KeptOutputs(folder, "float32", "double").add(images[:4].split(2), double)
    lines = (folder / "rows.txt").read_text()
    if lost == "half a row":
        with (folder / "outputs.bin").open("r+b") as rows:
            rows.truncate(3 * 64 + 20)
    else:
        whole = lines.splitlines(keepends=True)
        last = whole[3][:30] if lost == "half a line" else ""
        (folder / "rows.txt").write_text("".join(whole[:3]) + last)
    kept = KeptOutputs(folder, "float32", "double")
    assert len(kept) == 3
    kept.add(images.split(4), double)
    assert (folder / "rows.txt").read_text().startswith(lines)
    assert (folder / "outputs.bin").stat().st_size == 6 * 64

    def computed(batch: Tensor) -> Tensor:
        raise AssertionError("every output is kept")

    again = KeptOutputs(folder, "float32", "double")
    assert torch.equal(again.find(images, computed), double(images))


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    images, folder = torch.rand(3, 3, 4, 4), tmp_path / "kept"
    KeptOutputs(folder, "float32", "double").add([images], double)
    content = bytearray((folder / "outputs.bin").read_bytes())
    content[70] ^= 1  # in the second row
    (folder / "outputs.bin").write_bytes(content)
    kept = KeptOutputs(folder, "float32", "double")
    assert torch.equal(kept.find(images[:1], double), double(images[:1]))
    with pytest.raises(DataError, match="got another row 2; delete the folder"):
        kept.find(images, double)
    with pytest.raises(DataError, match="those of other layers"):
        KeptOutputs(folder, "float32", "triple")
    (folder / "outputs.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"no numbers in outputs\.bin"):
        KeptOutputs(folder, "float32", "double")
    (folder / "about.json").write_text("{")
    with pytest.raises(DataError, match=r"no whole about\.json"):
        KeptOutputs(folder, "float32", "double")


def test_outputs_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    kept = KeptOutputs(tmp_path / "kept", "float16", "large")
    with pytest.raises(NonFiniteError, match=r"got up to 7e\+04; keep them with --keep float32"):
        kept.add([torch.ones(1, 3, 2, 2)], lambda images: images * 7e4)
    assert len(KeptOutputs(tmp_path / "kept", "float16", "large")) == 0


def test_other_weights_or_layers_are_kept_elsewhere(weights: str) -> None:
    model, other = model_of(weights), model_of(weights)
    cut = cut_of(model, "block2", 64)
    one = identity_of("squeezenet1_1", model, cut, "float16")
    assert identity_of("squeezenet1_1", other, cut, "float16") == one
    assert identity_of("squeezenet1_1", other, cut, "float32") != one
    assert identity_of("squeezenet1_1", other, cut_of(model, "block1", 64), "float16") != one
    other.get_parameter("features.0.bias").data[0] += 1
    assert identity_of("squeezenet1_1", other, cut, "float16") != one
    assert identity_of("squeezenet1_0", model, cut, "float16") != one


# --- Where a network is cut -----------------------------------------------------------------------


def test_a_block_ends_where_the_grid_becomes_smaller() -> None:
    vgg = Candidate("vgg16").build_seeded("none", 3, 0)
    ends = [cut_of(vgg, f"block{k}", 64).frozen[-1] for k in range(1, 6)]
    assert ends == ["4", "9", "16", "23", "30"]
    assert cut_of(vgg, "23", 64) == cut_of(vgg, "block4", 64)
    with pytest.raises(SettingError, match=r"must be one of 0, 1, .*, block5, got 'block6'"):
        cut_of(vgg, "block6", 64)
    single = CAMModel(nn.Conv2d(3, 4, 3), vgg.head)
    with pytest.raises(SettingError, match="a sequence of layers, got Conv2d"):
        cut_of(single, "block1", 64)


def test_frozen_layers_stay_in_evaluation_mode(weights: str) -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    model = CAMModel(nn.Sequential(*layers, nn.Conv2d(4, 4, 1)), model_of(weights).head)
    frozen = freeze(model, cut_of(model, "1", 32), None)
    frozen.train()
    mean = layers[1].running_mean.clone()
    features = frozen.features(torch.rand(2, 3, 32, 32))
    assert torch.equal(layers[1].running_mean, mean)
    assert features.requires_grad
    assert not any(parameter.requires_grad for parameter in layers.parameters())


# --- The whole study ------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("protocol", [["strict"], ["paper", "--switches", "crop", "head"]])
def test_the_study_is_the_same_with_and_without_kept_outputs(
    weights: str, tmp_path: Path, protocol: list[str]
) -> None:
    arguments = ["--slices", "45", "--folds", "3", "--epochs", "1", "--size", "64"]
    arguments += ["--models", str(NETWORK), "--pretrained", weights, "--freeze-until", "block2"]
    for keep in ("none", "float32"):
        out = ["--out", str(tmp_path / keep), "--features", str(tmp_path / "kept")]
        assert study.main([*arguments, "--protocol", *protocol, "--keep", keep, *out]) == 0
    tables = [pd.read_csv(tmp_path / keep / "scores.csv") for keep in ("none", "float32")]
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=0.01)  # a pixel at the threshold may differ
    sums = (tmp_path / "kept").glob("*/rows.txt")
    rows = sorted(len(one.read_text().splitlines()) for one in sums)
    assert rows == ([45, 90] if protocol == ["strict"] else [15, 180])  # of two crops


def test_a_linear_layer_is_fitted_on_kept_outputs(
    material: training.Material, settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    states = []
    for keep in ("none", "float32"):
        settings = settings_of("--freeze", "--keep", keep)
        file, pooled = tmp_path / f"{keep}.pth", tmp_path / f"{keep}.pt"
        known = training.Material(
            material.images, material.labels, material.fold, tmp_path / "kept"
        )
        training.train_linear(NETWORK, known, settings, file, CPU, pooled)
        states.append(torch.load(file, weights_only=True))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    NETWORK.build("none", 3).load_state_dict(states[0])
