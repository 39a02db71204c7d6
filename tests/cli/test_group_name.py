"""``--group-name``: the page and the terminal call groups as the user does."""

import json
import re
from pathlib import Path

import pytest
from pages import Page, not_drawn, says_nowhere

from cameval.cli import main
from cameval.report import _chart

RUN = (
    "evaluate --model squeezenet1_1 --phantom 6 --size 64 --num-classes 3 --method eigen_cam "
    "--binarizer otsu --metric iou --baseline center --threads 1 --report-images 2"
)


def page_of(folder: Path) -> Page:
    return Page(folder / "report.html")


def test_a_run_and_its_report_have_the_word(tmp_path, capsys, monkeypatch) -> None:
    assert main([*RUN.split(), "--out", str(tmp_path), "--group-name", "patient"]) == 0
    said = capsys.readouterr().out
    assert "[95 % by patient]" in said
    assert not re.search(r"\bgroups?\b", said)
    says_nowhere(page_of(tmp_path), "group")
    assert 'group-name = "patient"' in (tmp_path / "settings.toml").read_text()

    assert main(["report", str(tmp_path)]) == 0  # the word is kept
    assert "[95 % by patient]" in capsys.readouterr().out
    says_nowhere(page_of(tmp_path), "group")

    assert main(["report", str(tmp_path), "--group-name", "family=families"]) == 0
    assert "6 families" in capsys.readouterr().out
    says_nowhere(page_of(tmp_path), "patient")
    assert main(["report", str(tmp_path)]) == 0
    assert "6 families" in page_of(tmp_path).text

    monkeypatch.setattr(_chart, "draw_twice", not_drawn)
    kept = json.loads((tmp_path / "reviewers.json").read_text())
    for nouns in (None, "families", {"group": 3}):  # not of this program
        kept["answers"]["intervals"]["values"]["nouns"] = nouns
        (tmp_path / "reviewers.json").write_text(json.dumps(kept))
        assert main(["report", str(tmp_path)]) == 0
        assert "6 groups" in page_of(tmp_path).text


@pytest.mark.parametrize("word", ["", "=families", "family=", " = "])
def test_a_word_is_needed(word, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main([*RUN.split(), "--out", str(out), "--group-name", word]) == 2
    assert "--group-name must be a word, or a word and its plural" in capsys.readouterr().err
    assert not (out / "results.csv").exists()
