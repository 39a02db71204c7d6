"""Faults of maps and predictions from files."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "each sample is looked for under all names",
        "data/map_files.py",
        before='self._state.setdefault("pattern", used)',
        after="del used",
        tests=("data/test_map_files.py::test_the_first_sample_decides_how_maps_are_named",),
    ),
    Fault(
        "the only array of a file is the map of any class",
        "data/map_files.py",
        before="if not (key.isdecimal() or key in class_names):",
        after="if key:",
        tests=(
            "data/test_map_files.py::test_the_only_array_of_a_file_is_not_the_map_of_another_class",
        ),
    ),
    Fault(
        "a map with some values that are not finite is taken",
        "data/map_files.py",
        before="if not np.isfinite(floats).all():",
        after="if not np.isfinite(floats).any():",
        tests=("data/test_malformed_maps.py",),
    ),
    Fault(
        "arrays by columns are read by rows",
        "data/_map_arrays.py",
        before='order="F" if by_columns else "C"',
        after='order="C"',
        tests=("data/test_map_files.py::test_arrays_come_back_as_they_were_saved",),
    ),
    Fault(
        "the size that a header declares is not compared with the file",
        "data/_map_arrays.py",
        before="if held != declared:",
        after="if held < 0:",
        tests=("data/test_malformed_maps.py",),
    ),
    Fault(
        "a tensor may repeat the numbers of its file",
        "data/_map_arrays.py",
        before="> tensor.untyped_storage().nbytes():",
        after="> 10**9 * tensor.untyped_storage().nbytes():",
        tests=("data/test_malformed_maps.py",),
    ),
    Fault(
        "a torch file may hold code",
        "data/_map_arrays.py",
        before="weights_only=True, mmap=True",
        after="weights_only=False, mmap=True",
        tests=("data/test_malformed_maps.py",),
    ),
    Fault(
        "a label beside the predicted class is read",
        "data/predictions.py",
        before='row.pop("label", None)',
        after="pass",
        tests=("data/test_predictions.py",),
    ),
    Fault(
        "maps of another aspect ratio are taken",
        "_arrays.py",
        before="<= max(height, width)",
        after="<= 2 * max(height, width)",
        tests=("evaluation/test_map_checks.py",),
    ),
)
