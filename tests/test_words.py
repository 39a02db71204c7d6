"""One vocabulary and plain English: words that code, documentation and messages do not use."""

import re
from pathlib import Path

import pytest

import cameval

ROOT = Path(cameval.__file__).parents[2]
SUFFIXES = {".py", ".rst", ".j2", ".md"}

# What to write instead stands in docs/conventions.rst, "Terms".
TERMS = [
    r"heat[ -]?maps?",
    r"degenerate",
    r"ceilings?",
    r"oracle[ _](map|iou|mask)s?",
    r"area[ _]caps?",
    r"the caps?",
    r"(center|gaussian|random|untrained|intensity|edge|class[- ]mean)[ _]priors?",
    r"false alarms?",
    r"hit[ _-]rates?",
    r"explained class(es)?",
    r"class(es)? (that (is|are) )?explained",
    r"blind maps?",
    r"knows the truth",
    r"truth on (the )?grid",
]

# Words of other fields, which are explained there and used nowhere else.
SYNONYMS_IN = {r"heat[ -]?maps?": {"README.md", "docs/glossary.rst"}}

FIGURES_OF_SPEECH = [
    r"paint(s|ed|ing)?",
    r"kin",
    r"anew",
    r"in no one's way",
    r"(held|holds?|holding) (\w+ )?against",
    r"(left|leaves?|leaving) (\w+ )?behind",
    r"(said|says?) aloud",
    r"who can say",
    r"when nothing is said",
    r"(can|to) be believed",
    r"is heard",
    r"in silence",
    r"whatever it",
    r"an own",
    r"(the|public|a|each|every) doors?",
    r"room by room",
    r"(a|the|each|every|this|which|no|its) rooms?",
    r"(a|the|this|whole) houses?",
    r"nowhere in particular",
    r"tells? the truth about",
    r"can be looked into",
    r"forgets|forgotten",
    r"laid",
    r"lays? (the|its|a|their|his) (map|cell|slice|volume|mask)s?",
    r"under each other",
    r"what stands?",
    r"stands? (beside|behind|alone)",
    r"(is|are|was|were) made of",
    r"with what all",
    r"customs? of the field",
    r"flatter(s|ed|ing)?",
    r"owes? nothing",
    r"what (becomes|became) of",
    r"knows? nothing of",
    r"speaks? for",
    r"points? at the truth",
    r"in plain words",
    r"by luck",
]


def texts() -> list[Path]:
    """Return every file that a user reads."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for folder in ("src", "docs", "examples"):
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES]
    return [p for p in found if "_build" not in p.parts and "generated" not in p.parts]


@pytest.fixture(scope="module")
def contents() -> dict[str, str]:
    """Return what is in each of the texts."""
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in texts()}


@pytest.mark.parametrize("pattern", TERMS + FIGURES_OF_SPEECH)
def test_no_text_uses_this_expression(pattern: str, contents: dict[str, str]) -> None:
    words = pattern.replace(" ", r"\s+")
    compiled = re.compile(rf"\b({words})\b", re.IGNORECASE)
    uses = [
        f"{name}: {match[0]!r}"
        for name, text in contents.items()
        if name not in SYNONYMS_IN.get(pattern, ())
        for match in compiled.finditer(text)
    ]
    assert not uses, "\n".join(uses)


def test_the_words_are_looked_for_in_all_texts() -> None:
    assert {path.suffix for path in texts()} == SUFFIXES
    assert len(texts()) > 150
