"""The loop over the batches of a run, shared by its processes; finished batches are kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cameval.data import Sample
from cameval.distributed import gather, number_of_processes, rank
from cameval.errors import CamevalError, DataError
from cameval.evaluation._batch import BatchScorer, BatchScores, fingerprint
from cameval.evaluation._identity import same_run
from cameval.evaluation._loading import number_of_batches, read_batches
from cameval.evaluation._run import Run
from cameval.evaluation._run_folder import RunFolder
from cameval.evaluation._times import Sessions, Stopwatch, total_time
from cameval.evaluation.results import Results

Seen = Callable[[int, Sequence[Sample]], None]
"""What is called with the number and the samples of each batch of this process."""


def score_run(plan: Callable[[], Run]) -> Results:
    """Score a run, with all processes, and return its results."""
    return score_planned(same_run(plan))


def score_planned(
    run: Run, *, title: str = "evaluate", unit: str = "batch", seen: Seen | None = None
) -> Results:
    """Score a run that all processes have planned alike."""
    shares = gather(lambda: _score_share(run, title, unit, seen))
    batches = {number: scores for share in shares for number, scores in share.batches.items()}
    time = total_time(share.sessions for share in shares)
    record = shares[rank()].record | {"processes": len(shares), "computing": time}
    return Results.of([batches[number] for number in sorted(batches)], run.plan.columns, record)


@dataclass(frozen=True, eq=False)
class _Share:
    """The batches of one process by number, the record of the run, and its computing time."""

    record: dict[str, Any]
    batches: dict[int, BatchScores]
    sessions: Sessions


def _score_share(run: Run, title: str, unit: str, seen: Seen | None) -> _Share:
    """Score the batches of this process, or read them from the folder of the run."""
    out = run.settings.out
    folder = None if out is None else RunFolder(Path(out))
    record = dict(run.record) if folder is None else folder.claim(run.record)
    watch = Stopwatch(None if folder is None else folder.path)
    batches = {}
    with progress_bar(run, _count_mine(run), title, unit) as bar:
        for number, samples, scores in _score_batches(run, folder, watch):
            batches[number] = scores
            if seen is not None:
                seen(number, samples)
            bar.update()
    return _Share(record, batches, watch.sessions())


def _score_batches(
    run: Run, folder: RunFolder | None, watch: Stopwatch
) -> Iterator[tuple[int, list[Sample], BatchScores]]:
    """Yield this process's batches; those that are in the folder are read and checked."""
    settings = run.settings
    written = set(folder.numbers()) if folder else set()
    names: set[str] = set()
    last = -1
    for number, batch in read_batches(run.samples, settings.batch_size, _is_mine, settings.workers):
        if folder and (number in written or folder.has(number)):
            scores = folder.read(number, len(run.plan.columns))
            _check_same(scores, batch, folder)
        else:
            scores = _score(run, batch)
            if folder:
                folder.write(number, scores)
            watch.count()
        _check_names_differ(batch, names)
        yield number, batch, scores
        watch.restart()
        last = number
    extra = [number for number in written if number >= last + number_of_processes()]
    if extra and folder:
        raise DataError(
            f"out must be a new folder or one of the same samples, got {folder.path} with "
            f"{len(extra)} more batches than there are samples for"
        )


def progress_bar(run: Run, total: int | None, title: str, unit: str) -> "tqdm[Any]":
    """Return the bar of a part of a run; it is shown by the first process, in a terminal."""
    hide = None if run.settings.progress and rank() == 0 else True  # None: hidden but in a terminal
    return tqdm(total=total, desc=title, unit=unit, disable=hide)


def _count_mine(run: Run) -> int | None:
    """Return how many batches this process has, if they can be counted beforehand."""
    total = number_of_batches(run.samples, run.settings.batch_size)
    return None if total is None else sum(map(_is_mine, range(total)))


def _is_mine(number: int) -> bool:
    """Tell whether a batch is scored by this process."""
    return number % number_of_processes() == rank()


def _score(run: Run, batch: Sequence[Sample]) -> BatchScores:
    """Score a batch; an error of a user's function gets a note with the samples."""
    try:
        network = run.network
        return BatchScorer(
            None if network is None else network.model,
            run.plan,
            run.prepare,
            cell_centers=None if network is None else network.cell_centers,
            device=None if network is None else network.device,
            task=run.task,
            probabilities=run.probabilities,
            predictions=run.predictions,
        )(batch)
    except CamevalError:
        raise
    except Exception as error:
        error.add_note(f"while scoring samples {batch[0].name!r} to {batch[-1].name!r}")
        raise


def _check_names_differ(batch: Sequence[Sample], names: set[str]) -> None:
    """Check that no sample of a batch has the name of another, and add the names."""
    new = [sample.name for sample in batch]
    if again := sorted({name for name in new if name in names or new.count(name) > 1}):
        raise DataError(f"names of samples must be unique, got {again[0]!r} twice")
    names.update(new)


def _check_same(scores: BatchScores, batch: Sequence[Sample], folder: RunFolder) -> None:
    """Check that scores in a folder are those of these samples."""
    rows = [(sample, fingerprint(sample)) for sample in batch for _ in sample.targets]
    for name, checksum, (sample, now) in zip(
        scores.sample.tolist(), scores.checksum, rows, strict=False
    ):
        if sample.name != name or now != checksum:
            raise DataError(
                f"out must be a new folder or one of the same samples, got {folder.path} with "
                f"another {name!r} than sample {sample.name!r} is now"
            )
    if len(rows) != len(scores.sample):
        raise DataError(
            f"out must be a new folder or one of the same samples, got {folder.path} with "
            f"{len(scores.sample)} in place of {len(rows)} targets in a batch"
        )
