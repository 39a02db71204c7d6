"""The baselines that ask for nothing but the images that are evaluated."""

from cameval.baselines.batch import Baseline
from cameval.baselines.grids import truth_on_grid
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
        By label: ``"center"`` and ``"random"`` know nothing, ``"intensity"`` and ``"edges"`` the
        image, and ``"truth on grid"`` the truth.

    Examples
    --------
    >>> list(default_baselines())
    ['center', 'random', 'intensity', 'edges', 'truth on grid']
    """
    return {
        "center": center_prior,
        "random": RandomPrior(seed=seed),
        "intensity": intensity_prior,
        "edges": edge_prior,
        "truth on grid": truth_on_grid,
    }
