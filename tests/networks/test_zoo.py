"""Weights in files: supported dtypes, and errors for others."""

from zipfile import ZipFile

import pytest
import torch
from torch import Tensor, nn

from cameval.errors import DataError, SettingError
from cameval.networks import load_network, read_weights

NAME = "squeezenet1_1"
FIRST = "features.0.weight"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return load_network(NAME, num_classes=3, seed=0).state_dict()


def load(path, state, name=NAME):
    torch.save(state, path / "w.pth")
    return load_network(name, path / "w.pth", num_classes=3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_point_of_16_to_64_bits_is_read(tmp_path, state, dtype):
    net = load(tmp_path, {name: tensor.to(dtype) for name, tensor in state.items()})
    torch.testing.assert_close(
        net.state_dict()[FIRST], state[FIRST].to(dtype).float(), rtol=0, atol=0
    )


NOT_WEIGHTS = {
    **{
        str(dtype).removeprefix("torch."): lambda tensor, dtype=dtype: (100 * tensor).to(dtype)
        for dtype in (
            *(torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.uint16),
            *(torch.bool, torch.complex64, torch.complex128, torch.complex32),
            *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz),
        )
    },
    "qint8": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    "quint8": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 128, torch.quint8),
    "NaN": lambda tensor: tensor.index_fill(0, torch.tensor([1]), float("nan")),
    "infinity": lambda tensor: tensor / 0,
    "sparse": lambda tensor: tensor.to_sparse(),
    "meta": lambda tensor: tensor.to("meta"),
    "repeated": lambda tensor: tensor.flatten()[:1].clone().expand(tensor.shape),
    "of terabytes": lambda tensor: tensor.flatten()[:1].expand(10**6, 10**6),
    "of half terabytes": lambda tensor: tensor.half().flatten()[:1].expand(10**6, 10**6),
}


@pytest.mark.filterwarnings("ignore")  # of torch, about what it will not have any more
@pytest.mark.parametrize("change", NOT_WEIGHTS.values(), ids=NOT_WEIGHTS)
@pytest.mark.parametrize("name", [FIRST, "classifier.1.bias"])
def test_other_numbers_are_refused_and_the_error_names_their_tensor(tmp_path, state, change, name):
    with pytest.raises(DataError, match=rf"w\.pth must hold .* in {name}"):
        load(tmp_path, state | {name: change(state[name])})


@pytest.fixture(scope="module")
def counted() -> dict[str, Tensor]:
    """Return the state of a network that counts batches, in integers."""
    net = load_network("shufflenet_v2_x0_5", num_classes=3, seed=0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked += 7
    return net.state_dict()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.float16])
def test_counters_are_whole_numbers_of_any_dtype(tmp_path, counted, dtype):
    name = "conv1.1.num_batches_tracked"
    assert counted[name].dtype == torch.int64
    net = load(tmp_path, counted | {name: counted[name].to(dtype)}, "shufflenet_v2_x0_5")
    assert net.state_dict()[name] == 7


@pytest.mark.parametrize("value", [0.5, float("nan"), 1j, True])
def test_counters_of_other_values_are_refused(tmp_path, counted, value):
    name = "conv1.1.num_batches_tracked"
    with pytest.raises(DataError, match=f"whole numbers in {name}"):
        load(tmp_path, counted | {name: torch.tensor(value)}, "shufflenet_v2_x0_5")


def test_running_statistics_are_in_floating_point(tmp_path, counted):
    name = "conv1.1.running_mean"
    with pytest.raises(DataError, match=rf"torch\.int64 in {name}"):
        load(tmp_path, counted | {name: counted[name].long()}, "shufflenet_v2_x0_5")


@pytest.mark.parametrize("value", [torch.tensor(3.0), torch.zeros(3), torch.zeros(0, 512)])
def test_a_wrong_new_head_is_refused(tmp_path, state, value):
    with pytest.raises((DataError, SettingError)):
        load(tmp_path, state | {"head.linear.weight": value})


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"[" * 10_000, b"(" * 10_000 + b"."]
)
def test_files_without_weights_are_refused(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(DataError, match=r"w\.pth must"):
        read_weights(tmp_path / "w.pth")


def test_one_seed_makes_one_network_and_leaves_the_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (load_network(NAME, seed=seed).state_dict()[FIRST] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_networks_are_drawn_by_torchs_generator():
    torch.manual_seed(3)
    first = load_network(NAME).state_dict()[FIRST]
    assert torch.equal(first, load_network(NAME, seed=3).state_dict()[FIRST])
    assert not torch.equal(first, load_network(NAME).state_dict()[FIRST])


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_that_torch_cannot_take_are_refused(seed):
    with pytest.raises(SettingError, match="seed must be in"):
        load_network(NAME, seed=seed)


def test_more_classes_than_memory_are_refused():
    with pytest.raises(SettingError, match="num_classes must be a number of classes that"):
        load_network(NAME, num_classes=10**13)


def test_weights_of_which_the_file_holds_a_part_are_refused(tmp_path) -> None:
    """Some versions of torch return a tensor that reaches beyond the file."""
    whole, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
    torch.save({"weight": torch.ones(4096)}, whole)
    with ZipFile(whole) as source, ZipFile(cut, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:64] if name.endswith("data/0") else data)
    with pytest.raises(DataError, match=r"cut\.pth must"):
        read_weights(cut)


def test_the_file_of_a_network_is_found_in_a_folder(tmp_path) -> None:
    net = load_network("squeezenet1_1", num_classes=2)
    torch.save(net.state_dict(), tmp_path / "squeezenet1_1-trained.pth")
    torch.save({}, tmp_path / "resnet18.pth")
    loaded = load_network("squeezenet1_1", tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in net.state_dict().items())
    torch.save(net.state_dict(), tmp_path / "squeezenet1_1.pth")
    with pytest.raises(DataError, match="must hold one file squeezenet1_1"):
        load_network("squeezenet1_1", tmp_path)
    with pytest.raises(DataError, match=r"resnet50-\*\.pth, got none"):
        load_network("resnet50", tmp_path)
