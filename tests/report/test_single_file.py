"""Reports with their pictures inside: which pictures, their size, and the page sent alone."""

import json
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import decompress

import numpy as np
import pytest
from chromium import needs_browser
from drawn_images import browser_of, drawn_in
from evaluations import SMALL, samples, small_network
from pages import made, undefined

from cameval import (
    MeanBinarizer,
    PercentileBinarizer,
    Sample,
    Target,
    concat,
    evaluate,
    grad_cam,
    iou,
)
from cameval.errors import DataError, SettingError
from cameval.evaluation import Results
from cameval.report import draw_images, unpack_pictures, write_report
from cameval.report import single_file as single
from cameval.report._drawing import Drawn
from cameval.report._image_folder import finish, new_folder
from cameval.report._image_index import ModelPictures, Tile, read_index
from cameval.report._photos import Photo
from cameval.report.single_file import pack_pictures

BINARIZERS = {"p80": PercentileBinarizer(80), "mean": MeanBinarizer()}
DRAWN: dict[str, Any] = {"methods": {"grad_cam": grad_cam}, "binarizers": BINARIZERS}
METRICS: dict[str, Any] = {"iou": iou}
NAMES = [
    "</script><img src=x onerror=alert(1)>\u202e\"'&",
    "x" * 300,
    '<script type="application/json" id="image-files">{"files": {}}</script>',
    *(f"image {k}" for k in range(3, 14)),
]
STARTED = '<script type="application/json" id="image-files">'
Run = tuple[Results, Path]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Run:
    """Draw the images of two networks, with hostile names; return results of both."""
    folder, net = tmp_path_factory.mktemp("drawn"), small_network()
    data = [
        Sample(name, one.image, one.mask, label=k % 3, group=f"person {k // 3}")
        for k, (name, one) in enumerate(zip(NAMES, samples(14), strict=True))
    ]
    parts: dict[str, Any] = {"prepare": SMALL, **DRAWN}
    first = evaluate(net, data, metrics=METRICS, name="first", progress=False, **parts)
    first = undefined(first, np.s_[:0], 0)  # of metrics that are not on record
    values = (first.values + np.random.default_rng(3).normal(0, 0.1, first.values.shape)).clip(0, 1)
    second = replace(first, samples=first.samples.assign(model="second"), values=values)
    for one in (first, second):
        draw_images(one, data, net, folder, **parts)
    return concat([first, second]), folder


@pytest.fixture
def copied(drawn, tmp_path) -> Run:
    """Copy the pictures to a folder that a test may change."""
    results, folder = drawn
    shutil.copytree(folder / "report_files", tmp_path / "report_files")
    return results, tmp_path


@pytest.fixture(scope="module")
def alone(drawn, tmp_path_factory) -> Run:
    """Write a report as one file, and move it to a folder of its own."""
    results, folder = drawn
    run, place = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("alone")
    shutil.copytree(folder / "report_files", run / "report_files")
    shutil.move(write_report(results, run, single_file=True), place)
    return results, place


def inside(page: str) -> dict[str, Any]:
    """Return what a page has inside."""
    [found] = re.findall(rf"^{STARTED}(.*)</script>$", page, re.MULTILINE)
    words: dict[str, Any] = json.loads(found)
    return words


