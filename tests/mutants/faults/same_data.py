"""Faults of what is said of the data: copies, other data, placement, preparations."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "one class for all images is a shift of the labels",
        "evaluation/_class_order.py",
        before="moved >= max(3, len(kinds) // 2 + 1)",
        after="moved",
        tests=(
            ("evaluation/test_class_order.py::test_labels_that_count_from_another_number_are_told"),
        ),
    ),
    Fault(
        "images of a choice are left out, too",
        "evaluation/_left_out.py",
        before="if images in {n for run in recorded for n in _images_of_choices(run)}:",
        after="if images < 0:",
        tests=("evaluation/test_left_out.py::test_images_of_a_choice_are_not_left_out",),
    ),
    Fault(
        "the pairs of a run are those of the table",
        "evaluation/_left_out.py",
        before="len(all_pairs - pairs)",
        after="len(pairs - all_pairs)",
        tests=("evaluation/test_left_out.py::test_what_is_selected_is_told",),
    ),
    Fault(
        "a margin that is not seen is at its place",
        "networks/_placement.py",
        before='return "unseen"',
        after="return None",
        tests=("networks/test_placement.py::test_what_moves_the_image_is_told",),
    ),
    Fault(
        "a flip is a move like any other",
        "networks/_placement.py",
        before='"opposite" if first >= 1 - near else "elsewhere"',
        after='"elsewhere"',
        tests=("networks/test_placement.py::test_what_moves_the_image_is_told",),
    ),
    Fault(
        "the ends of an axis are judged as its starts",
        "networks/_placement.py",
        before="first, last = 1 - last, 1 - first",
        after="pass",
        tests=("networks/test_placement.py::test_what_stays_at_its_place_is_not_told",),
    ),
    Fault(
        "images without a negative value are normalized twice",
        "networks/_placement.py",
        before="or not (images < 0).any()",
        after="",
        tests=(
            (
                "evaluation/test_normalized_twice.py::"
                "test_an_extractor_warns_of_images_that_are_normalized_twice"
            ),
        ),
    ),
    Fault(
        "a preparation without regard to the mask is judged",
        "evaluation/preparation_check.py",
        before="if used and not torch.equal(boxed.truth, no_mask.truth):",
        after="if used:",
        tests=("evaluation/test_preparation_check.py::test_what_cannot_be_judged_is_not",),
    ),
    Fault(
        "the window of a padded image is left out",
        "evaluation/preparation_check.py",
        before="if prepared.window is not None:",
        after="if prepared.window is None:",
        tests=("evaluation/test_preparation_check.py::test_a_window_tells_the_padding",),
    ),
    Fault(
        "copies in one group count, too",
        "evaluation/same_data.py",
        before='alike["group"].transform("nunique") > 1',
        after='alike["sample"].transform("nunique") > 1',
        tests=(
            (
                "evaluation/test_sample_sums.py::"
                "test_copies_in_one_group_are_told_and_images_without_an_object_are_none"
            ),
        ),
    ),
    Fault(
        "a choice may be made on copies",
        "evaluation/choice.py",
        before='if copies and chosen_on != "these same images":',
        after="if False:",
        tests=("evaluation/test_sample_sums.py::test_a_choice_on_copies_is_refused",),
    ),
    Fault(
        "maps of the grid of the network fill the image evenly",
        "evaluation/_sources.py",
        before="if tuple(given.shape) != self.cells or grid.window is not None:",
        after="if True:",
        tests=(
            (
                "evaluation/test_given_maps.py::"
                "test_maps_of_the_grid_of_the_network_have_the_alignment_of_the_run"
            ),
        ),
    ),
    Fault(
        "rows of both parts fit a linear head",
        "networks/linear_head.py",
        before="if both := np.intersect1d(fitted, held_out).size:",
        after="if both := 0:",
        tests=(
            (
                "networks/test_linear_head.py::"
                "test_rows_in_both_parts_and_rows_that_are_not_there_are_refused"
            ),
        ),
    ),
)
