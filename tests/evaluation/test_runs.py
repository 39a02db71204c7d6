"""Runs that are kept: interrupted, killed, resumed, shared by processes."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluations import PLAN, SMALL, Lazy, Stream, same, samples, small_network
from numpy.typing import NDArray
from torch import Tensor, nn

import cameval
from cameval import CAMExtractor, evaluate
from cameval.data import Sample
from cameval.errors import CamevalError, DataError, OutputError, SettingError
from cameval.evaluation import Preparation, Results
from cameval.evaluation._batch import BatchScores
from cameval.evaluation._run_folder import RunFolder, write_atomically
from cameval.metrics import of_masks
from cameval.protocols import BaselineInput

HERE = Path(__file__).parent
TESTS = HERE.parent


def run(out: Path | None, data=None, net=None, **options) -> Results:
    options = {**PLAN, "prepare": SMALL, "batch_size": 2, "baselines": {}} | options
    return evaluate(net or small_network(), data or samples(), out=out, **options)


def test_what_is_kept_is_the_table(tmp_path) -> None:
    results = run(tmp_path / "a" / "run")
    assert same(results, run(None))
    assert same(results, Results.load(tmp_path / "a" / "run"))
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_that_goes_on_says_how_much_was_scored_before(tmp_path, capsys) -> None:
    data = _Interrupted(samples())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, data)
    assert "resumed" not in capsys.readouterr().err
    data.resumed = True
    for count in (4, len(data)):  # the second time all is there
        run(tmp_path, data)
        said = capsys.readouterr().err
        line = f"evaluate is resumed: {count} of {len(data)} samples were scored before"
        assert said.splitlines().count(line) == 1
    run(tmp_path, data, progress=False)
    assert not capsys.readouterr().err


def test_a_resumed_stream_says_how_many_batches_were_scored_before(tmp_path, capsys) -> None:
    run(tmp_path, Stream(samples()))
    capsys.readouterr()
    run(tmp_path, Stream(samples()))
    assert "evaluate is resumed: batches scored before: 4" in capsys.readouterr().err


class _Interrupted(Lazy):
    """A dataset that stops once, in the last batch."""

    def __init__(self, made: list[Sample]) -> None:
        super().__init__(made)
        self.resumed = False

    def __getitem__(self, index: int) -> Sample:
        if index == len(self) - 2 and not self.resumed:
            raise KeyboardInterrupt
        return super().__getitem__(index)


def _other_cam(activations, target_class):
    """Return other maps, under the name that the label has."""
    return cameval.grad_cam(activations, target_class)


def placed() -> cameval.CAMModel:
    """Make the small network, of which it is known where its cells lie."""
    net = small_network()
    return cameval.CAMModel(
        net.features, net.head, cell_centers=cameval.maps.CellCenters(2.5, 4)
    ).eval()


def test_an_interrupted_run_goes_on_where_it_was(tmp_path) -> None:
    data = _Interrupted(samples())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, data)
    assert len(Results.load(tmp_path)) == 4
    data.resumed = True
    batches = sorted((tmp_path / "batches").iterdir())
    before = [file.stat().st_mtime_ns for file in batches]
    assert same(run(tmp_path, data), run(None))
    assert [file.stat().st_mtime_ns for file in batches] == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 3}, r"another batch_size \(2 and 3\)"),
        ({"methods": [cameval.cam]}, "other methods"),
        ({"seed": 1}, "another seed"),
        ({"name": "x"}, "another model"),
        (
            {"metrics": dict(reversed(PLAN["metrics"].items()))},
            "another order of its metrics",
        ),
        ({"data": samples(5)}, r"other samples \(7 and 5\)"),
        (
            {"methods": PLAN["methods"] | {"cam": _other_cam}},
            "other methods, of which 'cam' has",
        ),
        ({"classes": ["true"]}, r"another target_class \(predicted and true\)"),
        (
            {"classes": {"predicted": 1}},
            "another target_class, of which 'predicted' has other cont",
        ),
        (
            {"prepare": Preparation(size=(32, 32), mean=(0, 0, 0))},
            "other outputs|another prepare",
        ),
        ({"net": CAMExtractor(placed(), alignment="receptive_field")}, "another alignment"),
    ],
)
def test_another_run_is_not_mixed_in(tmp_path, change, message) -> None:
    run(tmp_path)
    with pytest.raises(SettingError, match=f"out must be a new folder .* with {message}"):
        run(tmp_path, **change)


def test_other_weights_are_another_run(tmp_path) -> None:
    run(tmp_path)
    net = small_network()
    with torch.no_grad():
        net.head.linear.bias += 1
    with pytest.raises(SettingError, match="other weights"):
        run(tmp_path, net=net)


def test_changed_samples_are_noticed(tmp_path) -> None:
    run(tmp_path)
    for part in ("image", "mask"):
        changed = samples()
        pixels = getattr(changed[3], part)
        pixels[0, 0] = 0.123 if part == "image" else ~pixels[0, 0]
        with pytest.raises(DataError, match="another 'image 3' than sample 'image 3' is now"):
            run(tmp_path, changed)


def test_a_stream_that_has_become_shorter_is_noticed(tmp_path) -> None:
    run(tmp_path, Stream(samples(9)))
    assert same(run(tmp_path, Stream(samples(9))), run(None, samples(9)))
    with pytest.raises(DataError, match="1 more batches than there are samples for"):
        run(tmp_path, Stream(samples(8)))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not much", b"no archive"])
def test_a_damaged_batch_is_named(tmp_path, content) -> None:
    run(tmp_path)
    file = tmp_path / "batches" / "000001.npz"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"000001\.npz must hold the scores .* delete it"):
        run(tmp_path)
    file.unlink()
    assert same(run(tmp_path), run(None))


def test_a_batch_is_never_unpickled(tmp_path) -> None:
    run(tmp_path)
    file, trace = tmp_path / "batches" / "000001.npz", tmp_path / "was run"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (trace,)

    with np.load(file) as arrays:
        kept = dict(arrays)
    np.savez(file, **kept | {"sample": np.array([Evil()], dtype=object)})
    with pytest.raises(DataError, match=r"000001\.npz must hold"):
        Results.load(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}"])
def test_a_folder_without_a_record_is_refused(tmp_path, text) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json"):
        Results.load(tmp_path)


def test_a_run_without_batches_has_no_table_yet(tmp_path) -> None:
    run(tmp_path)
    for file in (tmp_path / "batches").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="at least one batch of scores"):
        Results.load(tmp_path)


def test_out_must_be_a_folder(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300), "a\0b"):
        with pytest.raises(OutputError, match="out must be a place that can be written, got"):
            run(path)


# --- Contents of settings -------------------------------------------------------------------------


class _Mine:
    """A thing of the user's own: no repr, no dataclass."""

    def __init__(self, share: object) -> None:
        self.share = share


