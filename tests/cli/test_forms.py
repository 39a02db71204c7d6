"""Forms of images and truth on the command line: each is the reader with the same settings."""

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any

import nibabel
import numpy as np
import pytest
from medical_files import write_dicom
from PIL import Image

from cameval.cli._inputs import class_names, load_samples
from cameval.cli._parser import parse
from cameval.cli._remarks import describe_data
from cameval.data import (
    CHEXLOCALIZE_FINDINGS,
    CheXlocalizeDataset,
    CocoDataset,
    DicomDataset,
    FolderDataset,
    ManifestDataset,
    MaskValueWarning,
    NiftiDataset,
    Sample,
    VocDataset,
)
from cameval.errors import DataError, SettingError

HEIGHT, WIDTH = 12, 16
NAMES = ("a", "b", "c")


def write_pictures(root: Path) -> None:
    """Write images, a folder of masks for each of two classes, and a table of these."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks", "lungs", "hearts", "together", "resized"):
        (root / part).mkdir()
    rows = ["image,mask,name,group,label,view"]
    several = ["image,mask"]
    for k, name in enumerate(NAMES):
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
        for part, stop in (("masks", 9), ("lungs", 5), ("hearts", 7)):
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[2 : stop + k, 3 + k : 9] = True
            if (part, name) not in (("lungs", "b"), ("hearts", "c")):
                Image.fromarray(mask).save(root / part / f"{name}.png")
                if part != "masks":
                    rows.append(
                        f"images/{name}.png,{part}/{name}.png,{name},{name},{part},view {k}"
                    )
        small = np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)
        small[1:4, 2:6], small[1:3, 3:5] = 1, 40 + k
        for part in ("together", "resized"):
            Image.fromarray(small).save(root / part / f"{name}_seg.png")
        Image.fromarray(small * 3 + 7).save(root / "together" / f"{name}.png")
        several.append(f"together/{name}.png,together/{name}_seg.png")
    (root / "several.csv").write_text("\n".join(several))
    (root / "targets.csv").write_text("\n".join(rows))
    one = ["image,mask,label", *(f"images/{n}.png,masks/{n}.png,0" for n in "ab")]
    (root / "one.csv").write_text("\n".join([*one, "images/c.png,,0"]))
    own = ["file,truth,scan,kind,patient,site"]
    own += [f"images/{n}.png,masks/{n}.png,s{n},{k},p,Ghent" for n, k in (("a", 1), ("b", 0))]
    (root / "own.csv").write_text("\n".join(own))
    (root / "organs.txt").write_text("bone\nlungs\nliver\nhearts\n")
    people = ["id,patient,view,age", "a,Ann,lateral,61", "c,Ann,frontal,", "b,Bo,frontal,70"]
    (root / "people.csv").write_text("\n".join(people))
    both = ["name,label,site", "a,1,Ghent", "b,0,Leuven", "c,,Ghent"]
    (root / "labels.csv").write_text("\n".join(both))


def write_objects(root: Path) -> None:
    """Write the objects of the images as COCO, PASCAL VOC and CheXlocalize have them."""
    size = {"height": HEIGHT, "width": WIDTH}
    images = [{"id": k, "file_name": f"{name}.png", **size} for k, name in enumerate(NAMES)]
    boxes = [
        (0, 1, [1, 2, 5, 4]),
        (0, 2, [6, 1, 3, 9]),
        (0, 2, [10, 4, 2, 2]),
        (1, 1, [0, 0, 9, 9]),
    ]
    content = {
        "images": images,
        "annotations": [{"image_id": i, "category_id": c, "bbox": box} for i, c, box in boxes],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }
    (root / "objects.json").write_text(json.dumps(content))
    for part in ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject"):
        (root / "voc" / part).mkdir(parents=True)
    for k, (name, kind) in enumerate((("a", "dog"), ("b", "cat"))):
        Image.new("L", (WIDTH, HEIGHT), 90).save(root / "voc" / "JPEGImages" / f"{name}.jpg")
        (root / "voc" / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
            f"<object><name>{kind}</name><bndbox><xmin>2</xmin><ymin>1</ymin><xmax>{5 + k}</xmax>"
            "<ymax>6</ymax></bndbox></object></annotation>"
        )
        for part, value in (("SegmentationClass", 12), ("SegmentationObject", 1)):
            pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
            pixels[3:7, 2:8] = value
            picture = Image.fromarray(pixels, "L").convert("P")
            picture.putdata(pixels.ravel().tolist())
            picture.save(root / "voc" / part / f"{name}.png")
    (root / "voc.txt").write_text("b\n")
    (root / "animals.txt").write_text("cat\ndog\n")
    contour = [[1, 1], [6, 1], [6, 5], [1, 5]]
    findings = {"img_size": [HEIGHT, WIDTH], "Edema": [contour]}
    (root / "findings.json").write_text(json.dumps({"a": findings}))
    (root / "outputs.txt").write_text("No Finding\nEdema\nPneumothorax\n")


def write_scans(root: Path) -> None:
    """Write tables of a DICOM image and of NIfTI images."""
    pixels = np.arange(HEIGHT * WIDTH, dtype=np.int16).reshape(HEIGHT, WIDTH)
    write_dicom(root / "1.dcm", pixels)
    Image.fromarray(pixels > 99).save(root / "dicom mask.png")
    (root / "dicom.csv").write_text("image,mask,label\n1.dcm,dicom mask.png,nodule\n")
    voxels = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), root / "1.nii")
    nibabel.save(nibabel.Nifti1Image((voxels > 30).astype(np.uint8), np.eye(4)), root / "m.nii")
    (root / "nifti.csv").write_text("image,mask,label,site\n1.nii,m.nii,tumor,Ghent\n")
    (root / "tissues.txt").write_text("edema\nnodule\ntumor\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a folder with the files of every form."""
    folder = tmp_path_factory.mktemp("forms")
    write_pictures(folder)
    write_objects(folder)
    write_scans(folder)
    return folder


