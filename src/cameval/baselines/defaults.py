"""The baselines that ask for nothing but the images that are evaluated."""

from cameval.baselines.batch import Baseline
from cameval.baselines.ceilings import resolution_oracle
from cameval.baselines.image_maps import edge_prior, intensity_prior
from cameval.baselines.priors import RandomPrior, center_prior

__all__ = ["default_baselines"]


def default_baselines(seed: int = 0) -> dict[str, Baseline]:
    """Return the baselines that need no training, so that no number stands alone.

    Parameters
    ----------
    seed
        Of the random maps.

    Returns
    -------
    dict of str to Baseline
        By label: ``"center"``, ``"random"``, ``"intensity"`` and ``"edges"`` below the maps, and
        ``"resolution oracle"`` above them.

    Examples
    --------
    >>> list(default_baselines())
    ['center', 'random', 'intensity', 'edges', 'resolution oracle']
    """
    return {
        "center": center_prior,
        "random": RandomPrior(seed=seed),
        "intensity": intensity_prior,
        "edges": edge_prior,
        "resolution oracle": resolution_oracle,
    }
