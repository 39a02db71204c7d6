"""Reading of DICOM files by pydicom: only the elements that are needed, and bounded.

A file can declare more than it holds, hold compressed data that expand without limit, or be any
other file. Sizes are checked before pixels are read or decoded, and every problem is a `DataError`.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite, prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cameval._extras import import_extra
from cameval.data._files import FOLDER, check_file, kind_at, list_folder
from cameval.errors import CamevalError, DataError

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of segmentations: with a frame for each segment, and label maps."""

_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1")
"""Transfer syntaxes whose size after expansion is not declared."""

_TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept"),
    *("ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("WindowCenterWidthExplanation", "PixelSpacing", "ImagerPixelSpacing"),
    *("NominalScannedPixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "RedPaletteColorLookupTableDescriptor"),
    *("GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor"),
    *("RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData"),
    *("BluePaletteColorLookupTableData", "SegmentationType", "SegmentSequence"),
    *("SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData"),
    *("SegmentedBluePaletteColorLookupTableData", "PixelDataProviderURL"),
    *("MaximumFractionalValue", "ReferencedSeriesSequence"),
)
"""The elements that are read; others are skipped."""

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@contextmanager
def raise_data_errors(path: Path) -> Iterator[None]:
    """Raise what pydicom raises on a file as a `DataError`; its warnings are left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except CamevalError:
        raise
    except Exception as error:  # on damaged bytes pydicom raises anything
        raise DataError(
            f"{path}: the DICOM file must be complete and valid, got {error!r}; export it again"
        ) from error


def list_files(path: Path) -> list[Path]:
    """Return a file, or the files of a folder without hidden ones and a DICOMDIR."""
    if kind_at(path) != FOLDER:
        return [path]
    files = [file for file in list_folder(path) if not file.name.startswith(".")]
    files = [file for file in files if file.name.upper() != "DICOMDIR"]
    if not files:
        raise DataError(f"{path}: the folder must hold the files of one series, got none")
    return files


def read_header(path: Path, keywords: Sequence[str] = ()) -> Any:
    """Return the elements of a DICOM file without its pixels, and those of more keywords."""
    pydicom = import_extra("pydicom", "DICOM files need")
    _check_is_dicom(path)
    with raise_data_errors(path):
        meta = pydicom.filereader.read_file_meta_info(path)
        syntax = str(meta.get("TransferSyntaxUID", ""))
        if syntax in _DEFLATED:
            raise DataError(
                f"{path}: the transfer syntax must not be deflated, got {syntax}, whose size is "
                "not known before it expands; save the file uncompressed, as with dcmconv +te"
            )
        if not syntax:
            raise DataError(
                f"{path}: the file must name its transfer syntax, got none; save it again as a "
                "DICOM file with a header (part 10)"
            )
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_TAGS, *keywords])


def _check_is_dicom(path: Path) -> None:
    if kind_at(path) == FOLDER:
        raise DataError(f"{path}: a DICOM file is needed, got a folder; name one of its files")
    check_file(path, "a DICOM file")
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
    except OSError as error:
        raise DataError(f"{path}: the file must be readable, got {error}") from error
    if start[128:] != b"DICM":
        raise DataError(
            f"{path}: the file must be DICOM, with DICM after 128 bytes, got {start[:16]!r} at its "
            "start; read pictures with FolderDataset, and save DICOM without a header again with "
            "one (part 10)"
        )


def is_dicom(path: Path) -> bool:
    """Return whether the content of a file is DICOM's."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except (OSError, ValueError):
        return False


def frames_of(path: Path, header: Any) -> int:
    """Return the number of frames that a file declares."""
    declared = header.get("NumberOfFrames")
    frames = 1 if declared in (None, "") else int(declared)
    if frames < 1:
        raise DataError(f"{path}: NumberOfFrames must be 1 or more, got {frames}")
    return frames


def check_size(
    path: Path, header: Any, most: int, frame: int | None = None
) -> tuple[int, int, int, int]:
    """Return frames, rows, columns and samples, which the file can hold and the limit allows.

    The limit is that of all frames, or of the one that is read.
    """
    for keyword in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation"):
        if header.get(keyword) in (None, ""):
            raise DataError(
                f"{path}: the file must hold an image with the element {keyword}, got none "
                f"(modality {header.get('Modality', 'not stated')})"
            )
    shape = (
        frames_of(path, header),
        int(header.Rows),
        int(header.Columns),
        int(header.get("SamplesPerPixel") or 1),
    )
    words = "{} frames of {} x {} pixels with {} samples".format(*shape)
    bits, stored = int(header.BitsAllocated), header.get("BitsStored")
    if bits not in (1, 8, 16, 32, 64) or (stored is not None and not 1 <= int(stored) <= bits):
        raise DataError(
            f"{path}: BitsAllocated must be 1, 8, 16, 32 or 64, and BitsStored at most as many, "
            f"got {bits} and {stored}; correct the file's header"
        )
    if 0 in shape or shape[3] not in (1, 3):
        raise DataError(f"{path}: the image must have pixels of 1 or 3 samples, got {words}")
    if prod(shape if frame is None else shape[1:]) > most:
        raise DataError(
            f"{path}: the image must have at most {most} values, got "
            f"{'' if frame is None else '1 of '}{words}; read one frame of several with frame, or "
            "set max_values higher if you trust the file"
        )
    _check_held(path, header, shape, path.stat().st_size)
    return shape


def _check_held(path: Path, header: Any, shape: tuple[int, int, int, int], size: int) -> None:
    """Raise a `DataError` if pixels that are not compressed need more than `size` bytes."""
    if _is_compressed(header):
        return
    sampled = 2 / 3 if str(header.PhotometricInterpretation) == "YBR_FULL_422" else 1
    if prod(shape) * int(header.BitsAllocated) * sampled / 8 > size:
        words = "{} frames of {} x {} pixels with {} samples".format(*shape)
        raise DataError(
            f"{path}: the file must hold the pixels that it declares, got {words} of "
            f"{header.BitsAllocated} bits in {size} bytes; it is truncated or damaged"
        )


def _is_compressed(header: Any) -> bool:
    syntax = header.file_meta.TransferSyntaxUID
    # Of a transfer syntax that is not known, no decoder is found either.
    return not syntax.is_transfer_syntax or bool(syntax.is_compressed)


def read_pixels(
    path: Path, header: Any, shape: tuple[int, int, int, int], frame: int | None = None
) -> NDArray[Any]:
    """Return the stored pixels ``(frames, rows, columns[, 3])``, or those of one frame.

    Indices of a palette become colors, except in a segmentation.
    """
    pydicom = import_extra("pydicom", "DICOM files need")
    pixels = import_extra("pydicom.pixels", "DICOM files need")
    with raise_data_errors(path):
        _check_decoder(path, header, pixels)
        full = pydicom.dcmread(path, specific_tags=[*_TAGS, *_PIXELS])
        held = [keyword for keyword in _PIXELS if keyword in full]
        if not held:
            raise DataError(
                f"{path}: the file must hold whole PixelData, got none (modality "
                f"{header.get('Modality', 'not stated')}); it is no image, or truncated"
            )
        _check_held(path, header, shape, len(full[held[0]].value or b""))
        found = _decoded(path, full, pixels, frame)
        frames, rows, columns, samples = shape
        wanted = (1 if frame is not None else frames, rows, columns, samples)
        if found.size != prod(wanted):
            raise DataError(
                f"{path}: the pixels must have the size that the header declares, got "
                f"{found.shape} and {wanted}"
            )
        palette = str(full.PhotometricInterpretation) == "PALETTE COLOR"
        if palette and header.get("SOPClassUID") not in SEGMENTATIONS:
            color = import_extra("pydicom.pixels.processing", "DICOM files need").apply_color_lut
            found = color(found, full)
            wanted = (*wanted[:3], found.shape[-1])
        return found.reshape(wanted if wanted[3] > 1 else wanted[:3])


def _decoded(path: Path, full: Any, pixels: Any, frame: int | None) -> NDArray[Any]:
    try:
        found: NDArray[Any] = pixels.pixel_array(full, index=frame)
    except RuntimeError as error:  # every decoder that is installed failed
        raise DataError(
            f"{path}: the compressed pixels ({full.file_meta.TransferSyntaxUID.name}) must be "
            f"undamaged, of a kind that an installed decoder knows, got {error}; install another, "
            "as in pip install 'pylibjpeg[all]', or save the file uncompressed"
        ) from error
    return found


def _check_decoder(path: Path, header: Any, pixels: Any) -> None:
    """Raise a `DataError` if the pixels are compressed and nothing installed decodes them."""
    syntax = header.file_meta.TransferSyntaxUID
    try:
        decoder = pixels.get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(
            f"{path}: the transfer syntax must be one that pydicom decodes, got {syntax} "
            f"({syntax.name}); save the file uncompressed, as with dcmdjpeg or gdcmconv --raw"
        ) from error
    if not decoder.is_available:
        raise DataError(
            f"{path}: the pixels are compressed ({syntax.name}), and a decoder must be installed, "
            f"got none; one of: {'; '.join(decoder.missing_dependencies)}; as in pip install "
            "'pylibjpeg[all]', or save the file uncompressed, as with dcmdjpeg or gdcmconv --raw"
        )


def macro(header: Any, frame: int, sequence: str) -> Any:
    """Return the item of a functional group of a frame, or else the header itself."""
    for groups, index in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = header.get(groups)
        if items and index < len(items) and items[index].get(sequence):
            return items[index][sequence].value[0]
    return header


def numbers(path: Path, item: Any, keyword: str, count: int | None = None) -> list[float] | None:
    """Return the numbers of an element, None if it is missing or empty."""
    value = item.get(keyword)
    if value in (None, ""):
        return None
    several = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    found = [float(number) for number in several]
    if (count is not None and len(found) != count) or not all(isfinite(n) for n in found):
        raise DataError(
            f"{path}: {keyword} must be {count or ''} finite numbers, got {value}; correct the "
            "file's header"
        )
    return found or None
