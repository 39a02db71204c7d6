"""The order of the pages of the gallery, for sphinx-gallery."""

PAGES = (
    *("methods", "binarizers", "alignment", "baselines", "thresholds", "faithfulness"),
    *("multilabel", "volumes", "checkpoints", "study"),
)


class ByList:
    """Sort key of a script: its place in the list."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __call__(self, file: str) -> int:
        """Return the place of the file."""
        return PAGES.index(file.removeprefix("plot_").removesuffix(".py"))

    def __repr__(self) -> str:
        return "ByList()"
