"""Several processes: shares of the work, results of all, one that fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cameval.distributed import (
    first_alone,
    gather,
    number_of_processes,
    of_first,
    own_device,
    process_group,
    rank,
    share_of,
    wait_for_all,
)
from cameval.errors import ProcessError, SettingError


def test_a_single_process_does_everything_itself() -> None:
    with process_group():
        assert (rank(), number_of_processes()) == (0, 1)
        assert share_of(["a", "b", "c"]) == ["a", "b", "c"]
        assert gather(lambda: 7) == [7]
        assert wait_for_all(lambda: 7) == first_alone(lambda: 7) == of_first(7) == 7
    assert not torch.distributed.is_initialized()


def test_an_error_of_this_process_is_raised_as_it_is() -> None:
    def fail() -> int:
        raise KeyError("scan")

    for do in (gather, wait_for_all, first_alone):
        with pytest.raises(KeyError, match="scan"):
            do(fail)


def test_only_cuda_without_a_number_gets_one(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert own_device(torch.device("cuda:0")) == torch.device("cuda", 0)
    assert own_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "count", "reason"),
    [
        ("cuda", 0, "torch finds no GPU for CUDA"),
        ("cuda:0", 0, "torch finds no GPU for CUDA"),
        ("cuda:2", 2, "there are 2 GPUs, with numbers from 0"),
        ("mps", 2, "torch finds no GPU for Metal"),
        ("meta", 2, "it holds no numbers"),
        ("xpu", 2, ""),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, name, count, reason) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SettingError, match=rf"device must be available, got '{name}': {reason}"):
        own_device(torch.device(name))


def test_processes_that_nobody_connects_are_told(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ProcessError, match="must be started by torchrun"), process_group():
        pytest.fail("joined nothing")


SCRIPT = """
import json, sys
from pathlib import Path
from cameval.distributed import *
from cameval.errors import ProcessError

out = Path(sys.argv[1])

def once():
    existed = (out / "made").exists()
    (out / "made").touch()
    return existed

def fail():
    if rank() == 1:
        raise ValueError("no such scan")

with process_group():
    said = dict(
        share=share_of([0, 1, 2]),
        gathered=gather(lambda: rank() * 10),
        own=wait_for_all(lambda: rank()),
        first=of_first(rank() + 5),
        existed=first_alone(once),
    )
    try:
        wait_for_all(fail)
    except (ProcessError, ValueError) as error:
        said["failed"] = f"{type(error).__name__}: {error}"
    (out / f"{rank()}.json").write_text(json.dumps(said))
"""


def test_two_processes_share_the_work(tmp_path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [*(sys.executable, "-m", "torch.distributed.run", "--standalone")]
    command += ["--nproc-per-node=2", str(tmp_path / "script.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(Path(tmp_path / f"{k}.json").read_text()) for k in (0, 1))
    assert (first["share"], second["share"]) == ([0, 2], [1])
    assert first["gathered"] == second["gathered"] == [0, 10]
    assert (first["own"], second["own"]) == (0, 1)
    assert first["first"] == second["first"] == 5
    assert (first["existed"], second["existed"]) == (False, True)
    reason = "every process must succeed, process 1 failed: ValueError: no such scan"
    assert first["failed"] == f"ProcessError: {reason}"
    assert second["failed"] == "ValueError: no such scan"
