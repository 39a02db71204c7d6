"""The command ``map``: pictures of where a network looked on photos."""

import warnings
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cameval.cli._inputs import is_file
from cameval.cli._near_words import list_near_words
from cameval.cli._networks import (
    choose_device,
    count_cells,
    count_classes,
    load_networks,
    names_of_weights,
    told_by_options,
)
from cameval.cli._output import check_folder, write_whole
from cameval.cli._remarks import (
    describe_dark,
    describe_grid,
    describe_normalization,
    describe_weights,
)
from cameval.cli._tables import print_lines
from cameval.cli._words import METHODS, parse_words
from cameval.data import ImageFile, Sample, read_dicom, read_names
from cameval.errors import DataError, MissingPackageError, SettingError
from cameval.evaluation import Preparation, is_almost_black
from cameval.extractor import CAMExtractor, ImageRangeWarning
from cameval.maps import is_constant, upsample
from cameval.networks import adapt
from cameval.plots import overlay

_INCHES = 6.0
"""The longer side of a photo in its picture."""

_ROUNDING = 1e-4
"""How far from 1 the sum of probabilities in single precision may be."""


def map_photos(options: Namespace) -> int:
    """Write a picture of the map of each photo, and print what the network predicts.

    Raises
    ------
    DataError
        If a photo is missing or damaged, or holds several pictures or an array.
    SettingError
        If an option is not as it must be, or two photos have one name.
    """
    files = _name_files(options.photo, Path(options.out))
    _import_matplotlib()
    (label, method), *_ = parse_words(options.method, METHODS, "--method").items()
    if (suffix := Path(options.out).suffix.lower()) in Image.registered_extensions():
        raise SettingError(
            f"--out must be a folder, got a name that ends in {suffix!r}; the picture of each "
            "photo is written there as NAME_map.png"
        )
    check_folder(Path(options.out))
    options.device = choose_device(options.device)
    nets = load_networks(options)
    (network,) = nets.values()
    print_lines(describe_weights(options) + describe_normalization(nets, options))
    with told_by_options():
        count = count_classes(network.net, network.prepare)
        print_lines(describe_grid(count_cells(network.net, network.prepare)))
        names = _class_names(options, network.source, count)
        target = _find_class(options.target_class, names, max(count, 2))
        extract = CAMExtractor(network.net, method, alignment=options.alignment)
        dark: list[str] = []
        for photo, file in files.items():
            image = _read_photo(photo, stretch=options.stretch_contrast)
            sample = Sample(photo, image, np.zeros(image.shape[:2], np.bool_))
            if is_almost_black(sample, network.prepare):
                dark.append(photo)
            score_map, probabilities = _compute(extract, network.prepare, sample, target, options)
            predicted = int(probabilities.argmax())
            found = f"{_named(predicted, names)} {probabilities[predicted]:.3f}"
            chosen = predicted if target is None else target
            if target is not None:
                found += f", map of {_named(chosen, names)}"
            shown = _shown_part(network.prepare, sample, score_map.shape)
            write_whole(file, _draw(shown, score_map, f"{_named(chosen, names)}, {label}"))
            if options.npy:
                write_whole(file.with_suffix(".npy"), _as_npy(score_map))
            print_lines([f"{photo}  {found}  {file}"])
    print_lines(describe_dark(dark))
    return 0


_ARRAYS = (".nii", ".nii.gz", ".mat", ".npy", ".npz", ".h5", ".hdf5")
"""How the names of files end that hold arrays or volumes, not one picture."""


def _read_photo(photo: str, *, stretch: bool) -> NDArray[np.float32]:
    """Return a picture, or the one image of a DICOM file, ``(H, W)`` or ``(H, W, 3)`` in [0, 1].

    With `stretch` its own range is scaled to [0, 1], instead of that of the file or its window.
    """
    with Path(photo).open("rb") as stream:
        is_dicom = stream.read(132)[128:] == b"DICM"
    if not is_dicom:
        return ImageFile(photo, stretch)()
    image = read_dicom(photo, window=None if stretch else 0)
    if len(image.size) > 2:
        raise DataError(
            f"{photo}: the file must hold one image, got {image.size[0]}; save the one as PNG, or "
            "read it in Python with read_dicom(file, frame=0) and map it with CAMExtractor"
        )
    return image.image


def _name_files(photos: Sequence[str], out: Path) -> dict[str, Path]:
    """Return the file of the picture of each photo; photos must be there, with different names."""
    files: dict[str, Path] = {}
    for photo in photos:
        if not is_file(photo):
            raise DataError(
                f"{photo} must be an image file, got none there; of a folder name the files, as in "
                "photos/*.jpg"
            )
        if photo.lower().endswith(_ARRAYS):
            raise DataError(
                f"{photo} must be a picture (PNG, JPEG, TIFF, BMP, WebP) or a DICOM image, got a "
                "file of arrays; save the slice as PNG, or read it in Python (read_nifti, "
                "FigshareDataset, numpy.load) and map it with CAMExtractor"
            )
        file = out / f"{Path(photo).stem}_map.png"
        if again := [one for one, other in files.items() if other == file]:
            raise SettingError(
                f"photos must have different names, got {again[0]} and {photo}; make their maps in "
                "two commands with two folders --out"
            )
        files[photo] = file
    return files


