"""Faults that only another device shows: numbers of 64 bits where there are none, lost order."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "the truth on the grid is pooled in single precision on Metal",
        "baselines/truth_maps.py",
        before="masks.cpu() if on_host else masks",
        after="masks",
        tests=("test_devices.py::test_the_truth_on_the_grid_has_the_same_masks_without_float64",),
    ),
    Fault(
        "different pixels of the truth on the grid become equal on Metal",
        "baselines/truth_maps.py",
        before="(np.maximum.accumulate(bits - steps) + steps)",
        after="bits",
        tests=("test_devices.py::test_the_truth_on_the_grid_has_the_same_masks_without_float64",),
    ),
    Fault(
        "the edge of the image is no edge of the truth on the grid",
        "baselines/truth_maps.py",
        before="* far, (1, 1) * axes)",
        after="* far, (1, 1) * axes, value=far)",
        tests=(
            "baselines/test_truth_maps.py::test_depth_is_the_distance_to_the_nearest_cell_outside_or_to_the_edge",
        ),
    ),
    Fault(
        "images are filled in double precision on the device",
        "metrics/road.py",
        before="images.cpu().double()",
        after="images.double().cpu()",
        tests=("test_devices.py::test_changed_images",),
    ),
    Fault(
        "weights of layers are winsorized in double precision on the device",
        "methods/multi_layer.py",
        before="importances.cpu().double()",
        after="importances.double()",
        tests=("test_devices.py::test_maps_of_methods",),
    ),
)
