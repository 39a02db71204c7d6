"""Faults of the methods."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "XGrad-CAM divides by a zero sum",
        "methods/gradient.py",
        before="(evidence / total.where(total != 0, 1)).where(total != 0, 0)",
        after="evidence / total.where(total != 0, 1)",
        tests=(
            (
                "methods/test_formulas.py::"
                "test_a_channel_that_sums_to_zero_has_no_weight_in_xgrad_cam"
            ),
        ),
    ),
    Fault(
        "ablation on means ignores hooks in the head",
        "methods/ablation.py",
        before="pools_globally(activations.head) and _means_suffice(activations, means)",
        after="pools_globally(activations.head)",
        tests=(
            "methods/test_rerun.py::test_ablation_is_of_maps_where_the_means_alone_would_not_do",
        ),
    ),
    Fault(
        "ablation on means is used for every head",
        "methods/ablation.py",
        before="if pools_globally(activations.head) and _means_suffice(activations, means):",
        after="if True:",
        tests=("methods/test_rerun.py::test_ablation_is_one_channel_after_the_other",),
    ),
    Fault(
        "ablation divides by a negative score",
        "methods/ablation.py",
        before="magnitude = score.abs()[:, None]",
        after="magnitude = score[:, None]",
        tests=(
            (
                "methods/test_rerun.py::"
                "test_ablation_keeps_its_direction_where_the_score_is_not_positive"
            ),
        ),
    ),
    Fault(
        "Grad-CAM sums gradients",
        "methods/_mean_gradient.py",
        before="weights = gradient.mean(axes, keepdim=True)",
        after="weights = gradient.sum(axes, keepdim=True)",
        tests=(
            "methods/test_formulas.py::test_on_pooling_and_one_linear_layer_four_methods_are_one",
        ),
    ),
    Fault(
        "LayerCAM keeps negative gradients",
        "methods/gradient.py",
        before="weights = activations.gradients(target).relu()",
        after="weights = activations.gradients(target)",
        tests=(
            (
                "methods/test_methods.py::"
                "test_a_layer_before_an_in_place_operation_keeps_its_own_values"
            ),
        ),
    ),
    Fault(
        "Grad-CAM++ has 1 instead of 2 in its alpha",
        "methods/plusplus.py",
        before="(2 + gradient * total)",
        after="(1 + gradient * total)",
        tests=(
            (
                "methods/test_formulas.py::test_grad_cam_pp_is_equation_19_at_every_scale_of_"
                "the_head"
            ),
        ),
    ),
    Fault(
        "Score-CAM has no softmax",
        "methods/score.py",
        before="scatter(1, order, ordered).softmax(1)",
        after="scatter(1, order, ordered)",
        tests=("methods/test_rerun.py::test_score_cam_is_its_naive_loop",),
    ),
    Fault(
        "IS-CAM begins with an empty mask",
        "methods/score.py",
        before="dim((i + 1) / self.num_samples)",
        after="dim(i / self.num_samples)",
        tests=("methods/test_rerun.py::test_iscam_is_its_naive_loop_and_score_cam_in_one_step",),
    ),
    Fault(
        "Eigen-CAM does not center the features",
        "methods/eigen.py",
        before="(precise - precise.mean(positions(values), keepdim=True))",
        after="precise",
        tests=("methods/test_formulas.py::test_eigen_methods_are_the_singular_vector_of_numpy",),
    ),
    Fault(
        "the check of an exact map accepts any gap",
        "methods/cam.py",
        before="_STANDARD_DEVIATIONS = 6.0",
        after="_STANDARD_DEVIATIONS = 6e6",
        tests=(
            "methods/test_cam_law.py::test_a_hook_in_the_head_is_noticed_and_the_gap_is_told",
            "methods/test_cam_law.py::test_a_head_of_the_users_with_a_wrong_bias_is_refused",
        ),
    ),
    Fault(
        "the check of an exact map refuses rounding errors",
        "methods/cam.py",
        before="_STANDARD_DEVIATIONS = 6.0",
        after="_STANDARD_DEVIATIONS = 0.01",
        tests=("methods/test_cam_law.py::test_rounding_is_no_breach",),
    ),
    Fault(
        "ShapleyCAM subtracts the whole curvature",
        "methods/gradient.py",
        before="_curvature(activations, target) / 2",
        after="_curvature(activations, target)",
        tests=(
            "methods/test_formulas.py::test_shapley_cam_is_the_gradient_less_half_the_curvature",
        ),
    ),
    Fault(
        "Finer-CAM uses the classes with the most distant logits",
        "methods/targets.py",
        before="largest=False",
        after="largest=True",
        tests=("methods/test_combine.py::test_finer_target_is_a_difference_to_the_nearest_logits",),
    ),
    Fault(
        "the other class of two is the same class",
        "methods/controls.py",
        before="self.method(activations, 1 - target)",
        after="self.method(activations, target)",
        tests=("test_sanity.py::test_the_two_classes_of_one_logit_are_each_others_other_class",),
    ),
    Fault(
        "noise ignores its seed",
        "methods/_rerun.py",
        before="manual_seed(seed)",
        after="manual_seed(0)",
        tests=("methods/test_rerun.py::test_sscam_is_its_naive_loop_with_seeded_noise",),
    ),
    Fault(
        "maps of mirrored images are not mirrored back",
        "methods/combine.py",
        before="classes).maps.flip(-1) for",
        after="classes).maps for",
        tests=("methods/test_combine.py::test_smoothing_is_the_mean_of_maps_turned_back",),
    ),
    Fault(
        "Recipro-CAM gives a neighbor its own features",
        "methods/recipro.py",
        before="line = (2 - away).clamp(min=0) / 4 if gaussian",
        after="line = (away <= 1) / 3.0 if gaussian",
        tests=("methods/test_recipro.py::test_recipro_cam_is_one_cell_after_the_other",),
    ),
    Fault(
        "Recipro-CAM returns logits for probabilities",
        "methods/recipro.py",
        before="probability_of_variants if self.softmax else score_variants",
        after="score_variants",
        tests=("methods/test_recipro.py::test_recipro_cam_is_one_cell_after_the_other",),
    ),
    Fault(
        "Group-CAM keeps the values at the percentile",
        "methods/group.py",
        before="(values > level)",
        after="(values >= level)",
        tests=("methods/test_recipro.py::test_group_cam_is_one_group_after_the_other",),
    ),
    Fault(
        "Group-CAM masks on black",
        "methods/group.py",
        before="images * masks + blurred * (1 - masks)",
        after="images * masks",
        tests=("methods/test_recipro.py::test_group_cam_is_one_group_after_the_other",),
    ),
    Fault(
        "Opti-CAM keeps the last step",
        "methods/opti.py",
        before="better = found.detach() > highest",
        after="better = found.detach() > -torch.inf",
        tests=(
            "methods/test_recipro.py::"
            "test_opti_cam_raises_the_score_of_the_masked_image_with_each_step",
        ),
    ),
    Fault(
        "RefineCAM scales before it interpolates",
        "methods/multi_layer.py",
        before="torch.stack([_scaled(fine) for fine in _on_finest(maps)]).prod(0)",
        after="torch.stack(_on_finest([_scaled(fine) for fine in maps])).prod(0)",
        tests=("methods/test_multi_layer.py::test_refine_cam_is_a_product_over_layers",),
    ),
    Fault(
        "Winsor-CAM counts layers without importance in the percentile",
        "methods/multi_layer.py",
        before="kept.quantile(percentile / 100)",
        after="values.quantile(percentile / 100)",
        tests=("methods/test_multi_layer.py::test_winsor_cam_is_a_sum_with_bounded_weights",),
    ),
    Fault(
        "the automatic choice takes layers inside blocks",
        "networks/_inner_layers.py",
        before="and not run.name.startswith(blocks)",
        after="",
        tests=(
            "networks/test_inner_layers.py::test_the_layers_of_each_resolution_are_on_the_trunk",
        ),
    ),
    Fault(
        "a mean gradient that is rounding error weights its channel",
        "methods/_mean_gradient.py",
        before="weights.where(~noise.reshape(-1, *(1 for _ in weights.shape[1:])), 0)",
        after="weights",
        tests=(("methods/test_mean_gradient.py::test_the_map_at_the_scores_of_a_softmax_is_zero"),),
    ),
    Fault(
        "a gradient that is zero is taken for rounding error",
        "methods/_mean_gradient.py",
        before="small & (sizes > 0).flatten(1).any(1)",
        after="small",
        tests=(
            ("methods/test_mean_gradient.py::test_gradients_that_are_zero_are_no_rounding_error"),
        ),
    ),
    Fault(
        "one small mean is enough for a map of zeros",
        "methods/_mean_gradient.py",
        before="<= bound * sizes).flatten(1).all(1)",
        after="<= 0.5 * sizes).flatten(1).any(1)",
        tests=("methods/test_mean_gradient.py::test_other_maps_are_the_formula_bit_for_bit",),
    ),
)