class _Binarizer(_Mine):
    def __call__(self, maps: Tensor) -> Tensor:
        low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
        return maps > low + float(np.mean(self.share)) * (high - low)


class _Metric(_Mine):
    takes = "masks"
    higher_is_better = True

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return cameval.iou(pred, target) * float(np.mean(self.share))


class _Baseline(_Mine):
    def __call__(self, batch: BaselineInput) -> Tensor:
        return torch.rand(batch.truth.shape).clamp_min(self.share)


class _Method(_Mine):
    def __call__(self, activations: object, target: Tensor) -> Tensor:
        return cameval.grad_cam(activations, target) * self.share


class _Prepare(_Mine):
    def __call__(self, sample: Sample) -> tuple[Tensor, Tensor]:
        image, truth = SMALL(sample)
        return image, truth if float(self.share) < 0.5 else ~truth


def _by_class(share: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: torch.full((len(logits),), int(share > 0.5))


def _closed_over(share: float) -> Callable[[Tensor], Tensor]:
    def mine(maps: Tensor) -> Tensor:
        return _Binarizer(share)(maps)

    return mine


CONTENTS = {
    "a binarizer": lambda s: {"binarizers": {"mine": _Binarizer(s)}},
    "an array in a binarizer": lambda s: {"binarizers": {"mine": _Binarizer(np.full(1000, s))}},
    "a closed-over value": lambda s: {"binarizers": {"mine": _closed_over(s)}},
    "a partial": lambda s: {"binarizers": {"mine": partial(_applied, share=np.array([s]))}},
    "a metric": lambda s: {"metrics": {"mine": _Metric(s)}},
    "a bound method": lambda s: {"metrics": {"mine": of_masks(partial(_Metric(s).__call__))}},
    "a baseline": lambda s: {"baselines": {"mine": _Baseline(s)}},
    "a method": lambda s: {"methods": {"mine": _Method(s)}},
    "a preparation": lambda s: {"prepare": _Prepare(s)},
    "a function of the logits": lambda s: {"classes": {"mine": _by_class(s)}},
}


def _applied(maps: Tensor, share: NDArray[np.float64]) -> Tensor:
    return _Binarizer(share)(maps)


@pytest.mark.parametrize("options", CONTENTS.values(), ids=CONTENTS)
def test_a_run_is_not_finished_with_other_contents_of_its_settings(tmp_path, options) -> None:
    data = _Interrupted(samples(4))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", data, **options(0.2))
    data.resumed = True
    part = "prepare" if "prepare" in options(0.2) else "[a-z_]+, of which 'mine' has other contents"
    with pytest.raises(SettingError, match=f"out must be a new folder .* with (an)?other {part}"):
        run(tmp_path / "run", data, **options(0.8))
    assert len(Results.load(tmp_path / "run")) == 2
    torch.manual_seed(0)
    assert len(run(tmp_path / "run", data, **options(0.2))) == 4  # made again, with equal contents


def test_code_of_a_function_that_was_changed_is_another_run(tmp_path) -> None:
    def said(text: str) -> Callable[[Tensor], Tensor]:
        space: dict[str, Callable[[Tensor], Tensor]] = {}
        exec(f"def mine(maps):\n    return maps > {text}", space)
        return space["mine"]

    run(tmp_path, binarizers=[said("maps.mean((-2, -1), keepdim=True)")])
    run(tmp_path, binarizers=[said("maps.mean((-2, -1), keepdim=True)")])
    with pytest.raises(SettingError, match="other binarizers, of which 'mine' has other contents"):
        run(tmp_path, binarizers=[said("maps.amax((-2, -1), keepdim=True) / 2")])


def test_an_array_that_was_written_to_is_another_run(tmp_path) -> None:
    binarizer = _Binarizer(np.array([0.2]))
    run(tmp_path, binarizers={"mine": binarizer})
    binarizer.share[0] = 0.8
    with pytest.raises(SettingError, match="other binarizers, of which 'mine' has other contents"):
        run(tmp_path, binarizers={"mine": binarizer})


@pytest.mark.parametrize("share", [(k for k in range(3)), sys.__stdout__])
def test_what_cannot_be_compared_runs_once_and_is_not_resumed(tmp_path, share) -> None:
    def mine(maps: Tensor) -> Tensor:
        assert share is not None
        return maps > 0

    options = {"binarizers": {"p80": cameval.PercentileBinarizer(80), "mine": mine}}
    results = run(tmp_path, **options)
    assert same(results, run(None, **options))
    assert same(results, Results.load(tmp_path))
    message = "binarizers, of which 'mine' has no contents that can be compared"
    with pytest.raises(SettingError, match=message):
        run(tmp_path, **options)

    def prepare(sample: Sample) -> tuple[Tensor, Tensor]:
        assert share is not None
        return SMALL(sample)

    run(tmp_path / "prepared", prepare=prepare)
    with pytest.raises(SettingError, match="another prepare, which has no contents that can be"):
        run(tmp_path / "prepared", prepare=prepare)


class _Halved(nn.Module):
    def __init__(self, inner: nn.Module, share: float) -> None:
        super().__init__()
        self.inner = inner
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.share


def _with_features(change: Callable[[nn.Module], nn.Module]) -> cameval.CAMModel:
    net = small_network()
    return cameval.CAMModel(change(net.features), net.head).eval()


def _with_stride(features: nn.Module) -> nn.Module:
    features[0].stride = (2, 2)
    return features


def _with_buffer(features: nn.Module) -> nn.Module:
    features[0].register_buffer("unseen", torch.ones(1), persistent=False)
    return features


def _with_hook(features: nn.Module) -> nn.Module:
    features[1].register_forward_hook(lambda _module, _args, out: out * 1.0001)
    return features


NETWORKS = {
    "a stride": _with_stride,
    "an activation": lambda f: nn.Sequential(f[0], nn.GELU()),
    "a slope that changes little": lambda f: nn.Sequential(f[0], nn.LeakyReLU(1e-6)),
    "a hook that changes little": _with_hook,
    "a buffer that is not saved": _with_buffer,
    "a part more": lambda f: nn.Sequential(*f, nn.Identity()),
}


@pytest.mark.parametrize("change", NETWORKS.values(), ids=NETWORKS)
def test_the_same_weights_in_another_structure_are_another_run(tmp_path, change) -> None:
    options = {"methods": [cameval.cam]}
    run(tmp_path, net=small_network(), **options)
    with pytest.raises(SettingError, match=r"(other outputs|another structure|other weights)"):
        run(tmp_path, net=_with_features(change), **options)


def test_a_number_inside_of_a_module_is_part_of_the_run(tmp_path) -> None:
    def net(share: float) -> nn.Module:
        inner = small_network()
        whole = nn.Sequential(_Halved(inner.features, share), nn.Flatten(), nn.Linear(384, 3))
        torch.manual_seed(0)
        nn.init.normal_(whole[2].weight)
        nn.init.zeros_(whole[2].bias)
        return cameval.adapt(whole.eval(), layer="0")

    options = {"methods": [cameval.layer_cam]}
    run(tmp_path, net=net(0.5), **options)
    run(tmp_path, net=net(0.5), **options)
    with pytest.raises(SettingError, match="another structure"):
        run(tmp_path, net=net(0.50001), **options)


def test_a_network_that_answers_with_chance_is_not_resumed(tmp_path) -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    net = _with_features(lambda f: nn.Sequential(*f, Noisy()))
    run(tmp_path, net=net, methods=[cameval.grad_cam])
    with pytest.raises(SettingError, match="other outputs"):
        run(tmp_path, net=net, methods=[cameval.grad_cam])


def test_the_record_of_a_run_holds_its_identity(tmp_path) -> None:
    results = run(tmp_path)
    identity = json.loads((tmp_path / "run.json").read_text())["identity"]
    assert results.provenance["identity"] == identity == run(None).provenance["identity"]
    assert [*identity["binarizers"]] == ["p80", "mean"]
    assert all(len(digest) == 64 for digest in identity["metrics"].values())
    assert len(identity["weights"]) == len(identity["structure"]) == len(identity["prepare"]) == 64
    assert len(identity["outputs"]) == 4  # three logits and their norm


# --- Damaged folders ------------------------------------------------------------------------------


def _broken(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        record = json.loads(text)
        change(record)
        return json.dumps(record)

    return changed


RECORDS = {
    "cut": lambda text: text[: len(text) // 2],
    "nested": lambda _: "[" * 100_000,
    "nested objects": lambda _: '{"a":' * 100_000,
    "a list": lambda _: "[1, 2]",
    "a word": lambda _: '"run"',
    "nothing": lambda _: "null",
    "no columns": _broken(lambda r: r.pop("columns")),
    "no settings": _broken(lambda r: r.pop("settings")),
    "no identity": _broken(lambda r: r.pop("identity")),
    "no meanings": _broken(lambda r: r.pop("meanings")),
    "no model": _broken(lambda r: r["settings"].pop("model")),
    "a model that is no name": _broken(lambda r: r["settings"].update(model=[3])),
    "settings that are a list": _broken(lambda r: r.update(settings=[])),
    "columns that are a word": _broken(lambda r: r.update(columns="iou")),
    "no column": _broken(lambda r: r.update(columns=[])),
    "short columns": _broken(lambda r: r["columns"][0].pop()),
    "columns of numbers": _broken(lambda r: r["columns"][0].__setitem__(2, 3)),
    "a column more": _broken(lambda r: r["columns"].append(["predicted", "method", "x", "", "y"])),
    "a column less": _broken(lambda r: r["columns"].pop()),
}


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS)
def test_a_malformed_record_of_a_run_is_refused(tmp_path, change) -> None:
    run(tmp_path)
    file = tmp_path / "run.json"
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=r"run\.json|000000\.npz"):
        Results.load(tmp_path)
    with pytest.raises(CamevalError, match=r"run\.json|000000\.npz|another order of its columns"):
        run(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["meanings"].update(colours={}),
        lambda r: r["meanings"].update(metrics=[]),
        lambda r: r["meanings"]["metrics"].update(iou=3),
        lambda r: r["meanings"]["metrics"]["iou"].update(takes="thermometers"),
        lambda r: r["meanings"]["metrics"]["iou"].update(higher_is_better="yes"),
        lambda r: r["meanings"]["metrics"]["iou"].update(colour="red"),
        lambda r: r["meanings"]["metrics"]["iou"].pop("setting"),
        lambda r: r["meanings"]["metrics"]["iou"].update(setting=[]),
        lambda r: r["meanings"]["metrics"]["iou"].update(categories="abc"),
        lambda r: r["meanings"]["binarizers"]["p80"].update(origin={"metric": "iou"}),
        lambda r: r["meanings"]["binarizers"]["p80"].update(origin="chosen on validation data"),
    ],
)
def test_malformed_meanings_are_refused(tmp_path, change) -> None:
    run(tmp_path)
    file = tmp_path / "run.json"
    file.write_text(_broken(change)(file.read_text()))
    with pytest.raises(DataError, match="must"):
        Results.load(tmp_path).meanings  # noqa: B018


