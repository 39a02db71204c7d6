"""Faults of the section for reviewers, of computing times, and of the questions of metrics."""

from mutants.fault import Fault

_TEST = "report/test_reviewers.py::test_"

FAULTS = (
    Fault(
        "targets of several models are counted several times for reviewers",
        "report/_answers.py",
        before='everything.samples.drop_duplicates(["sample", "label"])',
        after="everything.samples",
        tests=(f"{_TEST}data_and_truth_are_counted_once_for_several_models",),
    ),
    Fault(
        "objects are compared with a cell of the image's square root",
        "report/_answers.py",
        before="(areas < 1 / least)",
        after="(areas < 1 / least**0.5)",
        tests=(f"{_TEST}objects_are_compared_with_the_cells_of_the_maps",),
    ),
    Fault(
        "metrics count as defined on negatives that have a score on positives",
        "report/_answers.py",
        before="np.isnan(results.values[absent, k]).all()",
        after="np.isnan(results.values[:, k]).all()",
        tests=(f"{_TEST}negatives_are_told_with_the_metrics_that_are_defined_there",),
    ),
    Fault(
        "a comparison without a choice is not told to reviewers",
        "report/_answers_on_analysis.py",
        before="if not choices and several:",
        after="if choices and several:",
        tests=(f"{_TEST}what_is_compared_without_a_choice_is_said_so",),
    ),
    Fault(
        "chosen binarizers are told as fixed before the scores",
        "report/_answers_on_analysis.py",
        before="contents.binarizers[label].origin is not None",
        after="contents.binarizers[label].origin is None",
        tests=(f"{_TEST}a_choice_is_told_with_its_images",),
    ),
    Fault(
        "a method that is not the best of the choice is told as chosen there",
        "report/_choices.py",
        before="one.method == headline.method and",
        after="",
        tests=(f"{_TEST}a_method_that_was_chosen_on_other_images_is_not_called_fixed",),
    ),
    Fault(
        "the best method of a choice by a metric of which less is better is the worst",
        "evaluation/_chosen_methods.py",
        before='max if record["higher_is_better"] else min',
        after="max",
        tests=(
            "evaluation/test_choice.py::"
            "test_the_best_method_is_that_of_the_best_mean_of_a_target_class",
        ),
    ),
    Fault(
        "a smaller difference of methods with another binarizer is called another order",
        "report/_method_order.py",
        before="theirs[label] > ours[label]]",
        after="True]",
        tests=("report/test_verdicts.py::test_methods_that_another_binarizer_suits_are_named",),
    ),
    Fault(
        "groups are told as too few for one test where the correction makes them so",
        "report/_verdict_words.py",
        before="test.test.least_p >= ALPHA",
        after="test.least >= ALPHA",
        tests=(
            "report/test_verdicts.py::"
            "test_groups_that_are_too_few_for_several_tests_alone_are_called_that",
        ),
    ),
    Fault(
        "a metric without a question counts as documented",
        "report/_answers_on_analysis.py",
        before='aspect = "not documented" if meaning.question is None else',
        after='aspect = "overlap" if meaning.question is None else',
        tests=(f"{_TEST}metrics_are_told_by_their_typed_questions",),
    ),
    Fault(
        "the uncorrected p of a test is told as the corrected one",
        "evaluation/_comparisons.py",
        before='"p_holm": self.p,',
        after='"p_holm": plain.p,',
        tests=("report/test_meaning.py::test_the_family_is_tested_once_and_agrees_with_its_own_p",),
    ),
    Fault(
        "every baseline counts as tested",
        "report/_answers_on_analysis.py",
        before="one.second == label and not np.isnan(one.p)",
        after="True",
        tests=(f"{_TEST}baselines_are_told_with_the_masks_and_the_test",),
    ),
    Fault(
        "facts that are not given are not listed",
        "report/reviewers.py",
        before="for _, title, value in facts if value is None]",
        after="for _, title, value in facts if value is None and title == '']",
        tests=(f"{_TEST}what_is_not_given_is_listed_and_not_invented",),
    ),
    Fault(
        "reviewers.json has infinite numbers",
        "report/reviewers.py",
        before="return number if isfinite(number) else None",
        after="return number",
        tests=(f"{_TEST}metrics_are_told_by_their_typed_questions",),
    ),
    Fault(
        "the time of a continued run is that of its last session",
        "evaluation/_times.py",
        before="{} if self.out is None else sessions_in(self.out)",
        after="{}",
        tests=(f"{_TEST}the_time_of_a_run_is_that_of_all_its_sessions",),
    ),
    Fault(
        "one session too many is counted",
        "evaluation/_times.py",
        before='"sessions": len(every),',
        after='"sessions": len(every) + 1,',
        tests=(f"{_TEST}the_time_of_a_run_is_that_of_all_its_sessions",),
    ),
    Fault(
        "a subclass of a metric has the question of its base",
        "metrics/questions.py",
        before="_BY_CLASS.get(type(metric))",
        after="next((q for c, q in _BY_CLASS.items() if isinstance(metric, c)), None)",
        tests=(
            "metrics/test_questions.py::test_a_metric_is_known_by_its_object_and_not_by_its_name",
        ),
    ),
)
