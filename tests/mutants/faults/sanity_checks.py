"""Faults of sanity checks as part of an evaluation."""

from mutants.fault import Fault

TESTS = "evaluation/test_sanity_checks.py"

FAULTS = (
    Fault(
        "a sub-sample has two images of a group while another group has none",
        "evaluation/_sub_sample.py",
        before="keys.append(((not one.present, rank, _hash",
        after="keys.append(((not one.present, 0, _hash",
        tests=(
            f"{TESTS}::test_the_choice_is_of_different_groups_first_and_does_not_depend_on_the_rest",
        ),
    ),
    Fault(
        "a sub-sample uses any target of an image",
        "evaluation/_sub_sample.py",
        before="places = present or range(len(targets))",
        after="places = range(len(targets))",
        tests=(f"{TESTS}::test_one_target_of_each_image_is_used_with_an_object_if_there_is_one",),
    ),
    Fault(
        "maps of other trainings are for the class that they predict",
        "evaluation/_sanity_run.py",
        before="found = [coarse_maps(of, method, classes) for",
        after="found = [coarse_maps(of, method, of.logits.argmax(1)) for",
        tests=(f"{TESTS}::test_other_trainings_and_other_images_are_compared_as_by_hand",),
    ),
    Fault(
        "adcc of every map is that of the maps of the first target",
        "evaluation/_network_scores.py",
        before="view = with_images(self.view, rows, images)",
        after="view = with_images(self.view, torch.arange(len(images)), images)",
        tests=(f"{TESTS}::test_adcc_of_several_targets_is_of_the_map_of_each_target",),
    ),
    Fault(
        "the stated cost leaves out the maps of masked images",
        "evaluation/_sanity_cost.py",
        before="passes = 1 + reruns + extracting * reruns",
        after="passes = 1 + reruns",
        tests=(f"{TESTS}::test_the_stated_cost_is_what_is_counted",),
    ),
    Fault(
        "the interval of pairs takes pairs as independent of a shared image",
        "evaluation/_similarities.py",
        before="[values[(first != group) & (second != group)] for group in groups]",
        after="[values[first != group] for group in groups]",
        tests=(f"{TESTS}::test_the_interval_of_pairs_covers_the_mean",),
    ),
    Fault(
        "a checkpoint of the same weights is taken for another training",
        "evaluation/_sanity_plan.py",
        before="if weights_hash(cut) == own:",
        after="if False:",
        tests=(f"{TESTS}::test_checkpoints_that_are_no_other_training_are_refused",),
    ),
    Fault(
        "the sanity checks of a table are those of another one",
        "evaluation/results.py",
        before='noted = provenance.pop("has_sanity", False)',
        after='noted = provenance.pop("has_sanity", False) or scores.is_file()',
        tests=(f"{TESTS}::test_what_is_kept_is_what_is_returned",),
    ),
    Fault(
        "the text of the report is about the first stop of the randomization",
        "report/_sanity_section.py",
        before='part.sort_values("random_modules").iloc[-1]',
        after='part.sort_values("random_modules").iloc[0]',
        tests=("report/test_sanity_section.py::test_the_text_gives_numbers_and_no_verdict",),
    ),
)
