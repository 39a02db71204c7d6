"""Faults of networks: cuts, heads, copies and cell centers."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "the features of a layer are not copied at its output",
        "networks/layers.py",
        before="_tensor(output, layer).clone()",
        after="_tensor(output, layer)",
        tests=(
            (
                "networks/test_networks.py::"
                "test_features_that_the_network_overwrites_later_are_those_of_the_layer"
            ),
        ),
    ),
    Fault(
        "the features of a layer are not copied before the network goes on",
        "networks/layers.py",
        before="return source.clone().to(output.dtype)",
        after="return source.to(output.dtype)",
        tests=(
            (
                "networks/test_networks.py::"
                "test_features_that_the_network_overwrites_later_are_those_of_the_layer"
            ),
        ),
    ),
    Fault(
        "a head with an in-place operation overwrites the features",
        "networks/model.py",
        before="model.head(features.clone())",
        after="model.head(features)",
        tests=("networks/test_networks.py::test_a_head_may_begin_in_place",),
    ),
    Fault(
        "a network that changes its buffers is accepted",
        "networks/model.py",
        before="nullcontext() if create_graph else refuse_changes(self, restore=direct)",
        after="nullcontext()",
        tests=("networks/test_cuts.py::test_a_statistic_that_a_parent_module_changes_is_restored",),
    ),
    Fault(
        "a private copy stays in training mode",
        "networks/_copies.py",
        before="clones[net].eval()",
        after="pass",
        tests=(
            (
                "networks/test_networks.py::"
                "test_a_network_in_training_mode_runs_in_evaluation_mode_and_is_not_changed"
            ),
        ),
    ),
    Fault(
        "the sign of one logit is inverted",
        "networks/_outputs.py",
        before="2 * classes - 1",
        after="1 - 2 * classes",
        tests=(
            "evaluation/test_task.py::test_one_logit_is_scored_as_the_two_that_say_the_same",
            (
                "evaluation/test_task.py::"
                "test_the_map_of_the_predicted_and_of_the_true_class_is_that_of_the_sign"
            ),
        ),
    ),
    Fault(
        "a network with one logit has one class",
        "networks/_outputs.py",
        before="max(2, logits.shape[1])",
        after="logits.shape[1]",
        tests=("test_target_classes.py::test_the_top_classes_may_be_all_of_them",),
    ),
    Fault(
        "probabilities pass through a softmax",
        "networks/_outputs.py",
        before="numbers if already else numbers.softmax(1)",
        after="numbers.softmax(1)",
        tests=(
            "evaluation/test_task.py::test_outputs_that_are_probabilities_are_taken_as_they_are",
        ),
    ),
    Fault(
        "a head on several cells has the wrong number of channels",
        "networks/heads.py",
        before="first.in_features // cells",
        after="first.in_features",
        tests=(
            "networks/test_networks.py::test_the_papers_change_makes_alexnet_and_vgg_exact",
            "networks/test_networks.py::test_a_new_head_trains_on_a_copy",
        ),
    ),
    Fault(
        "a module with a patched method counts as plain",
        "networks/_module_types.py",
        before="type(module) in kinds and not _CALLS & vars(module).keys()",
        after="type(module) in kinds",
        tests=(
            "networks/test_receptive_fields.py::test_centers_are_unknown_with_a_patched_module",
        ),
    ),
    Fault(
        "branches with different cell centers are accepted",
        "networks/_receptive_fields.py",
        before="all(other == first for other in others)",
        after="True",
        tests=("networks/test_receptive_fields.py::test_no_centers_are_guessed",),
    ),
    Fault(
        "a cut with other outputs than the network is accepted",
        "networks/_outputs.py",
        before="_tolerance(expected) * scale.max()",
        after="scale.max()",
        tests=("networks/test_cuts.py::test_a_gap_of_more_than_rounding_is_told",),
    ),
    Fault(
        "gradients are those of the mean over the batch",
        "networks/activations.py",
        before="self.score(target, self._outputs).sum()",
        after="self.score(target, self._outputs).mean()",
        tests=("methods/test_laws.py::test_a_batch_is_its_images_one_by_one",),
    ),
    Fault(
        "a class index equal to the number of classes is accepted",
        "networks/activations.py",
        before="classes >= count_classes(logits)",
        after="classes > count_classes(logits)",
        tests=("test_extractor.py::test_classes_are_checked",),
    ),
    Fault(
        "a new head uses the network's own features",
        "networks/adapt.py",
        before="copy.deepcopy(model.features)",
        after="model.features",
        tests=("networks/test_networks.py::test_a_new_head_trains_on_a_copy",),
    ),
    Fault(
        "tokens are reshaped without a transpose",
        "networks/grids.py",
        before="tokens.transpose(1, 2).reshape",
        after="tokens.reshape",
        tests=("test_target_classes.py::test_the_tokens_of_a_vision_transformer_become_a_grid",),
    ),
    Fault(
        "the logits of a fitted head are swapped for two classes",
        "networks/linear_head.py",
        before="[-one / 2, one / 2]",
        after="[one / 2, -one / 2]",
        tests=("networks/test_linear_head.py::test_the_logits_are_those_of_a_logistic_regression",),
    ),
    Fault(
        "the regularization with the highest loss is chosen",
        "networks/linear_head.py",
        before="min(models, key=loss)",
        after="max(models, key=loss)",
        tests=("networks/test_regularization.py",),
    ),
    Fault(
        "a side branch is recommended for the maps",
        "networks/_unproved.py",
        before="[one for one in several if not one.side] or several",
        after="several",
        tests=(
            (
                "networks/test_side_branches.py::"
                "test_what_is_weighted_is_recommended_and_not_its_weights"
            ),
        ),
    ),
    Fault(
        "a layer of one channel is recommended for the maps",
        "networks/_unproved.py",
        before="[one for one in candidates if one.channels > 1]",
        after="[*candidates]",
        tests=("networks/test_side_branches.py::test_a_layer_of_one_channel_is_never_recommended",),
    ),
    Fault(
        "only the last layer of a shape is judged as a side branch",
        "networks/_unproved.py",
        before="if number and (found or passes >= _MOST_PASSES):",
        after="if number:",
        tests=(
            (
                "networks/test_side_branches.py::"
                "test_what_is_weighted_is_recommended_and_not_its_weights"
            ),
        ),
    ),
)
