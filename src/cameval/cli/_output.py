"""The folder of a run: that it can be written, has no results of another run, and its tables."""

import os
import stat
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

import pandas as pd

from cameval.errors import MissingPackageError, OutputError, SettingError
from cameval.evaluation import Results

BY_CLASS = "summary_by_class.csv"
"""The file of the means of each class."""


def check_output(out: Path, runs: Sequence[str], options: Namespace) -> None:
    """Check that the results can be written to a folder, before the work begins.

    Parameters
    ----------
    out
        The folder, which is made when needed.
    runs
        The names of the folders in ``runs`` that the command writes to.
    options
        What is written.

    Raises
    ------
    SettingError
        If the folder has the results of another command, or something else in the place of a file.
    OutputError
        If it cannot be written.
    """
    files = ["results.csv", "results.json", "summary.csv", BY_CLASS, "settings.toml"]
    files += ["results.parquet"] if options.parquet else []
    files += [] if options.no_report else ["report.html"]
    folders = ["runs"] if options.no_report else ["runs", "figures", "report_files"]
    check_folder(out)
    try:
        for name in (*files, *folders):
            wanted = "a folder" if name in folders else "a file"
            came = _describe_path(out / name)
            if came not in (None, wanted):
                raise SettingError(f"{out / name} must be {wanted} or not be there, got {came}")
        _check_results(out, runs)
    except OSError as error:
        raise _not_writable(out, error) from error


def check_folder(out: Path) -> None:
    """Check that files can be written to a folder, which is made when needed.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except (OSError, ValueError) as error:  # a path with NUL is a ValueError
        raise _not_writable(out, error) from error


def _not_writable(out: Path, error: OSError | ValueError) -> OutputError:
    reason = error.strerror if isinstance(error, OSError) else error
    return OutputError(f"{str(out)!r} must be writable, got {reason or error}")


def write_whole(path: Path, contents: bytes) -> None:
    """Write a file, so that it is there as a whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(contents)
    part.replace(path)


def _describe_path(path: Path) -> str | None:
    """Return what is at a path, None if there is nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFREG: "a file", stat.S_IFIFO: "a named pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _check_results(out: Path, runs: Sequence[str]) -> None:
    """Check that no results of another command or of Python would be replaced.

    Whether a run of the same name has the same settings is checked as it begins.
    """
    others = [
        folder.parent.name
        for folder in sorted(out.glob("runs/*/batches"))
        if folder.parent.name not in runs and any(folder.glob("*.npz"))
    ]
    came = f"the results of {', '.join(others)}" if others else ""
    if (out / "run.json").exists():
        came = "a run of Python (run.json)"
    elif (out / "results.csv").exists() and not (out / "settings.toml").exists():
        came = "a results.csv that no command has written"
    if came:
        raise SettingError(
            f"--out must be a new folder or one of the same run, got {out} with {came}; name "
            "another folder"
        )


def write_tables(results: Results, options: Namespace) -> None:
    """Write the table of scores and that of the means."""
    out = Path(options.out)
    results.to_csv(out / "results.csv")
    if options.parquet:
        results.to_parquet(out / "results.parquet")
    _write_summary(results, out / "summary.csv")
    _write_classes(results, out / BY_CLASS)
    write_settings(options)


def write_settings(options: Namespace) -> None:
    """Write the settings of the run, so that a file is there as a whole or not at all."""
    write_whole(Path(options.out) / "settings.toml", options.settings.encode())


def _write_summary(results: Results, path: Path) -> None:
    """Write the means with intervals, so that a file is there as a whole or not at all.

    Targets with an object and those without have rows of their own.
    """
    by = ["present"] if results.samples["present"].nunique() > 1 else []
    _write_rows(results.summary(by), path)


def _write_classes(results: Results, path: Path) -> None:
    """Write the means of each class, if labels are known; remove those of an earlier run if not."""
    labeled = results.samples["label"].notna()
    if not labeled.any():
        path.unlink(missing_ok=True)
        return
    by = ["label", *(["class_name"] if results.class_names else [])]
    by += ["present"] if results.samples["present"].nunique() > 1 else []
    _write_rows(results.summary(by), path)


def _write_rows(table: pd.DataFrame, path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    table.to_csv(part, index=False)
    part.replace(path)


def import_parquet() -> None:
    """Check that a table of that form can be written."""
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "--parquet needs pyarrow, which is not installed; install it with pip install pyarrow, "
            "or cameval with its extra 'parquet', or leave out --parquet"
        ) from error
