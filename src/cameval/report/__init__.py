"""One page that shows an evaluation: its numbers beside what they are held against, and pictures.

Needs jinja2 and matplotlib: ``pip install 'cameval[report]'``.
"""

from cameval.report.examples import draw_examples
from cameval.report.listing import Example
from cameval.report.page import write_report

__all__ = ["Example", "draw_examples", "write_report"]
