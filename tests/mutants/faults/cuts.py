"""Faults of cuts that are searched for."""

from mutants.fault import Fault

FAULTS = [
    Fault(
        "a linear layer with a hook counts as one",
        "networks/_proof.py",
        before="torch.equal(layer.outputs, logits) and _computes_its_product(layer)",
        after="torch.equal(layer.outputs, logits)",
        tests=("networks/test_search.py::test_a_cut_is_right_or_refused",),
    ),
    Fault(
        "of outputs with one mean the last is taken",
        "networks/_proof.py",
        before="matches[0 if vector.dtype == torch.float64 else -1]",
        after="matches[-1]",
        tests=("networks/test_search.py::test_of_outputs_with_one_mean_the_first_is_taken",),
    ),
    Fault(
        "a proof is not compared in later passes",
        "networks/model.py",
        before="    if not agree(found, logits):",
        after="    if False:",
        tests=(
            "networks/test_search.py::"
            "test_a_step_that_only_some_images_reach_is_found_in_later_passes",
        ),
    ),
    Fault(
        "the class token counts as a patch",
        "networks/_tokens.py",
        before="gradient[:, grid.skip :].any()",
        after="gradient.any()",
        tests=(
            "networks/test_search.py::"
            "test_a_vision_transformer_is_read_where_its_last_attention_reads",
        ),
    ),
    Fault(
        "a contract that is not kept is trusted",
        "networks/_contract.py",
        before="not isinstance(outputs, Tensor) or not torch.equal(outputs, logits)",
        after="not isinstance(outputs, Tensor)",
        tests=("networks/test_search.py::test_a_contract_that_is_not_kept_is_refused",),
    ),
    Fault(
        "the first run of a layer is taken for its last",
        "networks/_layer_features.py",
        before="images)(found[self.run])",
        after="images)(found[0])",
        tests=("networks/test_search.py::test_of_a_module_that_runs_twice_the_last_run_is_taken",),
    ),
    Fault(
        "a ReLU that is a function is left out",
        "networks/_layer_features.py",
        before="torch.relu(features) if self.rectify else features",
        after="features",
        tests=("networks/test_search.py::test_a_relu_that_is_a_function_is_part_of_the_features",),
    ),
    Fault(
        "color images are averaged for a network of one channel",
        "evaluation/preparation.py",
        before="_LUMA = (0.299, 0.587, 0.114)",
        after="_LUMA = (1 / 3, 1 / 3, 1 / 3)",
        tests=("evaluation/test_channels.py",),
    ),
]
