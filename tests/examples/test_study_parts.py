"""The parts of the brain-tumor study: folds, candidates, training, thresholds, the paper's sums."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from study import (
    figures,
    frozen,
    looking,
    paper,
    paper_tables,
    strict_findings,
    switches,
    training,
    untrained,
)
from study.augmentation import augment
from study.candidates import HEADS, Candidate, class_map, ends_in_linear_layers
from study.classification import fold_scores, table_2
from study.comparisons import Comparison, PageTests, ahead, family
from study.folds import LeakError, Split, splits_by_patient, splits_by_slice
from study.processes import together
from study.settings import Settings, parse
from study.slices import Pictures, Slices, make_phantom, person
from study.untrained import Untrained
from tqdm import tqdm

import cameval
from cameval import CAMExtractor, CAMResult, Results
from cameval.baselines import UntrainedBaseline, knowledge_of
from cameval.data import write_phantom
from cameval.errors import CamevalError, DataError, NonFiniteError, SettingError
from cameval.evaluation import Column
from cameval.evaluation._identity import digest_of
from cameval.protocols import BaselineInput
from cameval.statistics import sign_flip_test

QUIET = {"disable": True}


@dataclass
class FewSlices:
    """What the folds need of slices."""

    labels: np.ndarray
    patients: np.ndarray
    published_folds: np.ndarray | None = None
    class_names: tuple[str, ...] = ("meningioma", "glioma", "pituitary")
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = self.names or [str(k + 1) for k in range(len(self.labels))]

    def __len__(self) -> int:
        return len(self.labels)


def settings(*arguments: str) -> Settings:
    return parse(["--size", "32", "--models", "small_cnn_8px", *arguments])[0]


# --- folds: no patient is on both sides ---------------------------------------------------------

PATIENTS = np.array([str(100 + i // 2) for i in range(60)])
LABELS = np.arange(60) % 3


@given(st.lists(st.integers(0, 20), min_size=60, max_size=60), st.integers(0, 5))
def test_no_patient_is_trained_validated_and_tested_on(patients: list[int], seed: int) -> None:
    slices = FewSlices(LABELS, np.array([str(p) for p in patients]))
    try:
        splits = splits_by_patient(slices, 4, seed)
    except DataError as error:
        message = str(error)  # drawn too unevenly
        assert "every class slices to train on" in message or "and patients" in message
        return
    assert sorted(np.concatenate([s.test for s in splits])) == list(range(60))
    for split in splits:
        parts = [set(slices.patients[part]) for part in (split.train, split.validation, split.test)]
        assert len(parts[0] | parts[1] | parts[2]) == sum(map(len, parts))
        assert len(split.train) + len(split.validation) + len(split.test) == 60


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_split_that_leaks_cannot_be_made(part: str) -> None:
    parts = {"train": np.array([0]), "validation": np.array([2]), "test": np.array([4])}
    Split(0, *parts.values(), PATIENTS)
    for other, indices in parts.items():
        if other != part:
            torn = parts | {part: np.append(parts[part], indices + 1)}  # the same patient's other
            with pytest.raises(LeakError, match="a patient must be in one part of fold 0"):
                Split(0, *torn.values(), PATIENTS)
            twice = parts | {part: np.append(parts[part], indices)}
            with pytest.raises(LeakError, match="a slice must be in one part"):
                Split(0, *twice.values(), PATIENTS, leaking=True)
    with pytest.raises(DataError, match="must have slices to test"):
        Split(0, parts["train"], parts["validation"], np.array([], dtype=int), PATIENTS)


def test_published_folds_are_used_where_they_keep_patients_apart() -> None:
    apart = np.arange(60) // 12
    splits = splits_by_patient(FewSlices(LABELS, PATIENTS, apart), 5, seed=0)
    assert [split.test.tolist() for split in splits] == [
        np.flatnonzero(apart == k).tolist() for k in range(5)
    ]
    torn = np.arange(60) % 5
    splits = splits_by_patient(FewSlices(LABELS, PATIENTS, torn), 5, seed=0)
    assert not any(split.shared for split in splits)
    assert len(splits_by_patient(FewSlices(LABELS, PATIENTS, apart), 3, seed=0)) == 3


def test_the_papers_folds_have_the_papers_sizes() -> None:
    """3,064 slices: 613 four times and then 612, of which 141, 285 and 186 of each class."""
    labels = np.repeat([0, 1, 2], [708, 1426, 930])
    slices = FewSlices(labels, np.array([str(k // 13) for k in range(3064)]))
    for order in ("shuffled", "numeric", "lexicographic"):
        as_they_come = splits_by_slice(slices, 5, order, seed=0, stratified=False)
        assert [len(split.test) for split in as_they_come] == [613, 613, 613, 613, 612]
        counts = np.bincount(labels[as_they_come[-1].test], minlength=3).tolist()
        assert counts != list(paper.LAST_FOLD.values())
        splits = splits_by_slice(slices, 5, order, seed=0)
        assert [len(split.test) for split in splits] == [613, 613, 613, 613, 612]
        assert np.bincount(labels[splits[-1].test]).tolist() == list(paper.LAST_FOLD.values())
        assert splits[0].shared
        assert not len(splits[0].validation)
    by_number = splits_by_slice(slices, 5, "numeric", seed=0)[-1].test
    assert by_number[:141].tolist() == list(range(567, 708))
    by_name = splits_by_slice(slices, 5, "lexicographic", seed=0)[-1].test
    words = sorted(map(str, range(1, 709)))[567:]
    assert sorted(by_name[labels[by_name] == 0]) == sorted(int(word) - 1 for word in words)


def test_folds_must_hold_slices_and_every_class_elsewhere() -> None:
    lonely = FewSlices(np.repeat([0, 1, 2], 20), np.repeat(["a", "b", "c"], 20))
    with pytest.raises(DataError, match="every class slices to train on"):
        splits_by_patient(lonely, 3, seed=0)


def test_ids_that_differ_in_a_trailing_letter_are_one_person() -> None:
    assert person("MR049453B") == person("MR049453") == "MR049453"
    assert person("ABC") == "ABC"


# --- slices -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Slices:
    folder = tmp_path_factory.mktemp("slices")
    write_phantom(folder / "phantom", slices=24, patients=12, size=64)
    return Slices(folder / "phantom", folder / "packed.h5")


def test_masks_and_images_are_brought_to_one_size_together(slices: Slices) -> None:
    large, small = slices.pictures(64, None), slices.pictures(32, None)
    assert small.images.shape == small.masks.shape == (24, 32, 32)
    areas = [pictures.masks.double().mean((1, 2)) for pictures in (large, small)]
    torch.testing.assert_close(*areas, rtol=0.25, atol=0.002)
    cropped = slices.pictures(32, 0.5)
    assert torch.equal(cropped.images, large.images[:, 16:48, 16:48])
    assert torch.equal(cropped.masks, large.masks[:, 16:48, 16:48])
    assert slices.published_folds is not None


def test_training_and_evaluation_see_the_same_image(slices: Slices) -> None:
    seen, _ = cameval.Preparation(32)(slices[3])
    trained = training.normalized(slices.pictures(32, None).images[3:4], torch.device("cpu"))[0]
    torch.testing.assert_close(trained, seen, rtol=0, atol=1e-6)


def test_an_interrupted_phantom_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "phantom.part").mkdir()
    (tmp_path / "phantom.part" / "1.mat").write_text("half a slice")
    make_phantom(tmp_path / "phantom", settings("--slices", "30"))
    assert len(Slices(tmp_path / "phantom", tmp_path / "x.h5")) == 30
    assert not (tmp_path / "phantom.part").exists()


# --- augmentation -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["none", "mirror", "affine"])
def test_a_mask_stays_on_its_tumor(how: str) -> None:
    torch.manual_seed(0)
    masks = torch.zeros(16, 64, 64, dtype=torch.bool)
    masks[:, 20:34, 38:50] = True
    images, moved = augment(masks.float(), masks, how)
    assert images.shape == masks.shape
    assert ((images > 0.5) == moved).float().mean() > 0.99
    assert cameval.iou(moved, images > 0.5).min() > 0.9
    assert (how == "none") == torch.equal(moved, masks)
    areas = moved.double().mean((1, 2)) / masks.double().mean((1, 2))
    assert 0.75 < areas.min() <= areas.max() < 1.3


# --- candidates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["vgg16", "vgg16:mlp", "resnet50@448+gain", "alexnet:conv@96"])
def test_candidates_are_written_as_they_are_read(text: str) -> None:
    assert str(Candidate.parse(text)) == text
    assert Candidate.parse(text).file.replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vgg16:gup", "heads? of gap, dropout|must be written NETWORK"),
        ("vgg16+fast", "gain or longer"),
        ("vgg16@big", "must be written"),
        ("", "must be written"),
        ("resnet81", "resnet81"),
        ("resnet18:conv", "AlexNet, VGG"),
    ],
)
def test_a_candidate_that_cannot_be_is_told(text: str, message: str) -> None:
    with pytest.raises(CamevalError, match=message):
        Candidate.parse(text)


def test_networks_that_end_in_linear_layers_are_known_by_their_class() -> None:
    names = ("vgg11", "vgg19_bn", "alexnet", "resnet18", "squeezenet1_0", "small_cnn_8px")
    assert [ends_in_linear_layers(name) for name in names] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("head", HEADS)
def test_heads_of_the_paper(head: str) -> None:
    """Grids and, where the head has class weights, the law of exact maps."""
    model = Candidate.parse(f"alexnet:{head}").build("none", 3).eval()
    result = CAMExtractor(model, class_map)(torch.rand(1, 3, 127, 127))
    assert result.coarse.shape[1:] == ((3, 3) if head in ("gap", "dropout", "mlp") else (7, 7))
    if head != "mlp":
        logit = result.coarse.mean() + model.head.bias[result.classes]
        torch.testing.assert_close(logit, result.logits.amax(1))


def test_weights_are_loaded_in_any_precision_and_never_unpickled(tmp_path: Path) -> None:
    net = torchvision.models.squeezenet1_1()
    torch.save(
        {key: value.half() for key, value in net.state_dict().items()},
        tmp_path / "squeezenet1_1-half.pth",
    )
    model = Candidate("squeezenet1_1").build(str(tmp_path), 3)
    loaded = model.state_dict()["features.0.weight"]
    torch.testing.assert_close(loaded, net.features[0].weight.detach().half().float())
    torch.save({"weights": Path}, tmp_path / "squeezenet1_0.pth")
    with pytest.raises(DataError, match=r"squeezenet1_0\.pth must be a file of weights"):
        Candidate("squeezenet1_0").build(str(tmp_path), 3)
    with pytest.raises(DataError, match=r"must hold a file vgg11\*\.pth"):
        Candidate("vgg11").build(str(tmp_path), 3)


# --- training -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def material() -> training.Material:
    """Slices of three classes that differ in brightness, some of each in every part."""
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    images = (torch.rand(60, 32, 32) * 0.5 + labels[:, None, None] * 0.25).clamp(0, 1)
    split = splits_by_patient(FewSlices(labels.numpy(), PATIENTS), 5, seed=0)[0]
    return training.Material(Pictures(images, images > 0.9), labels, split)


def trained(material: training.Material, out: Path, *arguments: str) -> dict[str, torch.Tensor]:
    checkpoint = out / "net.pth"
    with tqdm(total=1000, **QUIET) as bar:
        training.fine_tune(
            Candidate("small_cnn_8px"),
            material,
            settings(*arguments),
            checkpoint,
            torch.device("cpu"),
            bar,
        )
    return torch.load(checkpoint, weights_only=True)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_training_never_looks_at_the_slices_that_are_tested(
    material: training.Material, tmp_path: Path
) -> None:
    """Were one pixel of them used, the poison in it would spread to every weight."""
    images, labels = material.pictures.images.clone(), material.labels.clone()
    images[material.split.test] = torch.nan
    labels[material.split.test] = 2 - labels[material.split.test]
    poisoned = replace(material, pictures=replace(material.pictures, images=images), labels=labels)
    clean = trained(material, tmp_path, "--epochs", "2")
    assert same(trained(poisoned, tmp_path, "--epochs", "2"), clean)
    images[material.split.train[0]] = torch.nan
    with pytest.raises(NonFiniteError, match="got nan in fold 1, epoch 1"):
        trained(poisoned, tmp_path / "poisoned")


def test_training_goes_on_from_its_last_whole_epoch(
    material: training.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained(material, tmp_path / "straight", "--epochs", "3")
    epochs = training.Training.one_epoch

    def killed(self, epoch: int, bar: object) -> None:
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


def test_a_damaged_epoch_is_told(material: training.Material, tmp_path: Path) -> None:
    (tmp_path / "net.epoch").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"net\.epoch must be an epoch of this study"):
        trained(material, tmp_path)


def test_the_best_epoch_is_kept_and_training_stops_early(
    material: training.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.9, 0.5, 0.6, 0.7, 0.1])
    seen: list[dict[str, torch.Tensor]] = []

    def validation_loss(self) -> float:
        seen.append(self.weights)
        return next(losses)

    monkeypatch.setattr(training.Training, "validation_loss", validation_loss)
    kept = trained(material, tmp_path, "--epochs", "5", "--patience", "2")
    assert len(seen) == 4
    assert same(kept, seen[1])


def test_recipes_do_not_stop_early_so_that_budgets_stay_equal(
    material: training.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    for recipe in ("", "longer", "gain"):

        def validation_loss(self, recipe: str = recipe) -> float:
            seen.append(recipe)
            return float(len(seen))  # never better than the first

        monkeypatch.setattr(training.Training, "validation_loss", validation_loss)
        candidate = Candidate("small_cnn_8px", recipe=recipe)
        chosen = settings("--epochs", "4", "--patience", "1", "--gain", "10", "0.5")
        with tqdm(total=1000, **QUIET) as bar:
            out, device = tmp_path / f"{recipe}.pth", torch.device("cpu")
            training.fine_tune(candidate, material, chosen, out, device, bar)
    assert [seen.count(recipe) for recipe in ("", "longer", "gain")] == [3, 8, 4]


def test_a_high_learning_rate_does_not_stop_training(
    material: training.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.9, 2.0, 2.0, 0.5, 0.6, 0.4])
    monkeypatch.setattr(training.Training, "validation_loss", lambda self: next(losses))
    trained(material, tmp_path, "--epochs", "6", "--patience", "2")
    assert next(losses, None) is None


def test_without_validation_the_last_epoch_is_kept(
    material: training.Material, tmp_path: Path
) -> None:
    split = replace(material.split, validation=np.array([], dtype=int))
    without = replace(material, split=split)
    kept = trained(without, tmp_path, "--epochs", "2")
    learner = training.Training(
        Candidate("small_cnn_8px"), without, settings("--epochs", "2"), torch.device("cpu")
    )
    with tqdm(**QUIET) as bar:
        for epoch in range(2):
            learner.one_epoch(epoch, bar)
    assert same(kept, learner.weights)


def test_what_is_loaded_is_what_was_trained(tmp_path: Path) -> None:
    """Also GoogLeNet, whose input changes where it is pretrained."""
    for name in ("googlenet", "shufflenet_v2_x0_5"):
        options = {"init_weights": False} if name == "googlenet" else {}
        net = torchvision.models.get_model(name, weights=None, **options)
        torch.save(net.state_dict(), tmp_path / f"{name}.pth")
        model = Candidate(name).build(str(tmp_path), 3).eval()
        torch.save(model.state_dict(), tmp_path / "trained.pth")
        images, cpu = torch.rand(1, 3, 96, 96), torch.device("cpu")
        loaded = training.load_trained(
            Candidate(name), str(tmp_path), tmp_path / "trained.pth", 3, cpu
        )
        with torch.no_grad():
            assert torch.equal(loaded(images), model(images))


def test_a_last_batch_of_one_slice_is_joined() -> None:
    assert [len(b) for b in training.batches(torch.arange(33))] == [16, 17]
    assert [len(b) for b in training.batches(torch.arange(34))] == [16, 16, 2]
    assert [len(b) for b in training.batches(torch.arange(1))] == [1]
    assert torch.cat(training.batches(torch.arange(33))).tolist() == list(range(33))


def test_classes_weigh_the_same(material: training.Material) -> None:
    labels = torch.tensor([0] * 40 + [1] * 15 + [2] * 5)
    split = Split(0, np.arange(59), np.array([], dtype=int), np.array([59]), PATIENTS, leaking=True)
    uneven = training.Material(material.pictures, labels, split)
    weights = training.class_weights(uneven, settings("--class-weights", "balanced"))
    counts = torch.bincount(labels[:59])
    torch.testing.assert_close(weights * counts, torch.full((3,), 59 / 3))
    assert training.class_weights(uneven, settings("--class-weights", "none")).tolist() == [1, 1, 1]


def test_a_pretrained_network_keeps_its_statistics(material: training.Material) -> None:
    for pretrained in (True, False):
        learner = training.Training(
            Candidate("small_cnn_8px"), material, settings(), torch.device("cpu")
        )
        learner.pretrained = pretrained
        before = learner.weights
        with tqdm(**QUIET) as bar:
            learner.one_epoch(0, bar)
        after = learner.weights
        unchanged = torch.equal(before["features.1.running_mean"], after["features.1.running_mean"])
        assert unchanged == pretrained
        assert not torch.equal(before["features.1.weight"], after["features.1.weight"])


def test_half_precision_trains_nearly_the_same(material: training.Material, tmp_path: Path) -> None:
    whole = trained(material, tmp_path / "whole", "--epochs", "1")
    half = trained(material, tmp_path / "half", "--epochs", "1", "--mixed-precision")
    assert not same(whole, half)
    torch.testing.assert_close(
        half["head.linear.weight"], whole["head.linear.weight"], atol=0.05, rtol=0
    )


def test_attention_mining_is_part_of_the_loss(material: training.Material) -> None:
    images = training.normalized(material.pictures.images[:4], torch.device("cpu"))
    totals = []
    for text in ("small_cnn_8px", "small_cnn_8px+gain"):
        chosen = settings("--gain", "10", "0.5")
        learner = training.Training(Candidate.parse(text), material, chosen, torch.device("cpu"))
        learner.model.eval()
        totals.append(learner.loss(images, material.labels[:4]).item())
    assert 0 < totals[1] - totals[0] < 1  # a probability is added
    assert training.epochs_of(Candidate.parse("vgg11+longer"), settings("--epochs", "3")) == 6


# --- frozen features ----------------------------------------------------------------------------


def test_frozen_features_pass_once_for_all_folds(
    material: training.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, device = tmp_path / "features.npy", torch.device("cpu")
    candidate = Candidate("small_cnn_8px")
    frozen.train_frozen(candidate, material, settings(), tmp_path / "0.pth", kept, device)
    monkeypatch.setattr(frozen, "normalized", None)  # a second pass would need it
    other = replace(material, split=splits_by_patient(FewSlices(LABELS, PATIENTS), 5, seed=0)[1])
    frozen.train_frozen(candidate, other, settings(), tmp_path / "1.pth", kept, device)
    first, second = (torch.load(tmp_path / f"{k}.pth", weights_only=True) for k in (0, 1))
    assert torch.equal(first["features.0.weight"], second["features.0.weight"])
    assert not torch.equal(first["head.linear.weight"], second["head.linear.weight"])
    with pytest.raises(SettingError, match="one linear layer, got a PooledHead"):
        frozen.fit_head(
            Candidate("alexnet", "mlp").build("none", 3), torch.rand(60, 9), material, settings()
        )


def test_a_frozen_head_never_learns_from_the_slices_that_are_tested(
    material: training.Material,
) -> None:
    features = torch.rand(60, 96)
    spoiled = features.clone()
    spoiled[material.split.test] = torch.nan
    heads = []
    for values in (features, spoiled):
        model = frozen.build_frozen(Candidate("small_cnn_8px"), settings(), 3)
        frozen.fit_head(model, values, material, settings())
        heads.append(model.head.state_dict())
    assert same(*heads)


# --- baselines ----------------------------------------------------------------------------------


def test_the_mean_mask_knows_nothing_of_the_slices_that_are_tested(slices: Slices) -> None:
    split = splits_by_patient(slices, 3, seed=0)[0]
    candidate, chosen = Candidate("small_cnn_8px"), settings()
    before = looking.baselines_of(candidate, slices, split, chosen, None)["class mean"]
    masks = slices.pictures(32, None).masks
    kept = masks.clone()
    masks[split.test] = ~masks[split.test]
    masks[split.validation] = ~masks[split.validation]
    after = looking.baselines_of(candidate, slices, split, chosen, None)["class mean"]
    assert torch.equal(before.masks, after.masks)
    masks.copy_(kept)


def test_an_untrained_network_is_asked_once_for_each_slice(
    slices: Slices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's own, which asks it each time, gives the same maps."""
    prepare = cameval.Preparation(32)
    samples = [slices[k] for k in range(4)]
    images, truth = (torch.stack(parts) for parts in zip(*map(prepare, samples), strict=True))
    candidate, cpu = Candidate("small_cnn_8px"), torch.device("cpu")
    once = Untrained(candidate, 7, 3, cpu)
    for classes in (torch.tensor([0, 1, 2, 0]), torch.tensor([2, 2, 1, 0])):
        batch = BaselineInput(samples, images, truth, classes, (4, 4))
        each_time = UntrainedBaseline(CAMExtractor(once.network(), class_map))
        torch.testing.assert_close(once(batch), each_time(batch))
        monkeypatch.setattr(untrained, "CAMExtractor", None)  # a second pass would need it
    assert repr(once) == "untrained small_cnn_8px, seed 7"
    again = Untrained(candidate, 7, 3, cpu)
    assert digest_of(once) == digest_of(again)  # what it keeps is no setting
    assert digest_of(once) != digest_of(replace(again, seed=8))
    assert knowledge_of(once) == "image"


