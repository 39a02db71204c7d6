"""The commands ``evaluate`` and ``score``: from options to tables and a report."""

import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cameval.baselines import LeaveGroupOutBaseline, UntrainedBaseline
from cameval.binarizers import LargestComponent
from cameval.cli._choice import check_choice, choose, describe_choices
from cameval.cli._config import settings_text
from cameval.cli._group_name import names_given
from cameval.cli._inputs import class_names, load_maps, load_samples, split_name
from cameval.cli._networks import (
    NamedNetwork,
    choose_device,
    count_cells,
    count_classes,
    folder_of,
    load_checkpoints,
    load_networks,
    names_of_weights,
    parse_classes,
    told_by_options,
)
from cameval.cli._output import check_output, import_parquet, write_settings, write_tables
from cameval.cli._remarks import (
    describe_classes,
    describe_data,
    describe_grid,
    describe_normalization,
    describe_weights,
    random_networks,
)
from cameval.cli._report import (
    count_images,
    draw_images,
    import_report,
    remove_images,
    write_report,
)
from cameval.cli._tables import print_lines, print_verdict
from cameval.cli._words import (
    BASELINES,
    BINARIZERS,
    METHODS,
    METRICS,
    NEED_NETWORK,
    OF_THE_RUN,
    parse_words,
)
from cameval.data import ClassOrderWarning
from cameval.distributed import process_group, rank
from cameval.errors import SettingError
from cameval.evaluation import (
    DarkImagesWarning,
    MixedSpacingWarning,
    Preparation,
    Results,
    RunSettings,
    SameMapsWarning,
    SanityChecks,
    evaluate,
    evaluate_maps,
)
from cameval.extractor import CAMExtractor, NormalizedTwiceWarning, ProbabilityWarning
from cameval.networks import PlacementWarning
from cameval.protocols import Baseline
from cameval.sanity import untrained_copy

MOST_THREADS = 1024


def evaluate_networks(options: Namespace) -> int:
    """Evaluate each network, write the tables and the report, and print the verdict."""
    labels = [split_name(model)[0] or model for model in options.model]
    with _begin(options, [folder_of(label) for label in labels]):
        _parse_all(options)
        options.device = choose_device(options.device)
        nets = load_networks(options)
        _print_first(describe_weights(options) + describe_normalization(nets, options))
        dataset = load_samples(options)
        check_choice(dataset, options)
        _print_first(describe_data(dataset, options))
        with told_by_options():
            parts = [_evaluate(name, network, dataset, options) for name, network in nets.items()]
        if rank() > 0:
            return 0
        chosen = choose(parts, dataset, options)
        write_tables(chosen.results, options)
        if not options.no_report:
            remove_images(Path(options.out))
            for name, network in nets.items():
                draw_images(
                    chosen.results.select(model=name),
                    chosen.samples,
                    network.net,
                    network.prepare,
                    options,
                    binarizers=_parse_binarizers(options),
                    methods=parse_words(options.method, METHODS, "--method"),
                    maps=load_maps(options, list(chosen.results.class_names)),
                    alignment=options.alignment,
                    choices=chosen.of_model(name),
                )
            write_report(chosen.results, options, **chosen.labels)
    print_lines(describe_choices(chosen))
    print_verdict(chosen.results, **chosen.labels, names=names_given(options))
    _print_files(options)
    return 0


