"""Faults of the report."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "the verdict does not ask the image alone",
        "report/_verdict.py",
        before='if found == "better" and not',
        after='if found == "none" and not',
        tests=("report/test_page.py::test_the_verdict_follows_the_numbers",),
    ),
    Fault(
        "the images below the guess are those above it where less is better",
        "report/_verdict.py",
        before="return ours < theirs if higher_is_better else ours > theirs",
        after="return ours < theirs",
        tests=("report/test_page.py::test_for_distances_less_is_better",),
    ),
    Fault(
        "the mean beside a guess is of images that the guess lacks",
        "report/_verdict.py",
        before="both = defined if guess is None else defined &",
        after="both = defined if guess is None else defined |",
        tests=("report/test_meaning.py::test_a_difference_of_fewer_images_than_the_means_says_so",),
    ),
    Fault(
        "the verdict uses the unadjusted p",
        "evaluation/_comparisons.py",
        before="if self.p >= ALPHA:",
        after="if self.test.p >= ALPHA:",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "the least p value is that of one group fewer",
        "statistics/_sign_flips.py",
        before="2.0 ** (1 - n_groups)",
        after="2.0 ** (2 - n_groups)",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "the least p value is that of one group more",
        "statistics/_sign_flips.py",
        before="2.0 ** (1 - n_groups)",
        after="2.0 ** (0 - n_groups)",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "the least p value is not adjusted",
        "evaluation/_comparisons.py",
        before="if self.least >= ALPHA:",
        after="if self.test.least_p >= ALPHA:",
        tests=(
            "report/test_verdicts.py::test_groups_are_too_few_where_no_result_could_be_significant",
        ),
    ),
    Fault(
        "a higher score is always better",
        "evaluation/_comparisons.py",
        before="(self.test.difference > 0) == higher_is_better",
        after="self.test.difference > 0",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "ten groups are called few",
        "report/_test_tables.py",
        before="and one.test.n_differing < ENOUGH_GROUPS",
        after="and one.test.n_differing <= ENOUGH_GROUPS",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "no p is too small to be possible",
        "report/_test_tables.py",
        before="if one.least >= ALPHA and one.test.n_differing > 0:",
        after="if one.test.least_p >= ALPHA and one.test.n_differing > 0:",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "random signs are called all signs",
        "report/_test_tables.py",
        before="for one in tested if not one.is_exact]",
        after="for one in tested if one.n_patterns == 0]",
        tests=("report/test_verdicts.py::test_whether_signs_are_random_is_told",),
    ),
    Fault(
        "tests of the page ignore the seed of the run",
        "evaluation/_comparisons.py",
        before="confidence=CONFIDENCE, seed=seed",
        after="confidence=CONFIDENCE",
        tests=("report/test_verdicts.py::test_the_p_of_a_page_is_that_of_the_seed_of_the_run",),
    ),
    Fault(
        "intervals of tests have the unadjusted level",
        "evaluation/_comparisons.py",
        before="1 - ALPHA * (test.p / p) if",
        after="1 - ALPHA if",
        tests=(
            "report/test_meaning.py::test_the_family_is_tested_once_and_agrees_with_its_own_p",
            (
                "report/test_meaning.py::test_a_verdict_is_that_of_the_adjusted_test_and_"
                "nothing_else"
            ),
        ),
    ),
    Fault(
        "the limit of low scores is wrong",
        "evaluation/_scores.py",
        before="HIGH, LOW = 0.5, 0.01",
        after="HIGH, LOW = 0.5, 0.1",
        tests=("report/test_page.py::test_the_verdict_follows_the_numbers",),
    ),
    Fault(
        "the headline is of the worst map",
        "evaluation/_scores.py",
        before="pick = max if higher else min",
        after="pick = min if higher else max",
        tests=("report/test_page.py::test_for_distances_less_is_better",),
    ),
    Fault(
        "baselines that see the truth are rivals",
        "evaluation/_contents.py",
        before='if role != "truth")',
        after=")",
        tests=("report/test_meaning.py::test_truth_baselines_alone_have_no_summary",),
    ),
    Fault(
        "an image without label and prediction is correct",
        "evaluation/_scores.py",
        before='["predicted"].fillna(-2)',
        after='["predicted"].fillna(-1)',
        tests=("report/test_missing_values.py",),
    ),
    Fault(
        "the mean of classes is their sum",
        "report/_class_tables.py",
        before="float(np.mean(means))",
        after="float(np.sum(means))",
        tests=("report/test_page.py::test_classes_and_predictions_say_what_the_summary_says",),
    ),
    Fault(
        "reasons of undefined scores are added up",
        "report/_run_settings.py",
        before="tuple(int((here == code).sum()) for",
        after="tuple(int((here > 0).sum()) for",
        tests=("report/test_missing_values.py",),
    ),
    Fault(
        "names are inserted as HTML",
        "report/page.py",
        before="autoescape=True",
        after="autoescape=False",
        tests=("report/test_page.py::test_names_stay_text",),
    ),
    Fault(
        "differences have the wrong sign",
        "evaluation/_comparisons.py",
        before="of_model.values(one), of_model.values(other)",
        after="of_model.values(other), of_model.values(one)",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "p values are not adjusted",
        "evaluation/_comparisons.py",
        before="adjusted = holm([test.p for test in tests]).tolist()",
        after="adjusted = [test.p for test in tests]",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "p values below .01 are written as below .001",
        "report/formatting.py",
        before="if p < 0.001:",
        after="if p < 0.01:",
        tests=(
            (
                "report/test_verdicts.py::"
                "test_the_verdict_follows_from_the_adjusted_p_and_the_groups_that_differ"
            ),
        ),
    ),
    Fault(
        "a p value just below .05 is written as .050",
        "report/formatting.py",
        before="if p < ALPHA and format_number(p) == format_number(ALPHA):",
        after="if False:",
        tests=("report/test_meaning.py::test_an_end_or_a_p_is_never_rounded_across_its_limit",),
    ),
    Fault(
        "scores of the page are of all targets",
        "evaluation/_contents.py",
        before="return results.select(present=True)",
        after="return results",
        tests=("report/test_targets.py::test_every_table_of_scores_is_of_targets_with_an_object",),
    ),
    Fault(
        "a negative without a mark is marked",
        "report/_marks.py",
        before='marked = values > 0 if meaning.without_object == "marked"',
        after='marked = values >= 0 if meaning.without_object == "marked"',
        tests=("report/test_targets.py::test_what_a_score_says_of_marks",),
    ),
    Fault(
        "sensitivity is of all targets",
        "report/_accuracy.py",
        before='("sensitivity", "target with the object", images.present)',
        after='("sensitivity", "target with the object", images.present | True)',
        tests=("report/test_targets.py::test_sensitivity_and_specificity_are_said",),
    ),
    Fault(
        "a picture is of the first target of its sample",
        "report/images.py",
        before="(one for one in left if one.sample.label == label)",
        after="(one for one in left)",
        tests=("report/test_images.py::test_targets_are_found_by_their_labels",),
    ),
    Fault(
        "the map of a padded input is drawn with its padding",
        "report/_drawing.py",
        before="(0, extent) if grid.window is None else grid.window[axis]",
        after="(0, extent)",
        tests=("report/test_images.py::test_a_picture_is_of_one_target_without_its_padding",),
    ),
    Fault(
        "pictures of other results are shown",
        "report/_image_index.py",
        before="rows.append(row if same else None)",
        after="rows.append(row)",
        tests=("report/test_images.py::test_pictures_of_other_results_are_not_shown",),
    ),
    Fault(
        "the lowest and the highest score of a class may be left out",
        "report/_image_choice.py",
        before="np.linspace(0, len(ranked) - 1, count)",
        after="np.arange(count)",
        tests=("report/test_images.py::test_the_choice_is_by_rank_in_each_class",),
    ),
    Fault(
        "ignored pixels scale the map of a plot",
        "plots/_overlay.py",
        before="if ignored is not None and not ignored.all():",
        after="if ignored is not None and ignored.all():",
        tests=("test_plots.py::test_ignored_pixels_are_gray_stripes_and_do_not_scale_the_map",),
    ),
)
