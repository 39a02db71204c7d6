"""The parts of the study: settings, slices, networks, training, masks, the paper's sums."""

from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import brain_tumor_study as study
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from skimage import measure
from study import evaluation, figures, tables, training
from study.data import Slices, make_phantom
from study.networks import HEADS, Candidate, class_map, ends_in_linear_layers
from study.settings import Settings, parse
from tqdm import tqdm

import cameval
from cameval import CAMExtractor, CAMResult
from cameval.data import Fold, folds_by_group, write_phantom
from cameval.errors import CamevalError, DataError, NonFiniteError

CPU = torch.device("cpu")
PATIENTS = np.array([str(100 + i // 2) for i in range(60)])
NOBODY = np.array([], dtype=int)


def settings(*arguments: str) -> Settings:
    return parse(["--size", "32", "--models", "small_cnn_8px", *arguments])[0]


# --- Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "2"], "--folds must be at least 3"),
        (["--folds", "1", "--protocol", "paper"], "--folds must be at least 2"),
        (["--epochs", "0"], "--epochs"),
        (["--slices", "3"], "--slices"),
        (["--size", "8"], "--size"),
        (["--patience", "0"], "--patience"),
        (["--crop", "1.5"], "--crop"),
        (["--resume"], "--resume needs --out"),
        (["--data", "x", "--download", "y"], "not allowed with argument --data"),
        (["--inclusive"], "--inclusive must be given with --protocol paper"),
        (["--fold-order", "numeric"], "--fold-order must be given with --protocol paper"),
        (["--no-stratified"], "--stratified must be given with --protocol paper"),
        (["--switches", "all"], "--switches must be given with --protocol paper"),
        (["--protocol", "paper", "--switches", "none", "crop"], "--switches must be none or"),
        (["--learning-rate", "2"], "--learning-rate must be in (0, 1)"),
        (["--freeze-until", "block4"], "with networks that have weights"),
        (["--models", "vgg11", "--pretrained", "none", "--freeze-until", "1"], "that have weights"),
        (
            ["--models", "vgg11+gain", "--gain", "1", "2", "--freeze-until", "block4"],
            "without attention mining",
        ),
        (
            ["--models", "vgg11", "--augment", "affine", "--freeze-until", "block4"],
            "--augment must be mirror or none",
        ),
        (["--models", "vgg11+gain"], "--gain OMEGA SIGMA must be given"),
        (["--models", "vgg11+longer", "--freeze"], "trained whole"),
        (["--models", "vgg11:conv", "--freeze"], "trained whole"),
        (["--device", "gpu"], "at start of device string: gpu"),
        (["--device", "cuda:99"], "--device must exist"),
        (["--models", "vgg11", "vgg11:gap"], "must be different"),
        (["--models", "vgg11@96", "vgg11", "--size", "96"], "must be different"),
        (["--models", "vgg11@0"], "must be written"),
    ],
)
def test_settings_are_checked(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_defaults_follow_the_protocol_and_the_data() -> None:
    default, run = parse([])
    assert (default.protocol, default.data, default.size) == ("strict", "phantom", 128)
    assert default.models == ["small_cnn_8px", "small_cnn_16px"]
    assert default.class_weights == "balanced"
    assert run.out.parent == Path("runs")
    of_paper = parse(["--data", "x", "--protocol", "paper"])[0]
    assert (of_paper.models, of_paper.size) == (["alexnet", "vgg16", "vgg19"], 224)
    assert of_paper.class_weights == "none"
    assert parse(["--download", "x"])[0].data == "x"
    assert default.epochs_of(Candidate("vgg11", recipe="longer")) == 2 * default.epochs


def test_help_fits_two_screens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        parse(["--help"])
    assert len(capsys.readouterr().out.splitlines()) <= 80


# --- Slices ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Slices:
    folder = tmp_path_factory.mktemp("slices")
    write_phantom(folder / "phantom", slices=24, patients=12, size=64)
    return Slices(folder / "phantom", folder / "packed.h5")


def test_masks_and_images_are_brought_to_one_size_together(slices: Slices) -> None:
    (large, large_masks), (small, small_masks) = (slices.pictures(s, None) for s in (64, 32))
    assert small.shape == small_masks.shape == (24, 32, 32)
    areas = [masks.double().mean((1, 2)) for masks in (large_masks, small_masks)]
    torch.testing.assert_close(*areas, rtol=0.25, atol=0.002)
    cropped, cropped_masks = slices.pictures(32, 0.5)
    assert torch.equal(cropped, large[:, 16:48, 16:48])
    assert torch.equal(cropped_masks, large_masks[:, 16:48, 16:48])


def test_training_and_evaluation_see_the_same_image(slices: Slices) -> None:
    seen, _ = cameval.Preparation(32)(slices[3])
    trained = training.normalize(slices.pictures(32, None)[0][3:4], CPU)[0]
    torch.testing.assert_close(trained, seen, rtol=0, atol=1e-6)


def test_slices_of_unknown_patients_are_left_out_and_ids_kept_apart(tmp_path: Path) -> None:
    """Ids F1 to F5 stand for a fold; FP1 and F6 are patients."""
    folder = tmp_path / "phantom"
    write_phantom(folder, slices=24, patients=8, size=32)
    ids = ["F1", "F5", "FP1", "F6", "7", "7B"]
    for k in range(24):
        with h5py.File(folder / f"{k + 1}.mat", "r+") as file:
            del file["cjdata"]["PID"]
            codes = [[ord(letter)] for letter in ids[k % 6]]
            file["cjdata"]["PID"] = np.array(codes, dtype=np.uint16)
    known = Slices(folder, tmp_path / "packed.h5", known_patients=True)
    assert set(known.patients) == {"FP1", "F6", "7"}
    assert (len(known), known.unknown_patients) == (16, 0)
    assert [known[k].name for k in range(16)] == known.names
    assert [known[k].label for k in range(16)] == known.labels.tolist()
    every = Slices(folder, tmp_path / "packed.h5", merge_ids=False)
    assert set(every.patients) == set(ids)
    assert (len(every), every.unknown_patients, every[5].group) == (24, 8, "7B")
    with pytest.raises(DataError, match=r"must be in the folds of cvind\.mat, got others"):
        study.divide(settings("--folds", "3"), every)
    every.published_folds = np.arange(24) % 6 // 2
    folds = study.divide(settings("--folds", "3"), every)
    assert study.are_published(every, folds)


def test_an_interrupted_phantom_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "phantom.part").mkdir()
    (tmp_path / "phantom.part" / "1.mat").write_text("half a slice")
    make_phantom(tmp_path / "phantom", 30, 32, 0)
    assert len(Slices(tmp_path / "phantom", tmp_path / "x.h5")) == 30
    assert not (tmp_path / "phantom.part").exists()


# --- Networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["vgg16", "vgg16:mlp", "resnet50@448+gain", "alexnet:conv@96"])
def test_candidates_are_written_as_they_are_read(text: str) -> None:
    assert str(Candidate.parse(text)) == text
    assert Candidate.parse(text).file.replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vgg16:gup", "must be written NETWORK"),
        ("vgg16+fast", "gain or longer"),
        ("vgg16@big", "must be written"),
        ("", "must be written"),
        ("resnet81", "resnet81"),
        ("resnet18:conv", "AlexNet, VGG"),
    ],
)
def test_a_candidate_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(CamevalError, match=message):
        Candidate.parse(text)