def records_in(files: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each part."""
    return {
        name: json.loads(decompress(b64decode(text)))
        for name, text in files.items()
        if name.endswith(".js")
    }


def files_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "report_files").iterdir()}


def files_that_a_page_has(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder without the overlays of pairs that are not the best."""
    others, kept = set(), set()
    for one in read_index(folder / "report_files"):
        kept |= {strip.file for strip in one.strips[:3]}
        others |= {strip.file for strip in one.strips[3:]}
    return {name: data for name, data in files_in(folder).items() if name not in others - kept}


# --- What is inside -------------------------------------------------------------------------------
@pytest.mark.usefixtures("no_figures")
def test_the_pictures_are_inside_and_the_folder_is_not_there(copied) -> None:
    results, folder = copied
    before = files_that_a_page_has(folder)
    page = write_report(results, folder, single_file=True).read_text()
    assert {one.name for one in folder.iterdir()} == {"report.html", "reviewers.json"}
    files = inside(page)["files"]
    kinds = {name: data for name, data in before.items() if name.endswith(".webp")}
    assert {name: b64decode(text) for name, text in files.items() if name in kinds} == kinds
    assert {*files} - {*kinds} == {"part-0001.js", "part-0002.js"}
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        r"script-src 'sha256-[\w+/=]+' 'sha256-[\w+/=]+'",
        policy[1].replace("&#39;", "'"),
    )
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"|"http://www.w3.org/2000/svg"', "", page)
    assert page.count(STARTED) == 1


def test_what_is_drawn_is_what_was_drawn(copied) -> None:
    results, folder = copied
    [first, second] = read_index(folder / "report_files")
    old = drawn_in(folder)
    packed = pack_pictures(folder / "report_files", results)
    new = records_in(packed.files)
    for before, after in zip((first, second), packed.models, strict=True):
        assert [tile.sample for tile in after.tiles] == [tile.sample for tile in before.tiles]
        for one, other in zip(before.tiles, after.tiles, strict=True):
            assert new[other.part][other.place] == old[one.part][one.place]
            assert (other.scores, other.thumb, other.large) == (one.scores, one.thumb, one.large)
        assert after.strips == before.strips
        assert after.rule == ""
    shown = {one.model: one.column(k, results.columns) for k, one in enumerate((first, second))}
    packed = pack_pictures(folder / "report_files", results, shown)
    for k, (before, after) in enumerate(zip((first, second), packed.models, strict=True)):
        kept = {before.strips[0].pair, k}  # of the best pair and of what the page is about
        assert after.strips == [one for one in before.strips if one.pair in kept]
        assert {one.file for one in after.strips} <= {*packed.files}
    assert browser_of(results, folder).files == ""


def test_pictures_of_other_results_are_not_inside(copied) -> None:
    results, folder = copied
    packed = pack_pictures(folder / "report_files", results.select(model="second"))
    assert [one.model for one in packed.models] == ["second"]
    assert [*records_in(packed.files)] == ["part-0001.js"]
    few = replace(
        results,
        samples=results.samples.iloc[:3],
        **{name: getattr(results, name)[:3] for name in ("values", "codes", "weights")},
    )
    packed = pack_pictures(folder / "report_files", few)
    [tiles] = [one.tiles for one in packed.models]
    assert [tile.sample for tile in tiles] == NAMES[:3]
    names = {name for name in packed.files if name.startswith("thumb")}
    assert names == {tile.thumb for tile in tiles}
    assert len(records_in(packed.files)["part-0001.js"]) == 3


def test_of_too_many_images_those_are_inside_that_would_be_drawn(tmp_path, monkeypatch) -> None:
    data, net = samples(12), small_network()
    parts: dict[str, Any] = {"prepare": SMALL, **DRAWN}
    results = evaluate(net, data, metrics=METRICS, progress=False, **parts)
    monkeypatch.setattr(single, "MOST_IN_PAGE", 6)
    draw_images(results, data, net, tmp_path / "all", **parts)
    draw_images(results, data, net, tmp_path / "six", limit=6, **parts)
    [drawn] = read_index(tmp_path / "six" / "report_files")
    [few] = pack_pictures(tmp_path / "all" / "report_files", results).models
    assert [tile.sample for tile in few.tiles] == [tile.sample for tile in drawn.tiles]
    assert [one.tile for one in few.strips] == [one.tile for one in drawn.strips]
    assert few.rule == drawn.rule
    assert few.rule.startswith("6 of 12 images are shown: those at equal steps of the rank")
    draw_images(results, data, net, tmp_path / "all", limit=9, **parts)
    [few] = pack_pictures(tmp_path / "all" / "report_files", results).models
    assert len(few.tiles) == 6
    assert few.rule.startswith("6 of 12 images are shown: those at equal steps of the rank")
    assert few.rule.endswith(", among 9 images that were drawn.")


