"""Faults of precisions, devices, compiled networks and memory."""

from mutants.fault import Fault

_NETWORKS = "networks/test_precision.py::"

_RUNS = "evaluation/test_precision.py::"

_MEMORY = "evaluation/test_memory.py::"

FAULTS = (
    Fault(
        "a normalization is folded though another function gets the convolution's output",
        "networks/_folding.py",
        before="if conv not in self.used and",
        after="if",
        tests=(_NETWORKS + "test_the_layer_of_the_maps_keeps_its_output",),
    ),
    Fault(
        "a folded network is not compared with the network",
        "networks/_precision.py",
        before="if pairs and not _agree(_in_double(model, pairs)(images), expected):",
        after="if False:",
        tests=(_NETWORKS + "test_a_norm_that_is_not_alone_is_left",),
    ),
    Fault(
        "the shift of a folded normalization is left out",
        "networks/_folding.py",
        before="(bias - mean) * scale + shift",
        after="(bias - mean) * scale",
        tests=(_NETWORKS + "test_a_norm_that_alone_gets_the_output_is_folded",),
    ),
    Fault(
        "maps are taken from a convolution that another layer was folded into",
        "networks/layers.py",
        before="        check_not_folded(module, layer)\n",
        after="",
        tests=(_NETWORKS + "test_an_inner_layer_that_another_was_folded_into_is_refused",),
    ),
    Fault(
        "the head is in bfloat16, too",
        "networks/_precision.py",
        before="head = private_copy(cut.head)",
        after="head = _lowered(private_copy(cut.head))",
        tests=(
            _NETWORKS + "test_in_bfloat16_the_head_and_the_norms_keep_their_precision",
            _NETWORKS + "test_cam_is_exact_in_every_precision",
        ),
    ),
    Fault(
        "batch normalizations are in bfloat16, too",
        "networks/_precision.py",
        before="not tensor.is_floating_point() or is_exactly(module, *_NORMS)",
        after="not tensor.is_floating_point()",
        tests=(_NETWORKS + "test_in_bfloat16_the_head_and_the_norms_keep_their_precision",),
    ),
    Fault(
        "bfloat16 is emulated",
        "networks/_precision.py",
        before='if precision == "bfloat16" and not has_bfloat16(device):',
        after="if False:",
        tests=(_NETWORKS + "test_bfloat16_needs_units",),
    ),
    Fault(
        "a copy in another precision does not compare its proof",
        "networks/_precision.py",
        before="return copy.cut_from(copy.features.net)",
        after="return copy",
        tests=(_NETWORKS + "test_a_proof_is_compared_in_each_pass_in_every_precision",),
    ),
    Fault(
        "autocast stays on",
        "networks/_precision.py",
        before="stack.enter_context(torch.autocast(kind, enabled=False))",
        after="pass",
        tests=(_RUNS + "test_autocast_is_switched_off_with_a_warning",),
    ),
    Fault(
        "sanity checks compare a network in another precision",
        "evaluation/_sanity_run.py",
        before="run.network.exact.activations(view.images)",
        after="run.network.model.activations(view.images)",
        tests=(_RUNS + "test_sanity_checks_compare_the_network_as_it_is",),
    ),
    Fault(
        "the precision is no part of a run's identity",
        "evaluation/_run.py",
        before='            "precision": settings.precision,\n',
        after="",
        tests=(_RUNS + "test_a_run_in_a_folder_continues_in_its_precision_only",),
    ),
    Fault(
        "the arithmetic is no part of a run's identity",
        "evaluation/_run.py",
        before="            **arithmetic_of(network.device),\n",
        after="",
        tests=(_RUNS + "test_a_run_in_a_folder_continues_with_the_same_arithmetic_only",),
    ),
    Fault(
        "images are cast before the network has had them",
        "networks/_dtypes.py",
        before="        return run(images)\n    except torch",
        after="        return run(images.to(input_dtype(net) or images.dtype))\n    except torch",
        tests=(_NETWORKS + "test_a_network_that_casts_images_itself_gets_them_as_they_are",),
    ),
    Fault(
        "maps are interpolated in TF32",
        "maps.py",
        before='or device.type not in ("cpu", "cuda", "xpu")',
        after='or device.type != "cpu"',
        tests=(
            "test_maps.py::"
            "test_products_are_used_where_the_device_computes_them_in_single_precision",
        ),
    ),
    Fault(
        "the second of two cells is left out",
        "maps.py",
        before="    return one + other\n",
        after="    return one\n",
        tests=("test_maps.py::test_maps_are_interpolated_in_single_precision_without_products",),
    ),
    Fault(
        "a batch that does not fit is divided by three",
        "evaluation/_halving.py",
        before="max(1, (count + 1) // 2)",
        after="max(1, count // 3)",
        tests=(_MEMORY + "test_a_batch_is_halved_until_it_fits",),
    ),
    Fault(
        "the tensors of a batch that did not fit are kept",
        "evaluation/_halving.py",
        before="        traceback.clear_frames(error.__traceback__)  # they hold tensors\n",
        after="        pass\n",
        tests=(_MEMORY + "test_tensors_of_a_failed_batch_are_freed",),
    ),
    Fault(
        "the size that fits is not kept for later batches",
        "evaluation/_halving.py",
        before="if self.size is not None and len(batch) > self.size:",
        after="if False:",
        tests=(_MEMORY + "test_a_batch_is_halved_until_it_fits",),
    ),
    Fault(
        "a GPU of a number that is too high is accepted",
        "distributed.py",
        before="device.index is None or device.index < count",
        after="True",
        tests=("test_distributed.py::test_a_device_that_is_not_there_is_refused",),
    ),
)