# --- the paper's open questions -----------------------------------------------------------------


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("where", ["upsampled", "coarse-values", "coarse-mask"])
def test_masks_are_made_as_the_settings_say(where: str, inclusive: bool) -> None:
    """Against the same in NumPy, a pixel at a time; the maps have ties."""
    coarse = torch.randint(0, 6, (2, 4, 4), generator=torch.Generator().manual_seed(1)).float()
    maps = cameval.maps.upsample(coarse, (16, 16))
    result = CAMResult(maps, coarse, torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    chosen = ["--protocol", "paper", "--threshold-on", where]
    masks = switches.paper_masks(
        result, "p75", settings(*chosen, *(["--inclusive"] if inclusive else []))
    )
    for k in range(2):
        values = (maps if where == "upsampled" else coarse)[k].double().numpy()
        threshold = np.percentile(values, 75)
        shown = maps[k].numpy()
        if where == "coarse-mask":
            shown = np.kron(coarse[k].numpy(), np.ones((4, 4)))
        expected = shown >= threshold if inclusive else shown > threshold
        np.testing.assert_array_equal(masks[k].numpy(), expected)


def test_each_variation_changes_one_thing() -> None:
    base = settings("--protocol", "paper", "--switches", "all")
    several = list(switches.variations(base, Candidate("vgg16")))
    assert several[0] == switches.Variation("as run", "")
    for one in several[1:]:
        changed = {k for k, v in vars(one.of(base)).items() if v != getattr(base, k)}
        assert len(changed) + (one.head is not None) == 1
    assert sum(one.head is not None for one in several) == len(HEADS) - 1
    maps = list(switches.variations(replace(base, switches="maps"), Candidate("vgg16")))
    assert not any(one.trains for one in maps)
    assert len(list(switches.variations(replace(base, switches="none"), Candidate("vgg16")))) == 1


# --- the paper's arithmetic ---------------------------------------------------------------------


def test_257_of_612_are_3_and_95_and_159() -> None:
    assert paper.slices_below_a_hundredth() == [(3, 95, 159)]
    assert sum(paper.LAST_FOLD.values()) == 612
    assert 3 + 95 + 159 == 257 == round(0.42 * 612)


def test_the_papers_own_arithmetic_comes_out_of_the_printer() -> None:
    """257 of 612 slices below .01: 3 of 141, 95 of 285, 159 of 186."""
    rows = []
    for (label, total), below in zip(paper.LAST_FOLD.items(), (3, 95, 159), strict=True):
        values = np.where(np.arange(total) < below, 0.0, 0.2)
        patients = np.arange(total).astype(str)
        rows.append(pd.DataFrame({"label": label, "patient": patients, "iou": values}))
    scores = pd.concat(rows).assign(threshold="p95", area_bound=0.3)
    table = paper_tables.class_table(scores, list(paper.LAST_FOLD), "p95")
    cells = [f"{cell.text} {cell.detail}".replace("\u00a0", " ") for cell in table["< .01"]]
    assert cells == ["2.1 % 3/141", "33.3 % 95/285", "85.5 % 159/186", "42.0 % 257/612"]
    assert [text.replace("\u00a0", " ") for text in table["paper < .01"]] == [
        "2 %",
        "33 %",
        "85 %",
        "42 %",
    ]


def test_the_papers_table_2_agrees_with_itself() -> None:
    for scores in paper.TABLE_2.values():
        (_, precision, recall, f1) = (mean for mean, _ in scores)
        assert abs(2 * precision * recall / (precision + recall) - f1) < 0.004
        for mean, sd in scores:
            assert round(mean * 500) == pytest.approx(mean * 500)  # folds rounded to two decimals
            assert 0 < sd < 0.1


def test_undefined_scores_are_counted_apart() -> None:
    scores = pd.DataFrame(
        {"label": "glioma", "patient": list("abcd"), "iou": [0.6, 0.0, np.nan, 0.2]}
    ).assign(threshold="p95", area_bound=0.3)
    row = paper_tables.class_table(scores, ["glioma"], "p95").iloc[0]
    assert row["slices"] == "4 (1 undefined)"
    assert (row["> .5"].text.replace("\u00a0", " "), row["> .5"].detail) == ("33.3 %", "1/3")
    chosen = figures.chosen_slices(
        scores.assign(slice=list("abcd"), predicted="glioma"), ["glioma", "pituitary"], "p95"
    )
    assert chosen == ["a"]


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
    scores = fold_scores(predictions)
    assert scores["accuracy"].tolist() == pytest.approx([1, 2 / 3])
    assert scores["precision"].tolist() == pytest.approx([1, (1 + 0.5 + 0) / 3])
    both = pd.concat([predictions, predictions.assign(model="vgg19@448")])
    assert (table_2(both)["model"] == "the paper's vgg19").sum() == 1
    table = table_2(predictions).set_index("model")
    assert table.loc["vgg19", "accuracy"] == ".833 (.236)"
    assert table.loc["the paper's vgg19", "accuracy"] == ".950 (.040)"
    assert table.loc["always the most frequent class", "all slices"] == ".333"


# --- settings and processes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "1"], "--folds"),
        (["--folds", "2"], "one to validate on"),
        (["--epochs", "0"], "--epochs"),
        (["--slices", "3"], "--slices"),
        (["--size", "8"], "--size"),
        (["--crop", "1.5"], "--crop"),
        (["--resume"], "--resume needs --out"),
        (["--data", "x", "--download", "y"], "must not both be given"),
        (["--inclusive"], "--protocol paper"),
        (["--fold-order", "numeric"], "--protocol paper"),
        (["--no-stratified"], "--stratified must be given with --protocol paper"),
        (["--models", "vgg11+gain"], "--gain OMEGA SIGMA must be given"),
        (["--models", "vgg11+longer", "--freeze"], "trained whole"),
        (["--models", "vgg11:conv", "--freeze"], "trained whole"),
        (["--device", "gpu"], "--device must be cpu"),
        (["--device", "cuda:99"], "--device must be one that is there"),
        (["--models", "vgg11", "vgg11"], "must be different"),
        (["--models", "vgg11", "vgg11:gap"], "must be different"),
        (["--models", "vgg11@96", "vgg11", "--size", "96"], "must be different"),
        (["--models", "vgg11@0"], "must be written"),
        (["--models", "vgg11:x"], "must be written"),
    ],
)
def test_settings_are_checked(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_what_is_studied_when_nothing_is_said() -> None:
    default, run = parse([])
    assert (default.protocol, default.data, default.size) == ("strict", "phantom", 128)
    assert run.out.parent == Path("runs")
    assert parse(["--data", "x"])[0].size == 224
    of_paper = parse(["--data", "x", "--protocol", "paper"])[0]
    assert of_paper.models == ["alexnet", "vgg16", "vgg19"]
    assert of_paper.class_weights == "none"


def test_alone_an_error_is_raised_as_it_is() -> None:
    assert together(lambda: 7) == 7
    with pytest.raises(KeyError, match="lost"):
        together(lambda: {}["lost"])


# --- comparisons --------------------------------------------------------------------------------


def results_of(scores: dict[str, np.ndarray]) -> Results:
    """Results of one model, the IoU of each method at one threshold, two slices a patient."""
    count = len(next(iter(scores.values())))
    samples = pd.DataFrame(
        {
            "model": "net",
            "sample": [str(k) for k in range(count)],
            "group": [str(k // 2) for k in range(count)],
            "label": pd.array([0] * count, dtype="Int64"),
            "predicted": pd.array([0] * count, dtype="Int64"),
            "probability": 0.5,
            "area": 0.1,
        }
    )
    kinds = {name: "baseline" if name == "center" else "method" for name in scores}
    columns = tuple(Column("predicted", kinds[name], name, "p95", "iou") for name in scores)
    values = np.column_stack(list(scores.values()))
    meanings = {
        "metrics": {"iou": {"setting": "iou", "takes": "masks", "higher_is_better": True}},
        "baselines": {"center": {"setting": "center", "knows": "nothing"}},
    }
    return Results(
        samples, columns, values, np.zeros(values.shape, np.uint8), {"meanings": meanings}
    )


def test_a_comparison_is_looked_up_in_the_tests_of_the_page() -> None:
    rng = np.random.default_rng(0)
    shared = rng.random(60)
    scores = {"a": shared + 0.2, "b": shared + 0.1 * rng.random(60), "center": shared}
    tests = PageTests.of(results_of(scores), "p95", "a")
    one = tests.of_methods("net", "a", "center")
    assert one is not None
    assert one.size == len(tests.family.tests) == 3  # b and the center with a, b with the center
    assert one.difference == pytest.approx(0.2)
    assert one.clear
    other = tests.of_methods("net", "a", "b")  # the table has it the other way around
    assert other is not None
    assert other.difference == pytest.approx((scores["a"] - scores["b"]).mean())
    assert other.low < other.difference < other.high
    assert other == other.turned().turned()
    assert tests.of_methods("net", "a", "nobody") is None
    assert tests.of_models("net", "other") is None


def test_a_family_is_corrected_together_and_its_intervals_agree_with_p() -> None:
    """Against each test alone, and Holm's rule by hand."""
    rng = np.random.default_rng(1)
    groups = np.arange(80).astype(str)
    shifts = {("iou", "x"): 0.05, ("iou", "y"): 0.3, ("coverage", "x"): 0.0}
    pairs = {pair: rng.normal(shift, 0.2, 80) for pair, shift in shifts.items()}
    found = family(pairs, groups, seed=0)
    alone = {
        pair: sign_flip_test(values, np.zeros(80), groups, seed=0) for pair, values in pairs.items()
    }
    order = sorted(alone, key=lambda pair: alone[pair].p)
    least = 0.0
    for factor, pair in zip((3, 2, 1), order, strict=True):
        least = max(least, min(1, factor * alone[pair].p))
        assert found[pair].p == pytest.approx(least)
        assert found[pair].size == 3
        assert found[pair].difference == pytest.approx(alone[pair].difference)
        assert found[pair].clear == (found[pair].low > 0 or found[pair].high < 0)
        assert found[pair].low <= alone[pair].low


def test_the_words_of_a_comparison_follow_its_p() -> None:
    one = Comparison("a", "b", 0.2, 0.1, 0.3, 0.012, 2, 40)
    assert ahead(one) == (
        "a scores clearly more (difference .200 [.100, .300], p = .012, both corrected for 2 tests)"
    )
    assert ahead(one.turned()).startswith("b scores clearly less (difference -.200 [-.300, -.100]")
    assert ahead(replace(one, p=0.06, size=1)) == (
        "no clear difference (difference .200 [.100, .300], p = .060)"
    )
    assert "p < .001" in replace(one, p=0.0002).numbers
    few = replace(one, low=np.nan, high=np.nan, p=np.nan)
    assert ahead(few).startswith("no clear difference (difference .200, not tested")


def test_grids_are_compared_where_nothing_else_differs() -> None:
    cells = {
        "vgg11": 49,
        "vgg11@448": 196,
        "vgg11:no-last-pool@448": 784,
        "vgg11+gain": 49,
        "vgg11@448+gain": 196,
        "resnet18": 49,
        "resnet18:dropout": 49,
        "alexnet": 36,
    }
    pairs = list(strict_findings.grids_of_one_network(cells))
    assert pairs == [("vgg11", "vgg11:no-last-pool@448"), ("vgg11+gain", "vgg11@448+gain")]


# --- real slices --------------------------------------------------------------------------------


def test_a_real_slice_goes_through_the_whole_study(
    real_slices: Path, shared_data: Path, tmp_path: Path
) -> None:
    """A .mat file in; an exact map, a mask, an IoU and a cap out."""
    slices = Slices(real_slices, tmp_path / "slices.h5")
    pictures = slices.pictures(224, None)
    model = Candidate("mobilenet_v2").build(str(shared_data / "weights"), 3).eval()
    images = training.normalized(pictures.images, torch.device("cpu"))
    result = CAMExtractor(model, class_map)(images)
    logits = result.coarse.mean((1, 2)) + model.head.bias[result.classes]
    torch.testing.assert_close(logits, result.logits.amax(1), rtol=1e-4, atol=1e-4)
    masks = cameval.PercentileBinarizer(95)(result.maps)
    pixels = masks.sum((1, 2))  # fewer where the threshold falls into a flat corner of the map
    assert ((pixels > 2450) & (pixels <= 2509)).all()
    iou, cap = (
        cameval.iou(masks, pictures.masks),
        cameval.baselines.area_bound(masks, pictures.masks),
    )
    assert ((iou >= 0) & (iou <= cap + 1e-6)).all()
