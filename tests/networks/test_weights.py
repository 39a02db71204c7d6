"""Weights in files: prefixes, checkpoints, safetensors; loaded whole or not at all."""

import argparse
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cameval import adapt
from cameval.errors import DataError, MissingPackageError
from cameval.networks import load_network, load_weights, read_weights


def small_net(classes: int = 3, seed: int = 0) -> nn.Sequential:
    """Return a network with convolution, normalization and linear layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4)))
        net.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten()).append(nn.Linear(4, classes))
    net.norm.running_mean += seed
    return net


State = dict[str, Tensor]


@pytest.fixture
def trained() -> State:
    return small_net(seed=1).state_dict()


def with_prefix(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def same(net: nn.Module, state: State) -> bool:
    own = net.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[name], state[name]) for name in own)


FITTING: dict[str, Callable[[State], Any]] = {
    **{
        prefix or "no prefix": with_prefix(prefix)
        for prefix in ("", "module.", "_orig_mod.", "model.", "net.", "backbone.encoder.")
    },
    "two prefixes": with_prefix("module._orig_mod."),
    "compiled in Lightning": with_prefix("model._orig_mod."),
    "an inner module compiled": lambda state: {
        name.replace("conv.", "conv._orig_mod."): tensor for name, tensor in state.items()
    },
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "model_state": lambda state: {"model_state": state, "epoch": 3},
    "net": lambda state: {"net": state, "acc": 93.0},
    "checkpoint with prefix": lambda state: {"model": with_prefix("module.")(state)},
    "without counters": lambda state: {
        name: tensor for name, tensor in state.items() if "num_batches" not in name
    },
    "of Lightning": lambda state: {
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {**with_prefix("net.")(state), "loss.weight": torch.ones(3)},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": []}],
    },
}


@pytest.mark.parametrize("change", FITTING.values(), ids=FITTING)
def test_a_file_of_this_network_is_loaded_by_its_names(tmp_path, trained, change) -> None:
    torch.save(change(trained), tmp_path / "w.pth")
    net = small_net()
    load_weights(net, tmp_path / "w.pth")
    assert same(net, trained)


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "compiled": torch.compile,
    "parallel": nn.DataParallel,
    "both": lambda net: torch.compile(nn.DataParallel(net)),
    "inner": lambda net: nn.Sequential(OrderedDict(conv=torch.compile(net[0]), **{
        name: module for name, module in net.named_children() if name != "conv"
    })),
}  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("saved_wrapped", [False, True])
def test_a_wrapper_of_either_network_does_not_matter(tmp_path, wrap, saved_wrapped) -> None:
    source, net = small_net(seed=1), small_net()
    torch.save((wrap(source) if saved_wrapped else source).state_dict(), tmp_path / "w.pth")
    wrapped = wrap(net)
    load_weights(wrapped, tmp_path / "w.pth")
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(net.eval()(images), source.eval()(images))


def test_a_network_whose_own_names_begin_like_a_prefix_keeps_them(tmp_path) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)

    source, net = Outer(), Outer()
    torch.save(source.state_dict(), tmp_path / "w.pth")
    load_weights(net, tmp_path / "w.pth")
    assert same(net, source.state_dict())


REFUSED: dict[str, tuple[Callable[[State], Any], str]] = {
    "missing": (
        lambda state: {n: t for n, t in state.items() if n != "norm.bias"},
        r"w\.pth must hold the weights of the network \(Sequential\), got no norm\.bias \(4,\)",
    ),
    "not known": (
        lambda state: state | {"fc.weight": torch.ones(2)},
        r"got fc\.weight, which the network does not have",
    ),
    "many not known": (
        lambda state: state | {f"fc{k}": torch.ones(2) for k in range(7)},
        r"got fc0, fc1, fc2 and 4 more, which the network does not have",
    ),
    "of another shape": (
        lambda state: state | {"4.weight": torch.ones(5, 4), "4.bias": torch.ones(5)},
        r"got 4\.weight of \(5, 4\) for \(3, 4\), 4\.bias of \(5,\) for \(3,\)",
    ),
    "missing with prefix": (
        lambda state: with_prefix("module.")({n: t for n, t in state.items() if n != "4.bias"}),
        r"got no 4\.bias \(3,\)",
    ),
    "prefix of some": (
        lambda state: {("module." if "conv" in n else "") + n: t for n, t in state.items()},
        r"got no conv\.weight",
    ),
    "prefix within a word": (with_prefix("my"), r"got names such as myconv\.weight"),
    "another network": (
        lambda state: {"a.weight": torch.ones(2)},
        r"got names such as a\.weight, where the network has conv\.weight, conv\.bias",
    ),
    "parts beside the network": (
        lambda state: {**with_prefix("net.")(state), "loss.weight": torch.ones(3)},
        r"got loss\.weight, which the network does not have",
    ),
    "two networks of Lightning": (
        lambda state: {
            "pytorch-lightning_version": "2.5.0",
            "state_dict": with_prefix("student.")(state) | with_prefix("teacher.")(state),
        },
        "must hold one part that fits .*, got 'student.' and 'teacher.'; save",
    ),
    "two state dicts": (
        lambda state: {"model": state, "state_dict": state},
        r"must hold one state dict, got 'state_dict' and 'model'; save one",
    ),
    "no state dict in a checkpoint": (
        lambda state: {"parameters": state, "epoch": 3},
        r"must hold a state dict .* got dict with 'parameters', 'epoch'; save it with",
    ),
    "other objects": (
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
        r"without other objects, got a argparse\.Namespace, which is not read .*; save torch\.save",
    ),
    "NaN": (
        lambda state: state | {"4.bias": torch.full((3,), torch.nan)},
        r"finite weights, got NaN or infinity in 4\.bias",
    ),
    "integers": (
        lambda state: state | {"4.bias": torch.ones(3, dtype=torch.int64)},
        r"floating point of 16 to 64 bits, got torch\.int64 in 4\.bias",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_other_files_are_refused_and_the_network_keeps_its_weights(
    tmp_path, trained, change, message
) -> None:
    torch.save(change(trained), tmp_path / "w.pth")
    net = small_net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(DataError, match=message):
        load_weights(net, tmp_path / "w.pth")
    assert same(net, before)


def test_a_network_that_fails_to_load_keeps_its_weights(tmp_path, trained) -> None:
    class Failing(nn.Linear):
        def _load_from_state_dict(self, state: State, *rest: Any) -> None:
            if not torch.equal(state["4.weight"], mine):
                raise RuntimeError("no")
            super()._load_from_state_dict(state, *rest)

    net = small_net()
    net[4] = Failing(4, 3)
    mine = net[4].weight.detach().clone()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.save(trained, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"must hold weights that the network can load, got: no"):
        load_weights(net, tmp_path / "w.pth")
    assert same(net, before)


def test_mode_and_dtype_of_the_network_are_kept(tmp_path, trained) -> None:
    torch.save(trained, tmp_path / "w.pth")
    net = small_net().double()
    net.norm.eval()
    load_weights(net, tmp_path / "w.pth")
    assert net.training
    assert not net.norm.training
    assert torch.equal(net[0].weight, trained["conv.weight"].double())


# --- Numbers of classes ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "googlenet"])
def test_the_number_of_classes_is_that_of_the_file(tmp_path, name) -> None:
    source = load_network(name, num_classes=5, seed=0)
    torch.save({"state_dict": nn.DataParallel(source).state_dict()}, tmp_path / "w.pth")
    found = load_network(name, tmp_path / "w.pth")
    assert same(found, source.state_dict())


def test_a_given_number_of_classes_must_be_that_of_the_file(tmp_path) -> None:
    torch.save(load_network("squeezenet1_1", num_classes=5).state_dict(), tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"weights of squeezenet1_1 with 4 classes, got classifier"):
        load_network("squeezenet1_1", tmp_path / "w.pth", num_classes=4)


def test_a_file_of_another_network_has_no_number_of_classes(tmp_path) -> None:
    state = load_network("squeezenet1_1", num_classes=5).state_dict()
    torch.save(state | {"features.0.weight": torch.ones(64, 1, 3, 3)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"features\.0\.weight of \(64, 1, 3, 3\) for \(64, 3"):
        load_network("squeezenet1_1", tmp_path / "w.pth")


def test_a_new_head_is_found_in_a_checkpoint(tmp_path) -> None:
    model = adapt(load_network("squeezenet1_1"), num_classes=5).eval()
    torch.save({"model": model.state_dict()}, tmp_path / "new.pth")
    again = load_network("squeezenet1_1", tmp_path / "new.pth")
    assert same(again, model.state_dict())


# --- Other packages -------------------------------------------------------------------------------


# --- Files of the features alone ------------------------------------------------------------------


def features_of(net: nn.Module, head: str) -> State:
    return {k: v for k, v in net.state_dict().items() if not k.startswith(head)}


@pytest.mark.parametrize(
    ("name", "head"),
    [("squeezenet1_1", "classifier"), ("mobilenet_v2", "classifier"), ("resnet18", "fc")],
)
def test_a_file_may_lack_the_head_that_is_replaced(tmp_path, name, head) -> None:
    path, source = tmp_path / "features.pth", load_network(name, seed=1)
    torch.save(with_prefix("module.")(features_of(source, head)), path)
    message = rf"must hold the weights of {name}, got no {head}.*only the head is missing: .*True"
    with pytest.raises(DataError, match=message):
        load_network(name, path, seed=0)
    net = load_network(name, path, seed=0, features_only=True)
    own, other = net.state_dict(), load_network(name, seed=0).state_dict()
    assert all(torch.equal(own[k], v) for k, v in features_of(source, head).items())
    assert all(torch.equal(own[k], other[k]) for k in own if k.startswith(head))
    torch.save(source.state_dict(), path)
    assert same(load_network(name, path, features_only=True), source.state_dict())


def test_a_file_that_lacks_more_or_has_more_is_refused_by_name(tmp_path) -> None:
    path, whole = tmp_path / "features.pth", load_network("squeezenet1_1").state_dict()
    features = {k: v for k, v in whole.items() if k.startswith("features.")}
    cases: list[tuple[State, str]] = [
        ({k: v for k, v in features.items() if k != "features.3.squeeze.bias"}, "no features.3.sq"),
        (features | {"features.99.bias": torch.zeros(1)}, "features.99.bias, which the network"),
        (features | {"classifier.1.bias": torch.zeros(1000)}, "no classifier.1.weight"),
        (features | {"features.0.bias": torch.zeros(5)}, r"features.0.bias of \(5,\)"),
        (features | {"features.0.bias": torch.full((64,), torch.nan)}, "got NaN"),
    ]
    for state, message in cases:
        torch.save(state, path)
        with pytest.raises(DataError, match=message):
            load_network("squeezenet1_1", path, features_only=True)
        with pytest.raises(DataError) as error:
            load_network("squeezenet1_1", path)
        assert ("features_only" in str(error.value)) == (message == "got NaN")


def test_safetensors_are_read(tmp_path, trained) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    half = {f"module.{name}": t.half() if t.is_floating_point() else t for name, t in
            trained.items()}  # fmt: skip
    safetensors.save_file(half, tmp_path / "w.safetensors")
    net = small_net()
    load_weights(net, tmp_path / "w.safetensors")
    assert torch.equal(net[0].weight, trained["conv.weight"].half().float())
    assert {tensor.dtype for tensor in read_weights(tmp_path / "w.safetensors").values()} == {
        torch.float32,
        torch.int64,
    }


@pytest.mark.parametrize("content", [b"", b"\x09\0\0\0\0\0\0\0{}", b"\xff" * 100])
def test_damaged_safetensors_are_refused(tmp_path, content) -> None:
    pytest.importorskip("safetensors.torch")
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"w\.safetensors must be a file of weights, got"):
        read_weights(tmp_path / "w.safetensors")


def test_safetensors_without_the_package(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    (tmp_path / "w.safetensors").write_bytes(b"{}")
    with pytest.raises(MissingPackageError, match=r"need safetensors, .*extra 'safetensors'"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.filterwarnings("ignore")  # of Lightning, about its trainer
def test_a_checkpoint_that_lightning_writes_is_loaded(tmp_path) -> None:
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, rate: float, names: tuple[str, ...]) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = small_net(seed=1)
            self.loss = nn.CrossEntropyLoss(weight=torch.ones(3))

        def training_step(self, batch: Any, _: int) -> Tensor:
            found: Tensor = self.loss(self.model(batch), torch.zeros(len(batch), dtype=torch.int64))
            return found

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), self.hparams.rate)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    module = Module(0.01, ("a", "b"))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, **quiet)
    trainer.fit(module, torch.utils.data.DataLoader(torch.rand(4, 3, 8, 8), 2))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    net = small_net()
    load_weights(net, tmp_path / "last.ckpt")
    assert same(net, module.model.state_dict())
