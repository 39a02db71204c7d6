"""Faults of the baselines and bounds."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "the intensity baseline is resized without averaging",
        "baselines/image_maps.py",
        before="antialias=True",
        after="antialias=False",
        tests=("baselines/test_baselines.py::test_intensity_is_averaged_on_a_coarser_grid",),
    ),
    Fault(
        "the intensity baseline subtracts the minimum of the batch",
        "baselines/image_maps.py",
        before="gray - gray.amin(tuple(range(1, gray.ndim)), keepdim=True)",
        after="gray - gray.amin()",
        tests=(
            (
                "baselines/test_baselines.py::"
                "test_intensity_is_what_the_network_saw_above_its_darkest_pixel"
            ),
        ),
    ),
    Fault(
        "the random baseline ignores its seed",
        "baselines/blind.py",
        before='f"{self.seed} {name}"',
        after='f"0 {name}"',
        tests=("baselines/test_baselines.py::test_random_maps_differ_between_samples_and_seeds",),
    ),
    Fault(
        "the untrained baseline uses its own predicted classes",
        "baselines/blind.py",
        before="classes=batch.classes, size=size",
        after="size=size",
        tests=(
            (
                "baselines/test_baselines.py::"
                "test_maps_of_an_untrained_network_are_of_the_target_classes"
            ),
        ),
    ),
    Fault(
        "the mean mask of a class contains the own group",
        "baselines/mean_masks.py",
        before="others - own[label] if label in own else others",
        after="others",
        tests=(
            (
                "baselines/test_baselines.py::"
                "test_the_mean_of_the_other_groups_is_the_mean_of_the_other_groups"
            ),
        ),
    ),
    Fault(
        "the mean mask contains the own group",
        "baselines/mean_masks.py",
        before="self._total - _sum(own.values()) if own else self._total",
        after="self._total",
        tests=(
            (
                "baselines/test_baselines.py::"
                "test_the_mean_of_the_other_groups_is_the_mean_of_the_other_groups"
            ),
        ),
    ),
    Fault(
        "a mean mask is returned for a negative class",
        "baselines/mean_masks.py",
        before="if not 0 <= c < len(self.masks)",
        after="if not c < len(self.masks)",
        tests=("baselines/test_baselines.py::test_class_means_need_classes",),
    ),
    Fault(
        "the skill is infinite where best and baseline are equal",
        "baselines/bounds.py",
        before=".where(high != low, NAN)",
        after="",
        tests=(
            "baselines/test_baselines.py::test_skill_is_0_for_the_baseline_and_1_for_the_best",
            "baselines/test_baselines.py::test_expected_ious_take_numbers_and_arrays",
        ),
    ),
    Fault(
        "the default baselines ignore the seed",
        "evaluation/settings.py",
        before="RandomBaseline(seed=seed)",
        after="RandomBaseline()",
        tests=(
            (
                "baselines/test_baselines.py::test_the_defaults_need_no_training_and_pass_"
                "the_seed_on"
            ),
        ),
    ),
    Fault(
        "the ascent may lower the reachable IoU",
        "baselines/bounds.py",
        before="torch.maximum(scores, exact(max_iou(fine.flatten(1, -2), pixels)))",
        after="exact(max_iou(fine.flatten(1, -2), pixels))",
        tests=("baselines/test_ascent.py",),
    ),
    Fault(
        "the truth map of a padded input covers the padding",
        "baselines/_pooling.py",
        before="(0, extent) if window is None else window",
        after="(0, extent)",
        tests=(
            ("baselines/test_volumes.py::test_maps_show_the_part_of_a_padded_input_that_is_scored"),
        ),
    ),
)
