"""The brain-tumor study: it runs, tells the truth about leaks, and resumes to the same result."""

import json
from pathlib import Path

import brain_tumor_study as study
import numpy as np
import pandas as pd
import pytest
import slices
import study_report
import torch
import torchvision
import training
from study_settings import Settings, claim, parse, record
from tqdm import tqdm

import cameval
from cameval.data import write_phantom
from cameval.errors import DataError, SettingError

QUICK = ["--slices", "60", "--folds", "3", "--epochs", "1", "--size", "32"]


def run(out: Path, *arguments: str) -> int:
    return study.main([*QUICK, "--models", "small_cnn_8px", "--out", str(out), *arguments])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "first"
    assert run(out) == 0
    return out


def test_it_writes_what_it_promises(finished: Path) -> None:
    report = (finished / "report.md").read_text()
    for heading in ("Classification", "Thresholds", "Classes", "Examples"):
        assert f"## {heading}" in report
    assert (finished / "examples.png").read_bytes().startswith(b"\x89PNG")
    scores = pd.read_csv(finished / "mask_scores.csv")
    assert len(scores) == 60 * len(study.BINARIZERS) * len(study_report.SOURCES)
    assert set(scores["source"]) == set(study_report.SOURCES)
    assert len(pd.read_csv(finished / "map_scores.csv")) == 60 * len(study_report.SOURCES)
    assert len(pd.read_csv(finished / "predictions.csv")) == 60
    assert len(pd.read_csv(finished / "classification.csv")) == 3


def test_every_localization_table_shows_floor_and_cap(finished: Path) -> None:
    report = (finished / "report.md").read_text()
    for section in report.split("## ")[2:6]:
        assert "center disc" in section
        assert "class-mean mask" in section
    for section in report.split("## ")[2:4]:
        assert "cap" in section


def test_the_tables_are_means_of_the_scores(finished: Path) -> None:
    scores = pd.read_csv(finished / "mask_scores.csv")
    cam = scores[(scores["source"] == "CAM") & (scores["binarizer"] == "p90")]
    row = study_report.threshold_table(scores).set_index("threshold").loc["p90"]
    assert row["IoU, CAM"].startswith(study_report.number(cam["iou"].mean()))
    assert row["cap"] == study_report.number(cam["area_cap"].mean())


