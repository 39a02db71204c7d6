"""The file of a network in a folder of weights."""

from os import PathLike
from pathlib import Path

from cameval.data._files import FOLDER, kind_at
from cameval.errors import DataError


def file_of_weights(where: str | PathLike[str], name: str) -> str | PathLike[str]:
    """Return the file of weights of a name in a folder, anything else as it is.

    Raises
    ------
    DataError
        If a folder has no file ``NAME.pth`` or ``NAME-*.pth``, or several.
    """
    folder = Path(where)
    if kind_at(folder) != FOLDER:
        return where
    files = sorted(
        file
        for file in folder.iterdir()
        if file.name == f"{name}.pth"
        or (file.name.startswith(f"{name}-") and file.suffix == ".pth")
    )
    if len(files) != 1:
        raise DataError(
            f"{where} must hold one file {name}.pth or {name}-*.pth, "
            f"got {', '.join(file.name for file in files) or 'none'}"
        )
    return files[0]