def score_maps(options: Namespace) -> int:
    """Score maps that were made elsewhere, write the tables and the report, print the verdict."""
    _check_no_network(options.metric, "--metric")
    _check_no_network(options.baseline, "--baseline")
    prepare = Preparation(size=None)
    with _begin(options, [folder_of(options.name)]):
        _parse_all(options)
        dataset = load_samples(options)
        check_choice(dataset, options)
        _print_first(describe_data(dataset, options))
        names = class_names(dataset, options)
        maps = load_maps(options, names)
        results = evaluate_maps(
            maps,
            dataset,
            binarizers=_parse_binarizers(options),
            metrics=_parse_metrics(options),
            baselines=_make_baselines(None, dataset, prepare, options),
            predictions=options.predictions,
            prepare=prepare,
            **_settings(options, "maps", options.name, names),
        )
        if rank() > 0:
            return 0
        chosen = choose([_noted(results, options)], dataset, options)
        write_tables(chosen.results, options)
        if not options.no_report:
            remove_images(Path(options.out))
            draw_images(
                chosen.results,
                chosen.samples,
                None,
                prepare,
                options,
                binarizers=_parse_binarizers(options),
                methods={},
                maps=maps,
                choices=chosen.of_model(options.name),
            )
            write_report(chosen.results, options, **chosen.labels)
    print_lines(describe_choices(chosen))
    print_verdict(chosen.results, **chosen.labels, names=names_given(options))
    _print_files(options)
    return 0


# --- Before the work ------------------------------------------------------------------------------


@contextmanager
def _begin(options: Namespace, folders: Sequence[str]) -> Iterator[None]:
    """Check that the results can be written, and set threads and processes until the end.

    The folders are those of the networks or maps in ``runs``.
    """
    check_output(Path(options.out), folders, options)
    if not options.no_report:
        import_report(", or use --no-report")
    if options.parquet:
        import_parquet()
    options.settings = settings_text(options, options.command)
    with _set_threads(options.threads), process_group(), _without_warnings():
        if rank() == 0 and not (Path(options.out) / "runs").exists():
            write_settings(options)  # of a run that another one did not begin
        yield


@contextmanager
def _set_threads(count: int | None) -> Iterator[None]:
    """Compute with this many threads until the end of the block."""
    before = torch.get_num_threads()
    if count is not None and not 1 <= count <= MOST_THREADS:
        raise SettingError(f"--threads must be at least 1 and at most {MOST_THREADS}, got {count}")
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_no_network(words: list[str] | None, option: str) -> None:
    """Check that metrics or baselines need no network."""
    if needing := [word for word in words or () if word.partition(":")[0] in NEED_NETWORK]:
        raise SettingError(
            f"{option} must need no network, got {needing[0]!r}; `cameval evaluate --maps` scores "
            "maps beside those of a network"
        )


def _parse_all(options: Namespace) -> None:
    """Check every word before networks are loaded."""
    count_images(options)
    names_given(options)
    _parse_binarizers(options)
    _parse_metrics(options)
    if options.baseline is not None:
        checks = dict(zip(OF_THE_RUN, (_check_mean_mask, _check_untrained), strict=True))
        parse_words(options.baseline, BASELINES, "--baseline", checks)
    if options.command == "evaluate":
        parse_words(options.method, METHODS, "--method")
        parse_classes(options.classes)


def _check_mean_mask(by_class: bool = False) -> None:
    """Take the settings of that baseline."""


def _check_untrained() -> None:
    """Take the settings of that baseline."""


