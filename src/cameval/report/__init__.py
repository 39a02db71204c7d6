"""One page that shows an evaluation: its numbers, what they are compared with, and pictures.

Needs jinja2 and matplotlib: ``pip install 'cameval[report]'``.
"""

from cameval.report.cells import Block, Cell, Row, Table, table_of
from cameval.report.examples import draw_examples
from cameval.report.listing import Example
from cameval.report.page import write_report
from cameval.report.section import Picture, Section, picture_of

__all__ = [
    "Block",
    "Cell",
    "Example",
    "Picture",
    "Row",
    "Section",
    "Table",
    "draw_examples",
    "picture_of",
    "table_of",
    "write_report",
]