def _arrays(change: Callable[[dict[str, NDArray[Any]]], object]) -> Callable[[Path], None]:
    def changed(file: Path) -> None:
        with np.load(file) as kept:
            arrays = dict(kept)
        change(arrays)
        np.savez(file, **arrays)

    return changed


def _short(name: str) -> Callable[[Path], None]:
    return _arrays(lambda a: a.update({name: a[name][:1]}))


def _of_words(name: str) -> Callable[[Path], None]:
    return _arrays(lambda a: a.update({name: a[name].astype(str)}))


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


NAMES = [field.name for field in dataclasses.fields(BatchScores)]
BATCHES = {
    **{f"{name} of one sample": _short(name) for name in NAMES},
    **{f"no {name}": _arrays(lambda a, name=name: a.pop(name)) for name in NAMES},
    **{f"{name} of words": _of_words(name) for name in NAMES[2:] if name != "info"},
    "info that is no object": _arrays(lambda a: a.update(info=np.full(len(a["info"]), "[1]"))),
    "info that is no JSON": _arrays(lambda a: a.update(info=np.full(len(a["info"]), "view"))),
    "a column less": _arrays(
        lambda a: a.update(values=a["values"][:, 1:], codes=a["codes"][:, 1:])
    ),
    "no samples": _arrays(lambda a: a.update({k: v[:0] for k, v in a.items()})),
    "flat values": _arrays(lambda a: a.update(values=a["values"].ravel())),
    "an unknown reason": _arrays(lambda a: a.update(codes=a["codes"] + 99)),
    "names that are numbers": _arrays(lambda a: a.update(sample=np.arange(2))),
    "a pipe": _pipe,
    "a loop": _loop,
    "a folder": _folder,
}