def test_targets_of_an_image_stay_together(tmp_path, monkeypatch) -> None:
    net = small_network(4)
    data = []
    for k, one in enumerate(samples(8)):
        targets = [Target(2, one.mask), Target(k % 2, np.roll(one.mask, 5, 1))]
        data.append(Sample(one.name, one.image, targets=targets, group=one.group))
    parts: dict[str, Any] = {"prepare": SMALL, **DRAWN}
    options: dict[str, Any] = {"task": "multilabel", "metrics": METRICS, **parts}
    results = evaluate(net, data, progress=False, **options)
    draw_images(results, data, net, tmp_path, **parts)
    monkeypatch.setattr(single, "MOST_IN_PAGE", 4)
    packed = pack_pictures(tmp_path / "report_files", results)
    [few] = packed.models
    [records] = records_in(packed.files).values()
    assert len({tile.sample for tile in few.tiles}) == 4
    assert len(few.tiles) == len(records) == 8
    for tile in few.tiles:
        for other in records[tile.place]["others"]:
            assert other != tile.place
            assert few.tiles[other].sample == tile.sample
    assert any(record["others"] for record in records)


# --- Size -----------------------------------------------------------------------------------------
def test_large_pictures_are_left_out_of_a_page_that_would_be_too_large(copied, monkeypatch) -> None:
    results, folder = copied
    monkeypatch.setattr(single, "LONGEST", 20_000)
    packed = pack_pictures(folder / "report_files", results)
    assert not packed.has_large
    assert not any(name.startswith("large") for name in packed.files)
    assert sum(name.startswith("thumb") for name in packed.files) == 14


def test_a_hundred_images_of_much_detail_make_a_page_that_can_be_sent(tmp_path) -> None:
    rng = np.random.default_rng(0)
    results = made(100, groups=100)
    columns = [c for c in results.columns if c.kind == "method" and c.metric == "iou"]
    pairs = [(c.target_class, c.method, c.binarizer, c.metric) for c in columns]
    at = [results.columns.index(c) for c in columns]
    [model] = set(results.samples["model"])
    empty = Sample("a", np.zeros((2, 2), np.float32), np.zeros((2, 2), bool))
    tiles = []
    with new_folder(tmp_path, model) as writer:
        for k, row in results.samples.iterrows():
            photo = Photo(rng.integers(0, 255, (320, 320), np.uint8), 1.0)
            drawn = Drawn(
                int(k), 0, empty, photo, (320, 320), [], [], [[]] * len(pairs), [None], []
            )
            [(part, place)] = writer.add_image([drawn])
            digest, thumb, large = writer.add_photo(drawn)
            scores = [float(one) for one in results.values[k, at]]
            label = None if row["label"] is None else int(row["label"])
            key = str(row["sample"]), label, 0
            tiles.append(Tile(*key, thumb, large, part, place, 1.0, "", scores, digest))
        writer.close_part()
        finish(writer, ModelPictures(model, 100, "", pairs, tiles, []))
    packed = pack_pictures(tmp_path / "report_files", results)
    assert len(packed.models[0].tiles) == 100
    assert not packed.has_large
    assert len(packed.json()) < single.LONGEST


# --- What fails -----------------------------------------------------------------------------------
@pytest.mark.usefixtures("no_figures")
def test_a_folder_of_something_else_is_refused(drawn, tmp_path) -> None:
    results, _ = drawn
    (tmp_path / "report_files").mkdir()
    (tmp_path / "report_files" / "mine.txt").write_text("mine")
    with pytest.raises(SettingError, match="must be a folder of pictures or not be there"):
        write_report(results, tmp_path, single_file=True)
    assert (tmp_path / "report_files" / "mine.txt").exists()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("thumb-00003.webp", None, "must be a picture"),
        ("part-0001.js", None, "must be a part of the pictures"),
        ("part-0001.js", b"camevalPart()", "must be a part of the pictures"),
        ("part-0001.js", b'camevalPart("part-0001.js","eJyLjgUAARUAuQ==")', "must have the outl"),
    ],
)
def test_what_is_damaged_stays_where_it_is(copied, name, data, message) -> None:
    results, folder = copied
    file = folder / "report_files" / name
    file.unlink()
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(DataError, match=message):
        write_report(results, folder, single_file=True)
    assert (folder / "report_files" / "index.json").exists()
    assert not (folder / "report.html").exists()


