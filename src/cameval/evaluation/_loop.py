"""The loop over the batches of a run, shared by its processes; finished batches are kept."""

import sys
from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from cameval.data import Sample
from cameval.distributed import gather, number_of_processes, rank
from cameval.errors import CamevalError, DataError
from cameval.evaluation._batch import BatchScorer, BatchScores
from cameval.evaluation._halving import Finish, HalvedBatches
from cameval.evaluation._identity import same_run
from cameval.evaluation._loading import Workers, number_of_batches, read_batches
from cameval.evaluation._run import Run
from cameval.evaluation._run_folder import RunFolder, is_there
from cameval.evaluation._sample_sums import fingerprint
from cameval.evaluation._times import Sessions, Stopwatch, total_time
from cameval.evaluation.results import Results, results_of

T = TypeVar("T")


Seen = Callable[[int, Sequence[Sample]], None]
"""What is called with the number and the samples of each batch of this process."""


def score_run(plan: Callable[[], Run]) -> Results:
    """Score a run, with all processes, and return its results."""
    return score_planned(same_run(plan))


def score_planned(
    run: Run, *, title: str = "evaluate", unit: str = "batch", seen: Seen | None = None
) -> Results:
    """Score a run that all processes have planned alike."""
    before = [number for part in gather(lambda: _list_scored(run)) for number in part]
    shares = gather(lambda: _score_share(run, title, unit, seen, before))
    batches = {number: scores for share in shares for number, scores in share.batches.items()}
    time = total_time(share.sessions for share in shares)
    record = shares[rank()].record | {"processes": len(shares), "computing": time}
    return results_of([batches[number] for number in sorted(batches)], run.plan.columns, record)


@dataclass(frozen=True, eq=False)
class _Share:
    """The batches of one process by number, the record of the run, and its computing time."""

    record: dict[str, Any]
    batches: dict[int, BatchScores]
    sessions: Sessions


def _score_share(
    run: Run, title: str, unit: str, seen: Seen | None, before: Sequence[int]
) -> _Share:
    """Score the batches of this process, or read them from the folder of the run.

    The first process says once how much of the run was scored before.
    """
    out = run.settings.out
    folder = None if out is None else RunFolder(Path(out))
    record = dict(run.record) if folder is None else folder.claim(run.record)
    watch = Stopwatch(None if folder is None else folder.path)
    batches = {}
    with progress_bar(run, _count_mine(run), title, unit) as bar:
        if before and run.settings.progress and rank() == 0:
            bar.write(f"{title} is resumed: {_describe_scored(run, before)}", file=sys.stderr)
        for number, samples, scores in _score_batches(run, folder, watch):
            batches[number] = scores
            if seen is not None:
                seen(number, samples)
            bar.update()
    return _Share(record, batches, watch.sessions())


def _score_batches(
    run: Run, folder: RunFolder | None, watch: Stopwatch
) -> Iterator[tuple[int, list[Sample], BatchScores]]:
    """Yield this process's batches; those that are in the folder are read and checked.

    The maps of a batch are scored while the network runs on the next one. Where that fails, the
    scores of the batch before it are written first.
    """
    settings = run.settings
    written = set(folder.numbers()) if folder else set()
    names: set[str] = set()
    last = -1
    waiting: _Begun | None = None
    workers = Workers(settings.workers)
    with workers.watched(), ThreadPoolExecutor(1, thread_name_prefix="cameval-scores") as thread:
        begin = HalvedBatches(_begin_of(run, thread))
        try:
            for number, batch in read_batches(run.samples, settings.batch_size, _is_mine, workers):
                known = folder if folder and (number in written or folder.has(number)) else None
                begun = _Begun(number, batch, None if known else begin(batch))
                before, waiting = waiting, None  # if it fails, what comes after does not count
                done = None if before is None else before.finish(run, folder, watch)
                waiting = begun
                if done is not None:
                    yield done
                _check_names_differ(batch, names)
                last = number
        except BaseException:
            if waiting is not None:
                waiting.finish(run, folder, watch)
            raise
        if waiting is not None:
            yield waiting.finish(run, folder, watch)
    extra = [number for number in written if number >= last + number_of_processes()]
    if extra and folder:
        raise DataError(
            f"out must be a new folder or one of the same samples, got {folder.path} with "
            f"{len(extra)} more batches than there are samples for"
        )


