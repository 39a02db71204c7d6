"""The report: one HTML page with the tables, figures and findings of an evaluation.

Needs jinja2 and matplotlib: ``pip install 'cameval[report]'``.
"""

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
from cameval.report.sections import Block, Cell, Picture, Row, Section, Table, picture_of, table_of

__all__ = [
    "Block",
    "Cell",
    "Picture",
    "Row",
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
    "write_report",
]
