"""Faults of the binarizers."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "a constant map lies above a threshold of the whole map",
        "binarizers/_base.py",
        before="return value.where(flat, threshold)",
        after="return threshold",
        tests=(
            (
                "binarizers/test_global_thresholds.py::"
                "test_a_constant_map_whose_mean_is_rounded_down_is_empty"
            ),
        ),
    ),
    Fault(
        "a constant map lies above thresholds of single pixels",
        "binarizers/_base.py",
        before="torch.where(flat, value, threshold)",
        after="threshold",
        tests=(
            "binarizers/test_laws.py::test_a_constant_map_gives_an_empty_mask",
            "binarizers/test_local_thresholds.py",
        ),
    ),
    Fault(
        "a pixel equal to its threshold is marked",
        "binarizers/_base.py",
        before="torch.from_numpy(values > limits)",
        after="torch.from_numpy(values >= limits)",
        tests=("binarizers/test_laws.py::test_a_mask_is_what_lies_strictly_above_the_threshold",),
    ),
    Fault(
        "Otsu's method has a bin for each of one level too many",
        "binarizers/_global_rules.py",
        before="int(high) - int(low) < most_levels",
        after="int(high) - int(low) <= most_levels",
        tests=(
            (
                "binarizers/test_global_thresholds.py::"
                "test_the_widest_range_that_otsu_gives_a_bin_for_each_level"
            ),
        ),
    ),
    Fault(
        "Otsu's method has a bin for each of one level too few",
        "binarizers/_global_rules.py",
        before="int(high) - int(low) < most_levels",
        after="int(high) - int(low) < most_levels - 1",
        tests=(
            (
                "binarizers/test_global_thresholds.py::"
                "test_the_widest_range_that_otsu_gives_a_bin_for_each_level"
            ),
        ),
    ),
    Fault(
        "multi-Otsu uses the lowest threshold",
        "binarizers/_global_rules.py",
        before="classes=possible)[-1]",
        after="classes=possible)[0]",
        tests=("binarizers/test_global_thresholds.py::test_the_top_class_is_scikit_images",),
    ),
    Fault(
        "percentiles count one pixel too many",
        "binarizers/_global_rules.py",
        before="(pixels - 1) * (q / 100)",
        after="pixels * (q / 100)",
        tests=(
            "binarizers/test_global_thresholds.py::test_the_percentile_is_numpys_to_the_last_bit",
        ),
    ),
    Fault(
        "the top area is multiplied in floating point",
        "binarizers/_global_rules.py",
        before="floor(Fraction(str(area)) * pixels)",
        after="floor(area * pixels)",
        tests=("binarizers/test_global_thresholds.py::test_the_area_is_read_as_it_is_written",),
    ),
    Fault(
        "Niblack's threshold lies on the other side of the mean",
        "binarizers/_local_rules.py",
        before="(-k * sd)",
        after="(k * sd)",
        tests=("binarizers/test_local_thresholds.py::test_niblacks_threshold_is_scikit_images",),
    ),
    Fault(
        "Sauvola's formula is not that of the negative map",
        "binarizers/_local_rules.py",
        before=".mul_(mean - 1)",
        after=".mul_(mean)",
        tests=(
            (
                "binarizers/test_local_thresholds.py::"
                "test_sauvolas_threshold_is_scikit_images_of_the_negative"
            ),
        ),
    ),
    Fault(
        "the local median ignores its offset",
        "binarizers/local_thresholds.py",
        before='"median", self.offset',
        after='"median", 0',
        tests=(
            (
                "binarizers/test_local_thresholds.py::"
                "test_local_medians_are_scikit_images_to_the_last_bit"
            ),
        ),
    ),
    Fault(
        "components do not connect at corners",
        "binarizers/components.py",
        before="structure=np.ones((3,) * mask.ndim)",
        after="structure=None",
        tests=(
            "binarizers/test_components.py::test_corners_connect_and_the_first_of_equals_stays",
        ),
    ),
    Fault(
        "a user's function may change the user's map",
        "binarizers/_base.py",
        before="else image.copy()",
        after="else image",
        tests=(
            (
                "binarizers/test_skimage.py::"
                "test_a_function_that_works_in_place_leaves_the_users_map_alone"
            ),
        ),
    ),
    Fault(
        "mean plus one standard deviation is the default",
        "binarizers/global_thresholds.py",
        before="k: float = 2.0",
        after="k: float = 1.0",
        tests=(
            "binarizers/test_global_thresholds.py",
            "binarizers/test_laws.py",
        ),
    ),
    Fault(
        "the fraction of the maximum ignores the minimum",
        "binarizers/_global_rules.py",
        before="low + fraction * (high - low)",
        after="fraction * high",
        tests=(
            (
                "binarizers/test_global_thresholds.py::"
                "test_an_offset_moves_the_fraction_of_the_maximum_with_it"
            ),
        ),
    ),
    Fault(
        "components extend over ignored pixels",
        "binarizers/components.py",
        before="self._reduce(binarize_kept(self.binarizer, maps, keep))",
        after="self._reduce(self.binarizer(maps))",
        tests=("binarizers/test_volumes.py::test_components_end_where_pixels_are_ignored",),
    ),
    Fault(
        "the neighborhood of a voxel is in its slice only",
        "binarizers/_local_rules.py",
        before="return _smooth_depth(smooth(maps, kernel), kernel)",
        after="return smooth(maps, kernel)",
        tests=(
            "binarizers/test_volumes.py::test_windows_of_volumes_are_those_of_a_brute_force",
            ("binarizers/test_volumes.py::test_adaptive_thresholds_of_volumes_are_scikit_images"),
        ),
    ),
)