@dataclass(frozen=True, eq=False)
class _Begun:
    """A batch on which the network has run, or one whose scores are in the folder of the run."""

    number: int
    samples: list[Sample]
    scores: Finish | None

    def finish(
        self, run: Run, folder: RunFolder | None, watch: Stopwatch
    ) -> tuple[int, list[Sample], BatchScores]:
        """Wait for the scores and write them, or read and check those in the folder."""
        if self.scores is not None:
            scores = _note_samples(self.scores, self.samples)
            if folder:
                folder.write(self.number, scores)
            watch.count()
        else:
            assert folder is not None
            scores = folder.read(self.number, len(run.plan.columns))
            _check_same(scores, self.samples, folder)
        watch.restart()
        return self.number, self.samples, scores


def _begin_of(run: Run, thread: Executor) -> Callable[[Sequence[Sample]], Finish]:
    """Return what runs the network on a batch, and scores its maps in a thread.

    Metrics that run the network are scored before the network runs on the next batch.
    """
    network = run.network
    scorer = BatchScorer(
        None if network is None else network.model,
        run.plan,
        run.prepare,
        cell_centers=None if network is None else network.cell_centers,
        device=None if network is None else network.device,
        task=run.task,
        probabilities=run.probabilities,
        predictions=run.predictions,
    )

    def begin(batch: Sequence[Sample]) -> Finish:
        finish = _note_samples(lambda: scorer.begin(batch), batch)
        if run.plan.of_network:
            scores = _note_samples(finish, batch)
            return lambda: scores
        run_there = partial(copy_context().run, _in_modes_of_this_thread(finish))
        return thread.submit(run_there).result

    return begin


def _in_modes_of_this_thread(finish: Finish) -> Finish:
    """Return a function that scores as torch is set in this thread, whichever calls it."""
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def scores() -> BatchScores:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):
            return finish()

    return scores


def progress_bar(run: Run, total: int | None, title: str, unit: str) -> "tqdm[Any]":
    """Return the bar of a part of a run; it is shown by the first process, in a terminal."""
    hide = None if run.settings.progress and rank() == 0 else True  # None: hidden but in a terminal
    return tqdm(total=total, desc=title, unit=unit, disable=hide)


def _count_mine(run: Run) -> int | None:
    """Return how many batches this process has, if they can be counted beforehand."""
    total = number_of_batches(run.samples, run.settings.batch_size)
    return None if total is None else sum(map(_is_mine, range(total)))


def _list_scored(run: Run) -> list[int]:
    """Return the numbers of the batches of this process that an earlier call has scored."""
    if run.settings.out is None or not is_there(Path(run.settings.out)):
        return []
    return [*filter(_is_mine, RunFolder(Path(run.settings.out)).numbers())]


def _describe_scored(run: Run, numbers: Sequence[int]) -> str:
    """Return how much of a run was scored before: samples, if they can be counted."""
    size = run.settings.batch_size
    if not isinstance(run.samples, Sized):
        return f"batches scored before: {len(numbers)}"
    total = len(run.samples)
    count = sum(min(size, max(total - number * size, 0)) for number in numbers)
    return f"{count:,} of {total:,} samples were scored before"


def _is_mine(number: int) -> bool:
    """Tell whether a batch is scored by this process."""
    return number % number_of_processes() == rank()


def _note_samples(function: Callable[[], T], batch: Sequence[Sample]) -> T:
    """Call a function; an error of a user's object gets a note with the samples."""
    try:
        return function()
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
