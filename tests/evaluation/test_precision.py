"""Precision, device and compilation of a run: what is recorded, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from evaluations import PLAN, SMALL, same, samples
from torch import Tensor, nn

from cameval import CAMExtractor, CAMModel, CAMSweep, GAPHead, Results, adapt, evaluate, grad_cam
from cameval.errors import SettingError
from cameval.evaluation import SanityChecks, _run, evaluate_maps
from cameval.networks._precision import in_precision

NORMAL = {"prepare": SMALL, "progress": False} | PLAN


def normalized_network() -> CAMModel:
    """Make a network with a batch normalization after a convolution."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 6, 5, stride=4, padding=2), nn.BatchNorm2d(6), nn.ReLU())
    body[1].running_mean.uniform_(-0.5, 0.5)
    body[1].running_var.uniform_(0.5, 2)
    return CAMModel(body, GAPHead(nn.Linear(6, 3))).eval()


@pytest.fixture(scope="module")
def usual() -> Results:
    return evaluate(normalized_network(), samples(), **NORMAL)


def tensors_of(net: nn.Module) -> list[object]:
    return [(t.stride(), t.dtype, t._version) for t in (*net.parameters(), *net.buffers())]


def settings_of(results: Results) -> dict[str, object]:
    return results.provenance["settings"]


# --- Precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["exact", "channels_last", "folded", "bfloat16"])
def test_scores_change_as_little_as_the_precision_allows(precision, usual, monkeypatch) -> None:
    monkeypatch.setattr(_run, "check_supported", lambda *_: None)
    net = normalized_network()
    before = tensors_of(net)
    results = evaluate(net, samples(), precision=precision, **NORMAL)
    assert before == tensors_of(net)
    allowed = {"exact": 0, "bfloat16": 0.1}.get(precision, 1e-5)
    assert results.columns == usual.columns
    np.testing.assert_allclose(results.values, usual.values, rtol=0, atol=allowed, equal_nan=True)
    if precision == "exact":
        assert same(results, usual)
    if precision == "bfloat16":
        assert not np.array_equal(results.values, usual.values, equal_nan=True)
    assert settings_of(results)["precision"] == precision
    assert settings_of(results)["weights"] == settings_of(usual)["weights"]


