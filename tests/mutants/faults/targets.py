"""Faults of rows of several targets, of ignored pixels, padding and volumes, and of given maps."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "a row gets the map of the first target",
        "evaluation/_sources.py",
        before="of_sample[self.image_of[rows]] = rows",
        after="of_sample[self.image_of[rows]] = first[self.image_of[rows]]",
        tests=(
            "evaluation/test_targets.py::test_rows_of_several_targets_are_those_of_single_targets_bit_for_bit",
        ),
    ),
    Fault(
        "a map of one class serves all targets",
        "evaluation/_sources.py",
        before="torch.equal(same, classes)",
        after="same.shape == classes.shape",
        tests=("evaluation/test_targets.py",),
    ),
    Fault(
        "the probabilities of a multi-label task are a softmax",
        "evaluation/_batch.py",
        before="numbers = exact(logits) if probabilities else exact(logits).sigmoid()",
        after="numbers = exact(logits) if probabilities else exact(logits).softmax(1)",
        tests=(
            "evaluation/test_targets.py::test_probabilities_of_a_multilabel_task_are_sigmoids_of_the_targets",
        ),
    ),
    Fault(
        "faithfulness of a multi-label task uses the softmax of all classes",
        "evaluation/_network_scores.py",
        before='if self.task == "multilabel":',
        after='if self.task == "none":',
        tests=(
            "evaluation/test_targets.py::test_faithfulness_of_a_multilabel_task_uses_the_sigmoid_of_the_class",
        ),
    ),
    Fault(
        "ignored pixels are true where the mask says so",
        "evaluation/_sources.py",
        before="truth = truth & torch.stack(kept)",
        after="truth = truth & True",
        tests=("evaluation/test_ignored.py",),
    ),
    Fault(
        "the true area counts ignored pixels",
        "evaluation/_grid_scores.py",
        before="torch.full_like(true, truth.shape[-2:].numel())",
        after="torch.full_like(true, maps[0].numel())",
        tests=(
            "evaluation/test_ignored.py::test_scores_of_pixels_are_those_without_the_ignored_ones",
        ),
    ),
    Fault(
        "metrics of ignored pixels see the whole map",
        "_spatial.py",
        before="return metric, kept_pixels(given, keep), kept_pixels(truth, keep)",
        after="return metric, given, truth",
        tests=(
            "evaluation/test_ignored.py::test_scores_of_pixels_are_those_without_the_ignored_ones",
        ),
    ),
    Fault(
        "objects that are ignored are kept",
        "metrics/_objects.py",
        before="kept = masks.any(tuple(range(1, masks.ndim)))",
        after="kept = np.ones(len(masks), np.bool_)",
        tests=("evaluation/test_ignored.py",),
    ),
    Fault(
        "the padding is on one side",
        "evaluation/preparation.py",
        before="before = [(whole - part) // 2",
        after="before = [(whole - part) * 0",
        tests=("evaluation/test_ignored.py::test_padding_is_not_on_the_grid_of_the_scores",),
    ),
    Fault(
        "maps of padded images cover the padding",
        "evaluation/_sources.py",
        before="            window=grid.window,\n        )",
        after="            window=None,\n        )",
        tests=(
            "evaluation/test_ignored.py::test_maps_of_a_padded_image_are_those_of_the_part_that_shows_it",
        ),
    ),
    Fault(
        "boxes are not cropped with the image",
        "evaluation/preparation.py",
        before="((objects.boxes - starts) * scale)",
        after="(objects.boxes * scale)",
        tests=("evaluation/test_targets.py",),
    ),
    Fault(
        "a volume is resized in its planes only",
        "evaluation/preparation.py",
        before="if stack.shape[1] != size[0]:",
        after="if stack.shape[1] == size[0]:",
        tests=("evaluation/test_ignored.py::test_volumes_are_resized_along_every_axis",),
    ),
    Fault(
        "the spacing of a sample is lost",
        "evaluation/_grid_scores.py",
        before="spacing=cast(tuple[float, float, float] | None, grid.spacing)",
        after="spacing=None",
        tests=("evaluation/test_ignored.py::test_volumes_are_scored_as_their_parts_are",),
    ),
    Fault(
        "a box is filled to the next pixel",
        "data/objects.py",
        before="int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))",
        after="int(np.floor(low)), int(np.ceil(high))",
        tests=("data/test_samples.py",),
    ),
    Fault(
        "tensors have channels last",
        "evaluation/_samples.py",
        before="image = np.moveaxis(image, 0, -1)",
        after="image = np.moveaxis(image, 0, 0)",
        tests=("evaluation/test_inputs.py",),
    ),
    Fault(
        "a loader that shuffles is accepted",
        "evaluation/_loading.py",
        before="if isinstance(samples.sampler, RandomSampler):",
        after="if isinstance(samples.sampler, str):",
        tests=("evaluation/test_inputs.py::test_a_loader_that_shuffles_is_refused",),
    ),
    Fault(
        "masks of one-bit pictures are counted by their bytes",
        "_arrays.py",
        before="native = native != 0",
        after="native = native",
        tests=("test_arrays.py::test_a_mask_of_a_picture_of_one_bit_is_a_mask",),
    ),
)
