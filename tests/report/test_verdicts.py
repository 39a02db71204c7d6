"""The verdict of a report on a difference: from its p and its groups to the sentence."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from pages import made, written

from cameval.evaluation import Results
from cameval.report import format_p
from cameval.report import page as writing
from cameval.statistics import holm, sign_flip_test

WORDS = {
    "better": ": clearly better (",
    "worse": ": clearly worse (",
    "open": ": no clear difference (",
    "too few": ": too few groups to tell (",
    "equal": "do not differ in any group",
    "untested": "no image has both scores",
}
"""The words of each verdict; a page with one test has one of them."""


@pytest.fixture(autouse=True)
def no_figures(monkeypatch) -> None:
    """Draw no figures, which take most of the time."""
    monkeypatch.setattr(writing, "draw_figures", lambda *values: [])


def differing(
    differences: Sequence[float], *, rivals: int = 1, metric: str = "iou", seed: int = 3
) -> Results:
    """Make results of one image a group, in which the maps differ so from every blind map."""
    results = made(
        len(differences),
        groups=len(differences),
        methods=("cam",),
        baselines={f"blind {k}": "nothing" for k in range(rivals)},
        binarizers=("p95",),
        metrics=(metric,),
    )
    values = np.full(results.values.shape, 0.5)
    values[:, 0] += differences
    settings = results.provenance["settings"] | {"seed": seed}
    return replace(results, values=values, provenance={**results.provenance, "settings": settings})


def of_all_signs(differences: Sequence[float]) -> float:
    """Return the p value of a sign-flip test, by going through every pattern of signs."""
    sums = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=len(differences))]
    return float(np.mean([one >= sums[0] - 1e-9 for one in sums]))


HIGH = 0.2
"""A difference; what counts is its sign."""


@pytest.mark.parametrize(
    ("differences", "rivals", "p", "adjusted", "shown", "kind"),
    [
        pytest.param([HIGH] * 10, 1, 2 / 1024, 2 / 1024, "= .002", "better", id="10 of 10"),
        pytest.param([-HIGH] * 10, 1, 2 / 1024, 2 / 1024, "= .002", "worse", id="0 of 10"),
        pytest.param([HIGH] * 10, 5, 2 / 1024, 10 / 1024, "= .010", "better", id="of five tests"),
        pytest.param([HIGH] * 9, 1, 1 / 256, 1 / 256, "= .004", "better", id="9 groups"),
        pytest.param([HIGH] * 6, 1, 1 / 32, 1 / 32, "= .031", "better", id="6 groups"),
        pytest.param([HIGH] * 6, 2, 1 / 32, 1 / 16, "= .062", "open", id="6 groups, adjusted"),
        pytest.param([HIGH] * 9 + [-HIGH], 1, 22 / 1024, 22 / 1024, "= .021", "better", id="9:1"),
        pytest.param([HIGH] * 9 + [-HIGH], 3, 22 / 1024, 66 / 1024, "= .064", "open", id="9:1 x 3"),
        pytest.param([-HIGH] * 9 + [HIGH], 2, 22 / 1024, 44 / 1024, "= .043", "worse", id="1:9"),
        pytest.param([HIGH] * 7 + [-HIGH] * 3, 1, 352 / 1024, 352 / 1024, "= .344", "open", id="7"),
        pytest.param([HIGH] * 5, 1, 1 / 16, 1 / 16, "= .062", "too few", id="5 groups"),
        pytest.param([-HIGH] * 5, 4, 1 / 16, 1 / 4, "= .250", "too few", id="5 groups x 4"),
        pytest.param([HIGH] * 5 + [0] * 5, 1, 1 / 16, 1 / 16, "= .062", "too few", id="5 differ"),
        pytest.param([HIGH] * 6 + [0] * 6, 1, 1 / 32, 1 / 32, "= .031", "better", id="6 differ"),
        pytest.param([HIGH], 1, 1, 1, "= 1.000", "too few", id="1 group"),
        pytest.param([0] * 12, 1, 1, 1, "", "equal", id="none differs"),
        pytest.param([np.nan] * 11 + [0], 1, 1, 1, "", "equal", id="one image"),
    ],
)
def test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ(
    differences, rivals, p, adjusted, shown, kind, tmp_path
) -> None:
    known = [one for one in differences if not np.isnan(one)]
    assert of_all_signs(known) == p
    assert holm([p] * rivals).tolist() == [adjusted] * rivals
    for metric in ("iou", "hd"):  # of distances less is better
        text = written(differing(differences, rivals=rivals, metric=metric), tmp_path / metric).text
        turned = {"better": "worse", "worse": "better"} if metric == "hd" else {}
        said = [name for name, words in WORDS.items() if words in text]
        assert said == [turned.get(kind, kind)]
        if not shown:
            continue
        assert f"p {shown}" in text
        assert (f"adjusted for {rivals} tests" in text) == (rivals > 1)
        assert ("adjusted for" in text.partition("Paired differences")[0]) == (rivals > 1)
        groups = sum(one != 0 for one in known)
        verb = "differs" if groups == 1 else "differ"
        assert (f"only {groups} group" in text) == (groups < 10)
        assert (f" {verb})" in text) == (groups < 10)


def test_scores_of_no_common_image_are_not_tested(tmp_path) -> None:
    results = differing([HIGH] * 12)
    values = results.values.copy()
    values[:6, 0] = values[6:, 1] = np.nan
    text = written(replace(results, values=values), tmp_path).text
    assert [name for name, words in WORDS.items() if words in text] == ["untested"]


def test_the_p_of_a_page_is_that_of_the_seed_of_the_run(tmp_path) -> None:
    differences = np.random.default_rng(0).normal(0.01, 0.05, 25)
    said = set()
    for seed in (3, 4, 5):
        results = differing(differences, seed=seed)
        p = sign_flip_test(*results.values.T, results.samples["group"].to_numpy(), seed=seed).p
        page = written(results, tmp_path / str(seed))
        assert f"p = {format_p(p)}" in page.text
        assert page.table("Paired differences").rows[0][2][1] == format_p(p)
        said.add(format_p(p))
    assert len(said) == 3