def _print_first(lines: Sequence[str]) -> None:
    """Print lines of the first process."""
    if rank() == 0:
        print_lines(lines)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Leave out the warnings of Python whose text is in the verdict."""
    with warnings.catch_warnings():
        for category in (
            ClassOrderWarning,
            DarkImagesWarning,
            MixedSpacingWarning,
            NormalizedTwiceWarning,
            PlacementWarning,
            ProbabilityWarning,
            SameMapsWarning,
        ):
            warnings.simplefilter("ignore", category)
        yield


# --- The work -------------------------------------------------------------------------------------


def _evaluate(name: str, network: NamedNetwork, dataset: Any, options: Namespace) -> Results:
    net, prepare = network.net, network.prepare
    methods = parse_words(options.method, METHODS, "--method")
    count = count_classes(net, prepare)
    known, given = names_of_weights(network.source, count), class_names(dataset, options)
    _print_first(
        describe_classes(name, count, known, given, options)
        + describe_grid(count_cells(net, prepare))
    )
    names = given or known
    of_data = options.class_names is None and names is not None and len(names) < count
    results = evaluate(
        CAMExtractor(net, alignment=options.alignment),
        dataset,
        methods=methods,
        binarizers=_parse_binarizers(options),
        metrics=_parse_metrics(options),
        baselines=_make_baselines(net, dataset, prepare, options),
        maps=load_maps(options, names) or None,
        classes=parse_classes(options.classes),
        prepare=prepare,
        task=None if options.task == "auto" else options.task,
        sanity=_checks(network.source, options),
        **_settings(options, name, name, None if of_data else names)
        | {"precision": options.precision},
    )
    if name in random_networks(options):
        results = replace(results, provenance={**results.provenance, "weights_are": "random"})
    return _noted(results, options)


def _noted(results: Results, options: Namespace) -> Results:
    """Return the results with the numbers of images that the options left out."""
    counts = {"unnamed": options.n_unnamed, "without_mask": len(options.without_mask)}
    if not any(counts.values()):
        return results
    return replace(results, provenance={**results.provenance, "left_out": counts})


def _checks(source: str, options: Namespace) -> SanityChecks | None:
    """Return the checks that are asked for, if any."""
    checkpoints = load_checkpoints(source, options)
    if not (options.sanity or checkpoints):
        if options.sanity_samples is not None:
            raise SettingError("--sanity-samples must go with --sanity, got no --sanity")
        return None
    count = SanityChecks.samples if options.sanity_samples is None else options.sanity_samples
    return SanityChecks(samples=count, checkpoints=checkpoints, seed=options.seed)


def _settings(options: Namespace, folder: str, name: str, names: list[str] | None) -> RunSettings:
    """Return the settings of a run, whose batches are written to a folder in ``runs``."""
    return RunSettings(
        batch_size=options.batch_size,
        workers=options.workers,
        out=Path(options.out) / "runs" / folder_of(folder),
        name=name,
        class_names=names,
        seed=options.seed,
    )


def _parse_binarizers(options: Namespace) -> dict[str, Any]:
    """Return the binarizers by label; with ``--largest-component`` those of their largest parts."""
    words = list(options.binarizer)
    if options.largest_component:
        start = f"{LargestComponent.label}:"
        words = [
            word if word.startswith(start) else start + (f"({word})" if "," in word else word)
            for word in words
        ]
    return parse_words(words, BINARIZERS, "--binarizer")


def _parse_metrics(options: Namespace) -> dict[str, Any] | None:
    words = options.metric
    return None if words is None else parse_words(words, METRICS, "--metric")


def _make_baselines(
    net: nn.Module | None, dataset: Any, prepare: Preparation, options: Namespace
) -> dict[str, Baseline] | None:
    """Return the baselines that are asked for; two of them need the data and the network."""
    if options.baseline is None:
        return None

    def mean_mask(by_class: bool = False) -> Baseline:
        return LeaveGroupOutBaseline.of(
            dataset, by_class=by_class, truth=lambda sample: prepare(sample)[1]
        )

    def untrained_network() -> Baseline:
        assert net is not None  # `_check_no_network`
        method = next(iter(parse_words(options.method, METHODS, "--method").values()))
        copy = untrained_copy(net, options.seed)
        return UntrainedBaseline(CAMExtractor(copy, method, alignment=options.alignment))

    makers: dict[str, Callable[..., Baseline]]
    makers = dict(zip(OF_THE_RUN, (mean_mask, untrained_network), strict=True))
    return parse_words(options.baseline, BASELINES, "--baseline", makers)


def _print_files(options: Namespace) -> None:
    out = Path(options.out)
    if not options.no_report:
        print(f"report  {out / 'report.html'}")
    print(f"tables  {out / 'results.csv'}, {out / 'summary.csv'}")
