"""Names of the facts of a study that are written wrongly."""

import inspect
import pickle
from dataclasses import replace
from typing import Any

import pytest

from cameval.errors import SettingError
from cameval.report import StudyFacts


@pytest.mark.parametrize(
    "make",
    [
        lambda facts: StudyFacts(**facts),
        StudyFacts.of,
        lambda facts: replace(StudyFacts(readers=2), **facts),
    ],
)
def test_a_name_of_no_fact_is_an_error_with_near_names(make: Any) -> None:
    with pytest.raises(SettingError, match="got 'truth_drawn'; near names: truth_drawn_by"):
        make({"truth_drawn": "Two radiologists."})
    with pytest.raises(SettingError, match="got 'Autor'; near names: none"):
        make({"Autor": "a"})


def test_facts_are_as_other_dataclasses() -> None:
    facts = StudyFacts(readers=2)
    assert pickle.loads(pickle.dumps(facts)) == facts
    assert "readers" in inspect.signature(StudyFacts).parameters
    with pytest.raises(TypeError):
        StudyFacts("Two radiologists.")  # type: ignore[misc]  # names only
