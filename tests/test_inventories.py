"""The stored inventories of other projects are those of their tables."""

import runpy
import zlib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
MADE = runpy.run_path(str(DOCS / "inventories.py"))


def entries(data: bytes) -> list[str]:
    """Return the lines of an inventory: name, kind, priority, place, title."""
    *head, packed = data.split(b"\n", 4)
    assert head[0] == b"# Sphinx inventory version 2"
    return zlib.decompress(packed).decode().splitlines()


@pytest.mark.parametrize("project", MADE["ENTRIES"])
def test_an_inventory_is_that_of_its_table(project: str) -> None:
    stored = (DOCS / "inventories" / f"{project}.inv").read_bytes()
    assert entries(stored) == entries(MADE["inventory"](project))


@pytest.mark.parametrize("project", MADE["ENTRIES"])
def test_every_entry_is_a_name_with_a_place(project: str) -> None:
    for line in entries(MADE["inventory"](project)):
        name, kind, priority, place, title = line.split(" ")
        assert (priority, title) == ("1", "-")
        assert kind in {"py:class", "py:function", "py:data", "py:module"}
        page, anchor = place.split("#")
        assert page.endswith(".html")
        assert anchor.removeprefix("module-").split(".")[-1] == name.split(".")[-1]


def test_every_project_has_a_site_and_a_file() -> None:
    files = {path.stem for path in (DOCS / "inventories").glob("*.inv")}
    assert files == set(MADE["SITES"]) == set(MADE["ENTRIES"])
    assert all(
        site.startswith("https://") and site.endswith("/") for site in MADE["SITES"].values()
    )
