"""Faults of the statistics."""

from mutants.fault import Fault

_PAIRED = "statistics/test_paired.py::"

FAULTS = (
    Fault(
        "random signs ignore the seed",
        "statistics/_sign_flips.py",
        before="default_rng(self.seed)",
        after="default_rng(0)",
        tests=(
            "statistics/test_paired.py::test_a_seed_repeats_a_test_and_another_draws_other_signs",
        ),
    ),
    Fault(
        "a p value may be zero",
        "statistics/_sign_flips.py",
        before="parts = [np.zeros((len(numbers), 1))]",
        after="parts: list[Floats] = []",
        tests=("statistics/test_paired.py::test_no_random_p_value_is_zero",),
    ),
    Fault(
        "comparisons have the sizes of the groups of the first",
        "statistics/_sign_flips.py",
        before="alike[one.sizes.tobytes()]",
        after="alike[one.n_groups]",
        tests=("statistics/test_paired.py::test_pairs_that_are_flipped_together_are_tested_alike",),
    ),
    Fault(
        "twenty groups have random signs",
        "statistics/_sign_flips.py",
        before="MOST_ENUMERATED = 2**20",
        after="MOST_ENUMERATED = 2**19",
        tests=(_PAIRED + "test_up_to_twenty_groups_are_enumerated_and_the_least_p_is_said",),
    ),
    Fault(
        "half of the patterns are counted",
        "statistics/_sign_flips.py",
        before="return 2 * self.size if self.is_exact else self.size",
        after="return self.size",
        tests=(_PAIRED + "test_up_to_twenty_groups_are_enumerated_and_the_least_p_is_said",),
    ),
    Fault(
        "an interval has the wrong order statistic of the larger means",
        "statistics/_sign_flips.py",
        before="float(self.highs[-needed])",
        after="float(self.highs[needed - 1])",
        tests=(_PAIRED + "test_the_ends_are_order_statistics_of_all_patterns",),
    ),
    Fault(
        "Holm's method adjusts for one test fewer",
        "statistics/paired.py",
        before="np.arange(order.size, 0, -1)",
        after="np.arange(order.size - 1, -1, -1).clip(1)",
        tests=("statistics/test_paired.py::test_holms_table_by_hand",),
    ),
    Fault(
        "Holm's method lets an adjusted p decrease",
        "statistics/paired.py",
        before="np.maximum.accumulate(factors * p[order])",
        after="factors * p[order]",
        tests=(
            "statistics/test_paired.py::test_holms_method_in_general",
            "statistics/test_paired.py::test_holms_table_by_hand",
        ),
    ),
    Fault(
        "ten groups are not enough for an interval",
        "statistics/intervals.py",
        before="return n_groups >= ENOUGH_GROUPS and",
        after="return n_groups > ENOUGH_GROUPS and",
        tests=(
            "statistics/test_paired.py::test_only_ten_groups_that_differ_are_reliable",
            "statistics/test_intervals.py::test_only_intervals_of_ten_groups_are_reliable",
        ),
    ),
    Fault(
        "rare shares have a symmetric interval",
        "statistics/intervals.py",
        before="np.fmin(means - margin, limits.upper - below)",
        after="means - margin",
        tests=(
            (
                "statistics/test_intervals.py::"
                "test_what_is_turned_round_has_the_interval_turned_round"
            ),
            "statistics/test_intervals.py::test_shares_that_are_all_equal_have_an_interval",
        ),
    ),
    Fault(
        "one group has an interval",
        "statistics/intervals.py",
        before="undefined = (n_groups < 2)",
        after="undefined = (n_groups < 1)",
        tests=("statistics/test_intervals.py::test_one_group_has_no_interval_whatever_its_values",),
        explained=(
            "Of one group the variance and the degrees of freedom are NaN, and so are the ends."
        ),
    ),
    Fault(
        "strata have the wrong weight",
        "statistics/intervals.py",
        before="one * (n / total) ** 2",
        after="one * (n / total)",
        tests=("statistics/test_intervals.py::test_only_the_spread_within_strata_counts",),
    ),
    Fault(
        "quartiles are at 20 and 80 percent",
        "statistics/describe.py",
        before="[0.25, 0.5, 0.75]",
        after="[0.2, 0.5, 0.8]",
        tests=("statistics/test_intervals.py::test_a_description_is_what_numpy_says",),
    ),
    Fault(
        "the correlation within classes is that across classes",
        "statistics/dependence.py",
        before="(middle - center.take(self._class_of_run, axis=0))",
        after="middle",
        tests=(
            (
                "statistics/test_dependence.py::"
                "test_the_correlation_within_classes_is_that_of_ranks_less_their_mean"
            ),
        ),
    ),
    Fault(
        "the corrected t test ignores shared training images",
        "statistics/crossval.py",
        before="(1 / n + n_test / n_train)",
        after="(1 / n)",
        tests=("statistics/test_paired.py::test_the_corrected_t_test_by_hand",),
    ),
    Fault(
        "the regression's p value is one-sided",
        "statistics/regression.py",
        before="2 * stdtr(fit.freedom",
        after="stdtr(fit.freedom",
        tests=(
            (
                "statistics/test_dependence.py::"
                "test_estimates_errors_and_freedom_are_those_of_explicit_matrices"
            ),
            "statistics/test_dependence.py::test_the_intercept_alone_is_the_mean",
        ),
    ),
    Fault(
        "a difference ignores the correlation of the two means",
        "statistics/difference.py",
        before="- 2 * correlation * one * other",
        after="",
        tests=("statistics/test_intervals.py::test_what_patients_share_cancels_in_a_difference",),
    ),
)
