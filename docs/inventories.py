"""Write the inventories of other projects that the documentation links to, without a download.

They hold the names that the documentation refers to and no others. Run this script after a change
of the tables. A name that no table has is not linked.
"""

import zlib
from pathlib import Path

SITES = {
    "python": "https://docs.python.org/3/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "skimage": "https://scikit-image.org/docs/stable/",
    "matplotlib": "https://matplotlib.org/stable/",
}
FOLDER = Path(__file__).parent / "inventories"


def _on(page: str, kind: str, names: str, prefix: str = "") -> dict[str, tuple[str, str]]:
    """Return entries of names on one page, each with an anchor of its full name."""
    return {
        f"{prefix}{name}": (kind, page.replace("$", f"{prefix}{name}") + f"#{prefix}{name}")
        for name in names.split()
    }


def _also(entries: dict[str, tuple[str, str]], **names: str) -> dict[str, tuple[str, str]]:
    """Return entries with other names of them, as code and type hints write them."""
    return entries | {other.replace("__", "."): entries[name] for other, name in names.items()}


ENTRIES = {
    "python": {
        **_on("library/functions.html", "class", "bool complex float int object slice"),
        **_on("library/stdtypes.html", "class", "bytes dict frozenset list str tuple"),
        **_on("library/functions.html", "function", "repr"),
        **_on("library/constants.html", "data", "None"),
        **_on(
            "library/collections.abc.html",
            "class",
            "Callable Collection Hashable Iterable Iterator Mapping Sequence",
            "collections.abc.",
        ),
        **_on("library/os.html", "class", "os.PathLike"),
        **_on("library/pathlib.html", "class", "pathlib.Path"),
        **_on("library/typing.html", "class", "Any Literal TypeAlias Unpack", "typing."),
    },
    "numpy": _also(
        {
            **_on("reference/generated/$.html", "class", "numpy.ndarray numpy.dtype"),
            **_on(
                "reference/arrays.scalars.html",
                "class",
                "bool float32 float64 floating int64 integer intp number str_ uint8",
                "numpy.",
            ),
            **_on("reference/typing.html", "class", "numpy.typing.NDArray"),
            **_on("reference/random/generator.html", "class", "numpy.random.Generator"),
        },
        np__intp="numpy.intp",
        np__ndarray="numpy.ndarray",
        numpy__random___generator__Generator="numpy.random.Generator",
    ),
    "pandas": _on("reference/api/$.html", "class", "pandas.DataFrame pandas.Series"),
    "torch": _also(
        {
            **_on("tensors.html", "class", "torch.Tensor"),
            **_on("tensor_attributes.html", "class", "torch.device torch.dtype"),
            **_on("generated/$.html", "function", "torch.save torch.load"),
            **_on("generated/$.html", "function", "torch.nn.functional.cross_entropy"),
            **_on(
                "generated/$.html", "class", "Conv2d Conv3d LayerNorm Linear Module", "torch.nn."
            ),
            **_on("data.html", "class", "DataLoader Dataset", "torch.utils.data."),
            "torch.utils.data": ("module", "data.html#module-torch.utils.data"),
            "torch.distributed": ("module", "distributed.html#module-torch.distributed"),
        },
        nn__Module="torch.nn.Module",
        torch__nn__modules__conv__Conv2d="torch.nn.Conv2d",
        torch__nn__modules__conv__Conv3d="torch.nn.Conv3d",
        torch__nn__modules__linear__Linear="torch.nn.Linear",
        torch__nn__modules__module__Module="torch.nn.Module",
        torch__nn__modules__normalization__LayerNorm="torch.nn.LayerNorm",
        torch__utils__data__dataset__Dataset="torch.utils.data.Dataset",
    ),
    "skimage": {
        "skimage.filters": ("module", "api/skimage.filters.html#module-skimage.filters"),
        **_on(
            "api/skimage.filters.html",
            "function",
            "local multiotsu niblack otsu sauvola",
            "skimage.filters.threshold_",
        ),
    },
    "matplotlib": _also(
        {
            **_on("api/axes_api.html", "class", "matplotlib.axes.Axes"),
            **_on("api/figure_api.html", "class", "matplotlib.figure.Figure"),
        },
        Axes="matplotlib.axes.Axes",
        Figure="matplotlib.figure.Figure",
    ),
}
"""Kind and place of each name, by project."""


def inventory(project: str) -> bytes:
    """Return an inventory in version 2 of Sphinx's format."""
    lines = [
        f"{name} py:{kind} 1 {place} -" for name, (kind, place) in sorted(ENTRIES[project].items())
    ]
    head = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    return head.encode() + zlib.compress("".join(f"{line}\n" for line in lines).encode(), 9)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in ENTRIES:
        (FOLDER / f"{name}.inv").write_bytes(inventory(name))
