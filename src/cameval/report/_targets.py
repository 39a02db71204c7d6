"""The targets that the scores of a page are of, and all others."""

from dataclasses import dataclass

from cameval.evaluation import Results
from cameval.evaluation._contents import Contents, with_object


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of all samples, and those that the scores of the page are of.

    Parameters
    ----------
    everything
        The results.
    scored
        Those of the targets with an object; of all targets if there are no others, if a model has
        none, or if the only metrics are of all targets by their convention.
    """

    everything: Results
    scored: Results

    @property
    def n_negatives(self) -> int:
        """The number of targets without a true pixel."""
        return int((~self.everything.samples["present"].to_numpy(bool)).sum())

    @property
    def are_split(self) -> bool:
        """Whether the scores of the page are of the targets with an object alone."""
        return len(self.scored) < len(self.everything)


def targets_of(results: Results, contents: Contents) -> Targets:
    """Return all targets, and those that the scores of the page are of."""
    return Targets(results, with_object(results, contents))
