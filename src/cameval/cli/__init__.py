"""The command line: ``cameval map``, ``evaluate``, ``score``, ``compare``, ``report``, ``models``.

Exit codes: 0 done; 1 ``compare`` finds that scores fell; 2 a mistake, described in one line on the
standard error; 130 interrupted.
"""

import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

from cameval.cli._parser import parse
from cameval.errors import CamevalError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code.

    Parameters
    ----------
    arguments
        The words after ``cameval``; by default those of the process.

    Returns
    -------
    int
        0 if all was done, also where the reader of the output has closed it; 1 if ``compare`` finds
        that scores fell; 2 after a mistake, which is described in one line on the standard error;
        130 if it was interrupted.

    Raises
    ------
    SystemExit
        With code 0 after help or the version.

    Examples
    --------
    >>> from contextlib import redirect_stdout
    >>> from io import StringIO
    >>> from cameval.cli import main
    >>> with redirect_stdout(StringIO()) as output:
    ...     code = main(["models", "squeezenet1_1"])
    >>> code
    0
    >>> for line in output.getvalue().splitlines()[:3]:
    ...     print(line)
    network        head          CAM    grid     channels  first cell  stride
    -------------  ------------  -----  -------  --------  ----------  ------
    squeezenet1_1  ClassMapHead  exact  13 x 13  512       15.5        16
    """
    if isinstance(sys.stdout, TextIOWrapper):  # names of files may hold bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    resumes = False
    try:
        options = parse(arguments)
        resumes = options.command in ("evaluate", "score")
        with _short_warnings():
            code = _run(options)
        sys.stdout.flush()  # a full disk raises here
    except BrokenPipeError:
        _drop_output()  # the reader of the output, such as head, has closed it
        return 0
    except CamevalError as error:
        return _print_mistake(str(error))
    except OSError as error:
        _drop_output()
        return _print_mistake(_describe(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = str(error) or "none is left"
        return _print_mistake(f"memory must suffice, got: {reason}; use a smaller --batch-size")
    except KeyboardInterrupt:
        saved = "; finished batches are saved: the same command continues from there"
        print(f"\ninterrupted{saved if resumes else ''}", file=sys.stderr)
        return 130
    return code


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Print warnings as errors are, without a line of code, until the end of the block."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _run(options: Namespace) -> int:
    """Run the command; help and version come before, so they do not wait for torch."""
    from cameval.cli import _commands, _compare, _photo_maps, _report, _tables

    commands = {
        "compare": _compare.compare_runs,
        "evaluate": _commands.evaluate_networks,
        "map": _photo_maps.map_photos,
        "models": _tables.list_models,
        "report": _report.rewrite_report,
        "score": _commands.score_maps,
    }
    return commands[options.command](options)


def _is_out_of_memory(error: Exception) -> bool:
    """Tell whether memory was used up, that of the processor or that of a GPU."""
    if isinstance(error, MemoryError):
        return True
    from torch import OutOfMemoryError

    return isinstance(error, OutOfMemoryError)


def _print_mistake(reason: str) -> int:
    """Print in one line what was wrong, and return the exit code."""
    line = f"error: {' '.join(reason.split())}"
    print(line.encode(errors="backslashreplace").decode(), file=sys.stderr)
    return 2


def _describe(error: OSError) -> str:
    """Return a description of a system error, as on a full or a read-only disk."""
    subject = "a file" if error.filename is None else str(error.filename)
    return f"{subject} must be readable and writable, got: {error.strerror or error}"


def _drop_output() -> None:
    """Flush the output, or discard it, so that Python ends without a second error."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
