"""One page that shows an evaluation: its numbers, what they are compared with, and pictures.

Needs jinja2 and matplotlib: ``pip install 'cameval[report]'``.
"""

from cameval.report.examples import Example, draw_examples
from cameval.report.page import write_report
from cameval.report.sections import Block, Cell, Picture, Row, Section, Table, picture_of, table_of

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