def test_networks_that_end_in_linear_layers_are_known_by_their_class() -> None:
    names = ("vgg11", "vgg19_bn", "alexnet", "resnet18", "squeezenet1_0", "small_cnn_8px")
    assert [ends_in_linear_layers(name) for name in names] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("head", HEADS)
def test_heads_have_their_grid_and_exact_maps(head: str) -> None:
    model = Candidate.parse(f"alexnet:{head}").build("none", 3).eval()
    result = CAMExtractor(model, class_map)(torch.rand(1, 3, 127, 127))
    assert result.coarse.shape[1:] == ((3, 3) if head in ("gap", "dropout", "mlp") else (7, 7))
    if head != "mlp":
        logit = result.coarse.mean() + model.head.bias[result.classes]
        torch.testing.assert_close(logit, result.logits.amax(1))


def test_weights_are_taken_from_a_folder(tmp_path: Path) -> None:
    net = torchvision.models.squeezenet1_1()
    state = {key: value.half() for key, value in net.state_dict().items()}
    torch.save(state, tmp_path / "squeezenet1_1-half.pth")
    model = Candidate("squeezenet1_1").build(str(tmp_path), 3)
    loaded = model.state_dict()["features.0.weight"]
    torch.testing.assert_close(loaded, net.features[0].weight.detach().half().float())
    with pytest.raises(DataError, match=r"must hold a file vgg11\*\.pth"):
        Candidate("vgg11").build(str(tmp_path), 3)


