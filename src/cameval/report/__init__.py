"""The report: one HTML page with the verdict, figures, images and tables of an evaluation.

Needs jinja2 and matplotlib, as in the extra ``report``: ``pip install '.[report]'`` in a checkout.
`verdict_lines` needs neither.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cameval.report.comparisons import page_tests
    from cameval.report.facts import StudyFacts
    from cameval.report.formatting import (
        format_count,
        format_difference,
        format_interval,
        format_number,
        format_p,
        format_percent,
    )
    from cameval.report.images import draw_images
    from cameval.report.page import write_report
    from cameval.report.reviewers import reviewer_summary
    from cameval.report.score_figure import ScoreFigure, ScoreMark, ScoreRow
    from cameval.report.sections import (
        Block,
        Cell,
        Picture,
        Row,
        Section,
        Table,
        picture_of,
        table_of,
    )
    from cameval.report.single_file import unpack_pictures
    from cameval.report.terminal import verdict_lines
else:
    from cameval._lazy import import_when_used

    __getattr__, __dir__ = import_when_used(
        __name__,
        {
            "comparisons": ["page_tests"],
            "facts": ["StudyFacts"],
            "formatting": [
                "format_count",
                "format_difference",
                "format_interval",
                "format_number",
                "format_p",
                "format_percent",
            ],
            "images": ["draw_images"],
            "page": ["write_report"],
            "reviewers": ["reviewer_summary"],
            "score_figure": ["ScoreFigure", "ScoreMark", "ScoreRow"],
            "sections": [
                "Block",
                "Cell",
                "Picture",
                "Row",
                "Section",
                "Table",
                "picture_of",
                "table_of",
            ],
            "single_file": ["unpack_pictures"],
            "terminal": ["verdict_lines"],
        },
    )

__all__ = [
    "Block",
    "Cell",
    "Picture",
    "Row",
    "ScoreFigure",
    "ScoreMark",
    "ScoreRow",
    "Section",
    "StudyFacts",
    "Table",
    "draw_images",
    "format_count",
    "format_difference",
    "format_interval",
    "format_number",
    "format_p",
    "format_percent",
    "page_tests",
    "picture_of",
    "reviewer_summary",
    "table_of",
    "unpack_pictures",
    "verdict_lines",
    "write_report",
]
