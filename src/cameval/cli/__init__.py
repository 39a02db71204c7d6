"""The command line: ``cameval evaluate``, ``cameval report``, ``cameval models``.

Exit codes: 0 done; 2 a mistake in what was asked, said in one line; 130 interrupted.
"""

import sys
from collections.abc import Sequence

from cameval.cli import evaluation, models, reports
from cameval.cli.parser import parse
from cameval.errors import CamevalError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    options = parse(arguments)
    commands = {"evaluate": evaluation.run, "models": models.run, "report": reports.run}
    try:
        return commands[options.command](options)
    except CamevalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\ninterrupted; what is done is kept: the same command goes on from there",
            file=sys.stderr,
        )
        return 130
