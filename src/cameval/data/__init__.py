"""Images with masks: the record that every reader returns, the figshare files, and a phantom."""

from cameval.data.figshare import FigshareDataset, read_folds
from cameval.data.phantom import phantom_sample, phantom_samples, write_phantom
from cameval.data.samples import Sample
from cameval.data.slices import CLASS_NAMES, FigshareSample, read_slice, write_slice

__all__ = [
    "CLASS_NAMES",
    "FigshareDataset",
    "FigshareSample",
    "Sample",
    "phantom_sample",
    "phantom_samples",
    "read_folds",
    "read_slice",
    "write_phantom",
    "write_slice",
]
