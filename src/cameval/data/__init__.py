"""Images with masks: samples, readers of files, a cache, and a phantom (synthetic slices)."""

from cameval.data.cache import CachedDataset, cached, pack
from cameval.data.coco import CocoDataset
from cameval.data.fetch import fetch_figshare
from cameval.data.figshare import FigshareDataset, read_folds
from cameval.data.folders import FolderDataset
from cameval.data.folds import Fold, LeakError, folds_by_group, folds_by_sample
from cameval.data.objects import Objects
from cameval.data.phantom import phantom_sample, phantom_samples, write_phantom
from cameval.data.pictures import ImageFile, MaskFile
from cameval.data.readers import (
    FileDataset,
    MaskSource,
    OrientationWarning,
    PictureDataset,
    Reader,
    Record,
)
from cameval.data.samples import Sample, Target
from cameval.data.slices import CLASS_NAMES, FigshareSample, read_slice, write_slice
from cameval.data.tables import ManifestDataset, read_labels, read_names

__all__ = [
    "CLASS_NAMES",
    "CachedDataset",
    "CocoDataset",
    "FigshareDataset",
    "FigshareSample",
    "FileDataset",
    "Fold",
    "FolderDataset",
    "ImageFile",
    "LeakError",
    "ManifestDataset",
    "MaskFile",
    "MaskSource",
    "Objects",
    "OrientationWarning",
    "PictureDataset",
    "Reader",
    "Record",
    "Sample",
    "Target",
    "cached",
    "fetch_figshare",
    "folds_by_group",
    "folds_by_sample",
    "pack",
    "phantom_sample",
    "phantom_samples",
    "read_folds",
    "read_labels",
    "read_names",
    "read_slice",
    "write_phantom",
    "write_slice",
]
