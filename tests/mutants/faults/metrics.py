"""Faults of the metrics."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "equal confidence counts as an increase",
        "metrics/faithfulness.py",
        before="as_scores(part > clean, images)",
        after="as_scores(part >= clean, images)",
        tests=(
            (
                "metrics/test_faithfulness.py::"
                "test_a_network_that_answers_always_the_same_gains_and_loses_nothing"
            ),
        ),
    ),
    Fault(
        "the average drop may be negative",
        "metrics/faithfulness.py",
        before=(
            "(clean, _), (part, _) = _clean_and_part(network, images, maps, classes)\n"
            "    return as_scores((-(part - clean).expm1()).clamp(min=0), images)"
        ),
        after=(
            "(clean, _), (part, _) = _clean_and_part(network, images, maps, classes)\n"
            "    return as_scores(-(part - clean).expm1(), images)"
        ),
        tests=(
            "metrics/test_faithfulness.py::test_the_three_are_the_formulas_of_two_probabilities",
        ),
    ),
    Fault(
        "the precision of an empty mask is NaN",
        "metrics/rates.py",
        before="lambda n: n.both / n.predicted.clamp(min=1), pred",
        after="lambda n: n.both / n.predicted, pred",
        tests=("metrics/test_overlap.py::test_scores_are_arithmetic_on_sets_of_pixels",),
    ),
    Fault(
        "the false-positive rate divides by all pixels",
        "metrics/counts.py",
        before="/ (self.pixels - self.true)",
        after="/ self.pixels",
        tests=(
            (
                "metrics/test_chance_corrected.py::"
                "test_informedness_and_kappa_are_arithmetic_on_sets_of_pixels"
            ),
        ),
    ),
    Fault(
        "the size-standardized IoU has a wrong weight",
        "metrics/chance_corrected.py",
        before="(r + (1 - r) * n",
        after="(r + r * n",
        tests=(
            "metrics/test_chance_corrected.py::test_the_example_of_a_mask_five_times_too_large",
        ),
    ),
    Fault(
        "the two weights of the Tversky index are swapped",
        "metrics/overlap.py",
        before="self.alpha * false_positives + self.beta * false_negatives",
        after="self.beta * false_positives + self.alpha * false_negatives",
        tests=("metrics/test_overlap.py::test_weighted_scores_are_arithmetic_on_sets_of_pixels",),
    ),
    Fault(
        "ties count fully in AUROC",
        "metrics/ranking.py",
        before="+ tied / 2)",
        after="+ tied)",
        tests=("metrics/test_ranking.py::test_auroc_counts_pairs_and_half_the_ties",),
    ),
    Fault(
        "the skill over chance is not scaled",
        "metrics/ranking.py",
        before="- chance) / (1 - chance)",
        after="- chance)",
        tests=("metrics/test_ranking.py::test_skill_is_the_gain_over_chance",),
    ),
    Fault(
        "a level of equal values ends where it begins",
        "_sorting.py",
        before="level[last], end[last], end[last - gained + 1]",
        after="level[last], end[last - gained + 1], end[last - gained + 1]",
        tests=("metrics/test_ranking.py::test_levels_are_those_that_counting_finds",),
    ),
    Fault(
        "false pixels of a level count as lower",
        "_sorting.py",
        before="tied = np.flatnonzero(self.keys[start - 1] == level - 1)",
        after="tied = np.flatnonzero(self.keys[start - 1] == level)",
        tests=("metrics/test_ranking.py::test_levels_are_those_that_counting_finds",),
    ),
    Fault(
        "the order of negative values is reversed",
        "_sorting.py",
        before="        if low < 0:\n            _flip_negative(bits)\n",
        after="",
        tests=("test_sorting.py",),
    ),
    Fault(
        "0 and -0 are two levels",
        "_sorting.py",
        before="bits = (values + values.dtype.type(0)).view(",
        after="bits = values.copy().view(",
        tests=("metrics/test_ranking.py::test_both_zeros_are_one_level",),
    ),
    Fault(
        "negative values count in the relevance mass",
        "metrics/mass.py",
        before="scores.clamp(min=0)",
        after="scores",
        tests=("metrics/test_ranking.py::test_relevance_mass_is_the_positive_sum_in_the_truth",),
    ),
    Fault(
        "the pointing game's tolerance is one pixel larger",
        "metrics/pointing.py",
        before="< tolerance).sum(-1) - 1",
        after="<= tolerance).sum(-1) - 1",
        tests=("metrics/test_pointing.py::test_three_rows_down_and_four_columns_across",),
    ),
    Fault(
        "the Hausdorff distance is the smaller of both directions",
        "metrics/surface.py",
        before="max(self._percentile(*each) for each in both)",
        after="min(self._percentile(*each) for each in both)",
        tests=("metrics/test_surface.py::test_hausdorff_distances_are_quantiles_of_all_pairs",),
    ),
    Fault(
        "the surface tolerance does not allow for rounding",
        "metrics/surface.py",
        before="self.tolerance * (1 + 1e-9)",
        after="self.tolerance",
        tests=("metrics/test_surface.py::test_a_tolerance_in_millimeters_is_one_in_pixels",),
    ),
    Fault(
        "surface distances ignore the pixel spacing",
        "metrics/surface.py",
        before=", sampling=size)",
        after=")",
        tests=(
            "metrics/test_surface.py::test_distances_scale_with_the_spacing",
            "metrics/test_surface.py::test_hausdorff_distances_are_quantiles_of_all_pairs",
        ),
    ),
    Fault(
        "the boundary band has pixels along the image border",
        "metrics/overlap.py",
        before="margins, value=1)",
        after="margins, value=0)",
        tests=("metrics/test_surface.py::test_bands_are_what_repeated_erosion_removes",),
    ),
    Fault(
        "boxes ignore the connectivity",
        "metrics/boxes.py",
        before="corners=connectivity != sides",
        after="corners=True",
        tests=("metrics/test_boxes.py::test_corners_connect_unless_told_otherwise",),
    ),
    Fault(
        "MaxBoxAcc excludes values equal to the threshold",
        "metrics/dataset.py",
        before="mask = scaled >= threshold",
        after="mask = scaled > threshold",
        tests=("metrics/test_boxes.py::test_the_scaled_map_meets_the_printed_thresholds",),
    ),
    Fault(
        "true boxes are not shifted by the crop",
        "metrics/dataset.py",
        before="true - np.tile(corner, 2)",
        after="true",
        tests=("metrics/test_boxes.py::test_overlaps_are_those_of_thresholding_again",),
    ),
    Fault(
        "the true boxes of objects are those of their union",
        "metrics/boxes.py",
        before="(each.boxes for each in objects)",
        after="(find_boxes(each.union, None) for each in objects)",
        tests=(
            "metrics/test_objects.py::test_boxes_that_touch_or_have_fractions_stay_as_they_are",
        ),
    ),
    Fault(
        "a component is matched with several objects",
        "metrics/objects.py",
        before="int(pairs[linear_sum_assignment(pairs, maximize=True)].sum())",
        after="int(pairs.any(0).sum())",
        tests=("metrics/test_objects.py::test_the_f1_score_is_that_of_the_best_of_all_matchings",),
    ),
    Fault(
        "false positives are not counted in images without an object",
        "metrics/froc.py",
        before="(~pairs.any(1)).sum()",
        after="(~pairs.any(1)).sum() * bool(len(kept))",
        tests=("metrics/test_objects.py::test_values_are_compared_where_maps_are_not_scaled",),
    ),
    Fault(
        "as many peaks count as the map has",
        "metrics/peaks.py",
        before="taken = min(count, len(values))",
        after="taken = len(values)",
        tests=("metrics/test_objects.py::test_two_objects_need_two_peaks",),
    ),
    Fault(
        "each step of the deletion removes one pixel more",
        "metrics/perturbation.py",
        before="ranks[rows] < counts[which]",
        after="ranks[rows] <= counts[which]",
        tests=("metrics/test_faithfulness.py::test_deletion_by_hand",),
    ),
    Fault(
        "the order of ties ignores the seed",
        "metrics/perturbation.py",
        before="manual_seed(seed)",
        after="manual_seed(0)",
        tests=(
            "metrics/test_faithfulness.py::test_a_constant_map_scores_the_mean_of_random_orders",
            (
                "metrics/test_faithfulness.py::"
                "test_ranks_are_a_permutation_that_never_passes_a_higher_pixel"
            ),
        ),
    ),
    Fault(
        "ROAD has the wrong sign",
        "metrics/road.py",
        before="(least - most)",
        after="(most - least)",
        tests=("metrics/test_faithfulness.py::test_road_is_the_naive_loop",),
    ),
    Fault(
        "an empty truth has scores",
        "metrics/properties.py",
        before='scores.where(true > 0, float("nan"))',
        after='scores.where(true >= 0, float("nan"))',
        tests=(
            (
                "metrics/test_overlap.py::"
                "test_an_empty_truth_leaves_every_score_undefined_that_needs_one"
            ),
        ),
    ),
    Fault(
        "an overlap equal to the limit is no match",
        "metrics/outcome.py",
        before="jaccard >= self.match",
        after="jaccard > self.match",
        tests=("metrics/test_outcome.py::test_the_outcomes_at_their_limits",),
    ),
    Fault(
        "a constant map has a coherency",
        "metrics/faithfulness.py",
        before="~(are_constant(first) | are_constant(second))",
        after="~(are_constant(first) & are_constant(second))",
        tests=("metrics/test_faithfulness.py::test_a_constant_map_coheres_with_none",),
    ),
    Fault(
        "masks without an object score as if they were empty",
        "metrics/outcome.py",
        before=".masked_fill(~marked, neither)",
        after=".masked_fill(marked, neither)",
        tests=(
            "metrics/test_without_object.py::test_marks_without_an_object_score_zero_on_request",
            "metrics/test_without_object.py::test_both_empty_is_a_score",
        ),
    ),
    Fault(
        "the area to cover is rounded to whole levels",
        "metrics/curves.py",
        before="(above + part * (marked - above))",
        after="marked",
        tests=("metrics/test_curves.py::test_area_to_cover_is_what_reading_on_gives",),
    ),
    Fault(
        "an ignored pixel of a constant map is a maximum",
        "_spatial.py",
        before="fill_ignored(given, keep, below=True)",
        after="fill_ignored(given, keep)",
        tests=(
            (
                "metrics/test_pixelwise.py::"
                "test_a_metric_of_places_sees_background_where_pixels_are_ignored"
            ),
        ),
    ),
    Fault(
        "a spacing of one number stays one of images in volumes",
        "_spatial.py",
        before="value if spatial_axes == 2 else (value,) * spatial_axes",
        after="value",
        tests=(
            (
                "metrics/test_pixelwise.py::"
                "test_settings_of_a_sample_are_those_that_the_user_left_open"
            ),
        ),
    ),
    Fault(
        "the spacing of a sample replaces that of the user",
        "_spatial.py",
        before="given[name] if chosen is MISSING else chosen",
        after="given[name]",
        tests=(
            "metrics/test_pixelwise.py::test_settings_reach_functions_partials_and_inner_metrics",
        ),
    ),
    Fault(
        "the precision is pooled by the size of the truth",
        "metrics/rates.py",
        before="denominator=lambda n: n.predicted, title",
        after="denominator=lambda n: n.true, title",
        tests=(
            ("metrics/test_pixelwise.py::test_a_pooled_score_is_that_of_the_images_side_by_side"),
        ),
    ),
    Fault(
        "dual polarity counts positive values outside the truth",
        "metrics/mass.py",
        before="torch.where(truth, signed, -signed)",
        after="torch.where(truth, signed, signed)",
        tests=("metrics/test_mass.py::test_the_three_are_sums_over_pixels",),
    ),
    Fault(
        "the grid pointing game is undefined for a map without a positive value",
        "metrics/mass.py",
        before="share.nan_to_num(0)",
        after="share",
        tests=("metrics/test_mass.py::test_the_three_are_sums_over_pixels",),
    ),
    Fault(
        "ARCC leaves ROAD on its scale from -0.5 to 0.5",
        "metrics/arcc.py",
        before="(2 * removal).clamp(0, 1)",
        after="removal.clamp(0, 1)",
        tests=("metrics/test_arcc.py::test_it_is_the_harmonic_mean_of_three_terms",),
    ),
)
