"""Whether the network of a run returns probabilities, as after a softmax."""

from collections.abc import Mapping
from typing import Any

from cameval.evaluation._contents import contents_of
from cameval.evaluation._score_table import ScoreTable
from cameval.extractor import warn_of_probabilities

OUTPUTS_ARE = "outputs_are"
"""Where the settings in the record of a run say what the outputs are."""


def has_softmax(run: Mapping[str, Any]) -> bool:
    """Tell whether the outputs of the network of a run are probabilities of its classes.

    Sigmoids of a multi-label task are not meant: their maps differ from those of logits by a factor
    alone.

    Examples
    --------
    >>> from cameval.evaluation._softmax import has_softmax
    >>> has_softmax({"settings": {"outputs_are": "probabilities", "task": "multiclass"}})
    True
    """
    settings = run.get("settings") or {}
    return settings.get(OUTPUTS_ARE) == "probabilities" and settings.get("task") != "multilabel"


def warn_of_softmax(results: ScoreTable) -> None:
    """Warn if the maps of a run are those of a network that returns probabilities."""
    contents = contents_of(results)
    if {*contents.methods} - contents.given and has_softmax(results.provenance):
        warn_of_probabilities()