@pytest.mark.usefixtures("no_figures")
def test_without_pictures_a_report_is_as_it_was(drawn, tmp_path) -> None:
    results, _ = drawn
    page = write_report(results, tmp_path, single_file=True).read_text()
    assert STARTED not in page
    assert 'id="images"' not in page
    assert not unpack_pictures(tmp_path)
    assert not (tmp_path / "report_files").exists()


# --- Out of the page again ------------------------------------------------------------------------
@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("longest", [6_000_000, 0])
def test_pictures_come_out_of_the_page_as_they_went_in(copied, monkeypatch, longest) -> None:
    results, folder = copied
    before = files_that_a_page_has(folder)
    assert not unpack_pictures(folder)  # they are there
    monkeypatch.setattr(single, "LONGEST", longest)
    page = write_report(results, folder, single_file=True).read_bytes()
    assert unpack_pictures(folder)
    after = files_in(folder)
    lost = {name for name in before if name.startswith("large") and longest == 0}
    before.pop("index.json")
    assert json.loads(after.pop("index.json"))["models"]
    assert after == {name: data for name, data in before.items() if name not in lost}
    assert write_report(results, folder, single_file=True).read_bytes() == page


@pytest.mark.parametrize(
    "words",
    [
        "{",
        "[]",
        "{}",
        '{"files": {"../a.webp": "AAAA"}, "index": {}}',
        '{"files": {"thumb-00001.webp": "%"}, "index": {}}',
        '{"files": {"part-0001.js": "\\");alert(1)//"}, "index": {}}',
        '{"files": {"part-0001.js": 7}, "index": {}}',
        '{"files": {}, "index": {"format": 7}}',
    ],
)
def test_a_damaged_page_is_refused(tmp_path, words) -> None:
    (tmp_path / "report.html").write_text(f"<p>\n{STARTED}{words}</script>")
    with pytest.raises(DataError, match="must have its pictures as JSON"):
        unpack_pictures(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert not list(tmp_path.parent.glob("*.webp"))


# --- In a browser ---------------------------------------------------------------------------------
@pytest.fixture
def opened(chromium) -> Iterator[Any]:
    """Open a page that lies alone; at the end it has said nothing, and asked for nothing."""
    said: list[str] = []
    contexts = []

    def open_page(folder: Path, address: str = "") -> Any:
        assert [one.name for one in folder.iterdir()] == ["report.html"]
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("requestfailed", lambda request: said.append(f"failed {request.url:.80}"))
        file = (folder / "report.html").as_uri()
        allowed = (file, "data:image/webp;base64,", "data:image/png;base64,", "blob:null")
        page.on(
            "request",
            lambda one: one.url.startswith(allowed) or said.append(f"asked {one.url:.80}"),
        )
        page.goto(file + address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def names_on(page: Any) -> set[str]:
    """Return the names of the images that are shown, by the record of the page."""
    data = json.loads(page.locator("#image-data").text_content())
    at = page.locator(".tile").evaluate_all("all => all.map(t => Number(t.dataset.image))")
    numbers = data["lists"][data["models"][0]["lists"]["sample"]]
    return {data["samples"][numbers[k]] for k in at}


@needs_browser
def test_the_page_alone_shows_every_image(opened, alone) -> None:
    _, place = alone
    page = opened(place, "#images")
    assert page.locator(".tile").count() == 14
    assert names_on(page) == {*NAMES}
    records = records_in(inside((place / "report.html").read_text())["files"])["part-0001.js"]
    for tile in page.locator(".tile").all():
        tile.scroll_into_view_if_needed()
        tile.locator(".box[data-drawn]").wait_for()
        size = tile.locator("img").evaluate(
            "async i => { await i.decode(); return i.naturalWidth }"
        )
        assert size > 0
        k = int(tile.get_attribute("data-image") or -1)
        drawn = tile.locator("path.truth:not(.halo)").get_attribute("d")
        assert len(re.findall("M", drawn)) == len(records[k]["truth"])
        assert tile.locator("canvas").count() == 1
    assert page.locator(".found").inner_text().startswith("14 of 14 images")
    assert "not beside" not in page.locator("#images").inner_text()


@needs_browser
def test_filters_and_layers_of_the_page_alone_work(opened, alone) -> None:
    results, place = alone
    page = opened(place, "#images")
    page.locator("[name=show]").select_option("hi")
    data = json.loads(page.locator("#image-data").text_content())
    pair = data["models"][0]["pairs"][data["models"][0]["start"]]
    table = results.select(
        model="first",
        kind="method",
        metric="iou",
        method=data["methods"][pair["method"]],
        binarizer=data["binarizers"][pair["binarizer"]],
    )
    high = table.values[:, 0] > 0.5
    assert names_on(page) == {*table.samples["sample"][high]}
    page.locator("[name=show]").select_option("")
    page.fill("[name=q]", "image 1")
    assert names_on(page) == {"image 10", "image 11", "image 12", "image 13"}
    page.locator(".box[data-drawn]").first.wait_for()
    for layer, what in (("map", "canvas"), ("mask", "path.mask"), ("truth", "path.truth")):
        display = "e => getComputedStyle(e).display"
        assert page.locator(what).first.evaluate(display) != "none"
        page.locator(f".above [data-layer={layer}]").click()
        assert page.locator(what).first.evaluate(display) == "none"
    page.locator("[name=net]").select_option("second")
    assert page.locator(".tile").count() == 4


@needs_browser
def test_an_image_of_the_page_alone_is_enlarged_and_saved(opened, alone, tmp_path) -> None:
    _, place = alone
    page = opened(place, "#images?sort=name")
    page.locator(".tile").nth(3).click()
    page.locator(".large .box[data-drawn]").wait_for()
    name = page.locator("#viewer-name").inner_text()
    link = page.locator(".files a")
    assert re.fullmatch(r"large-\d{5}\.webp", link.inner_text())
    page.keyboard.press("ArrowRight")
    assert page.locator("#viewer-name").inner_text() != name
    with page.expect_download() as started:
        link.click()
    started.value.save_as(tmp_path / "saved.webp")
    files = inside((place / "report.html").read_text())["files"]
    assert started.value.suggested_filename == link.inner_text()
    assert (tmp_path / "saved.webp").read_bytes() == b64decode(files[link.inner_text()])
    assert page.locator(".pairs button").count() == 2
    page.keyboard.press("Escape")
    assert not page.locator("dialog").evaluate("d => d.open")


@needs_browser
@pytest.mark.usefixtures("no_figures")
def test_without_large_pictures_the_thumbnail_is_enlarged(opened, copied, monkeypatch) -> None:
    results, folder = copied
    monkeypatch.setattr(single, "LONGEST", 0)
    place = folder / "alone"
    place.mkdir()
    shutil.move(write_report(results, folder, single_file=True), place)
    page = opened(place, "#images")
    assert "An enlarged image is its thumbnail" in page.locator("#images").inner_text()
    page.locator(".tile").first.click()
    page.locator(".large .box[data-drawn]").wait_for()
    photo = page.locator(".large img")
    assert photo.evaluate("async i => { await i.decode(); return i.naturalWidth }") > 0
    assert photo.bounding_box()["width"] > 224
    assert page.locator(".files a").inner_text().startswith("thumb-")