@pytest.fixture(scope="module")
def a_run(tmp_path_factory) -> Path:
    """Return the folder of a run."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    run(folder)
    return folder


@pytest.mark.parametrize("change", BATCHES.values(), ids=BATCHES)
def test_a_malformed_batch_is_refused(tmp_path, a_run, change) -> None:
    shutil.copytree(a_run, tmp_path / "run")
    change(tmp_path / "run" / "batches" / "000001.npz")
    with pytest.raises(DataError, match=r"000001\.npz must hold the scores of a batch.*delete it"):
        Results.load(tmp_path / "run")


@pytest.mark.parametrize("make", [_pipe, _loop, _folder])
def test_a_record_that_is_no_plain_file_is_refused(tmp_path, a_run, make) -> None:
    shutil.copytree(a_run, tmp_path / "run")
    make(tmp_path / "run" / "run.json")
    with pytest.raises(DataError, match=r"run\.json"):
        Results.load(tmp_path / "run")
    with pytest.raises(CamevalError, match=r"run\.json"):
        run(tmp_path / "run")


def test_what_was_kept_before_the_disk_was_full_stays(tmp_path, monkeypatch) -> None:
    whole, written = np.savez, []

    def savez(stream: Any, **arrays: Any) -> None:
        if len(written) == 2:
            stream.write(b"half of")
            raise OSError(28, "No space left on device")
        written.append(stream)
        whole(stream, **arrays)

    with monkeypatch.context() as full:
        full.setattr(np, "savez", savez)
        with pytest.raises(OutputError, match=r"out must be a place .* No space left on device"):
            run(tmp_path)
    assert sorted(p.name for p in (tmp_path / "batches").iterdir()) == ["000000.npz", "000001.npz"]
    assert len(Results.load(tmp_path)) == 4
    before = [file.stat().st_mtime_ns for file in sorted((tmp_path / "batches").iterdir())]
    assert same(run(tmp_path), run(None))
    after = [file.stat().st_mtime_ns for file in sorted((tmp_path / "batches").iterdir())]
    assert after[:2] == before


@pytest.mark.parametrize("what", ["write_text", "mkdir"])
def test_a_folder_that_cannot_be_written_is_refused_before_work_begins(
    tmp_path, monkeypatch, what
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    lazy = Lazy(samples())
    with monkeypatch.context() as closed:
        closed.setattr(Path, what, refused)
        with pytest.raises(OutputError, match=r"out must be a place .* Permission denied"):
            run(tmp_path / "run", lazy)
    assert len(lazy.read) <= 1  # the first tells the shape of the network's input
    assert same(run(tmp_path / "run"), run(None))


# --- Other processes ------------------------------------------------------------------------------

SCRIPT = """
import os, sys, time
sys.path.insert(0, {tests!r})
import torch
import torch.distributed as dist
from evaluations import PLAN, SMALL, Lazy, samples, small_network
from cameval import CAMExtractor, evaluate

