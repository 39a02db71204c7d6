"""Faults of the methods for vision transformers."""

from mutants.fault import Fault

FORMULA = "methods/test_attention.py::test_a_map_is_the_formula_on_an_explicit_transformer"
RECORDING = "networks/test_attention_recording.py::"

FAULTS = (
    Fault(
        "rollout has no skip connection",
        "methods/attention.py",
        before="row = (row @ attention + row) / 2",
        after="row = row @ attention",
        tests=(FORMULA,),
    ),
    Fault(
        "relevance starts at the first block",
        "methods/attention.py",
        before="zip(recorded.kept[::-1], gradients[::-1], strict=True)",
        after="zip(recorded.kept, gradients, strict=True)",
        tests=(FORMULA,),
    ),
    Fault(
        "relevance averages the heads before it drops negative values",
        "methods/attention.py",
        before="len(row)).relu().mean(1)",
        after="len(row)).mean(1).relu()",
        tests=(FORMULA,),
    ),
    Fault(
        "LeGrad keeps negative gradients",
        "methods/attention.py",
        before="len(tokens)).relu().mean((1, 2))",
        after="len(tokens)).mean((1, 2))",
        tests=(FORMULA,),
    ),
    Fault(
        "LeGrad averages over the tokens that are read",
        "methods/attention.py",
        before="relu().mean((1, 2))",
        after="relu().mean((1, 3))",
        tests=(FORMULA,),
    ),
    Fault(
        "LeGrad accepts a network that changes the logits",
        "methods/attention.py",
        before="if not recorded.classified:",
        after="if False:",
        tests=(
            "methods/test_attention.py::test_legrad_needs_the_logits_of_the_transformer_itself",
        ),
    ),
    Fault(
        "explicit attention ignores the scale that it is given",
        "networks/_attention.py",
        before="query.shape[-1] ** -0.5 if scale is None else scale",
        after="query.shape[-1] ** -0.5",
        tests=(f"{RECORDING}test_attention_and_its_gradient_are_those_of_the_formula",),
    ),
    Fault(
        "attention of windows is accepted",
        "networks/_attention.py",
        before="if fits != [True]:",
        after="if len(fits) != 1:",
        tests=(f"{RECORDING}test_other_attention_is_refused",),
    ),
    Fault(
        "outputs with explicit attention are not compared",
        "networks/_attention.py",
        before="if not _agree(outputs, activations.logits):",
        after="if False:",
        tests=(f"{RECORDING}test_a_network_with_noise_is_refused",),
    ),
    Fault(
        "the parts are not compared with the network",
        "networks/_attention.py",
        before="or not _agree(self._classified[0], output)",
        after="or False",
        tests=(f"{RECORDING}test_wrong_parts_are_refused",),
    ),
    Fault(
        "the graph of a block reaches the next one",
        "networks/_attention.py",
        before='if self.reach != "network":',
        after="if False:",
        tests=(f"{RECORDING}test_the_graph_reaches_as_far_as_it_is_asked_to",),
    ),
)