# --- Training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def material() -> training.Material:
    """Slices of three classes that differ in brightness, some of each in every part."""
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    images = (torch.rand(60, 32, 32) * 0.5 + labels[:, None, None] * 0.25).clamp(0, 1)
    return training.Material(images, labels, folds_by_group(labels, PATIENTS, 5)[0])


def trained(
    material: training.Material, out: Path, *arguments: str, model: str = "small_cnn_8px"
) -> dict[str, torch.Tensor]:
    file = out / "net.pth"
    training.fine_tune(Candidate.parse(model), material, settings(*arguments), file, CPU)
    return torch.load(file, weights_only=True)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_training_never_uses_the_slices_that_are_tested(
    material: training.Material, tmp_path: Path
) -> None:
    """Were one pixel of them used, NaN would spread to every weight."""
    images, labels = material.images.clone(), material.labels.clone()
    images[material.fold.test] = torch.nan
    labels[material.fold.test] = 2 - labels[material.fold.test]
    poisoned = replace(material, images=images, labels=labels)
    clean = trained(material, tmp_path, "--epochs", "2")
    assert same(trained(poisoned, tmp_path, "--epochs", "2"), clean)
    images[material.fold.train[0]] = torch.nan
    with pytest.raises(NonFiniteError, match="got nan in fold 1, epoch 1"):
        trained(poisoned, tmp_path / "poisoned")


