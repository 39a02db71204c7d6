"""Runs that are kept: interrupted, killed, resumed, shared by processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluations import PLAN, SMALL, Lazy, Stream, samples, small_network
from test_results import same

import cameval
from cameval import evaluate
from cameval.errors import DataError, SettingError
from cameval.evaluation import Results

TESTS = Path(__file__).parent


def run(out: Path | None, data=None, net=None, **options) -> Results:
    options = {**PLAN, "prepare": SMALL, "batch_size": 2, "baselines": {}} | options
    return evaluate(net or small_network(), data or samples(), out=out, **options)


def test_what_is_kept_is_the_table(tmp_path) -> None:
    results = run(tmp_path / "a" / "run")
    assert same(results, run(None))
    assert same(results, Results.load(tmp_path / "a" / "run"))
    assert not list(tmp_path.rglob("*.part"))


def test_an_interrupted_run_goes_on_where_it_was(tmp_path) -> None:
    class Interrupted(Lazy):
        def __getitem__(self, index: int):
            if index == 5 and not self.resumed:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    data = Interrupted(samples())
    data.resumed = False
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
        ({"batch_size": 3}, r"another batch_size \(2 there, 3 now\)"),
        ({"methods": [cameval.cam]}, "another methods"),
        ({"seed": 1}, "another seed"),
        ({"name": "x"}, "another model"),
        (
            {"metrics": dict(reversed(PLAN["metrics"].items()))},
            "another order of its methods, binarizers or metrics",
        ),
        ({"data": samples(5)}, r"another samples \(7 there, 5 now\)"),
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
    with pytest.raises(SettingError, match="another weights"):
        run(tmp_path, net=net)


def test_changed_samples_are_noticed(tmp_path) -> None:
    run(tmp_path)
    changed = samples()
    changed[3].image[0, 0] = 0.123
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
    file = tmp_path / "batches" / "000001.npz"
    np.savez(file, sample=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"000001\.npz must hold"):
        Results.load(tmp_path)


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
    with pytest.raises(SettingError, match="out must be a folder that can be written"):
        run(tmp_path / "file")


# --- Other processes ------------------------------------------------------------------------------

SCRIPT = """
import os, sys, time
sys.path.insert(0, {tests!r})
import torch
import torch.distributed as dist
from evaluations import PLAN, SMALL, Lazy, samples, small_network
from cameval import evaluate

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


def start(tmp_path: Path, name: str, pause: float = 0.0, out: str = "run", **environment: str):
    code = SCRIPT.format(
        tests=str(TESTS), pause=pause, out=str(tmp_path / out), table=str(tmp_path / name)
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


def test_a_killed_run_ends_with_the_identical_table(tmp_path) -> None:
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
    finish(start(tmp_path, "whole", out="another"))
    assert (tmp_path / "resumed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_two_runs_that_write_the_same_folder_write_the_same(tmp_path) -> None:
    both = [start(tmp_path, name, pause=0.05) for name in ("first", "second")]
    for process in both:
        finish(process)
    finish(start(tmp_path, "alone", out="another"))
    tables = {(tmp_path / f"{name}.csv").read_bytes() for name in ("first", "second", "alone")}
    assert len(tables) == 1


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


def test_two_processes_give_the_table_of_one(tmp_path) -> None:
    code = SCRIPT.format(
        tests=str(TESTS), pause=0, out=str(tmp_path / "run"), table=str(tmp_path / "two")
    )
    done = torchrun(tmp_path, code)
    assert done.returncode == 0, done.stderr
    finish(start(tmp_path, "one", out="another"))
    one = (tmp_path / "one.csv").read_bytes()
    assert (tmp_path / "two0.csv").read_bytes() == one
    assert (tmp_path / "two1.csv").read_bytes() == one


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
