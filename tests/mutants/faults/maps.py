"""Faults of maps, cell centers, arrays and the extractor."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "maps scaled in single precision",
        "maps.py",
        before=("    values = exact(tensor)\n"),
        after=("    values = tensor.float()\n"),
        tests=("test_maps.py::test_a_map_is_scaled_in_double_precision_and_rounded_once",),
    ),
    Fault(
        "upsampling is half a pixel off",
        "maps.py",
        before="* (cells / length) - 0.5",
        after="* (cells / length)",
        tests=("test_maps.py::test_upsampling_equals_scikit_image_with_edge_padding",),
    ),
    Fault(
        "cell centers are not scaled to the size of the map",
        "maps.py",
        before="+ 0.5) * (pixels / length)",
        after="+ 0.5)",
        tests=("baselines/test_truth_maps.py::test_places_are_in_pixels_of_the_image",),
    ),
    Fault(
        "padding moves the cell centers in the wrong direction",
        "maps.py",
        before="* dilation / 2 - padding)",
        after="* dilation / 2 + padding)",
        tests=(
            (
                "networks/test_receptive_fields.py::"
                "test_a_cell_lies_in_the_middle_of_its_receptive_field"
            ),
        ),
    ),
    Fault(
        "upsampling rounds beyond the range of a map",
        "maps.py",
        before="fine.clamp(coarse.amin(axes, keepdim=True), coarse.amax(axes, keepdim=True))",
        after="fine",
        tests=("test_maps.py::test_a_constant_map_stays_constant_at_any_size",),
    ),
    Fault(
        "maps in half precision are upsampled in half precision",
        "maps.py",
        before=("        coarse = coarse.float()\n"),
        after=("        coarse = coarse * 1\n"),
        tests=("test_maps.py::test_upsampling_keeps_leading_axes_and_dtype",),
    ),
    Fault(
        "maps are upsampled under autocast",
        "maps.py",
        before=("enabled=False):\n            interpolate"),
        after=("enabled=True):\n            interpolate"),
        tests=("test_maps.py::test_autocast_does_not_coarsen_what_is_upsampled",),
    ),
    Fault(
        "a map with one finite value counts as finite",
        "_arrays.py",
        before=".isfinite().all())",
        after=".isfinite().any())",
        tests=("test_arrays.py::test_maps_must_be_real_finite_and_have_pixels",),
    ),
    Fault(
        "large negative integers are converted to float64",
        "_arrays.py",
        before="max(-low, high) > _MOST_EXACT",
        after="high > _MOST_EXACT",
        tests=("test_arrays.py::test_integers_beyond_those_of_float64_come_back_as_such",),
    ),
    Fault(
        "memoization ignores shapes and strides",
        "_memo.py",
        before=" argument.shape, argument.stride(),",
        after="",
        tests=(
            (
                "binarizers/test_base.py::"
                "test_tensors_at_one_address_are_told_apart_by_shape_strides_and_dtype"
            ),
        ),
    ),
    Fault(
        "the top classes may not be all classes",
        "target_classes.py",
        before="if count_classes(logits) < self.count:",
        after="if count_classes(logits) <= self.count:",
        tests=("test_target_classes.py::test_the_top_classes_may_be_all_of_them",),
    ),
    Fault(
        "the target classes share memory with the user's labels",
        "target_classes.py",
        before="chosen.to(torch.int64, copy=True)",
        after="chosen.to(torch.int64)",
        tests=("test_extractor.py::test_the_classes_of_a_result_are_its_own",),
    ),
    Fault(
        "the two logits of one logit are swapped in the top classes",
        "target_classes.py",
        before="torch.cat([-logits, logits], 1)",
        after="torch.cat([logits, -logits], 1)",
        tests=("test_target_classes.py::test_the_top_classes_may_be_all_of_them",),
    ),
    Fault(
        "the cut is checked on every call",
        "extractor.py",
        before=(
            "                check_no_sigmoid(activations.logits, activations.network, "
            "images)\n"
            "            self._checked.append(True)"
        ),
        after=(
            "                check_no_sigmoid(activations.logits, activations.network, "
            "images)\n"
            "            self._checked.clear()"
        ),
        tests=("networks/test_cuts.py::test_the_comparison_is_made_once_and_may_be_switched_off",),
    ),
    Fault(
        "the size argument is ignored",
        "extractor.py",
        before="size or image_size",
        after="image_size",
        tests=("test_extractor.py::test_maps_are_the_coarse_maps_upsampled_and_nothing_else",),
    ),
    Fault(
        "the target function is ignored",
        "extractor.py",
        before="target or column",
        after="column",
        tests=("test_target_classes.py::test_a_function_that_picks_a_class_is_that_class",),
    ),
    Fault(
        "several classes are stacked on the first axis",
        "extractor.py",
        before="torch.stack(coarse, 1)",
        after="torch.stack(coarse, 0)",
        tests=(
            "test_target_classes.py::test_maps_of_several_classes_equal_those_of_single_classes",
        ),
    ),
    Fault(
        "a sweep ignores its alignment",
        "extractor.py",
        before=(
            "            cell_centers = model.cell_centers if self.alignment == "
            '"receptive_field" else None\n'
            "        else:"
        ),
        after=("            cell_centers = None\n        else:"),
        tests=("test_target_classes.py::test_a_sweep_is_aligned_as_an_extractor",),
    ),
    Fault(
        "pixels that a preparation makes are warned of",
        "extractor.py",
        before="if are_prepared() or not values.numel():",
        after="if not values.numel():",
        tests=(
            (
                "test_extractor.py::"
                "test_the_evaluation_does_not_warn_of_pixels_that_its_preparation_makes"
            ),
        ),
    ),
    Fault(
        "images with negative values are warned of as pixels",
        "extractor.py",
        before="(values.amin() < 0) | (values.amax() <= _BRIGHTEST)",
        after="values.amax() <= _BRIGHTEST",
        tests=("test_extractor.py::test_other_ranges_of_values_are_not_warned_of",),
    ),
)
