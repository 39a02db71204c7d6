"""From a network, samples and masks to a table that can be believed."""

from cameval.evaluation.choice import Choice, choose_binarizers
from cameval.evaluation.concat import concat
from cameval.evaluation.engine import evaluate
from cameval.evaluation.meaning import Meanings, Origin
from cameval.evaluation.plan import Column
from cameval.evaluation.prepare import IMAGENET_MEAN, IMAGENET_STD, Preparation
from cameval.evaluation.results import Results
from cameval.evaluation.scoring import REASONS

__all__ = [  # noqa: RUF022 - sorted as Python sorts
    "Choice",
    "Column",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Meanings",
    "Origin",
    "Preparation",
    "REASONS",
    "Results",
    "choose_binarizers",
    "concat",
    "evaluate",
]