def options_of(root: Path, words: str) -> Namespace:
    """Return the options of a command; ``@`` stands for the folder."""
    found = [word.replace("@", f"{root}/") for word in words.split()]
    return parse(["score", "--maps", "maps", "--out", "run", *found])


Read = Callable[[Path], Any]

VIEWS = {"a": {"view": "lateral"}, "b": {"view": "frontal"}, "c": {"view": "frontal"}}
SITES = {"a": {"site": "Ghent"}, "b": {"site": "Leuven"}, "c": {"site": "Ghent"}}
ORGANS = ("bone", "lungs", "liver", "hearts")
TWO_FOLDERS = "--images @images --masks lungs=@lungs hearts=@hearts --missing-masks negative"


def two_folders(root: Path, **settings: Any) -> FolderDataset:
    """Return the samples of one folder of masks for each of two classes."""
    folders = {"lungs": root / "lungs", "hearts": root / "hearts"}
    return FolderDataset(root / "images", folders, missing_masks="negative", **settings)


FORMS: dict[str, Read] = {
    "--images @images --masks @masks": lambda r: FolderDataset(r / "images", r / "masks"),
    "--images @images --masks lung=@lungs heart=@hearts --missing-masks negative": lambda r: (
        FolderDataset(
            r / "images",
            {"lung": r / "lungs", "heart": r / "hearts"},
            missing_masks="negative",
        )
    ),
    "--images @images --masks lung=@lungs --missing-masks negative": lambda r: FolderDataset(
        r / "images", {"lung": r / "lungs"}, missing_masks="negative"
    ),
    "--images @images --masks @lungs @hearts --missing-masks negative": lambda r: FolderDataset(
        r / "images",
        {"lungs": r / "lungs", "hearts": r / "hearts"},
        missing_masks="negative",
    ),
    f"{TWO_FOLDERS} --labels @people.csv --name-column id --group-column patient": lambda r: (
        two_folders(r, groups={"a": "Ann", "b": "Bo", "c": "Ann"}.__getitem__)
    ),
    f"{TWO_FOLDERS} --labels @people.csv --name-column id --info view": lambda r: two_folders(
        r, info=VIEWS
    ),
    f"{TWO_FOLDERS} --class-names @organs.txt": lambda r: two_folders(r, class_names=ORGANS),
    "--images @images --masks @hearts @lungs --missing-masks negative --class-names @organs.txt "
    "--labels @people.csv --name-column id --info age view": lambda r: two_folders(
        r,
        class_names=ORGANS,
        info={
            name: {"age": age, **VIEWS[name]} for name, age in (("a", 61), ("b", 70), ("c", None))
        },
    ),
    "--images @images --masks @masks --labels @labels.csv --info site": lambda r: FolderDataset(
        r / "images", r / "masks", labels={"a": 1, "b": 0, "c": None}, info=SITES
    ),
    "--manifest @own.csv --image-column file --mask-column truth --name-column scan "
    "--label-column kind --group-column patient --info site": lambda r: ManifestDataset(
        r / "own.csv",
        image_column="file",
        mask_column="truth",
        name_column="scan",
        label_column="kind",
        group_column="patient",
        info="site",
    ),
    "--manifest @targets.csv --rows targets --class-names @organs.txt": lambda r: ManifestDataset(
        r / "targets.csv", rows="targets", class_names=ORGANS
    ),
    "--images @together --masks @together --mask-suffix _seg --mask-value 40 41 "
    "--stretch-contrast": lambda r: FolderDataset(
        r / "together", r / "together", mask_suffix="_seg", mask_value=(40, 41), stretch=True
    ),
    "--images @images --masks @resized --mask-suffix _seg --mask-threshold 1 --resize-masks": (
        lambda r: FolderDataset(
            r / "images",
            r / "resized",
            mask_suffix="_seg",
            mask_threshold=1,
            resize_masks=True,
        )
    ),
    "--manifest @several.csv --mask-value 42": lambda r: ManifestDataset(
        r / "several.csv", mask_value=42
    ),
    "--manifest @several.csv --mask-threshold 40.5 --stretch-contrast": lambda r: ManifestDataset(
        r / "several.csv", mask_threshold=40.5, stretch=True
    ),
    "--images @images --missing-masks negative": lambda r: FolderDataset(
        r / "images", None, missing_masks="negative"
    ),
    "--manifest @one.csv --missing-masks negative": lambda r: ManifestDataset(
        r / "one.csv", missing_masks="negative"
    ),
    "--manifest @targets.csv --rows targets --info view": lambda r: ManifestDataset(
        r / "targets.csv", rows="targets", info=["view"]
    ),
    "--images @images --coco @objects.json": lambda r: CocoDataset(
        r / "objects.json", r / "images"
    ),
    "--images @images --coco @objects.json --negatives": lambda r: CocoDataset(
        r / "objects.json", r / "images", negatives=True
    ),
    "--images @images --coco @objects.json --largest": lambda r: CocoDataset(
        r / "objects.json", r / "images", classes="largest"
    ),
    "--voc @voc": lambda r: VocDataset(r / "voc"),
    "--voc @voc --segmentation --names @voc.txt": lambda r: VocDataset(
        r / "voc", r / "voc.txt", segmentation=True
    ),
    "--voc @voc --negatives --class-names @animals.txt": lambda r: VocDataset(
        r / "voc", negatives=True, class_names=["cat", "dog"]
    ),
    "--images @images --chexlocalize @findings.json": lambda r: CheXlocalizeDataset(
        r / "images", r / "findings.json"
    ),
    "--images @images --chexlocalize @findings.json --missing-masks negative --class-names "
    "@outputs.txt": lambda r: CheXlocalizeDataset(
        r / "images",
        r / "findings.json",
        unlisted="negative",
        class_names=["No Finding", "Edema", "Pneumothorax"],
    ),
    "--dicom @dicom.csv": lambda r: DicomDataset(r / "dicom.csv"),
    "--dicom @dicom.csv --value-range -20 90.5 --class-names @tissues.txt": lambda r: DicomDataset(
        r / "dicom.csv", ["edema", "nodule", "tumor"], value_range=(-20, 90.5)
    ),
    "--nifti @nifti.csv": lambda r: NiftiDataset(r / "nifti.csv"),
    "--nifti @nifti.csv --value-range 3 40 --class-names @tissues.txt": lambda r: NiftiDataset(
        r / "nifti.csv", ["edema", "nodule", "tumor"], value_range=(3, 40)
    ),
}


