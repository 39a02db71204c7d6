"""The options ``--sanity``, ``--sanity-samples`` and ``--checkpoints``."""

from pathlib import Path

import pytest
import torch

from cameval.cli import main
from cameval.evaluation import Results
from cameval.networks import load_network


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Write the weights of two trainings."""
    root = tmp_path_factory.mktemp("weights")
    for seed in (0, 1):
        net = load_network("squeezenet1_1", num_classes=3, seed=seed)
        torch.save(net.state_dict(), root / f"seed{seed}.pth")
    return root


def run(weights: Path, out: Path, *words: str) -> int:
    fixed = "evaluate --model squeezenet1_1 --num-classes 3 --phantom 4 --size 64 --metric iou"
    fixed += " --binarizer percentile:80 --baseline center --threads 1"
    chosen = ["--weights", str(weights / "seed0.pth"), "--out", str(out)]
    return main([*fixed.split(), *chosen, *words])


@pytest.mark.usefixtures("no_figures")
def test_the_checks_are_in_tables_and_in_the_report(weights: Path, tmp_path: Path) -> None:
    other = str(weights / "seed1.pth")
    assert run(weights, tmp_path, "--sanity-samples", "2", "--checkpoints", other) == 0
    checks = Results.from_csv(tmp_path / "results.csv").sanity
    assert checks is not None
    assert checks.scores.samples["sample"].nunique() == 2
    assert set(checks.similarities["step"]) >= {"seed1"}
    metrics = {column.metric for column in checks.scores.columns}
    assert metrics == {"iou", "insertion", "deletion", "road", "adcc"}
    page = (tmp_path / "report.html").read_text()
    assert 'id="sanity"' in page
    (tmp_path / "report.html").unlink()
    assert main(["report", str(tmp_path)]) == 0
    assert 'id="sanity"' in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--sanity-samples", "3"], "--sanity-samples must go with --sanity"),
        (["--sanity", "--sanity-samples", "0"], "samples must be a positive integer"),
        (["--checkpoints", "a/net.pth", "b/net.pth"], "--checkpoints must be files of different"),
    ],
)
def test_options_that_are_wrong_are_refused(
    words: list[str], named: str, weights: Path, tmp_path: Path, capsys
) -> None:
    assert run(weights, tmp_path, "--no-report", *words) != 0
    assert named in capsys.readouterr().err
