"""Decoding of image and mask files; every problem with a file is a `DataError`.

- Formats: PNG, JPEG, TIFF, BMP, WebP, recognized by content, not by suffix; one picture per file.
- The orientation that a camera noted (EXIF) is applied, in masks too. `Record` describes masks
  without a note beside photographs with one.
- Gray stays ``(H, W)``; color, palettes and CMYK become RGB ``(H, W, 3)``.
- An alpha channel of an image is dropped, as by ``convert("RGB")``; colors under transparent pixels
  become visible.
- 8 bits are divided by 255, 16 bits of gray by 65,535. Of 16-bit color Pillow keeps 8 bits. Data of
  12 bits in files of 16 bits are then almost black, and need ``stretch``.
- Integers of 32 bits or with a sign have no defined range and need ``stretch``; floating point must
  be in [0, 1] or be stretched.
- The values of a mask with a palette are the indices. A color mask whose channels are equal is
  gray.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from cameval.data._files import open_file
from cameval.errors import DataError, SettingError

__all__ = ["ImageFile", "MaskFile"]

UPRIGHT = 1
"""The EXIF orientation of an image that is stored upright."""

FILE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Suffixes, in lower case, of image files in folders."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_GRAY = {"1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "F"}
_COLOR = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_TRUTHS = (0, 1, 255, 65535)
"""The values of true pixels in a mask without settings (0: the mask is empty)."""


@dataclass(frozen=True, init=False)
class ImageFile:
    """An image file, decoded when called.

    Parameters
    ----------
    path : str | PathLike[str]
        The file. The attribute is a `pathlib.Path`.
    stretch
        Scale by the image's own minimum and maximum, over all channels, instead of by the range of
        its type. A constant image then gives zeros. Files of 16 bits are divided by 65,535, so 12
        bits in such a file are at most 1/16, almost black: they need it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from PIL import Image
    >>> from cameval.data import ImageFile
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "1.png"
    ...     Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(path)
    ...     ImageFile(path)()
    array([[0. , 0.2, 1. ]], dtype=float32)
    """

    path: Path
    stretch: bool = False

    def __init__(self, path: str | PathLike[str], stretch: bool = False) -> None:
        object.__setattr__(self, "path", Path(path))
        object.__setattr__(self, "stretch", stretch)

    def __call__(self) -> NDArray[np.float32]:
        """Return the image as float32 in [0, 1], ``(H, W)`` or ``(H, W, 3)``.

        Raises
        ------
        DataError
            If the file is missing, damaged, no image, or has no range to be scaled by.
        """
        return self.read()[0]

    def read(self) -> tuple[NDArray[np.float32], int]:
        """Return the image, upright, and the orientation in which it is stored, from 1 to 8.

        Raises
        ------
        DataError
            As when called.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from PIL import Image
        >>> from cameval.data import ImageFile
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "1.png"
        ...     Image.fromarray(np.zeros((2, 3), np.uint8)).save(path)
        ...     image, orientation = ImageFile(path).read()
        >>> image.shape, orientation  # upright
        ((2, 3), 1)
        """
        picture, orientation = decode_picture(self.path)
        if picture.mode in _COLOR:
            picture = picture.convert("RGB")
        elif picture.mode in ("1", "LA"):
            picture = picture.convert("L")
        elif picture.mode not in _GRAY:
            raise DataError(
                f"{self.path}: the image must be gray or of color, got mode {picture.mode}; "
                "convert it to RGB"
            )
        raw = _pixels(picture, self.path)
        image = _stretched(raw) if self.stretch else _scaled(raw, self.path)
        return image, orientation or UPRIGHT


@dataclass(frozen=True, init=False)
class MaskFile:
    """A mask file, decoded when called.

    Parameters
    ----------
    path : str | PathLike[str]
        The file. Without settings it must hold zeros and one other value of 1, 255 and 65,535. The
        attribute is a `pathlib.Path`.
    value
        The pixel value, or the values, of the object: the class in an indexed mask. Where a
        palette is used, the index.
    threshold
        Pixels with a value above it, in the file's own units, are the object: for masks with
        compression noise or smooth edges.

    Raises
    ------
    SettingError
        If both are given, a value is not a whole number from 0, or the threshold is not finite.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from PIL import Image
    >>> from cameval.data import MaskFile
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "1.png"
    ...     Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(path)
    ...     MaskFile(path, value=2)(), MaskFile(path, threshold=0)()
    (array([[False, False,  True]]), array([[False,  True,  True]]))
    """

    path: Path
    value: int | Collection[int] | None = None
    threshold: float | None = None

    def __init__(
        self,
        path: str | PathLike[str],
        value: int | Collection[int] | None = None,
        threshold: float | None = None,
    ) -> None:
        object.__setattr__(self, "path", Path(path))
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "threshold", threshold)
        if self.value is not None and self.threshold is not None:
            raise SettingError("only one of mask value and mask threshold may be set, got both")
        for value in self._values:
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < 0:
                raise SettingError(f"mask value must be whole numbers from 0, got {self.value!r}")
        if self.value is not None and not self._values:
            raise SettingError("mask value must be one number or more, got none")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise SettingError(f"mask threshold must be finite, got {self.threshold}")

    @property
    def _values(self) -> tuple[int, ...]:
        if self.value is None:
            return ()
        return tuple(self.value) if isinstance(self.value, Collection) else (self.value,)

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``.

        Raises
        ------
        DataError
            If the file is missing, damaged, no mask, or has values that need a setting.
        """
        return self.read()[0]

    def read(self) -> tuple[NDArray[np.bool_], int | None]:
        """Return the mask, upright, and the orientation that its file notes, None if it notes none.

        Raises
        ------
        DataError
            As when called.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from PIL import Image
        >>> from cameval.data import MaskFile
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "1.png"
        ...     Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
        ...     MaskFile(path).read()
        (array([[False,  True]]), None)
        """
        picture, orientation = decode_picture(self.path)
        return self._marked(_pixels(_flat(picture, self.path), self.path)), orientation

    def _marked(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        if self.threshold is not None:
            return np.asarray(raw > self.threshold)
        if self._values:
            return np.isin(raw, self._values)
        high = raw.max()
        if high not in _TRUTHS or ((raw != 0) & (raw != high)).any():
            held = np.unique(raw)
            raise DataError(
                f"{self.path}: the mask must hold 0 and one of 1, 255 and 65535, got "
                f"{held.size} values ({', '.join(map(str, held[:6].tolist()))}"
                f"{', ...' if held.size > 6 else ''}); set mask_value, or --mask-value, to those "
                "of the object if it is indexed, mask_threshold, or --mask-threshold, if it has "
                "compression noise, or save it as PNG"
            )
        return np.asarray(raw != 0)


def read_indices(path: Path) -> NDArray[np.integer[Any]]:
    """Return the values of a picture with one channel; where a palette is used, the indices.

    Raises
    ------
    DataError
        If the file is missing, damaged or no picture, has colors, or does not hold integers.
    """
    picture, _ = decode_picture(path)
    raw = _pixels(_flat(picture, path), path)
    if raw.dtype.kind not in "iu":
        raise DataError(f"{path}: the picture must hold integers, got {raw.dtype}")
    return raw


def turn_upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an array ``(H, W)`` upright that is stored in an EXIF orientation, from 1 to 8."""
    if orientation in (5, 6, 7, 8):
        array = array.T
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def decode_picture(path: Path) -> tuple[Image.Image, int | None]:
    """Return the picture, loaded and upright, and the orientation that its file notes."""
    with open_file(path, "an image file") as stream:
        try:
            with Image.open(stream, formats=_FORMATS) as picture:
                limit = Image.MAX_IMAGE_PIXELS
                if limit is not None and picture.width * picture.height > limit:
                    raise Image.DecompressionBombError(f"got {picture.width} x {picture.height}")
                frames = getattr(picture, "n_frames", 1)
                if frames > 1 and picture.format != "MPO":  # its others are previews
                    raise DataError(f"{path}: the file must hold one picture, got {frames}")
                noted = picture.getexif().get(Base.Orientation)  # some formats drop it on loading
                picture.load()
                ImageOps.exif_transpose(picture, in_place=True)
                return picture, noted if noted in range(1, 9) else None
        except DataError:
            raise
        except UnidentifiedImageError as error:
            stream.seek(0)
            raise DataError(
                f"{path}: the file must be a PNG, JPEG, TIFF, BMP or WebP image, "
                f"got {stream.read(16)!r} at its start"
            ) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise DataError(
                f"{path}: the image must have at most {Image.MAX_IMAGE_PIXELS} pixels, {error}; "
                "set PIL.Image.MAX_IMAGE_PIXELS higher if you trust it"
            ) from error
        except Exception as error:  # a decoder on damaged bytes raises anything
            raise DataError(
                f"{path}: the image must be complete and undamaged, got {error!r} on decoding; "
                "fetch or save it again"
            ) from error


def _pixels(picture: Image.Image, path: Path) -> NDArray[Any]:
    raw = np.asarray(picture)
    if picture.mode == "I" and picture.format == "PNG":  # 16 bits, in Pillow before 11
        raw = raw.astype(np.uint16)
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        raise DataError(f"{path}: pixels must be finite, got NaN or infinite values")
    return raw.astype(np.uint8) if raw.dtype == np.bool_ else raw


def _stretched(raw: NDArray[Any]) -> NDArray[np.float32]:
    low, high = float(raw.min()), float(raw.max())
    return ((raw.astype(np.float64) - low) / ((high - low) or 1.0)).astype(np.float32)


def _scaled(raw: NDArray[Any], path: Path) -> NDArray[np.float32]:
    if raw.dtype.kind == "f":
        low, high = float(raw.min()), float(raw.max())
        if low < 0 or high > 1:
            raise DataError(
                f"{path}: floating-point pixels must be in [0, 1], got [{low:g}, {high:g}]; "
                "set stretch=True, or --stretch-contrast, to scale each image by its own range"
            )
        return raw.astype(np.float32)
    if raw.dtype.kind == "i":
        raise DataError(
            f"{path}: integer pixels must be unsigned, of 8 or 16 bits, to be scaled by their "
            f"range, got {raw.dtype}; set stretch=True, or --stretch-contrast, to scale each image "
            "by its own range"
        )
    scaled: NDArray[np.float32] = np.divide(
        raw, np.float32(np.iinfo(raw.dtype).max), dtype=np.float32
    )
    return scaled


def _flat(picture: Image.Image, path: Path) -> Image.Image:
    """Return a mask with one channel."""
    bands = picture.getbands()
    if len(bands) == 1:
        return picture
    if "A" in bands and picture.getchannel("A").getextrema() != (255, 255):
        raise DataError(
            f"{path}: the mask must have one channel, got transparency; save its alpha channel "
            "or its gray values alone"
        )
    colors = [picture.getchannel(band) for band in bands if band != "A"]
    first = colors[0].tobytes()
    if any(channel.tobytes() != first for channel in colors[1:]):
        raise DataError(
            f"{path}: the mask must have one channel, got colors ({picture.mode}); save it as "
            "gray or indexed"
        )
    return colors[0]
