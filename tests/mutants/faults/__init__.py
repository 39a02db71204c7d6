"""All faults, by area: see `mutants.fault.Fault`."""

from mutants.faults import (
    attention,
    baselines,
    binarizers,
    cli,
    cuts,
    data,
    evaluation,
    map_files,
    maps,
    methods,
    metrics,
    networks,
    others,
    report,
    reviewers,
    run_folder,
    statistics,
    targets,
    training,
    weights,
)

__all__ = ["FAULTS"]

FAULTS = (
    *maps.FAULTS,
    *networks.FAULTS,
    *cuts.FAULTS,
    *weights.FAULTS,
    *methods.FAULTS,
    *attention.FAULTS,
    *binarizers.FAULTS,
    *metrics.FAULTS,
    *baselines.FAULTS,
    *statistics.FAULTS,
    *evaluation.FAULTS,
    *run_folder.FAULTS,
    *report.FAULTS,
    *reviewers.FAULTS,
    *cli.FAULTS,
    *data.FAULTS,
    *map_files.FAULTS,
    *targets.FAULTS,
    *others.FAULTS,
    *training.FAULTS,
)
