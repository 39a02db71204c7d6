"""`Fault`: one wrong change of the source; and the test files of each area of the library."""

from dataclasses import dataclass

__all__ = ["AREAS", "Fault"]


@dataclass(frozen=True)
class Fault:
    """One change of the source that is wrong.

    Attributes
    ----------
    name
        What the library does wrong with this fault.
    path
        The file, below ``src/cameval``.
    before, after
        The code that is replaced, which occurs once in the file, and the code that replaces it.
    tests
        The test files, or single tests, that should fail; the fastest ones first.
    explained
        Why no test can fail, if that is so.

    """

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]
    explained: str = ""

    @property
    def area(self) -> str:
        """The part of the library that the file belongs to."""
        return next(area for start, area in _AREA_BY_PATH if self.path.startswith(start))


_AREA_BY_PATH = (
    ("evaluation/_identity.py", "identity"),
    ("evaluation/_digests.py", "identity"),
    ("evaluation/_run_folder.py", "run folder"),
    ("data/cache.py", "cache"),
    ("data/_packed.py", "cache"),
    ("networks/_randomize.py", "sanity"),
    ("extractor.py", "extractor"),
    ("target_classes.py", "extractor"),
    ("maps.py", "maps"),
    ("_arrays.py", "maps"),
    ("_memo.py", "maps"),
    ("_lazy.py", "start"),
    ("_spatial.py", "metrics"),
    ("_sorting.py", "metrics"),
    ("_deferred.py", "extractor"),
    ("distributed.py", "distributed"),
    ("sanity.py", "sanity"),
    ("plots/", "plots"),
    *((f"{folder}/", folder) for folder in ("networks", "methods", "binarizers", "metrics")),
    *((f"{folder}/", folder) for folder in ("baselines", "statistics", "evaluation", "report")),
    *((f"{folder}/", folder) for folder in ("cli", "data", "losses", "training")),
)
"""The beginning of a path, and its area; the first that fits counts."""

AREAS = {
    "maps": ("test_maps.py", "test_arrays.py", "baselines/test_truth_maps.py"),
    "extractor": ("test_extractor.py", "test_target_classes.py", "networks/test_cuts.py"),
    "networks": ("networks", "test_target_classes.py", "evaluation/test_task.py"),
    "methods": ("methods", "test_sanity.py"),
    "binarizers": ("binarizers",),
    "metrics": ("metrics", "evaluation/test_meaning.py"),
    "baselines": ("baselines", "evaluation/test_meaning.py"),
    "statistics": ("statistics",),
    "evaluation": ("evaluation", "cli/test_words.py"),
    "distributed": ("test_distributed.py", "evaluation/test_runs.py"),
    "identity": ("evaluation/test_identity.py", "evaluation/test_runs.py"),
    "run folder": ("evaluation/test_runs.py",),
    "report": ("report",),
    "cli": ("cli",),
    "start": ("test_start.py",),
    "data": ("data",),
    "cache": ("data/test_cache.py", "data/test_readers.py", "data/test_malformed.py"),
    "sanity": ("test_sanity.py",),
    "losses": ("losses",),
    "training": ("training",),
    "plots": ("test_plots.py",),
}
"""Test files and folders of each area, for faults that their own tests do not catch."""