def contents(sample: Sample) -> list[Any]:
    """Return everything that a sample holds, as lists."""
    targets = [
        (target.label, target.mask.tolist(), target.objects.boxes.tolist())
        for target in sample.targets
    ]
    ignore = None if sample.ignore is None else sample.ignore.tolist()
    parts = [sample.name, sample.group, dict(sample.info), sample.spacing, ignore]
    return [*parts, targets, sample.image.tolist()]


@pytest.mark.filterwarnings("ignore::cameval.data.ClassOrderWarning")  # of the reader in Python
@pytest.mark.filterwarnings("ignore::cameval.data.MaskValueWarning")
@pytest.mark.parametrize("words", FORMS)
def test_a_form_is_the_reader_with_the_same_settings(root, words) -> None:
    options = options_of(root, words)
    found, expected = load_samples(options), FORMS[words](root)
    assert type(found) is type(expected)
    assert len(found) == len(expected)
    for k in range(len(expected)):
        assert contents(found[k]) == contents(expected[k])
    assert tuple(class_names(found, options) or ()) == tuple(expected.class_names)


@pytest.mark.filterwarnings("ignore::cameval.data.ClassOrderWarning")  # of the reader in Python
@pytest.mark.filterwarnings("ignore::cameval.data.MaskValueWarning")
def test_no_two_forms_give_the_same_samples(root) -> None:
    seen = [
        json.dumps([contents(s) for s in map(read(root).__getitem__, range(len(read(root))))])
        for read in FORMS.values()
    ]
    names = [tuple(read(root).class_names) for read in FORMS.values()]
    assert len({*zip(seen, names, strict=True)}) == len(FORMS)