def _class_names(options: Namespace, source: str, count: int) -> list[str]:
    """Return the names of the classes, of a file or of the weights; none if they are not known."""
    if options.class_names is None:
        return names_of_weights(source, count) or []
    names = read_names(options.class_names)
    if len(names) != max(count, 2):
        raise SettingError(
            f"--class-names must have a name for each of {max(count, 2)} classes of the network, "
            f"got {len(names)}"
        )
    return names


def _find_class(word: str | None, names: Sequence[str], count: int) -> int | None:
    """Return the class of an index or a name; None, the predicted one, without either."""
    if word is None:
        return None
    if word.isdecimal():
        if int(word) >= count:
            raise SettingError(
                f"--target-class must be below {count}, the number of classes, got {word}"
            )
        return int(word)
    places = [place for place, name in enumerate(names) if name == word]
    if len(places) == 1:
        return places[0]
    if places:
        listed = ", ".join(map(str, places))
        raise SettingError(
            f"--target-class must name one class, got {word!r}, the name of the classes {listed}; "
            "give the index"
        )
    hint = (
        f"near names: {list_near_words(word, names)}"
        if names
        else "the names are not known: give the index, or the names in a file with --class-names"
    )
    raise SettingError(
        f"--target-class must be the index of a class or one of the class names, got {word!r}; "
        f"{hint}"
    )


def _named(index: int, names: Sequence[str]) -> str:
    return f"{names[index]} ({index})" if names else f"class {index}"


def _compute(
    extract: CAMExtractor,
    prepare: Preparation,
    sample: Sample,
    target: int | None,
    options: Namespace,
) -> tuple[NDArray[np.float32], Tensor]:
    """Return the raw map ``(H, W)`` on the pixels of the photo, and the probabilities ``(C,)``."""
    prepared = prepare.prepare(sample)
    images = prepared.image[None].to(options.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageRangeWarning)  # --mean and --std say what is right
        result = extract(images, target)
    centers = adapt(extract.model).cell_centers if extract.alignment != "half_pixel" else None
    score_map = upsample(
        result.coarse.detach(),
        tuple(prepared.truth.shape),
        cell_centers=centers,
        image_size=tuple(prepared.image.shape[1:]),
        window=prepared.window,
    )
    outputs = result.logits[0].detach().double().cpu()
    if options.task == "multilabel" and _in_unit_interval(outputs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageRangeWarning)
            far = extract(1000 * images, 0).logits  # leaves [0, 1] unless a sigmoid is last
        already = _in_unit_interval(far)
    else:
        already = _in_unit_interval(outputs) and abs(float(outputs.sum()) - 1) < _ROUNDING
    probabilities = outputs if already else _probabilities(outputs, options.task)
    return np.asarray(score_map[0].float().cpu()), probabilities


def _in_unit_interval(outputs: Tensor) -> bool:
    return bool(((outputs >= 0) & (outputs <= 1)).all())


def _probabilities(logits: Tensor, task: str | None) -> Tensor:
    """Return the probability of each class; one logit is that of the second of two classes."""
    if len(logits) == 1:
        return torch.cat([-logits, logits]).sigmoid()
    return logits.sigmoid() if task == "multilabel" else logits.softmax(0)


def _shown_part(prepare: Preparation, sample: Sample, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the part of the photo that the map covers, ``(H, W)`` or ``(H, W, 3)`` in [0, 1]."""
    fit: Literal["crop", "squeeze"] = (
        "crop" if prepare.fit == "crop" else "squeeze"
    )  # the map has no padding
    image, _ = replace(prepare, size=size, fit=fit).image(sample)
    mean, std = (torch.tensor(values)[:, None, None] for values in (prepare.mean, prepare.std))
    shown = np.asarray((image * std + mean).clamp(0, 1).movedim(0, -1))
    return shown if shown.shape[-1] == 3 else shown.mean(-1)


def _draw(shown: NDArray[np.float32], score_map: NDArray[np.float32], title: str) -> bytes:
    """Return a picture of the map over the photo, with a bar of its colors, as PNG."""
    from matplotlib.figure import Figure

    height, width = (_INCHES * side / max(score_map.shape) for side in score_map.shape)
    figure = Figure(figsize=(width + 1, max(height, 1) + 0.4), layout="constrained")
    axes, bar = figure.subplots(1, 2, width_ratios=(24, 1))
    overlay(axes, shown, score_map=score_map)
    axes.set_title(title, parse_math=False, fontsize="medium")
    if is_constant(score_map):
        bar.set_axis_off()
    else:
        ramp = np.linspace(1, 0, 256, dtype=np.float32)[:, None].repeat(8, 1)
        overlay(bar, np.full_like(ramp, 0.25), score_map=ramp)
        bar.set_axis_on()
        bar.set_aspect("auto")
        bar.yaxis.tick_right()
        bar.set_xticks([])
        bar.set_yticks([0, 255], [f"{score_map.max():.3g}", f"{score_map.min():.3g}"])
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=150, metadata={"Software": None})
    return stream.getvalue()


def _as_npy(score_map: NDArray[np.float32]) -> bytes:
    stream = BytesIO()
    np.save(stream, score_map)
    return stream.getvalue()


def _import_matplotlib() -> None:
    """Check that pictures can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "cameval map needs matplotlib, which is not installed; install it with pip install "
            "matplotlib, or cameval with its extra 'report'"
        ) from error
