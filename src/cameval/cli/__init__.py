"""The command line: ``cameval evaluate``, ``cameval report``, ``cameval models``.

Exit codes: 0 done; 2 a mistake in what was asked, said in one line; 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import torch

from cameval.cli import _evaluate as evaluation
from cameval.cli import _models as models
from cameval.cli import _report as reports
from cameval.cli._parser import parse
from cameval.errors import CamevalError

__all__ = ["main"]

_NO_MEMORY = (MemoryError, torch.OutOfMemoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    if isinstance(sys.stdout, TextIOWrapper):  # a name of a file may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    options = parse(arguments)
    commands = {"evaluate": evaluation.run, "models": models.run, "report": reports.run}
    try:
        code = commands[options.command](options)
        sys.stdout.flush()  # so that a full disk is told here
    except BrokenPipeError:
        _drop_output()  # what reads the output, such as head, has read enough
        return 0
    except CamevalError as error:
        return _mistake(str(error))
    except OSError as error:
        _drop_output()
        return _mistake(_of_the_machine(error))
    except _NO_MEMORY as error:
        reason = str(error) or "none is left"
        return _mistake(f"memory must suffice, got: {reason}; take a smaller --batch-size")
    except KeyboardInterrupt:
        print(
            "\ninterrupted; what is done is kept: the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    return code


def _mistake(reason: str) -> int:
    """Say in one line what was wrong."""
    line = f"error: {' '.join(reason.split())}"
    print(line.encode(errors="backslashreplace").decode(), file=sys.stderr)
    return 2


def _of_the_machine(error: OSError) -> str:
    """Return what a file cannot be used for, as on a full or a read-only disk."""
    subject = "a file" if error.filename is None else str(error.filename)
    return f"{subject} must be readable and writable, got: {error.strerror or error}"


def _drop_output() -> None:
    """Print what can be printed; else let Python end without a second error about it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
