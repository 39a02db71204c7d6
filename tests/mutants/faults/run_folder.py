"""Faults of the identity of a run and of its folder."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "the digest of the weights leaves out buffers",
        "evaluation/_digests.py",
        before="        model.named_buffers(remove_duplicate=False), model",
        after="        model",
        tests=("evaluation/test_identity.py::test_buffers_count_whether_they_are_saved_or_not",),
    ),
    Fault(
        "the digest of a tensor leaves out its shape",
        "evaluation/_digests.py",
        before="{tensor.dtype} {tuple(tensor.shape)} ",
        after="{tensor.dtype} ",
        tests=("evaluation/test_identity.py::test_weights_are_compared_with_name_shape_and_kind",),
    ),
    Fault(
        "the digest of code leaves out its constants",
        "evaluation/_digests.py",
        before="code.co_consts, counts, caught",
        after="counts, caught",
        tests=("evaluation/test_identity.py::test_contents_tell_one_thing_from_another",),
    ),
    Fault(
        "the digest of a function leaves out its closure",
        "evaluation/_digests.py",
        before=("            [*map(_content_of, function.__closure__ or ())],\n"),
        after="",
        tests=("evaluation/test_identity.py::test_contents_tell_one_thing_from_another",),
    ),
    Fault(
        "the digest of a function leaves out keyword defaults",
        "evaluation/_digests.py",
        before=("            function.__kwdefaults__,\n"),
        after="",
        tests=("evaluation/test_identity.py::test_contents_tell_one_thing_from_another",),
    ),
    Fault(
        "parts without a digest are equal",
        "evaluation/_identity.py",
        before="if None in (one[label], other[label]):",
        after="if False:",
        tests=(
            "evaluation/test_identity.py::test_differences_are_said_part_by_part",
            "evaluation/test_runs.py::test_what_cannot_be_compared_runs_once_and_is_not_resumed",
        ),
    ),
    Fault(
        "outputs of any network are close",
        "evaluation/_identity.py",
        before="atol=1e-3 * largest",
        after="atol=2 * largest",
        tests=(
            "evaluation/test_identity.py::test_differences_are_said_part_by_part",
            "evaluation/test_runs.py::test_a_network_that_answers_with_chance_is_not_resumed",
        ),
    ),
    Fault(
        "a record in the folder is overwritten",
        "evaluation/_run_folder.py",
        before=("        if not keep:\n"),
        after=("        if True:\n"),
        tests=(
            (
                "evaluation/test_runs.py::test_a_record_that_another_process_has_just_"
                "written_is_kept"
            ),
        ),
    ),
    Fault(
        "the record of the later run is used",
        "evaluation/_run_folder.py",
        before=("            )\n        return kept\n"),
        after=("            )\n        return dict(record)\n"),
        tests=(
            (
                "evaluation/test_runs.py::test_a_record_that_another_process_has_just_"
                "written_is_kept"
            ),
        ),
    ),
    Fault(
        "malformed batches are accepted",
        "evaluation/_run_folder.py",
        before=("            scores.check(columns)\n"),
        after="",
        tests=("evaluation/test_runs.py::test_a_malformed_batch_is_refused",),
    ),
    Fault(
        "another order of the columns is accepted",
        "evaluation/_run_folder.py",
        before='if not changes and kept["columns"] != asked["columns"]:',
        after="if False:",
        tests=(
            "evaluation/test_runs.py::test_another_run_is_not_mixed_in",
            (
                "evaluation/test_runs.py::"
                "test_a_run_of_other_columns_is_not_mixed_in_though_its_parts_are_the_same"
            ),
        ),
    ),
    Fault(
        "a partial file stays in the folder",
        "evaluation/_run_folder.py",
        before=("            finally:\n                part.unlink(missing_ok=True)"),
        after=("            finally:\n                pass"),
        tests=("evaluation/test_runs.py::test_what_was_kept_before_the_disk_was_full_stays",),
    ),
)