def test_a_killed_study_resumes_to_the_same_result(
    finished: Path, tmp_path: Path, monkeypatch
) -> None:
    trained = []

    def killed(*arguments, **settings) -> None:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(1)
        training.fine_tune(*arguments, **settings)

    monkeypatch.setattr(study, "fine_tune", killed)
    assert run(tmp_path) == 130
    assert len(list((tmp_path / "checkpoints").glob("*.pth"))) == 2
    monkeypatch.undo()
    assert run(tmp_path, "--resume") == 0
    for name in ("mask_scores.csv", "map_scores.csv", "predictions.csv", "classification.csv"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()


def test_a_study_is_not_overwritten_nor_resumed_with_other_settings(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "mask_scores.csv").read_bytes()
    assert run(finished) == 2
    assert "which holds a study; give --resume" in capsys.readouterr().err
    assert run(finished, "--resume", "--seed", "1") == 2
    assert "got others for seed" in capsys.readouterr().err
    assert (finished / "mask_scores.csv").read_bytes() == before


# --- folds --------------------------------------------------------------------------------------


def slices_of(patients: list[str], published: list[int] | None = None) -> study.Slices:
    count = len(patients)
    return study.Slices(
        names=[str(i) for i in range(count)],
        images=torch.zeros(count, 2, 2),
        masks=torch.zeros(count, 2, 2, dtype=torch.bool),
        labels=torch.arange(count) % 3,
        patients=np.array(patients),
        folds=None if published is None else np.array(published),
    )


PATIENTS = [str(100 + i // 2) for i in range(60)]


def test_no_patient_is_trained_and_tested_on() -> None:
    for seed in range(5):
        folds = study.assign_folds(slices_of(PATIENTS), "patient", 5, seed)
        assert set(folds) == set(range(5))
        assert not study.shared_patients(np.array(PATIENTS), folds)


@pytest.mark.parametrize("split", ["slice", "file"])
def test_a_leak_is_said_aloud(split: str, capsys: pytest.CaptureFixture[str]) -> None:
    patients = [str(100 + i // 7) for i in range(60)]
    folds = study.assign_folds(slices_of(patients), split, 5, seed=0)
    shared = study.shared_patients(np.array(patients), folds)
    assert shared
    assert f"WARNING: {len(shared)} of 9 patients" in capsys.readouterr().err
    settings = dict.fromkeys(("data", "size", "folds", "epochs", "seed"), 5)
    settings |= {"split": split, "freeze": False, "alignment": "half_pixel"}
    scores = pd.DataFrame({"slice": ["1"], "patient": ["100"]})
    assert "the numbers are too good" in study_report.setting(settings, scores, len(shared))


def test_published_folds_are_used_where_they_keep_patients_apart() -> None:
    apart = [i // 12 for i in range(60)]
    found = study.assign_folds(slices_of(PATIENTS, apart), "patient", 5, seed=0)
    assert found.tolist() == apart
    torn = [i % 5 for i in range(60)]
    found = study.assign_folds(slices_of(PATIENTS, torn), "patient", 5, seed=0)
    assert not study.shared_patients(np.array(PATIENTS), found)
    found = study.assign_folds(slices_of(PATIENTS, apart), "patient", 3, seed=0)
    assert set(found) == {0, 1, 2}


def test_ids_that_differ_in_a_trailing_letter_are_one_person() -> None:
    assert slices.person("MR049453B") == slices.person("MR049453") == "MR049453"
    assert slices.person("ABC") == "ABC"


# --- pieces -------------------------------------------------------------------------------------


def test_masks_and_images_are_resized_together(tmp_path: Path) -> None:
    folder = write_phantom(tmp_path / "phantom", slices=4, patients=3, size=64)
    large, small = study.load_slices(folder, 64), study.load_slices(folder, 32)
    assert small.images.shape == small.masks.shape == (4, 32, 32)
    areas = [slices.masks.double().mean((1, 2)) for slices in (large, small)]
    torch.testing.assert_close(*areas, rtol=0.25, atol=0.002)
    assert large.folds is not None


def test_the_papers_own_arithmetic_comes_out_of_the_printer() -> None:
    """257 of 612 slices below .01: 3 of 141, 95 of 285, 159 of 186."""
    rows = []
    for label, total, below in (
        ("meningioma", 141, 3),
        ("glioma", 285, 95),
        ("pituitary", 186, 159),
    ):
        values = np.where(np.arange(total) < below, 0.0, 0.2)
        for source in study_report.SOURCES:
            rows.append(
                pd.DataFrame(
                    {
                        "label": label,
                        "patient": np.arange(total).astype(str),
                        "source": source,
                        "iou": values,
                        "area_cap": 0.3,
                    }
                )
            )
    table = study_report.class_table(pd.concat(rows))
    assert table[table["source"] == "CAM"]["IoU < .01"].tolist() == [
        "2.1%",
        "33.3%",
        "85.5%",
        "42.0%",
    ]
    assert round(0.42 * 612) == 3 + 95 + 159 == 257


def test_weights_are_loaded_in_any_precision_and_never_unpickled(tmp_path: Path) -> None:
    net = torchvision.models.squeezenet1_1()
    half = {key: value.half() for key, value in net.state_dict().items()}
    torch.save(half, tmp_path / "squeezenet1_1-half.pth")
    model = training.build("squeezenet1_1", str(tmp_path), 3)
    loaded = model.state_dict()["features.0.weight"]
    torch.testing.assert_close(loaded, net.features[0].weight.detach().half().float())
    torch.save({"weights": Path}, tmp_path / "squeezenet1_0.pth")
    with pytest.raises(training.WeightsError, match=r"squeezenet1_0\.pth must hold the weights"):
        training.build("squeezenet1_0", str(tmp_path), 3)
    with pytest.raises(training.WeightsError, match=r"must hold a file vgg11\*\.pth"):
        training.build("vgg11", str(tmp_path), 3)
    with pytest.raises(training.WeightsError, match="got 'vit'"):
        training.build("vit", "none", 3)
    (tmp_path / "alexnet.pth").write_text("not weights")
    with pytest.raises(training.WeightsError, match=r"alexnet\.pth"):
        training.build("alexnet", str(tmp_path / "alexnet.pth"), 3)


def test_a_pretrained_network_keeps_its_statistics() -> None:
    for pretrained in (True, False):
        model = training.small_cnn(3, num_classes=3)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        images, labels = torch.rand(8, 32, 32), torch.arange(8) % 3
        with tqdm(disable=True) as bar:
            training.fine_tune(model, images, labels, epochs=4, pretrained=pretrained, bar=bar)
        kept = torch.equal(before["features.1.running_mean"], model.features[1].running_mean)
        assert kept == pretrained
        assert not torch.equal(before["features.1.weight"], model.features[1].weight)


def test_weights_that_cannot_be_downloaded_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_args: object, **_kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    with pytest.raises(training.WeightsError, match=r"no route to host.*--pretrained PATH"):
        training.build("squeezenet1_1", "imagenet", 3)


def test_small_networks_are_exact() -> None:
    model = training.build("small_cnn_16px", "none", 3).eval()
    result = cameval.CAMExtractor(model, cameval.cam)(torch.rand(2, 3, 64, 64))
    logits = result.coarse.mean((1, 2)) + model.head.bias[result.classes]
    torch.testing.assert_close(logits, result.logits.amax(1))


@pytest.mark.parametrize(
    "arguments",
    [["--folds", "1"], ["--epochs", "0"], ["--slices", "3"], ["--size", "8"], ["--resume"]],
)
def test_settings_are_checked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_default_is_a_phantom_and_a_new_folder() -> None:
    settings, out, _, resume = parse([])
    assert (settings.data, settings.size, resume) == ("phantom", 128, False)
    assert out.parent == Path("runs")
    assert parse(["--data", "x"])[0].size == 224


def test_a_record_of_the_settings_is_kept(tmp_path: Path) -> None:
    settings = parse([])[0]
    out, names, folds = tmp_path / "new", ["1", "2"], np.array([0, 1])
    claim(out, settings, resume=False)
    assert not out.exists()
    record(out, settings, names, folds)
    assert json.loads((out / "settings.json").read_text())["split"] == "patient"
    claim(out, settings, resume=True)
    record(out, settings, names, folds)
    with pytest.raises(SettingError, match="must be new"):
        claim(out, settings, resume=False)
    for other_names, other_folds in ((["1", "3"], folds), (names, 1 - folds)):
        with pytest.raises(DataError, match="has the data changed"):
            record(out, settings, other_names, other_folds)
    assert isinstance(settings, Settings)


def test_a_wrong_name_leaves_no_study_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert study.main([*QUICK, "--models", "small_cnn_8px", "resnet81", "--out", str(out)]) == 2
    assert "resnet81" in capsys.readouterr().err
    assert not out.exists()


def test_an_interrupted_phantom_is_painted_anew(tmp_path: Path) -> None:
    (tmp_path / "phantom.part").mkdir()
    (tmp_path / "phantom.part" / "1.mat").write_text("half a slice")
    study.paint(tmp_path / "phantom", parse(["--slices", "60", "--size", "32"])[0])
    assert len(study.load_slices(tmp_path / "phantom", 32).names) == 60
    assert not (tmp_path / "phantom.part").exists()


def test_frozen_features_are_the_same_in_every_fold(tmp_path: Path) -> None:
    assert run(tmp_path, "--freeze") == 0
    first, second = (
        torch.load(tmp_path / "checkpoints" / f"small_cnn_8px-fold{k}.pth", weights_only=True)
        for k in (0, 1)
    )
    assert torch.equal(first["features.0.weight"], second["features.0.weight"])
    assert not torch.equal(first["head.linear.weight"], second["head.linear.weight"])


def test_folds_must_hold_slices_and_every_class_elsewhere() -> None:
    some = [0] * 30 + [4] * 30  # a part of published folds
    found = study.assign_folds(slices_of(PATIENTS, some), "patient", 5, seed=0)
    assert set(found.tolist()) == set(range(5))
    lonely = slices_of(PATIENTS, [i // 30 for i in range(60)])
    lonely.labels[:30], lonely.labels[30:] = 0, torch.arange(30) % 2 + 1
    with pytest.raises(DataError, match="every class slices outside it"):
        study.assign_folds(lonely, "patient", 2, seed=0)


def test_a_bad_folder_is_one_line_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", "--data", str(tmp_path / "nowhere")) == 2
    message = capsys.readouterr().err
    assert message.startswith("error:")
    assert "nowhere" in message


def test_shared_patients_stop_a_split_by_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "shared_patients", lambda patients, folds: ["100"])
    with pytest.raises(DataError, match="no patient may be in two folds"):
        study.assign_folds(slices_of(PATIENTS), "patient", 5, seed=0)


# --- real slices --------------------------------------------------------------------------------


def test_a_real_slice_goes_through_the_whole_house(real_slices: Path, shared_data: Path) -> None:
    """A .mat file in; an exact map, a mask, an IoU, a blind score and a cap out."""
    slices = study.load_slices(real_slices, 224)
    model = training.build("mobilenet_v2", str(shared_data / "weights"), 3).eval()
    result = cameval.CAMExtractor(model, cameval.cam)(training.prepare(slices.images, model))
    logits = result.coarse.mean((1, 2)) + model.head.bias[result.classes]
    torch.testing.assert_close(logits, result.logits.amax(1), rtol=1e-4, atol=1e-4)
    masks = cameval.PercentileBinarizer(95)(result.maps)
    pixels = masks.sum((1, 2))  # fewer where the threshold falls into a flat corner of the map
    assert ((pixels > 2450) & (pixels <= 2509)).all()
    iou, cap = cameval.iou(masks, slices.masks), cameval.area_cap(masks, slices.masks)
    assert ((iou >= 0) & (iou <= cap + 1e-6)).all()
    blind = cameval.PercentileBinarizer(95)(cameval.center_map((224, 224)))
    floor = cameval.iou(blind.expand_as(slices.masks), slices.masks)
    assert 0.05 < floor.mean() < 0.2  # the outlines of all 3,064 slices give .105
