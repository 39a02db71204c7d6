"""Write the notebooks of examples/notebooks from the .py files there, and run them.

    python .ci/notebooks.py                  # run all, and store them with their outputs
    python .ci/notebooks.py --check FILE...  # run stored notebooks, and store nothing

A source is Python: a line ``# %%`` begins a cell of code, ``# %% [markdown]`` a cell of text, in
comments. Pictures are stored as JPEG where that is smaller.
"""

import argparse
import json
import os
import re
import sys
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "notebooks"
CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


def cells(source: str) -> list[tuple[str, str]]:
    """Return the kind of each cell of a source, and its text."""
    before, *parts = CELL.split(source)
    if before.strip():
        raise SystemExit("a source must begin with a cell")
    found = []
    for kind, text in zip(parts[::2], parts[1::2], strict=True):
        if kind:
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        found.append(("markdown" if kind else "code", text.strip("\n")))
    return found


def notebook(source: str) -> dict[str, Any]:
    """Return a notebook of a source, without outputs."""
    made = []
    for number, (kind, text) in enumerate(cells(source), 1):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text}
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def execute(content: dict[str, Any]) -> dict[str, Any]:
    """Run a notebook in an empty folder; a cell that fails raises its error."""
    import nbformat
    from nbclient import NotebookClient

    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm, which torch imports
    os.environ["OMP_NUM_THREADS"] = "1"  # the networks are small
    node = nbformat.reads(json.dumps(content), as_version=4)
    with TemporaryDirectory() as folder:
        NotebookClient(
            node,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
        ).execute()
    done: dict[str, Any] = json.loads(nbformat.writes(node))
    done["metadata"] = content["metadata"]  # not the versions of this machine
    return done


def shrink_pictures(content: dict[str, Any]) -> None:
    """Store the pictures of a notebook as JPEG where that is smaller."""
    from PIL import Image

    for cell in content["cells"]:
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if "image/png" in data:
                png = b64decode("".join(data["image/png"]))
                stream = BytesIO()
                with Image.open(BytesIO(png)) as picture:
                    picture.convert("RGB").save(stream, "JPEG", quality=85, optimize=True)
                if len(jpeg := stream.getvalue()) < 0.7 * len(png):
                    del data["image/png"]
                    data["image/jpeg"] = b64encode(jpeg).decode()


def main() -> None:
    """Run and store, or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="store nothing")
    parser.add_argument("file", type=Path, nargs="*", help="by default all")
    options = parser.parse_args()
    for path in options.file or sorted(FOLDER.glob("*.py")):
        stored = path.with_suffix(".ipynb")
        if options.check:
            execute(json.loads(stored.read_text(encoding="utf-8")))
            continue
        done = execute(notebook(path.read_text(encoding="utf-8")))
        shrink_pictures(done)
        text = json.dumps(done, indent=1, ensure_ascii=False) + "\n"
        stored.write_text(text, encoding="utf-8")
        print(f"{stored.name}: {len(text) / 1024:.0f} KB", file=sys.stderr)


if __name__ == "__main__":
    main()
