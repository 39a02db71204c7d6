"""Small DICOM files for tests: images, series and segmentations, written by pydicom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def group(**elements: Any) -> list[Dataset]:
    """Return a sequence of one item."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return [item]


def make_dicom(pixels: NDArray[Any], **elements: Any) -> Dataset:
    """Return an image ``(H, W)``, ``(H, W, 3)`` or, with NumberOfFrames, ``(n, H, W)``."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    color = pixels.shape[-1] == 3 and pixels.ndim == 3 and "NumberOfFrames" not in elements
    bits = pixels.dtype.itemsize * 8
    axes = (0, 1) if color else (-2, -1)
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": generate_uid(),
        "SeriesInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.4",
        "Modality": "CT",
        "PatientID": "patient 7",
        "Rows": pixels.shape[axes[0]],
        "Columns": pixels.shape[axes[1]],
        "SamplesPerPixel": 3 if color else 1,
        "PhotometricInterpretation": "RGB" if color else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        **({"PlanarConfiguration": 0} if color else {}),
        **elements,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(made, keyword, value)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    if "PixelData" not in elements:
        made.PixelData = pixels.tobytes()
        made["PixelData"].VR = "OW" if bits > 8 else "OB"
    return made


def save(made: Dataset, path: Path) -> Path:
    """Write a data set and return its path."""
    made.save_as(path, enforce_file_format=True)
    return path


def write_dicom(path: Path, pixels: NDArray[Any], **elements: Any) -> Path:
    """Write an image and return its path."""
    return save(make_dicom(pixels, **elements), path)


def write_series(folder: Path, volume: NDArray[Any], step: float = 5.0, **elements: Any) -> Path:
    """Write a volume as axial slices, whose files are named in another order than they lie."""
    folder.mkdir()
    for k, pixels in enumerate(volume):
        write_dicom(
            folder / f"{(7 * k) % 10}{k}.dcm",
            pixels,
            **{
                "ImageOrientationPatient": list(AXIAL),
                "ImagePositionPatient": [-10, 20, k * step - 3],
                "PixelSpacing": [0.5, 0.25],
                **elements,
            },
        )
    return folder


def make_segmentation(
    frames: NDArray[np.bool_],
    segments: Sequence[int],
    places: Sequence[Sequence[Dataset] | Dataset],
    labels: Sequence[str] = ("lesion",),
    **elements: Any,
) -> Dataset:
    """Return a segmentation; each frame has a segment, and an item of functional groups."""
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    items = []
    for number, place in zip(segments, places, strict=True):
        item = place[0] if isinstance(place, list) else place
        item.SegmentIdentificationSequence = group(ReferencedSegmentNumber=number)
        items.append(item)
    return make_dicom(
        frames.astype(np.uint8),
        **{
            "SOPClassUID": SEGMENTATION,
            "Modality": "SEG",
            "NumberOfFrames": len(frames),
            "BitsAllocated": 1,
            "BitsStored": 1,
            "HighBit": 0,
            "SegmentationType": "BINARY",
            "SegmentSequence": [
                group(SegmentNumber=k, SegmentLabel=label)[0] for k, label in enumerate(labels, 1)
            ],
            "PerFrameFunctionalGroupsSequence": items,
            "PixelData": packed + b"\0" * (len(packed) % 2),
            **elements,
        },
    )


def source(uid: str, frame: int | None = None) -> list[Dataset]:
    """Return functional groups that name the source image of a frame."""
    named: dict[str, Any] = {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": uid}
    if frame is not None:
        named["ReferencedFrameNumber"] = frame
    return group(DerivationImageSequence=group(SourceImageSequence=group(**named)))


def place(position: Sequence[float], orientation: Sequence[float] = AXIAL) -> list[Dataset]:
    """Return functional groups that state the place of a frame."""
    return group(
        PlanePositionSequence=group(ImagePositionPatient=list(position)),
        PlaneOrientationSequence=group(ImageOrientationPatient=list(orientation)),
        PixelMeasuresSequence=group(PixelSpacing=[0.5, 0.25]),
    )
