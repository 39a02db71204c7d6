"""Faults of the scores in a training loop."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "a sample that comes again counts twice",
        "training/_records.py",
        before="if key not in seen:",
        after="if True:",
        tests=("training/test_map_score.py::test_a_sample_that_comes_again_counts_once",),
    ),
    Fault(
        "the samples of two processes come one process after the other",
        "training/_records.py",
        before="(seen[rank] + record.image) * processes + rank",
        after="seen[rank] + record.image + rank * 10**6",
        tests=(
            (
                "training/test_map_score.py::"
                "test_rows_of_two_processes_are_in_the_order_of_a_sampler"
            ),
        ),
    ),
    Fault(
        "maps are computed under the caller's autocast",
        "training/_scoring.py",
        before="torch.autocast(images.device.type, enabled=False)",
        after="torch.autocast(images.device.type, enabled=torch.is_autocast_enabled('cpu'))",
        tests=(
            (
                "training/test_map_score.py::"
                "test_autocast_inference_mode_and_gradients_make_no_difference"
            ),
        ),
    ),
    Fault(
        "the network of another run is scored",
        "training/_scoring.py",
        before="if self._network is None or net is not self._given:",
        after="if self._network is None:",
        tests=("training/test_map_score.py::test_another_network_is_cut_again",),
    ),
    Fault(
        "reset keeps the scores",
        "training/map_score.py",
        before="self._records.clear()",
        after="pass",
        tests=(
            (
                "training/test_map_score.py::"
                "test_weights_are_those_of_the_update_and_a_copy_leaves_the_network_out"
            ),
        ),
    ),
)
