"""Networks by name: of your own code, of timm, and names that stand for none."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from cameval.errors import DataError, MissingPackageError, SettingError, UnsupportedModelError
from cameval.networks import load_network

CODE = '''
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from blocks import width


@dataclass
class Settings:
    """A dataclass with annotations that are text finds its module by name."""

    channels: int = width


class Net(nn.Sequential):
    def __init__(self, num_classes=4):
        channels = Settings().channels
        super().__init__(nn.Conv2d(3, channels, 3), nn.Flatten(), nn.Linear(channels, num_classes))


def build():
    return Net()


def build_for(num_classes):
    return Net(num_classes)


def build_any(**options):
    return Net(**options)


def build_deep(depth, num_classes=3):
    return Net(num_classes)


def fails():
    raise ValueError("no such width")


def returns_none():
    pass


network = Net(7)
number = 3
'''


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """Write a file and a package of networks, which is forgotten when its folder is removed."""
    (tmp_path / "nets.py").write_text(CODE)
    (tmp_path / "blocks.py").write_text("width = 5\n")
    package = tmp_path / "my_networks"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("")
    (package / "inner" / "models.py").write_text("from torchvision.models import resnet18\n")
    (package / "inner" / "broken.py").write_text("import no_such_package\n")
    (tmp_path / "syntax.py").write_text("def build(:\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_networks")]:
        del sys.modules[name]


@pytest.fixture
def unchanged() -> object:
    """Check that the lists of modules and of their folders are what they were."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    assert not {name for name in set(sys.modules) - modules if name.startswith(("nets", "blocks"))}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("function", "num_classes", "outputs"),
    [
        ("build", None, 4),
        ("Net", None, 4),
        ("Net", 6, 6),
        ("build_for", 6, 6),
        ("build_any", 6, 6),
        ("build_any", None, 4),
        ("network", None, 7),
    ],
)
def test_a_function_of_a_file_returns_the_network(folder, function, num_classes, outputs) -> None:
    net = load_network(f"{folder / 'nets.py'}:{function}", num_classes=num_classes)
    assert net[2].out_features == outputs
    assert net[0].out_channels == 5
    assert not net.training


@pytest.mark.usefixtures("unchanged")
def test_files_with_one_name_beside_modules_with_one_name_are_two(folder) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "nets.py").write_text(CODE)
    (folder / "other" / "blocks.py").write_text("width = 9\n")
    widths = [
        load_network(f"{path}:build")[0].out_channels
        for path in (folder / "nets.py", folder / "other" / "nets.py")
    ]
    assert widths == [5, 9]


def test_modules_are_those_installed_or_in_the_working_directory(folder, monkeypatch) -> None:
    before = list(sys.path)
    monkeypatch.chdir(folder)
    net = load_network("my_networks.inner.models:resnet18", num_classes=3)
    assert net.fc.out_features == 3
    assert sys.path == before
    assert load_network("torchvision.models:resnet18", num_classes=2).fc.out_features == 2


def test_a_network_of_a_module_is_copied(folder, monkeypatch) -> None:
    module = type(sys)("module_of_networks")
    module.net = nn.Linear(2, 2)
    monkeypatch.setitem(sys.modules, "module_of_networks", module)
    found = load_network("module_of_networks:net")
    assert module.net.training
    assert not found.training
    assert found.weight is not module.net.weight
    assert torch.equal(found.weight, module.net.weight)


