"""``cameval report``: rewrite the report of a finished run."""

from argparse import Namespace
from pathlib import Path

from cameval.errors import SettingError
from cameval.evaluation import Results


def run(options: Namespace) -> int:
    """Write the report of a folder's results.csv."""
    try:
        from cameval.report import write_report
    except ModuleNotFoundError as error:
        raise SettingError(
            f"the report needs {error.name}, got none; install it with pip install "
            "'cameval[report]'"
        ) from error
    folder = Path(options.folder)
    results = Results.from_csv(folder / "results.csv")
    print(f"report: {write_report(results, folder, title=options.title)}")
    return 0
