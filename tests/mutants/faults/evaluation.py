"""Faults of evaluations, their labels and their processes."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "half of the images suffice for a warning of dark images",
        "evaluation/dark_images.py",
        before="2 * self.dark > self.judged",
        after="2 * self.dark >= self.judged",
        tests=("evaluation/test_dark_images.py::test_exactly_half_do_not_suffice",),
    ),
    Fault(
        "a black image is a dark one",
        "evaluation/dark_images.py",
        before="(values > 0) & (values <= DARK)",
        after="values <= DARK",
        tests=("evaluation/test_dark_images.py::test_black_images_do_not_count",),
    ),
    Fault(
        "concatenated results forget their dark images",
        "report/_data_cautions.py",
        before="of_model[model] += DarkImages.of(run)",
        after="of_model[model] = DarkImages.of(run)",
        tests=(
            "evaluation/test_dark_images.py::"
            "test_results_that_are_concatenated_say_of_which_network",
        ),
    ),
    Fault(
        "a list of samples with some spacings is not refused",
        "evaluation/spacings.py",
        before="if 0 < without < len(samples):",
        after="if len(samples) < without:",
        tests=(
            "evaluation/test_spacings.py::"
            "test_a_list_with_some_spacings_is_refused_before_the_work",
        ),
    ),
    Fault(
        "concatenated results forget their spacings",
        "report/_data_cautions.py",
        before="of_model[model] + found if model in of_model else found",
        after="found",
        tests=("evaluation/test_spacings.py::test_runs_that_differ_are_cautioned_of_together",),
    ),
    Fault(
        "titles of distances never have the unit of the run",
        "evaluation/results.py",
        before="unit=Spacings.of_all(self.provenance).unit",
        after="unit=None",
        tests=("evaluation/test_spacings.py::test_the_title_has_the_unit_that_the_run_knows",),
    ),
    Fault(
        "--stretch-contrast does not reach the photos",
        "cli/_photo_maps.py",
        before="ImageFile(photo, stretch)()",
        after="ImageFile(photo)()",
        tests=(
            "evaluation/test_dark_images.py::test_the_command_of_photos_names_those_that_are_dark",
        ),
    ),
    Fault(
        "images are resized without averaging",
        "evaluation/preparation.py",
        before="return resize(channels.contiguous(), list(size), antialias=True)",
        after="return resize(channels.contiguous(), list(size), antialias=False)",
        tests=("evaluation/test_evaluation.py::test_a_photo_is_averaged_when_it_is_made_smaller",),
    ),
    Fault(
        "a pixel that is half covered is true",
        "data/_mask_sizes.py",
        before="2 * areas > mask.size",
        after="2 * areas >= mask.size",
        tests=("evaluation/test_evaluation.py::test_half_a_cell_of_truth_is_no_majority",),
    ),
    Fault(
        "the crop is taken from the corner",
        "evaluation/preparation.py",
        before="starts = [(length - side) // 2 for",
        after="starts = [0 * (length - side) for",
        tests=("evaluation/test_evaluation.py::test_a_crop_takes_image_and_truth_alike",),
    ),
    Fault(
        "a map of zeros counts as one with positive values",
        "evaluation/_grid_scores.py",
        before="high > 0, true",
        after="high >= 0, true",
        tests=(
            (
                "evaluation/test_evaluation.py::"
                "test_a_map_of_zeros_alone_is_told_from_one_with_a_negative_value"
            ),
        ),
    ),
    Fault(
        "the error of the later batch is raised",
        "evaluation/_loop.py",
        before="before, waiting = waiting, None  # if it fails, what comes after does not count",
        after="before, waiting = waiting, begun",
        tests=("evaluation/test_evaluation.py::test_an_error_in_a_metric_says_of_which_samples",),
    ),
    Fault(
        "a batch is lost if the next one fails",
        "evaluation/_loop.py",
        before="                waiting.finish(run, folder, watch)\n            raise",
        after="                pass\n            raise",
        tests=(
            (
                "evaluation/test_scored_beside.py::"
                "test_a_batch_is_written_if_the_next_one_cannot_be_read"
            ),
        ),
    ),
    Fault(
        "maps are scored before the next batch is begun",
        "evaluation/_loop.py",
        before="return thread.submit(run_there).result",
        after="scores = run_there()\n        return lambda: scores",
        tests=("evaluation/test_scored_beside.py",),
    ),
    Fault(
        "a wrapper of a formula of counts is given counts",
        "metrics/counts.py",
        before="    while isinstance(metric, partial):\n        metric = metric.func",
        after=(
            "    while isinstance(metric, partial) or hasattr(metric, '__wrapped__'):\n"
            "        metric = getattr(metric, 'func', None) or metric.__wrapped__"
        ),
        tests=("metrics/test_overlap.py",),
    ),
    Fault(
        "an empty mask is not given as the reason",
        "evaluation/_batch.py",
        before="np.where(predicted > 0, undefined, empty)",
        after="np.where(predicted >= 0, undefined, empty)",
        tests=(
            (
                "evaluation/test_evaluation.py::"
                "test_a_distance_of_an_empty_mask_says_that_it_is_empty"
            ),
        ),
    ),
    Fault(
        "the flag of constant maps is inverted",
        "evaluation/_batch.py",
        before="np.where(constant, CONSTANT, 0)",
        after="np.where(constant, 0, CONSTANT)",
        tests=("evaluation/test_evaluation.py::test_what_is_undefined_says_why",),
    ),
    Fault(
        "the two logits of one logit are swapped for metrics",
        "evaluation/_network_scores.py",
        before="pad(network(images), (1, 0))",
        after="pad(network(images), (0, 1))",
        tests=("evaluation/test_task.py::test_one_logit_is_scored_as_the_two_that_say_the_same",),
    ),
    Fault(
        "baselines get the images of the first rows",
        "evaluation/_sources.py",
        before="torch.stack([one.image for one in grid.prepared])",
        after="torch.stack([self.view.inputs[k] for k in range(len(grid.prepared))])",
        tests=(
            (
                "evaluation/test_options.py::"
                "test_each_truth_of_a_mixed_batch_is_scored_with_its_own_image"
            ),
        ),
    ),
    Fault(
        "baselines ignore the alignment",
        "evaluation/_sources.py",
        before="            self.cell_centers,\n            grid.window",
        after="            None,\n            grid.window",
        tests=("evaluation/test_options.py::test_baselines_on_the_grid_are_aligned_as_the_maps",),
    ),
    Fault(
        "maps ignore the alignment",
        "evaluation/_run.py",
        before='return self.model.cell_centers if self.alignment == "receptive_field" else None',
        after="return None",
        tests=(
            (
                "evaluation/test_options.py::"
                "test_the_settings_of_an_extractor_are_recorded_and_change_the_results"
            ),
        ),
    ),
    Fault(
        "the default baselines of a run ignore the seed",
        "evaluation/evaluate.py",
        before="default_baselines(checked.seed)",
        after="default_baselines(0)",
        tests=(
            (
                "evaluation/test_options.py::"
                "test_every_argument_is_recorded_and_changes_the_results[seed]"
            ),
        ),
    ),
    Fault(
        "the check setting of an extractor is ignored",
        "evaluation/_run.py",
        before="extractor.alignment, extractor.check)",
        after="extractor.alignment)",
        tests=(
            (
                "evaluation/test_options.py::"
                "test_an_extractor_without_its_check_is_evaluated_without_it"
            ),
        ),
    ),
    Fault(
        "samples that lack one batch of the run are accepted",
        "evaluation/_loop.py",
        before="number >= last + number_of_processes()]",
        after="number > last + number_of_processes()]",
        tests=("evaluation/test_runs.py::test_a_stream_that_has_become_shorter_is_noticed",),
    ),
    Fault(
        "the task argument is ignored",
        "evaluation/_run.py",
        before="task_of(logits, task)",
        after="task_of(logits, None)",
        tests=(
            (
                "evaluation/test_options.py::"
                "test_every_argument_is_recorded_and_changes_the_results[task]"
            ),
        ),
    ),
    Fault(
        "comparisons ignore the seed of the run",
        "evaluation/results.py",
        before="self._seed if seed is None else seed",
        after="0 if seed is None else seed",
        tests=("evaluation/test_results.py::test_a_comparison_has_the_seed_of_the_run_or_its_own",),
    ),
    Fault(
        "comparisons ignore their own seed",
        "evaluation/_summaries.py",
        before=("        seed=seed,\n"),
        after="",
        tests=("evaluation/test_results.py::test_a_comparison_has_the_seed_of_the_run_or_its_own",),
    ),
    Fault(
        "the dependence is not within classes",
        "evaluation/_summaries.py",
        before=", within=classes)",
        after=")",
        tests=("evaluation/test_summaries.py::test_dependence_is_within_the_labels",),
    ),
    Fault(
        "intervals ignore the range of the metric",
        "evaluation/_summaries.py",
        before="confidence=confidence, bounds=ends)",
        after="confidence=confidence)",
        tests=(
            "evaluation/test_summaries.py::test_intervals_end_where_the_metric_says_that_it_ends",
        ),
    ),
    Fault(
        "the binarizer with the lowest score is chosen",
        "evaluation/_candidates.py",
        before="pick = max if higher_is_better else min",
        after="pick = min if higher_is_better else max",
        tests=("evaluation/test_choice.py::test_each_map_gets_the_binarizer_of_the_highest_mean",),
    ),
    Fault(
        "validation and test images may overlap",
        "evaluation/choice.py",
        before="if 0 < common < len(read):",
        after="if False:",
        tests=("evaluation/test_choice.py::test_images_that_are_in_both_parts_are_refused",),
    ),
    Fault(
        "labels without a score have no binarizer",
        "evaluation/choice.py",
        before="for of_label in (label, None):",
        after="for of_label in (label,):",
        tests=(
            (
                "evaluation/test_choice_by_label.py::"
                "test_a_label_without_a_score_falls_back_to_all_labels"
            ),
        ),
    ),
    Fault(
        "the binarizer of a label is chosen on all labels",
        "evaluation/_candidates.py",
        before="rows = self.labels == label",
        after="rows = self.labels > -9",
        tests=(
            (
                "evaluation/test_choice_by_label.py::"
                "test_each_label_has_the_binarizer_of_its_own_highest_mean"
            ),
        ),
    ),
    Fault(
        "marks where there is no object are not pooled",
        "evaluation/_summaries.py",
        before="known = np.where(weighted, weights, 0.0)",
        after="known = np.where(weighted & defined, weights, 0.0)",
        tests=(
            (
                "evaluation/test_rows_of_targets.py::"
                "test_the_pooled_mean_counts_marks_where_there_is_no_object"
            ),
        ),
    ),
    Fault(
        "an absent label that is not predicted is wrong",
        "evaluation/_summaries.py",
        before='(predicted == samples["present"])',
        after="predicted",
        tests=("evaluation/test_rows_of_targets.py::test_what_is_correct_depends_on_the_task",),
    ),
    Fault(
        "empty text of a user is read as missing",
        "evaluation/_csv_tables.py",
        before='_quote(str(word)) or "\'"',
        after="_quote(str(word))",
        tests=(
            (
                "evaluation/test_rows_of_targets.py::"
                "test_files_keep_targets_weights_and_columns_of_users"
            ),
        ),
    ),
    Fault(
        "concatenated results are not reordered",
        "evaluation/concat.py",
        before="values=part.values[:, at],",
        after="values=part.values,",
        tests=(
            (
                "evaluation/test_results.py::"
                "test_columns_in_another_order_are_put_into_that_of_the_first"
            ),
        ),
    ),
    Fault(
        "names that are formulas are written as they are",
        "evaluation/_csv_tables.py",
        before="if word.startswith(_FORMULA) else word",
        after="if False else word",
        tests=(
            (
                "evaluation/test_results.py::"
                "test_names_that_a_spreadsheet_would_run_are_written_as_text"
            ),
        ),
    ),
    Fault(
        "parts of a table that end within a sample are joined with other words",
        "evaluation/_assembly.py",
        before="there + len(first.cat.categories)",
        after="there",
        tests=(
            (
                "evaluation/test_table_files.py::"
                "test_parts_of_a_table_that_end_within_a_sample_are_joined"
            ),
        ),
    ),
    Fault(
        "rows of a table in another order are accepted",
        "evaluation/_assembly.py",
        before="self._wrong = self._wrong or self._first_wrong(rows, width)",
        after="pass",
        tests=("evaluation/test_table_files.py::test_rows_that_are_not_in_order_are_refused",),
    ),
    Fault(
        "a sample that is twice in a table is accepted",
        "evaluation/_assembly.py",
        before="again = samples.duplicated(list(KEY))",
        after="again = samples.duplicated(list(KEY)) & False",
        tests=("evaluation/test_table_files.py::test_rows_that_are_not_in_order_are_refused",),
    ),
    Fault(
        "ends of lines in names are not quoted",
        "evaluation/_csv_tables.py",
        before='lineterminator="\\r\\n"',
        after='lineterminator=""',
        tests=("evaluation/test_table_files.py::test_an_end_of_a_line_in_a_name_is_quoted",),
    ),
    Fault(
        "the order of the axes of an array of a run is lost",
        "evaluation/_arrays_file.py",
        before='order="F" if fortran else "C"',
        after='order="C"',
        tests=("evaluation/test_table_files.py::test_arrays_are_those_that_numpy_loads",),
    ),
    Fault(
        "a table with missing rows is accepted",
        "evaluation/_assembly.py",
        before="if count != len(samples):",
        after="if count < len(samples):",
        tests=(
            "evaluation/test_results.py::test_the_number_of_rows_is_that_of_what_is_written",
            "evaluation/test_results.py::test_a_csv_that_was_cut_between_two_samples_is_refused",
        ),
    ),
    Fault(
        "the true area is in pixels",
        "evaluation/_batch.py",
        before="self.area[row], self.pixels[row] = true / pixels, pixels",
        after="self.area[row], self.pixels[row] = true, pixels",
        tests=(
            (
                "evaluation/test_evaluation.py::"
                "test_what_is_known_of_a_sample_stands_beside_its_scores"
            ),
        ),
    ),
    Fault(
        "the checksum of a sample leaves out its mask",
        "evaluation/_sample_sums.py",
        before="arrays += [target.mask, target.boxes, target.instances]",
        after="arrays += [target.boxes, target.instances]",
        tests=("evaluation/test_runs.py::test_changed_samples_are_noticed",),
    ),
    Fault(
        "a setting after one with its default has no name",
        "evaluation/labels.py",
        before=("            positional = False\n"),
        after=("            pass\n"),
        tests=(
            "cli/test_words.py::test_a_word_with_settings_is_the_label_of_its_thing",
            "cli/test_words.py::test_the_label_of_a_thing_is_read_as_that_thing",
        ),
    ),
    Fault(
        "a nested label with a comma has no parentheses",
        "evaluation/labels.py",
        before='f"({word})" if "," in word else word',
        after="word",
        tests=(
            "cli/test_words.py::test_a_word_with_settings_is_the_label_of_its_thing",
            "cli/test_words.py::test_the_label_of_a_thing_is_read_as_that_thing",
        ),
    ),
    Fault(
        "every process does all jobs",
        "distributed.py",
        before="jobs[rank() :: number_of_processes()]",
        after="jobs[:]",
        tests=("test_distributed.py::test_two_processes_share_the_work",),
    ),
    Fault(
        "a failure of another process is ignored",
        "distributed.py",
        before="if isinstance(one, _Failure):",
        after="if False:",
        tests=("test_distributed.py::test_two_processes_share_the_work",),
    ),
    Fault(
        "a process may have a GPU that does not exist",
        "distributed.py",
        before=" % torch.cuda.device_count())",
        after=")",
        tests=("test_distributed.py::test_only_cuda_without_a_number_gets_one",),
    ),
    Fault(
        "the title of a metric replaces a label that the user gave",
        "evaluation/_plan.py",
        before="title_of(one) if is_own_label(name, one) else None",
        after="title_of(one)",
        tests=("report/test_titles.py::test_a_label_that_the_user_gave_is_shown",),
    ),
    Fault(
        "titles are not read from the meanings of results",
        "evaluation/meaning.py",
        before="if found is None or not found.title:",
        after="if True:",
        tests=("report/test_titles.py::test_titles_are_saved_and_read_again",),
    ),
    Fault(
        "random signs are described as all signs",
        "evaluation/_methods_text.py",
        before="if n_groups > most:",
        after="if n_groups > 2 * most:",
        tests=(
            (
                "evaluation/test_methods_text.py::"
                "test_intervals_and_tests_are_described_as_they_are_computed"
            ),
        ),
    ),
    Fault(
        "every metric of the sanity checks is called faithfulness",
        "evaluation/_methods_text.py",
        before='if label in known and known[label].takes == "network"',
        after="if label in known",
        tests=(
            "evaluation/test_methods_text.py::test_sanity_checks_are_described_if_there_are_any",
        ),
    ),
)