class Slow(Lazy):
    def __getitem__(self, index):
        time.sleep({pause})
        return super().__getitem__(index)

torch.set_num_threads(1)
if "RANK" in os.environ:
    dist.init_process_group("gloo")
options = PLAN | dict(prepare=SMALL, batch_size=2, baselines={{}})
results = evaluate(small_network(), Slow(samples()), out={out!r}, **options)
results.to_csv({table!r} + os.environ.get("RANK", "") + ".csv")
"""


def start(tmp_path: Path, name: str, pause: float = 0.0, **environment: str):
    code = SCRIPT.format(
        tests=str(TESTS), pause=pause, out=str(tmp_path / "run"), table=str(tmp_path / name)
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the table of a run of one process."""
    file = tmp_path_factory.mktemp("whole") / "whole.csv"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the processes
    try:
        run(None, Lazy(samples())).to_csv(file)
    finally:
        torch.set_num_threads(threads)
    return file.read_bytes()


def test_a_killed_run_ends_with_the_identical_table(whole, tmp_path) -> None:
    process = start(tmp_path, "never", pause=0.4)
    batches = tmp_path / "run" / "batches"
    deadline = time.monotonic() + 60
    while not list(batches.glob("[0-9]*.npz")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 0 < len(list(batches.glob("[0-9]*.npz"))) < 4
    finish(start(tmp_path, "resumed"))
    assert (tmp_path / "resumed.csv").read_bytes() == whole


def test_two_runs_that_write_the_same_folder_write_the_same(whole, tmp_path) -> None:
    both = [start(tmp_path, name, pause=0.05) for name in ("first", "second")]
    for process in both:
        finish(process)
    assert (tmp_path / "first.csv").read_bytes() == whole
    assert (tmp_path / "second.csv").read_bytes() == whole


def torchrun(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(code)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            script,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


RANKS = """
import json, sys
sys.path[:0] = [{tests!r}, {here!r}]
import numpy as np
import torch
import torch.distributed as dist
from evaluations import PLAN, SMALL, Lazy, samples, small_network
from test_runs import RANK_CASES, read_of
from cameval import CAMExtractor, evaluate
from cameval.errors import CamevalError

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
said = {{}}
for name, options in RANK_CASES.items():
    settings = PLAN | dict(prepare=SMALL, batch_size=2, baselines={{}}, progress=False)
    data = Lazy(samples())
    try:
        settings |= options(rank)
        data = settings.pop("data", data)
        results = evaluate(settings.pop("net", None) or small_network(), data, **settings)
        said[name] = "", len(results), np.nan_to_num(results.values).sum(), read_of(data)
    except CamevalError as error:
        said[name] = type(error).__name__, str(error), 0.0, read_of(data)
with open({out!r} + str(rank) + ".json", "w") as file:
    json.dump(said, file)
options = PLAN | dict(prepare=SMALL, batch_size=2, baselines={{}})
results = evaluate(small_network(), Lazy(samples()), out={out!r} + "run", **options)
results.to_csv({out!r} + f"{{rank}}-table.csv")
dist.destroy_process_group()
"""


def _with_weights(rank: int) -> nn.Module:
    net = small_network()
    with torch.no_grad():
        net.head.linear.bias += rank
    return net


def read_of(data: object) -> int:
    """Return how many samples were read, as far as the data counts them."""
    return len(getattr(data, "read", []))


def _relabeled(index: int, label: int) -> list[Sample]:
    made = samples()
    one = made[index]
    made[index] = Sample(one.name, one.image, one.mask, label, one.group)
    return made


RANK_CASES: dict[str, Callable[[int], dict[str, Any]]] = {
    "alike": lambda _rank: {"binarizers": {"mine": _Binarizer(0.2)}},
    "weights": lambda rank: {"net": _with_weights(rank)},
    "structure": lambda rank: {"net": _with_features(_with_hook if rank else lambda f: f)},
    "binarizers": lambda rank: {"binarizers": {"mine": _Binarizer(0.2 + rank / 2)}},
    "metrics": lambda rank: {"metrics": {"mine": _Metric(1 + rank)}},
    "prepare": lambda rank: {"prepare": _Prepare(rank / 2)},
    "methods": lambda rank: {"methods": {"mine": (cameval.cam, cameval.hires_cam)[rank]}},
    "samples": lambda rank: {"data": Lazy(samples(7 - rank))},
    "first label": lambda rank: {"data": Lazy(_relabeled(0, rank))},
    "any label": lambda rank: {"data": _relabeled(5, rank)},
    "seed": lambda rank: {"seed": rank},
    "name": lambda rank: {"name": f"net {rank}"},
    "target_class": lambda rank: {"classes": rank},
    "contents": lambda _rank: {"binarizers": {"mine": _closed_over(k for k in range(2))}},
    "failed": lambda rank: {"batch_size": 2 - 2 * rank},
    "failed in preparation": lambda rank: {"prepare": SMALL if rank else _failing},
    "alike again": lambda _rank: {"binarizers": {"mine": _Binarizer(0.2)}},
}
"""What the processes of the tests below are given, each by its number."""


def _failing(sample: Sample) -> tuple[Tensor, Tensor]:
    raise DataError("no such scan")


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what two processes wrote: of all `RANK_CASES`, then of one whole run."""
    folder = tmp_path_factory.mktemp("ranks")
    done = torchrun(
        folder, RANKS.format(tests=str(TESTS), here=str(HERE), out=str(folder / "rank"))
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_give_the_table_of_one(whole, of_ranks) -> None:
    assert (of_ranks / "rank0-table.csv").read_bytes() == whole
    assert (of_ranks / "rank1-table.csv").read_bytes() == whole


def test_processes_that_are_not_about_the_same_run_are_refused_before_work_begins(of_ranks) -> None:
    said = [json.loads((of_ranks / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    for name in RANK_CASES:
        first, second = (of_rank[name] for of_rank in said)
        assert max(first[3], second[3]) <= (7 if name.startswith("alike") else 1), name
        if name.startswith("alike"):
            assert first[:3] == second[:3]
            assert first[:2] == ["", 7]
        elif name == "failed":
            assert first[:2] == [
                "ProcessError",
                "every process must succeed, process 1 failed: SettingError: batch_size must be an "
                "integer of at least 1, got 0",
            ]
            assert second[0] == "SettingError"
        elif name == "failed in preparation":
            assert (first[0], second[0]) == ("DataError", "ProcessError")
            assert "process 0 failed: DataError: " in second[1]
        else:
            assert first[:2] == second[:2], name
            assert first[0] == "SettingError"
            message = "every process must run the same evaluation, got processes 0 and 1 with "
            assert first[1].startswith(message)
            labels = dict.fromkeys(("first label", "any label"), "contents of the samples")
            part = {"name": "model", "contents": "binarizers", **labels}.get(name, name)
            assert part in first[1].removeprefix(message), name


def test_if_one_process_fails_all_stop(tmp_path) -> None:
    code = SCRIPT.format(
        tests=str(TESTS), pause=0, out=str(tmp_path / "run"), table=str(tmp_path / "two")
    )
    unpicklable = """
        if index == 3:
            error = ValueError("no such scan")
            error.file = lambda: 0
            raise error
"""
    done = torchrun(tmp_path, code.replace("        time.sleep(0)\n", unpicklable))
    assert done.returncode != 0
    assert "no such scan" in done.stderr
    assert "ProcessError: every process must succeed, process 1 failed: ValueError" in done.stderr


def test_a_record_that_another_process_has_just_written_is_kept(tmp_path, monkeypatch) -> None:
    first = run(tmp_path, seed=4, name="first")
    kept = (tmp_path / "run.json").read_bytes()
    assert not write_atomically(tmp_path / "run.json", "{}", keep=True)
    assert (tmp_path / "run.json").read_bytes() == kept
    answers = iter([False])  # the record is written right after the first look
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: next(answers, True) and exists(path))
    folder = RunFolder(tmp_path)
    later = json.loads(kept) | {"started": "2999-01-01T00:00:00+00:00"}
    assert folder.claim(later) == json.loads(kept)
    assert (tmp_path / "run.json").read_bytes() == kept
    monkeypatch.undo()
    again = run(tmp_path, seed=4, name="first")
    assert (tmp_path / "run.json").read_bytes() == kept
    assert again.provenance["started"] == first.provenance["started"]
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_of_other_columns_is_not_mixed_in_though_its_parts_are_the_same(
    tmp_path,
) -> None:
    run(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    with pytest.raises(SettingError, match="with another order of its columns"):
        RunFolder(tmp_path).claim(record | {"columns": record["columns"][::-1]})
