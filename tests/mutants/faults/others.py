"""Faults of sanity checks, losses and plots."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "random weights ignore the seed",
        "networks/_randomize.py",
        before=("own_buffers=False)\n    generator = torch.Generator().manual_seed(seed)"),
        after=("own_buffers=False)\n    generator = torch.Generator().manual_seed(0)"),
        tests=("test_sanity.py::test_seeds_repeat_and_differ_and_touch_no_global_state",),
    ),
    Fault(
        "random weights have half the variance",
        "networks/_randomize.py",
        before="sqrt(2 / max(1",
        after="sqrt(1 / max(1",
        tests=("test_sanity.py::test_the_distribution_of_random_weights",),
    ),
    Fault(
        "a random pair may be one image twice",
        "sanity.py",
        before="rng.integers(1, count, size=pairs)",
        after="rng.integers(0, count, size=pairs)",
        tests=("test_sanity.py::test_random_pairs_are_of_different_images_and_repeat",),
    ),
    Fault(
        "SSIM uses the sample covariance",
        "sanity.py",
        before="use_sample_covariance=False",
        after="use_sample_covariance=True",
        tests=("test_sanity.py::test_similarity_is_its_definition",),
    ),
    Fault(
        "a constant map has a rank correlation",
        "sanity.py",
        before="if are_constant(a) or are_constant(b):",
        after="if are_constant(a) and are_constant(b):",
        tests=("test_sanity.py::test_a_constant_map_has_no_rank_correlation",),
    ),
    Fault(
        "mining adds the mask to the image",
        "losses/attention_mining.py",
        before="return images - removed",
        after="return images + removed",
        tests=("losses/test_attention_mining.py::test_two_pixels_by_hand",),
    ),
    Fault(
        "the loss of masks is a sum instead of a mean",
        "losses/attention_mining.py",
        before="(maps - truth.to(maps)).square().mean()",
        after="(maps - truth.to(maps)).square().sum()",
        tests=(
            "losses/test_attention_mining.py::test_it_is_the_formula",
            "losses/test_attention_mining.py::test_masks_are_used_only_with_alpha_supervised",
        ),
    ),
    Fault(
        "class weights are ignored",
        "losses/attention_mining.py",
        before=("return F.cross_entropy(logits, classes, weights)\n"),
        after=("return F.cross_entropy(logits, classes)\n"),
        tests=(
            "losses/test_attention_mining.py::test_class_weights_weigh_the_classification_alone",
        ),
    ),
    Fault(
        "buffers are not restored after a failure",
        "losses/_checks.py",
        before="buffer.copy_(value)",
        after="pass",
        tests=(
            (
                "losses/test_attention_mining.py::"
                "test_a_call_that_fails_does_not_change_the_batch_statistics"
            ),
        ),
    ),
    Fault(
        "a map that varies by rounding errors is scaled",
        "losses/attention_mining.py",
        before="torch.finfo(features.dtype).eps * high",
        after="0 * high",
        tests=(
            (
                "losses/test_attention_mining.py::"
                "test_a_map_that_is_constant_up_to_rounding_is_constant"
            ),
        ),
    ),
    Fault(
        "the mask has the color of the truth",
        "plots/_overlay.py",
        before='("mask", mask, MASK, "solid")',
        after='("mask", mask, TRUTH, "solid")',
        tests=("test_plots.py::test_the_mask_is_solid_orange_and_the_truth_dashed_blue",),
    ),
    Fault(
        "the outline of the truth is solid",
        "plots/_overlay.py",
        before='("truth", truth, TRUTH, "dashed")',
        after='("truth", truth, TRUTH, "solid")',
        tests=("test_plots.py::test_the_mask_is_solid_orange_and_the_truth_dashed_blue",),
    ),
    Fault(
        "a constant map has no label",
        "plots/_overlay.py",
        before='_label(axes, "constant map")',
        after="pass",
        tests=("test_plots.py::test_a_constant_map_is_blank_and_labeled",),
    ),
    Fault(
        "the second image of a grid has the map of the first",
        "plots/_grid.py",
        before="score_map = maps[name][k]",
        after="score_map = maps[name][0]",
        tests=("test_plots.py::test_a_grid_has_a_row_for_each_image_and_a_column_for_each_method",),
    ),
    Fault(
        "an image is plotted over its own range",
        "plots/_overlay.py",
        before='cmap="gray", vmin=0, vmax=1)',
        after='cmap="gray")',
        tests=("test_plots.py::test_an_image_is_as_bright_as_its_numbers_say",),
    ),
    Fault(
        "maps are plotted without scaling",
        "plots/_overlay.py",
        before="np.asarray(normalize_maps(checked.float()))",
        after="np.asarray(checked.float())",
        tests=("test_plots.py::test_a_plot_does_not_depend_on_the_scale_of_the_map",),
    ),
    Fault(
        "a full mask has an outline",
        "plots/_overlay.py",
        before="if inside.any() and not inside.all():",
        after="if inside.any():",
        tests=("test_plots.py::test_empty_and_full_masks_have_no_outline",),
        explained="Matplotlib draws no line at a level that the values do not cross.",
    ),
)
