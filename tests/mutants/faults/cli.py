"""Faults of the command line."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "--alignment does not reach the evaluation",
        "cli/_commands.py",
        before="CAMExtractor(net, alignment=options.alignment)",
        after="CAMExtractor(net)",
        tests=("cli/test_options.py::test_every_option_changes_the_table[alignment]",),
    ),
    Fault(
        "--alignment does not reach the untrained baseline",
        "cli/_commands.py",
        before="CAMExtractor(copy, method, alignment=options.alignment)",
        after="CAMExtractor(copy, method)",
        tests=("cli/test_options.py::test_options_of_the_run_are_those_of_its_baselines",),
    ),
    Fault(
        "--alignment does not reach the examples",
        "cli/_commands.py",
        before=("        prepare=prepare,\n        alignment=options.alignment,\n    )"),
        after=("        prepare=prepare,\n    )"),
        tests=("cli/test_options.py::test_examples_are_drawn_with_the_options_of_the_run",),
    ),
    Fault(
        "--seed does not reach the untrained baseline",
        "cli/_commands.py",
        before="untrained_copy(net, options.seed)",
        after="untrained_copy(net)",
        tests=("cli/test_options.py::test_options_of_the_run_are_those_of_its_baselines",),
    ),
    Fault(
        "--seed does not reach the evaluation",
        "cli/_commands.py",
        before=("        seed=options.seed,\n"),
        after="",
        tests=("cli/test_options.py::test_every_option_changes_the_table[seed]",),
    ),
    Fault(
        "--crop does not reach the mean mask",
        "cli/_commands.py",
        before="by_class=by_class, truth=lambda sample: prepare(sample)[1]",
        after="by_class=by_class",
        tests=("cli/test_options.py::test_options_of_the_run_are_those_of_its_baselines",),
    ),
    Fault(
        "--crop does not reach the preparation",
        "cli/_commands.py",
        before=", crop=options.crop)",
        after=")",
        tests=("cli/test_options.py::test_every_option_changes_the_table[crop]",),
    ),
    Fault(
        "--workers does not reach the evaluation",
        "cli/_commands.py",
        before=("        workers=options.workers,\n"),
        after="",
        tests=("cli/test_options.py::test_workers_read_the_images",),
    ),
    Fault(
        "--classes does not reach the evaluation",
        "cli/_commands.py",
        before=("        classes=options.classes,\n"),
        after="",
        tests=("cli/test_options.py::test_every_option_changes_the_table[classes]",),
    ),
    Fault(
        "the number of threads is not restored",
        "cli/_commands.py",
        before=("    finally:\n        torch.set_num_threads(before)"),
        after=("    finally:\n        pass"),
        tests=("cli/test_options.py::test_the_number_of_threads_is_set_for_the_run_alone",),
    ),
    Fault(
        "--seed does not reach the network",
        "cli/_inputs.py",
        before=(", seed=options.seed\n        )\n        try"),
        after=("\n        )\n        try"),
        tests=("cli/test_cli.py::test_the_network_that_is_drawn_is_that_of_the_seed",),
    ),
    Fault(
        "--seed does not reach the phantom",
        "cli/_inputs.py",
        before="phantom_samples(seed=options.seed)",
        after="phantom_samples()",
        tests=("cli/test_options.py::test_the_slices_of_the_phantom_are_those_of_the_seed",),
    ),
    Fault(
        "named samples are in the order of the data",
        "cli/_inputs.py",
        before="[indices[name] for name in wanted]",
        after="sorted(indices[name] for name in wanted)",
        tests=("cli/test_cli.py::test_only_the_named_images",),
    ),
    Fault(
        "an error has exit status 0",
        "cli/__init__.py",
        before=("file=sys.stderr)\n    return 2"),
        after=("file=sys.stderr)\n    return 0"),
        tests=("cli/test_cli.py::test_a_mistake_is_said_in_one_line",),
    ),
)