def test_masks_of_images_that_are_not_listed_are_ignored(root, tmp_path) -> None:
    masks = tmp_path / "masks"
    copytree(root / "masks", masks)
    copyfile(masks / "a.png", masks / "elsewhere.png")
    (tmp_path / "names.txt").write_text("c\na\n")
    words = f"--images @images --masks {masks}"
    with pytest.raises(DataError, match="every mask must have an image, got none for 'elsewhere'"):
        load_samples(options_of(root, words))
    found = load_samples(options_of(root, f"{words} --names {tmp_path}/names.txt"))
    assert [sample.name for sample in found] == ["c", "a"]
    (masks / "a.png").unlink()
    with pytest.raises(DataError, match="must have a mask, got none for 'a'"):
        load_samples(options_of(root, f"{words} --names {tmp_path}/names.txt"))


def test_images_that_are_not_listed_need_no_label(root, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("c\na\n")
    (tmp_path / "labels.csv").write_text("name,label,patient,view\na,1,p,left\nc,0,q,right\n")
    words = (
        f"--images @images --masks @masks --labels {tmp_path}/labels.csv --group-column patient "
    )
    words += "--info view"
    with pytest.raises(DataError, match="must have every image, got none for 'b'"):
        load_samples(options_of(root, words))
    found = load_samples(options_of(root, f"{words} --names {tmp_path}/names.txt"))
    assert [(s.name, s.label, s.group, dict(s.info)) for s in found] == [
        ("c", 0, "q", {"view": "right"}),
        ("a", 1, "p", {"view": "left"}),
    ]
    (tmp_path / "names.txt").write_text("b\na\n")
    with pytest.raises(DataError, match="must have every image, got none for 'b'"):
        load_samples(options_of(root, f"{words} --names {tmp_path}/names.txt"))


@pytest.mark.parametrize("masks", ["@masks", "lungs=@lungs hearts=@hearts"])
def test_rows_without_an_image_are_told(root, tmp_path, masks) -> None:
    table = tmp_path / "labels.csv"
    rows = "a,1,p\nb,1,p\nc,0,q\n"
    table.write_text(f"name,label,group\n{rows}y,1,p\nz,0,p\n")
    words = f"--images @images --masks {masks} --missing-masks negative --labels {table}"
    (tmp_path / "names.txt").write_text("c\na\n")
    words_of_names = f" --names {tmp_path}/names.txt"
    for more in ("", words_of_names):
        with pytest.warns(UserWarning, match=r"got 2 of 5 rows without .* 'y'; remove") as caught:
            load_samples(options_of(root, words + more))
        assert len(caught) == 1
    table.write_text("name,label,group\nA,1,p\nB,0,p\n")
    for more, start in (("", "must name an image to be used, got"), (words_of_names, "and")):
        with pytest.raises(DataError, match=f"{start} 2 of 2 rows .* as 'A'; write it as 'a', "):
            load_samples(options_of(root, words + more))


@pytest.mark.parametrize("form", ["--images @images --masks @masks", "--manifest @values.csv"])
def test_values_of_masks_that_are_left_out_are_told(root, form) -> None:
    table = "image,mask,patient,label\nimages/a.png,masks/a.png,p,cat\n"
    (root / "values.csv").write_text(table)
    with pytest.warns(MaskValueWarning, match=r"masks?, 0 hold it and .* \(1\), which") as caught:
        load_samples(options_of(root, f"{form} --mask-value 9"))
    assert len(caught) == 1


def test_names_of_classes_are_for_data_without_any(root, tmp_path) -> None:
    words = f"--images @images --masks @masks --class-names {tmp_path}/names.txt"
    (tmp_path / "names.txt").write_text("left\nright\n")
    options = options_of(root, words)
    assert class_names(load_samples(options), options) == ["left", "right"]
    options = options_of(root, words.replace("--masks @masks", "--coco @objects.json"))
    with pytest.raises(SettingError, match="--class-names must be those of the data, dog, cat"):
        class_names(load_samples(options), options)


def test_the_named_images_of_a_cache(root, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("c\na\n")
    words = "--images @images --masks lung=@lungs heart=@hearts --missing-masks negative --names "
    options = options_of(root, f"{words}{tmp_path}/names.txt --cache {tmp_path}/cache.h5")
    found = load_samples(options)
    whole = FORMS["--images @images --masks lung=@lungs heart=@hearts --missing-masks negative"]
    assert [contents(found[k]) for k in range(2)] == [contents(whole(root)[k]) for k in (2, 0)]
    assert class_names(found, options) == ["lung", "heart"]


@pytest.mark.parametrize(
    ("form", "start"),
    [("--images @images --masks @hearts", ""), ("--manifest @two.csv", "images/")],
)
def test_images_without_a_mask_may_be_left_out(root, form, start) -> None:
    (root / "two.csv").write_text("image,mask\nimages/a.png,hearts/a.png\nimages/c.png,\n")
    options = options_of(root, f"{form} --missing-masks skip")
    dataset = load_samples(options)
    assert f"{start}c" not in dataset.names
    (line,) = describe_data(dataset, options)
    assert line == "1 image without a mask is left out"
    names = root / "some.txt"
    names.write_text(f"{start}a\n")
    options = options_of(root, f"{form} --names @some.txt")  # the masks of others are not needed
    dataset = load_samples(options)
    assert [sample.name for sample in dataset] == [f"{start}a"]
    assert describe_data(dataset, options) == []
    names.write_text(f"{start}a\n{start}c\n")
    message = (
        f"in .*some.txt must have a mask, got none for '{start}c'; if they have no object, --m"
    )
    with pytest.raises(DataError, match=message):
        load_samples(options)
    options = options_of(root, f"{form} --names @some.txt --missing-masks skip")
    dataset = load_samples(options)
    assert [sample.name for sample in dataset] == [f"{start}a"]
    assert describe_data(dataset, options) == ["1 image without a mask is left out"]
    names.write_text(f"{start}c\n")
    with pytest.raises(DataError, match=r"some.txt must name an image with a mask, got none of 1"):
        load_samples(options)


def test_targets_without_a_mask_may_be_left_out(root) -> None:
    form = "--images @images --masks lung=@lungs heart=@hearts --missing-masks skip"
    options = options_of(root, form)
    assert load_samples(options).target_labels == ((0, 1), (1,), (0,))
    assert describe_data(None, options) == ["2 targets without a mask are left out"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "must be given by one of --images with --masks, .* got none"),
        ("--images @images", "must be given by one of .* got --images"),
        ("--masks @masks", "must be given by one of .* got --masks"),
        ("--voc @voc --dicom @dicom.csv", "must be given by one of .* got --voc --dicom"),
        ("--images @images --voc @voc", "must be given by one of .* got --images --voc"),
        ("--chexlocalize @findings.json", "must be given by one of .* got --chexlocalize"),
        ("--voc @voc --labels @one.csv", "--labels must go with --images and --masks, got --voc"),
        ("--voc @voc --largest", "--largest must go with --coco, got --voc"),
        ("--manifest @one.csv --negatives", "--negatives must go with --coco or --voc, got --man"),
        ("--manifest @one.csv --segmentation", "--segmentation must go with --voc, got --manif"),
        ("--voc @voc --rows targets", "--rows must go with --manifest, got --voc"),
        ("--voc @voc --image-column a", "--image-column must go with --manifest, got --voc"),
        (f"{TWO_FOLDERS} --mask-column a", "--mask-column must go with --manifest, got --masks"),
        ("--voc @voc --info view", "--info must go with --manifest or --labels, got --voc"),
        (f"{TWO_FOLDERS} --info view", "--info must go with --labels, got no --labels"),
        *(
            (f"{form} --{option}-column name", f"--{option}-column must go with --labels, got no")
            for form in (TWO_FOLDERS, "--images @images --masks @masks", "--voc @voc")
            for option in ("name", "label", "group")
        ),
        (
            f"{TWO_FOLDERS} --labels @people.csv --label-column age --group-column patient",
            "--label-column must go with one folder of masks, got a folder for each class",
        ),
        (
            f"{TWO_FOLDERS} --labels @people.csv --name-column id",
            "must go with --group-column or --info, or have a column group, got none of them",
        ),
        ("--voc @voc --value-range 0 1", "--value-range must go with --dicom or --nifti, got --v"),
        (
            "--voc @voc --missing-masks negative",
            "--missing-masks must go with --masks, --manifest or --chexlocalize, got --voc",
        ),
        (
            "--dicom @dicom.csv --mask-orientation stored",
            "--mask-orientation must go with photographs, got --dicom",
        ),
        (
            "--images @images --masks a=@lungs a=@hearts",
            "--masks must have names that differ, got 'a' twice",
        ),
        ("--images @images --masks a= b=@lungs", "--masks must be NAME=PATH or PATH, got 'a='"),
        ("--nifti @nifti.csv --value-range 5 5", "value_range must"),
    ],
)
def test_forms_that_do_not_go_together_are_refused(root, words, message) -> None:
    with pytest.raises(SettingError, match=message):
        load_samples(options_of(root, words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            f"{TWO_FOLDERS} --class-names @animals.txt",
            "the folder of a class must have one of the class names, 'cat', 'dog', got 'lungs'",
        ),
        (
            "--manifest @targets.csv --rows targets --class-names @animals.txt",
            r"targets.csv, line 2: label must be one of the class names 'cat', 'dog', got 'lungs'",
        ),
        (
            f"{TWO_FOLDERS} --labels @some.csv --group-column patient",
            "c.png: groups must have every image, got none for 'c'$",
        ),
        (f"{TWO_FOLDERS} --labels @some.csv --group-column group", "groups must give a text that"),
        (f"{TWO_FOLDERS} --labels @few.csv --info patient", "info must have every image, got no"),
        (f"{TWO_FOLDERS} --labels @some.csv --info sex", "must have a column 'sex', got name, pat"),
        (
            "--images @images --masks @hearts",
            "got none for 'c'; if they have no object, set missing_masks='negative'",
        ),
        (
            "--manifest @one.csv",
            "got ''; if they have no object, set missing_masks='negative'",
        ),
    ],
)
def test_tables_and_folders_that_do_not_fit_are_refused(root, words, message) -> None:
    (root / "some.csv").write_text("name,patient,group\na,Ann,p\nb,Bo,\n")
    (root / "few.csv").write_text("name,patient\na,Ann\nb,Bo\n")
    with pytest.raises(DataError, match=message):
        load_samples(options_of(root, words))


def test_the_findings_of_chexlocalize_are_its_classes(root) -> None:
    options = options_of(root, "--images @images --chexlocalize @findings.json")
    assert class_names(load_samples(options), options) == list(CHEXLOCALIZE_FINDINGS)


def test_labels_are_names_of_classes_or_their_error_names_the_option(tmp_path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            Image.new("L", (8, 8), 255).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "labels.csv").write_text("name,breed\na,cat\nb,dog\n")
    (tmp_path / "classes.txt").write_text("dog\ncow\ncat\n")
    command = ["evaluate", "--model", "resnet18", "--out", str(tmp_path / "run")]
    command += ["--images", f"{tmp_path}/images", "--masks", f"{tmp_path}/masks"]
    command += ["--labels", f"{tmp_path}/labels.csv", "--label-column", "breed"]
    with pytest.raises(
        DataError, match=r"line 2: breed must be a class index, got 'cat'; .*--clas"
    ):
        load_samples(parse(command))
    samples = load_samples(parse([*command, "--class-names", f"{tmp_path}/classes.txt"]))
    assert [sample.label for sample in samples] == [2, 0]