def test_training_continues_from_its_last_whole_epoch(
    material: training.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained(material, tmp_path / "straight", "--epochs", "3")
    epochs = training.Training.one_epoch

    def killed(self: training.Training, epoch: int, bar: "tqdm[None]") -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        epochs(self, epoch, bar)

    monkeypatch.setattr(training.Training, "one_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(material, tmp_path / "killed", "--epochs", "3")
    monkeypatch.undo()
    assert (tmp_path / "killed" / "net.epoch").exists()
    torch.rand(5)  # what is random elsewhere does not matter
    assert same(trained(material, tmp_path / "killed", "--epochs", "3"), straight)
    assert not (tmp_path / "killed" / "net.epoch").exists()
    assert not same(trained(material, tmp_path, "--epochs", "3", "--seed", "1"), straight)
    (tmp_path / "net.epoch").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"net\.epoch must be an epoch of this study"):
        trained(material, tmp_path)


@pytest.mark.parametrize(
    ("model", "arguments", "losses", "epochs", "best"),
    [
        ("small_cnn_8px", ["--epochs", "5", "--patience", "2"], [0.9, 0.5, 0.6, 0.7, 0.1], 4, 1),
        ("small_cnn_8px", ["--epochs", "4", "--patience", "1"], [1, 2, 3, 4], 3, 0),
        ("small_cnn_8px+gain", ["--epochs", "4", "--patience", "1"], [1, 2, 3, 4], 4, 0),
        ("small_cnn_8px+longer", ["--epochs", "2", "--patience", "1"], [1, 2, 3, 4], 4, 0),
        ("small_cnn_8px", ["--epochs", "6", "--patience", "2"], [0.9, 2, 2, 0.5, 0.6, 0.4], 6, 5),
    ],
    ids=["stops", "half the epochs", "gain", "longer", "high learning rate"],
)
def test_the_best_epoch_is_kept_and_training_stops_early_but_for_recipes(
    material: training.Material,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    arguments: list[str],
    losses: list[float],
    epochs: int,
    best: int,
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def validation_loss(self: training.Training) -> float:
        seen.append({k: v.clone() for k, v in self.model.state_dict().items()})
        return float(losses[len(seen) - 1])

    monkeypatch.setattr(training.Training, "validation_loss", validation_loss)
    kept = trained(material, tmp_path, *arguments, "--gain", "10", "0.5", model=model)
    assert len(seen) == epochs
    assert same(kept, seen[best])


def test_without_validation_the_last_epoch_is_kept(
    material: training.Material, tmp_path: Path
) -> None:
    without = replace(material, fold=replace(material.fold, validation=NOBODY))
    kept = trained(without, tmp_path, "--epochs", "2")
    learner = training.Training(Candidate("small_cnn_8px"), without, settings("--epochs", "2"), CPU)
    with tqdm(disable=True) as bar:
        for epoch in range(2):
            learner.one_epoch(epoch, bar)
    assert same(kept, learner.model.state_dict())


@pytest.mark.parametrize("how", ["none", "mirror", "affine"])
def test_slices_are_changed_as_asked(how: str) -> None:
    torch.manual_seed(0)
    images = torch.zeros(16, 64, 64)
    images[:, 20:34, 38:50] = 1
    changed = training.augment(images, how)
    assert torch.equal(changed, training.augment(images, "none")) == (how == "none")
    areas = changed.mean((1, 2)) / images.mean((1, 2))
    assert 0.75 < areas.min() <= areas.max() < 1.3
    mirrored = (changed[:, :, :32].sum((1, 2)) > changed[:, :, 32:].sum((1, 2))).sum()
    assert (0 < mirrored < 16) == (how != "none")


def test_a_last_batch_of_one_slice_is_joined() -> None:
    assert [len(b) for b in training.batches(torch.arange(33))] == [16, 17]
    assert [len(b) for b in training.batches(torch.arange(34))] == [16, 16, 2]
    assert [len(b) for b in training.batches(torch.arange(1))] == [1]


def test_classes_have_equal_shares_in_the_loss(material: training.Material) -> None:
    labels = torch.tensor([0] * 40 + [1] * 15 + [2] * 5)
    fold = Fold(0, np.arange(59), NOBODY, np.array([59]), PATIENTS, leaking=True)
    uneven = training.Material(material.images, labels, fold)
    weights = training.class_weights(uneven, settings("--class-weights", "balanced"))
    torch.testing.assert_close(weights * torch.bincount(labels[:59]), torch.full((3,), 59 / 3))
    assert training.class_weights(uneven, settings("--class-weights", "none")).tolist() == [1, 1, 1]


def test_a_pretrained_network_keeps_its_statistics(material: training.Material) -> None:
    for pretrained in (True, False):
        learner = training.Training(Candidate("small_cnn_8px"), material, settings(), CPU)
        learner.pretrained = pretrained
        before = {k: v.clone() for k, v in learner.model.state_dict().items()}
        with tqdm(disable=True) as bar:
            learner.one_epoch(0, bar)
        after = learner.model.state_dict()
        unchanged = torch.equal(before["features.1.running_mean"], after["features.1.running_mean"])
        assert unchanged == pretrained
        assert not torch.equal(before["features.1.weight"], after["features.1.weight"])


def test_half_precision_trains_nearly_the_same(material: training.Material, tmp_path: Path) -> None:
    whole = trained(material, tmp_path / "whole", "--epochs", "1")
    half = trained(material, tmp_path / "half", "--epochs", "1", "--mixed-precision")
    assert not same(whole, half)
    weight = "head.linear.weight"
    torch.testing.assert_close(half[weight], whole[weight], atol=0.05, rtol=0)


def test_attention_mining_is_part_of_the_loss(material: training.Material) -> None:
    images = training.normalize(material.images[:4], CPU)
    totals = []
    for text in ("small_cnn_8px", "small_cnn_8px+gain"):
        chosen = settings("--gain", "10", "0.5")
        learner = training.Training(Candidate.parse(text), material, chosen, CPU)
        learner.model.eval()
        totals.append(learner.loss(images, material.labels[:4]).item())
    assert 0 < totals[1] - totals[0] < 1  # a probability is added


def test_frozen_features_pass_the_network_once_for_all_folds(
    material: training.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, candidate = tmp_path / "features.pt", Candidate("small_cnn_8px")
    training.train_linear(candidate, material, settings(), tmp_path / "0.pth", CPU, kept)
    monkeypatch.setattr(training, "pooled_features", None)  # a second pass would need it
    other = replace(material, fold=folds_by_group(material.labels, PATIENTS, 5)[1])
    training.train_linear(candidate, other, settings(), tmp_path / "1.pth", CPU, kept)
    first, second = (torch.load(tmp_path / f"{k}.pth", weights_only=True) for k in (0, 1))
    assert torch.equal(first["features.0.weight"], second["features.0.weight"])
    assert not torch.equal(first["head.linear.weight"], second["head.linear.weight"])


# --- Baselines and masks --------------------------------------------------------------------------


def test_the_mean_mask_learns_from_the_training_slices_alone(slices: Slices) -> None:
    fold = folds_by_group(slices.labels, slices.patients, 3)[0]
    arguments = (Candidate("small_cnn_8px"), slices, fold, *parse(["--size", "32"]))
    before = evaluation.baselines_of(*arguments)["class mean"]
    _, masks = slices.pictures(32, None)
    kept = masks.clone()
    for part in (fold.test, fold.validation):
        masks[part] = ~masks[part]
    after = evaluation.baselines_of(*arguments)["class mean"]
    assert torch.equal(before.masks, after.masks)
    masks.copy_(kept)


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("where", ["upsampled", "coarse-values", "coarse-mask"])
def test_masks_are_made_as_the_settings_say(where: str, inclusive: bool) -> None:
    """Against the same in NumPy; the maps have ties."""
    coarse = torch.randint(0, 6, (2, 4, 4), generator=torch.Generator().manual_seed(1)).float()
    maps = cameval.maps.upsample(coarse, (16, 16))
    result = CAMResult(maps, coarse, torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    chosen = ["--protocol", "paper", "--threshold-on", where, *["--inclusive"] * inclusive]
    masks = evaluation.paper_masks(result, "percentile:75", settings(*chosen))
    for k in range(2):
        values = (maps if where == "upsampled" else coarse)[k].double().numpy()
        threshold = np.percentile(values, 75)
        shown = maps[k].numpy()
        if where == "coarse-mask":
            shown = np.kron(coarse[k].numpy(), np.ones((4, 4)))
        expected = shown >= threshold if inclusive else shown > threshold
        np.testing.assert_array_equal(masks[k].numpy(), expected)


def test_each_variation_changes_one_thing() -> None:
    base, vgg = settings("--protocol", "paper", "--switches", "all"), Candidate("vgg16")
    answers = list(evaluation.variations(base, vgg))
    assert answers[0] == evaluation.Variation("as run", "")
    for one in answers[1:]:
        assert len(one.changes) + (one.head is not None) == 1
        assert all(getattr(base, name) != value for name, value in one.changes)
    assert sum(one.head is not None for one in answers) == len(HEADS) - 1
    assert [one.changes for one in answers if one.question == "epochs"] == [
        (("epochs", 4),),
        (("epochs", 16),),
    ]
    small = evaluation.variations(base, Candidate("small_cnn_8px"))
    for network, rate in ((answers, 3e-4), (small, 3e-3)):  # pretrained, and from nothing
        of_rate = [one.changes[0][1] for one in network if one.question == "highest learning rate"]
        assert of_rate == pytest.approx([rate / 3, rate * 3])
    maps = list(evaluation.variations(settings("--protocol", "paper"), vgg))
    assert not any(one.trains for one in maps)
    assert len(maps) == 6
    assert len(list(evaluation.variations(replace(base, switches=[]), vgg))) == 1
    chosen = settings("--protocol", "paper", "--switches", "epochs", "maps", "crop").switches
    assert chosen == ["threshold-on", "inclusive", "truth-grid", "alignment", "crop", "epochs"]
    blocks = settings(
        *("--protocol", "paper", "--models", "vgg11", "--freeze-until", "block4"),
        *("--switches", "layers", "training-seed"),
    )
    assert [one.changes for one in evaluation.variations(blocks, vgg)][1:] == [
        (("freeze", True),),
        (("freeze_until", "block3"),),
        (("seed", 1),),
        (("seed", 2),),
    ]
    frozen = evaluation.variations(replace(base, freeze=True), Candidate("vgg16", "no-last-pool"))
    frozen = list(frozen)
    assert [one.head for one in frozen if one.head] == ["gap"]
    assert not [one for one in frozen if one.question in ("epochs", "highest learning rate")]


# --- Tables ---------------------------------------------------------------------------------------

LAST_FOLD = {"meningioma": 141, "glioma": 285, "pituitary": 186}
BELOW = (3, 95, 159)  # slices of each class; the one triple that fits every percentage printed


def test_the_papers_percentages_fit_one_triple_of_counts() -> None:
    printed = tables.PAPER_BELOW_HUNDREDTH
    fitting = [
        [n for n in range(total + 1) if round(100 * n / total) == round(100 * printed[name])]
        for name, total in LAST_FOLD.items()
    ]
    triples = [(a, b, c) for a in fitting[0] for b in fitting[1] for c in fitting[2]]
    assert [one for one in triples if sum(one) == round(0.42 * 612)] == [BELOW]


def test_the_papers_counts_come_out_of_the_class_table() -> None:
    rows = []
    for (label, total), below in zip(LAST_FOLD.items(), BELOW, strict=True):
        values = np.where(np.arange(total) < below, 0.0, 0.2)
        patients = np.arange(total).astype(str)
        rows.append(pd.DataFrame({"label": label, "patient": patients, "iou": values}))
    table = tables.class_table(pd.concat(rows).assign(area_bound=0.3), list(LAST_FOLD))
    cells = [f"{cell.text} {cell.detail}".replace("\u00a0", " ") for cell in table["< .01"]]
    assert cells == ["2.1 % (3/141)", "33.3 % (95/285)", "85.5 % (159/186)", "42.0 % (257/612)"]
    assert [text.replace("\u00a0", " ") for text in table["paper < .01"]] == [
        *("2 %", "33 %", "85 %", "42 %")
    ]


def test_undefined_scores_are_counted_apart() -> None:
    scores = pd.DataFrame({"patient": list("abcd"), "iou": [0.6, 0.0, np.nan, 0.2]})
    row = tables.class_table(scores.assign(label="glioma", area_bound=0.3), ["glioma"]).iloc[0]
    assert row["slices"] == "4 (1 undefined)"
    assert (row["> .5"].text.replace("\u00a0", " "), row["> .5"].detail) == ("33.3 %", "(1/3)")


def test_table_2_is_mean_and_deviation_over_folds() -> None:
    predictions = pd.DataFrame(
        {
            "model": "vgg19",
            "fold": [0, 0, 0, 1, 1, 1],
            "sample": list("abcdef"),
            "group": list("aabbcc"),
            "label": [0, 1, 2, 0, 1, 2],
            "predicted": [0, 1, 2, 0, 1, 1],
        }
    )
    scores = tables.fold_scores(predictions)
    assert scores["accuracy"].tolist() == pytest.approx([1, 2 / 3])
    assert scores["precision"].tolist() == pytest.approx([1, (1 + 0.5 + 0) / 3])
    both = pd.concat([predictions, predictions.assign(model="vgg19@448")])
    assert (tables.classification_table(both)["model"] == "the paper's vgg19").sum() == 1
    table = tables.classification_table(predictions).set_index("model")
    assert table.loc["vgg19", "accuracy"] == ".833 (.236)"
    assert table.loc["always the most frequent class", "all slices"] == ".333"


# --- Real slices ----------------------------------------------------------------------------------


def test_a_real_slice_goes_through_the_whole_study(
    real_slices: Path, shared_data: Path, tmp_path: Path
) -> None:
    images, masks = Slices(real_slices, tmp_path / "slices.h5").pictures(224, None)
    model = Candidate("mobilenet_v2").build(str(shared_data / "weights"), 3).eval()
    result = CAMExtractor(model, class_map)(training.normalize(images, CPU))
    logits = result.coarse.mean((1, 2)) + model.head.bias[result.classes]
    torch.testing.assert_close(logits, result.logits.amax(1), rtol=1e-4, atol=1e-4)
    found = cameval.PercentileBinarizer(95)(result.maps)
    pixels = found.sum((1, 2))  # fewer where the threshold falls into a flat corner of the map
    assert ((pixels > 2450) & (pixels <= 2509)).all()
    iou, cap = cameval.iou(found, masks), cameval.baselines.area_bound(found, masks)
    assert ((iou >= 0) & (iou <= cap + 1e-6)).all()


# --- Figures --------------------------------------------------------------------------------------


def test_contrast_is_the_difference_to_a_ring_in_units_of_their_spread() -> None:
    mask = np.zeros((60, 60), bool)
    mask[25:35, 25:35] = True
    image = np.where(mask, 0.8, 0.2) + 0.1 * (-1.0) ** np.indices(mask.shape).sum(0)
    far = np.zeros_like(mask)
    far[5:55, 5:55] = True
    assert figures.contrast(image, mask) == pytest.approx(6, rel=0.01)
    assert figures.contrast(np.where(far, image, 9), mask) == figures.contrast(image, mask)
    assert figures.contrast(np.ones_like(image), mask) == 0


def test_failures_are_the_worst_of_each_class(slices: Slices) -> None:
    settings = parse(["--size", "32", "--protocol", "paper"])[0]
    names = [slices.class_names[k] for k in slices.labels]
    scores = pd.DataFrame({"slice": slices.names, "label": names, "predicted": names})
    scores = scores.assign(threshold="percentile:95", iou=0.3, coverage=0.5)
    model = Candidate("small_cnn_8px").build_seeded("none", 3, 0)
    draw = partial(figures.draw_failures, slices, model=model, size=32, settings=settings)
    assert draw(scores) is None
    place = names.index("glioma")
    scores.loc[place, ["iou", "coverage"]] = 0.1, 0.96
    large = draw(scores)
    assert large is not None
    assert large.file == "paper-figure-3.png"
    assert large.alt.endswith(f"outlined: (a) glioma {slices.names[place]}")
    scores.loc[place, "predicted"] = "meningioma"
    assert draw(scores) is None
    scores.loc[[0, 1, 2, 3], "iou"] = 0
    scores["predicted"] = names
    both = draw(scores)
    assert both is not None
    assert f"(a) glioma {slices.names[place]}; (b) " in both.alt
    shown = both.alt.partition("(b) ")[2].split(", ")
    assert [name.split()[0] for name in shown] == sorted(set(names[:4]))
    assert {name.split()[1] for name in shown} <= set(slices.names[:4])


def test_a_slice_of_each_class_is_drawn_in_a_box(slices: Slices) -> None:
    picture = figures.draw_classes(slices, 64, None)
    assert picture.caption.startswith("Of each class the slice with the median area of the tumor")
    pixels = np.asarray(Image.open(BytesIO(picture.data)).convert("RGB")).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1:].max(-1) < 120)
    assert len(np.unique(measure.label(red))) - 1 == 3