def test_a_run_in_bfloat16_without_units_ends_before_a_sample_is_read(monkeypatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")

    class Unread(list[object]):
        def __getitem__(self, _index: object) -> object:
            raise AssertionError("a sample was read")

    with pytest.raises(SettingError, match="must have units for bfloat16"):
        evaluate(normalized_network(), Unread([1, 2]), precision="bfloat16", **NORMAL)


def test_a_precision_is_checked_and_needs_a_network() -> None:
    with pytest.raises(SettingError, match=r"precision must be one of exact, .*, got 'half'"):
        evaluate(normalized_network(), samples(), precision="half", **NORMAL)
    with pytest.raises(SettingError, match="precision must be 'exact' where no network runs"):
        evaluate_maps(lambda sample: sample.image, samples(), precision="folded")


def test_a_run_in_a_folder_continues_in_its_precision_only(tmp_path: Path) -> None:
    evaluate(normalized_network(), samples(), out=tmp_path, **NORMAL)
    for precision in ("channels_last", "folded"):
        with pytest.raises(SettingError, match=rf"another precision \(exact and {precision}\)"):
            evaluate(normalized_network(), samples(), out=tmp_path, precision=precision, **NORMAL)


def test_a_run_in_a_folder_continues_with_the_same_arithmetic_only(tmp_path, monkeypatch) -> None:
    evaluate(normalized_network(), samples(), out=tmp_path, **NORMAL)
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(SettingError, match=r"another matmul_precision \(highest and high\)"):
            evaluate(normalized_network(), samples(), out=tmp_path, **NORMAL)
    finally:
        torch.set_float32_matmul_precision("highest")
    monkeypatch.setattr("cameval.networks._precision.device_name", lambda _: "cuda, some GPU")
    with pytest.raises(SettingError, match=r"another device \(cpu, .* and cuda, some GPU\)"):
        evaluate(normalized_network(), samples(), out=tmp_path, **NORMAL)


def test_sanity_checks_compare_the_network_as_it_is() -> None:
    checks = SanityChecks(samples=2, layers=2)
    found = [
        evaluate(normalized_network(), samples(), sanity=checks, precision=precision, **NORMAL)
        for precision in ("exact", "folded")
    ]
    tables = [results.sanity.similarities for results in found]
    assert tables[0].equals(tables[1])


# --- Networks in half and double precision --------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_other_dtypes_are_evaluated(dtype: torch.dtype, usual: Results) -> None:
    results = evaluate(normalized_network().to(dtype), samples(), **NORMAL)
    tolerance = 0.1 if dtype.itemsize == 2 else 1e-4
    np.testing.assert_allclose(results.values, usual.values, rtol=0, atol=tolerance, equal_nan=True)
    assert settings_of(results)["dtype"] == str(dtype).removeprefix("torch.")


def test_sanity_checks_of_a_network_in_bfloat16() -> None:
    checks = SanityChecks(samples=2, layers=1)
    results = evaluate(normalized_network().bfloat16(), samples(), sanity=checks, **NORMAL)
    assert results.sanity.similarities["ssim"].notna().all()


def test_autocast_is_switched_off_with_a_warning(usual: Results) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with pytest.warns(UserWarning, match=r"switched off within evaluate, got .* for cpu"):
            results = evaluate(normalized_network(), samples(), **NORMAL)
        assert torch.is_autocast_enabled("cpu")
    assert same(results, usual)


# --- Compiled networks ----------------------------------------------------------------------------


def test_a_network_that_is_compiled_as_a_whole_is_named(usual: Results) -> None:
    net = normalized_network()
    whole = torch.compile(net, backend="eager")
    with pytest.warns(UserWarning, match="the CAMModel as a whole: it runs uncompiled") as caught:
        results = evaluate(whole, samples(), **NORMAL)
    assert len(caught) == 1
    assert same(results, usual)
    with pytest.warns(UserWarning, match="as a whole"):
        CAMExtractor(nn.DataParallel(whole))
    with pytest.warns(UserWarning, match="as a whole"):
        CAMSweep(whole, {"grad_cam": grad_cam}, ["features"])
    net.compile(backend="eager")
    with pytest.warns(UserWarning, match="as a whole"):
        CAMExtractor(net)


def test_compiled_features_run_compiled(usual: Results, tmp_path: Path) -> None:
    passes = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> object:
        def run(*inputs: Tensor) -> object:
            passes.append(len(inputs))
            return graph(*inputs)

        return run

    model = adapt(normalized_network())
    model.features.compile(backend=backend)
    for _ in range(2):  # a run in a folder, and the same run again
        results = evaluate(model, samples(), out=tmp_path, batch_size=7, **NORMAL)
    # torch 2.8 compiles no nn.Sequential of its own modules
    assert passes or torch.__version__.startswith("2.8.")
    np.testing.assert_allclose(results.values, usual.values, rtol=0, atol=1e-5, equal_nan=True)
    assert settings_of(results)["compiled"]
    with pytest.raises(SettingError, match="another compiled"):
        evaluate(normalized_network(), samples(), out=tmp_path, batch_size=7, **NORMAL)
    with pytest.warns(UserWarning, match="compiled parts of the network, 1 of them, run uncompil"):
        evaluate(model, samples(), precision="channels_last", **NORMAL)
    with pytest.warns(UserWarning, match="compiled parts of the network"):
        evaluate(model.train(), samples(), **NORMAL)


def test_a_copy_in_another_precision_is_not_the_users_network() -> None:
    net = normalized_network()
    changed = in_precision(net, "folded", torch.rand(2, 3, 32, 32))
    assert not any(module in set(net.modules()) for module in changed.modules())
