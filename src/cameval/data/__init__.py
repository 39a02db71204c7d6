"""Images with masks: samples, readers of files, a cache, and a phantom (synthetic slices)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cameval.data.cache import CachedDataset, cached, pack
    from cameval.data.chexlocalize import CHEXLOCALIZE_FINDINGS, CheXlocalizeDataset
    from cameval.data.coco import CocoDataset
    from cameval.data.cub import CubDataset
    from cameval.data.dicom import DicomDataset, DicomImage, read_dicom
    from cameval.data.fetch import fetch_figshare
    from cameval.data.figshare import FigshareDataset, read_folds
    from cameval.data.folders import FolderDataset
    from cameval.data.folds import Fold, LeakError, folds_by_group, folds_by_sample
    from cameval.data.imagenet import ImageNetDataset, read_synsets
    from cameval.data.label_tables import read_info, read_labels, read_names
    from cameval.data.map_files import MapFile, MapFolder
    from cameval.data.mask_values import MaskValueWarning
    from cameval.data.mosaics import MosaicDataset
    from cameval.data.nifti import NiftiDataset, NiftiImage, read_nifti
    from cameval.data.objects import Objects
    from cameval.data.phantom import phantom_sample, phantom_samples, write_phantom
    from cameval.data.pictures import ImageFile, MaskFile
    from cameval.data.predictions import Prediction, read_predictions
    from cameval.data.readers import FileDataset, PictureDataset, Reader
    from cameval.data.records import MaskSource, OrientationWarning, Record, TargetRecord
    from cameval.data.samples import RESERVED_COLUMNS, Sample
    from cameval.data.scans import Scan
    from cameval.data.slices import CLASS_NAMES, FigshareSample, read_slice, write_slice
    from cameval.data.tables import ClassOrderWarning, ManifestDataset
    from cameval.data.targets import Target
    from cameval.data.voc import VOC_CLASSES, VocDataset
else:
    from cameval._lazy import import_when_used

    __getattr__, __dir__ = import_when_used(
        __name__,
        {
            "cache": ["CachedDataset", "cached", "pack"],
            "chexlocalize": ["CHEXLOCALIZE_FINDINGS", "CheXlocalizeDataset"],
            "coco": ["CocoDataset"],
            "cub": ["CubDataset"],
            "dicom": ["DicomDataset", "DicomImage", "read_dicom"],
            "fetch": ["fetch_figshare"],
            "figshare": ["FigshareDataset", "read_folds"],
            "folders": ["FolderDataset"],
            "folds": ["Fold", "LeakError", "folds_by_group", "folds_by_sample"],
            "imagenet": ["ImageNetDataset", "read_synsets"],
            "label_tables": ["read_info", "read_labels", "read_names"],
            "map_files": ["MapFile", "MapFolder"],
            "mask_values": ["MaskValueWarning"],
            "mosaics": ["MosaicDataset"],
            "nifti": ["NiftiDataset", "NiftiImage", "read_nifti"],
            "objects": ["Objects"],
            "phantom": ["phantom_sample", "phantom_samples", "write_phantom"],
            "pictures": ["ImageFile", "MaskFile"],
            "predictions": ["Prediction", "read_predictions"],
            "readers": ["FileDataset", "PictureDataset", "Reader"],
            "records": ["MaskSource", "OrientationWarning", "Record", "TargetRecord"],
            "samples": ["RESERVED_COLUMNS", "Sample"],
            "scans": ["Scan"],
            "slices": ["CLASS_NAMES", "FigshareSample", "read_slice", "write_slice"],
            "tables": ["ClassOrderWarning", "ManifestDataset"],
            "targets": ["Target"],
            "voc": ["VOC_CLASSES", "VocDataset"],
        },
    )

__all__ = [
    "CHEXLOCALIZE_FINDINGS",
    "CLASS_NAMES",
    "RESERVED_COLUMNS",
    "VOC_CLASSES",
    "CachedDataset",
    "CheXlocalizeDataset",
    "ClassOrderWarning",
    "CocoDataset",
    "CubDataset",
    "DicomDataset",
    "DicomImage",
    "FigshareDataset",
    "FigshareSample",
    "FileDataset",
    "Fold",
    "FolderDataset",
    "ImageFile",
    "ImageNetDataset",
    "LeakError",
    "ManifestDataset",
    "MapFile",
    "MapFolder",
    "MaskFile",
    "MaskSource",
    "MaskValueWarning",
    "MosaicDataset",
    "NiftiDataset",
    "NiftiImage",
    "Objects",
    "OrientationWarning",
    "PictureDataset",
    "Prediction",
    "Reader",
    "Record",
    "Sample",
    "Scan",
    "Target",
    "TargetRecord",
    "VocDataset",
    "cached",
    "fetch_figshare",
    "folds_by_group",
    "folds_by_sample",
    "pack",
    "phantom_sample",
    "phantom_samples",
    "read_dicom",
    "read_folds",
    "read_info",
    "read_labels",
    "read_names",
    "read_nifti",
    "read_predictions",
    "read_slice",
    "read_synsets",
    "write_phantom",
    "write_slice",
]