def test_the_seed_is_that_of_the_function(folder) -> None:
    before = torch.get_rng_state()
    name = f"{folder / 'nets.py'}:build"
    first, again, other = (load_network(name, seed=seed)[2].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_loaded_and_give_the_number_of_classes(folder) -> None:
    source = load_network(f"{folder / 'nets.py'}:Net", num_classes=6, seed=0)
    torch.save({"model": nn.DataParallel(source).state_dict()}, folder / "w.pth")
    for function in ("Net", "build_any"):
        found = load_network(f"{folder / 'nets.py'}:{function}", folder / "w.pth")
        assert torch.equal(found[2].weight, source[2].weight)
    with pytest.raises(DataError, match=r"of .*nets\.py:build, got 2\.weight of \(6, .* for \(4,"):
        load_network(f"{folder / 'nets.py'}:build", folder / "w.pth")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nets.py:biuld", r"nets\.py must have the function 'biuld', got none; near names: build"),
        ("nets.py:fails", r"must return a network, got ValueError: no such width \(nets\.py, line"),
        ("nets.py:returns_none", r"must return a network \(torch\.nn\.Module\), got NoneType"),
        ("nets.py:number", r"must be a function, a class or a network, got int"),
        ("nets.py:build_deep", r"with num_classes alone, got one that also needs depth; write"),
        ("nets.py:", r"must be package\.module:function or file\.py:function, got 'nets\.py:'"),
        (":build", "must be package"),
        ("syntax.py:build", r"syntax\.py must be importable, got SyntaxError: .*line 1"),
        ("my_network:build", "must exist, got 'my_network', .*near names: my_networks"),
        ("my_networks.iner.models:build", r"got 'my_networks\.iner', .*; near names: inner"),
        ("my_networks.inner.model:build", r"near names: models"),
        (
            "my_networks.inner.broken:build",
            r"must be importable, got ModuleNotFoundError: .*no_suc",
        ),
        ("my_networks.inner.models:resnet19", r"near names: resnet18"),
        ("resnet81", r"got 'resnet81'; near names: resnet18, .*; other networks are named timm:"),
    ],
)
def test_names_of_no_network_are_refused_with_what_is_near(
    folder, monkeypatch, name, message
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UnsupportedModelError, match=message):
        load_network(name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nets.py:build", {"num_classes": 3}, r"num_classes must not be given for nets\.py:build"),
        ("nets.py:network", {"num_classes": 3}, "num_classes must not be given"),
        ("nets.py:build_for", {}, r"nets\.py:build_for needs num_classes, got none"),
    ],
)
def test_the_number_of_classes_must_be_what_the_function_takes(
    folder, monkeypatch, name, options, message
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SettingError, match=message):
        load_network(name, **options)


def test_places_and_weights_that_do_not_exist(folder) -> None:
    with pytest.raises(DataError, match=r"none\.py: the file must exist"):
        load_network("none.py:build")
    with pytest.raises(
        DataError, match=r"weights must be 'none', a file or a folder, got 'DEFAULT'"
    ):
        load_network(f"{folder / 'nets.py'}:build", "DEFAULT")


# --- timm -----------------------------------------------------------------------------------------


def test_timm_is_asked_for_where_it_is_not_installed(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackageError, match=r"timm:NAME need timm, .*install timm, or"):
        load_network("timm:resnet18")


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k"])
def test_a_network_of_timm_is_that_of_timm(name, tmp_path) -> None:
    timm = pytest.importorskip("timm")
    net = load_network(f"timm:{name}", num_classes=3, seed=0)
    torch.manual_seed(0)
    expected = timm.create_model(name, num_classes=3).state_dict()
    assert not net.training
    assert all(torch.equal(tensor, expected[key]) for key, tensor in net.state_dict().items())
    torch.save({"state_dict": expected}, tmp_path / "w.pth")
    again = load_network(f"timm:{name}", tmp_path / "w.pth")
    assert all(torch.equal(tensor, expected[key]) for key, tensor in again.state_dict().items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet81", r"one of timm's classifiers, got 'resnet81'; near names: resnet18"),
        ("timm:resnet18.a9_in1k", r"timm's resnet18 must be one of a1_in1k, .*got 'a9_in1k'"),
        ("resnetv2_50", r"got 'resnetv2_50'; near names: timm:resnetv2_50"),
    ],
)
def test_names_that_timm_does_not_have(name, message) -> None:
    pytest.importorskip("timm")
    with pytest.raises(UnsupportedModelError, match=message):
        load_network(name)


def test_weights_of_timm_that_cannot_be_downloaded(monkeypatch) -> None:
    timm = pytest.importorskip("timm")

    def refuse(*_: object, pretrained: bool, **__: object) -> None:
        assert pretrained
        raise OSError("no connection\nat all")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(
        DataError, match=r"timm's weights of resnet18 must be downloadable and whol"
    ):
        load_network("timm:resnet18", "DEFAULT")
    with pytest.raises(SettingError, match="num_classes must be 1000 for timm's weights"):
        load_network("timm:resnet18", "DEFAULT", num_classes=3)
    without = next(name for name in timm.list_models() if not timm.list_pretrained(f"{name}.*"))
    with pytest.raises(DataError, match="of which timm has none"):
        load_network(f"timm:{without}", "DEFAULT")
