"""Sub-sample: a choice of samples by seed and names, taken while a run reads its samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cameval.data import Sample
from cameval.distributed import gather
from cameval.errors import DataError
from cameval.evaluation._loading import SizedSamples, is_sized, read_sample
from cameval.evaluation._run import Run


@dataclass(frozen=True)
class Candidate:
    """A sample that may be chosen: its place in the data, and the target of it that is used."""

    index: int
    name: str
    group: str
    place: int
    present: bool
    sample: Sample | None = field(default=None, compare=False)


def choose(candidates: Sequence[Candidate], count: int, seed: int) -> list[Candidate]:
    """Return so many candidates, in the order of the data.

    Those with an object come first; then those that are the first of their group, then the second,
    and so on. The rest is decided by a hash of the names, so that the choice from a part of the
    candidates that holds those chosen from all is the same.
    """
    ranks: dict[tuple[bool, str], int] = {}
    keys: list[tuple[tuple[bool, int, int], Candidate]] = []
    for one in sorted(candidates, key=lambda c: _hash(seed, "sample", c.name)):
        rank = ranks.get((one.present, one.group), 0)
        ranks[one.present, one.group] = rank + 1
        keys.append(((not one.present, rank, _hash(seed, "group", one.group)), one))
    keys.sort(key=lambda pair: pair[0])
    return sorted((one for _, one in keys[:count]), key=lambda c: c.index)


def _hash(seed: int, *words: str) -> int:
    return int.from_bytes(sha256("\0".join((str(seed), *words)).encode()).digest()[:8], "big")


def candidate_of(index: int, sample: Sample, seed: int, *, keep: bool) -> Candidate:
    """Return a sample as a candidate, with one of its targets that have an object, if any."""
    targets = sample.by_target()
    present = [place for place, one in enumerate(targets) if one.mask.any()]
    places = present or range(len(targets))
    place = min(places, key=lambda k: _hash(seed, "target", sample.name, str(k)))
    kept = targets[place] if keep else None
    return Candidate(index, sample.name, sample.group, place, bool(present), kept)


class Collector:
    """What is kept of the samples while a run reads them.

    Of a dataset with a length these are names, of which the chosen samples are read again; of an
    iterable the samples that would be chosen so far.
    """

    def __init__(self, run: Run, count: int, seed: int) -> None:
        self.run, self.count, self.seed = run, count, seed
        self.candidates: list[Candidate] = []

    def see(self, number: int, batch: Sequence[Sample]) -> None:
        """Add a batch."""
        first, seed = number * self.run.settings.batch_size, self.seed
        keep = not is_sized(self.run.samples)
        self.candidates += [
            candidate_of(first + k, sample, seed, keep=keep) for k, sample in enumerate(batch)
        ]
        self.candidates = choose(self.candidates, self.count, seed)

    def sub_sample(self) -> "SubSample":
        """Return the samples that are chosen from those of all processes."""
        parts = gather(lambda: self.candidates)
        every = [one for part in parts for one in part]
        return SubSample(self.run.samples, choose(every, self.count, self.seed))


@dataclass(frozen=True, eq=False)
class SubSample:
    """The chosen samples, each with one target."""

    samples: Any
    chosen: Sequence[Candidate]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Sample:
        one = self.chosen[index]
        if one.sample is not None:
            return one.sample
        found: SizedSamples = self.samples
        sample = read_sample(found, one.index)
        if sample.name != one.name:
            raise DataError(
                f"samples must be the same each time they are read, got {sample.name!r} after "
                f"{one.name!r}"
            )
        return sample.by_target()[one.place]
