"""The browser of all images in a real browser: filters, order, keys, address, widths, limits.

Needs playwright and chromium: ``pip install 'cameval[browser]'``, and chromium on the path.
"""

import json
import re
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import expect, needs_browser
from drawn_images import browser_of, drawn_in, overlap, records_of, small_map
from evaluations import SMALL, samples, small_network
from jinja2 import Environment, PackageLoader, StrictUndefined
from pages import made, undefined
from scipy.ndimage import gaussian_filter

from cameval import MeanBinarizer, PercentileBinarizer, Sample, cam, concat, evaluate, grad_cam, iou
from cameval.evaluation import Results
from cameval.evaluation._numbers import format_short
from cameval.evaluation.meaning import CONSTANT
from cameval.evaluation.settings import area_bound
from cameval.report import draw_images, write_report
from cameval.report._browser import Browser
from cameval.report._drawing import Drawn, SmallMap
from cameval.report._image_folder import finish, new_folder
from cameval.report._image_index import ModelPictures, Tile
from cameval.report._mask_checks import MaskScore
from cameval.report._outlines import fill_outlines, trace_mask
from cameval.report._photos import Photo

METHODS = {"cam": cam, "grad_cam": grad_cam}
BINARIZERS = {"p80": PercentileBinarizer(80), "mean": MeanBinarizer()}
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\"'&"
NAMES = [HOSTILE, "x" * 300, *(f"image {k}" for k in range(2, 14))]
CLASSES = ["round", "<i>long</i>", "square"]
STYLE = """
:root { --ground: #fff; --ink: #1b1d22; --soft: #565d68; --line: #dfe2e7; --wash: #f4f5f7;
  --net: #c2500a; --truth: #0067a8; --focus: #0067a8; }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 sans-serif; }
"""


# --- Pages ----------------------------------------------------------------------------------------
def write_page(browser: Browser, folder: Path) -> Path:
    """Write a page of the browser alone, which may load its own folder and nothing else."""
    names = {"group": "group", "groups": "groups"}
    loader = PackageLoader("cameval.report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    part = environment.get_template("browser.html.j2").render(browser=browser, names=names)
    css = environment.get_template("browser.css").render()
    script = f"\n{environment.get_template('browser.js').render(names=names)}\n"
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'self' 'sha256-{digest}'"
    )
    file = folder / "report.html"
    file.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>Images</title>'
        f"<style>{STYLE}{css}</style></head><body><p>Above</p>"
        f'<section id="images">{part}</section><p>Below</p>'
        f"<script>{script}</script></body></html>",
        encoding="utf-8",
    )
    return file


@pytest.fixture(scope="module")
def results_and_folder(tmp_path_factory) -> tuple[Results, Path]:
    """Two networks; one image has no score, two have constant maps, some predictions are wrong."""
    folder, net = tmp_path_factory.mktemp("images"), small_network()
    data = [
        Sample(name, one.image, one.mask, label=k % 3, group=f"person {k // 3}")
        for k, (name, one) in enumerate(zip(NAMES, samples(14), strict=True))
    ]
    parts: dict[str, Any] = {"methods": METHODS, "binarizers": BINARIZERS, "prepare": SMALL}
    metrics = {"iou": iou, "area_bound": area_bound}
    first = evaluate(
        net, data, metrics=metrics, class_names=CLASSES, name="first", progress=False, **parts
    )
    first = undefined(first, np.s_[:1], 3)
    codes = first.codes.copy()
    codes[4:6] |= CONSTANT
    first = replace(first, codes=codes)
    rng = np.random.default_rng(3)
    second = replace(
        first,
        samples=first.samples.assign(model="second"),
        values=(first.values + rng.normal(0, 0.1, first.values.shape)).clip(0, 1),
    )
    for one in (first, second):
        draw_images(one, data, net, folder, **parts)
    both = concat([first, second])
    write_page(browser_of(both, folder), folder)
    return both, folder


class Scores:
    """The scores of a network by a method and a binarizer, as the table has them."""

    def __init__(self, results: Results, model: str, method: str, binarizer: str) -> None:
        of_model = (results.samples["model"] == model).to_numpy()
        self.samples = results.samples[of_model].reset_index(drop=True)
        values, codes = results.values[of_model], results.codes[of_model]
        columns = list(results.columns)

        def column(name: str) -> int:
            return next(
                k
                for k, c in enumerate(columns)
                if (c.method, c.binarizer, c.metric) == (name, binarizer, "iou")
            )

        self.score = values[:, column(method)]
        self.constant = (codes[:, column(method)] & CONSTANT) > 0
        knows = results.meanings.baselines
        blind = [values[:, column(name)] for name, one in knows.items() if one.knows == "nothing"]
        self.guess = max(blind, key=np.nanmean)
        self.wrong = (self.samples["label"] != self.samples["predicted"]).to_numpy(bool)
        self.names = self.samples["sample"].tolist()

    def where(self, kept: Any) -> set[str]:
        """Return the names of some of the images."""
        return {name for name, one in zip(self.names, kept, strict=True) if one}

    def ordered(self, key: Any) -> list[float]:
        """Return the keys in order; images without a score are last."""
        defined = ~np.isnan(self.score)
        return [*np.sort(np.asarray(key)[defined]), *np.sort(np.asarray(key)[~defined])]


Opener = Callable[..., Any]


@pytest.fixture
def opened(chromium, results_and_folder) -> Iterator[Opener]:
    """Open a page; at the end nothing was said, nothing failed, nothing else was asked for."""
    _, folder = results_and_folder
    said: list[str] = []
    contexts = []

    def open_page(address: str = "", *, place: Path = folder, width: int = 1280) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("requestfailed", lambda request: said.append(f"failed {request.url}"))
        start = f"{place.as_uri()}/"
        page.on(
            "request",
            lambda one: one.url.startswith((start, "blob:null")) or said.append(one.url),
        )
        page.goto(f"{start}report.html{address}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def names_on(page: Any) -> list[str]:
    """Return the names of the images that are shown, by the record of the page."""
    data = json.loads(page.locator("#image-data").text_content())
    at = [
        int(k) for k in page.locator(".tile").evaluate_all("all => all.map(t => t.dataset.image)")
    ]
    numbers = data["lists"][data["models"][0]["lists"]["sample"]]
    return [data["samples"][numbers[k]] for k in at]


def choose(page: Any, **options: str) -> None:
    for name, value in options.items():
        page.locator(f"[name={name}]").select_option(value)


def start_of(results: Results, model: str) -> tuple[str, str]:
    """Return the method and binarizer with the best mean."""
    table = results.select(model=model, metric="iou", kind="method").summary()
    best = table.loc[table["mean"].idxmax()]
    return best["method"], best["binarizer"]


# --- Filters and order ----------------------------------------------------------------------------
@needs_browser
def test_every_image_is_shown_with_its_score(opened, results_and_folder) -> None:
    results, _ = results_and_folder
    page = opened()
    for model in ("first", "second"):
        choose(page, net=model)
        for method in METHODS:
            for binarizer in BINARIZERS:
                choose(page, method=method, bin=binarizer)
                known = Scores(results, model, method, binarizer)
                shown = dict(
                    zip(
                        names_on(page), page.locator(".tile .line b").all_inner_texts(), strict=True
                    )
                )
                assert shown == {
                    name: "\u2013" if np.isnan(value) else format_short(value)
                    for name, value in zip(known.names, known.score, strict=True)
                }
                below = int((known.score < known.guess).sum())
                mean = format_short(float(np.nanmean(known.score)))
                lost = int(np.isnan(known.score).sum())
                said = (
                    f"14 of 14 images \u00b7 mean IoU {mean} \u00b7 \u25bc below the guess: {below}"
                )
                said += f" \u00b7 undefined: {lost}" * bool(lost)
                assert page.locator(".found").inner_text() == said


@needs_browser
@pytest.mark.parametrize("model", ["first", "second"])
def test_each_filter_shows_the_images_of_the_table(opened, results_and_folder, model) -> None:
    results, _ = results_and_folder
    page = opened(f"#images?net={model}")
    known = Scores(results, model, *start_of(results, model))
    labels, groups = known.samples["label"], known.samples["group"]
    expected = {
        "right": ~known.wrong,
        "wrong": known.wrong,
        "lt": known.score < known.guess,
        "hi": known.score > 0.5,
        "undef": np.isnan(known.score),
        "const": known.constant,
    }
    offered = page.locator("[name=show] option").evaluate_all("all => all.map(o => o.value)")
    assert offered == ["", *expected]
    for key in offered[1:]:
        choose(page, show=key)
        assert set(names_on(page)) == known.where(expected[key])
        count = int(expected[key].sum())
        assert page.locator(".found").inner_text().startswith(f"{count} of 14 images")
    choose(page, show="")
    for k, name in enumerate(CLASSES):
        choose(page, **{"class": name})
        assert set(names_on(page)) == known.where(labels == k)
    choose(page, **{"class": ""})
    assert "person 1 (3 images)" in page.locator("[name=group]").inner_text()
    choose(page, group="person 1")
    assert set(names_on(page)) == known.where(groups == "person 1")
    choose(page, show="lt")
    assert set(names_on(page)) == known.where((groups == "person 1") & expected["lt"])
    choose(page, group="", show="")
    page.fill("[name=q]", "IMAGE 1")
    assert set(names_on(page)) == {"image 10", "image 11", "image 12", "image 13"}
    page.fill("[name=q]", "person 2")
    assert set(names_on(page)) == known.where(groups == "person 2")


@needs_browser
def test_images_are_in_the_order_that_is_chosen(opened, results_and_folder) -> None:
    results, _ = results_and_folder
    page = opened()
    known = Scores(results, "first", *start_of(results, "first"))
    at = {name: k for k, name in enumerate(known.names)}
    area, probability = (known.samples[n].to_numpy(float) for n in ("area", "probability"))
    keys = {
        "up": known.score,
        "down": -known.score,
        "gap": known.score - known.guess,
        "size": area,
        "large": -area,
        "conf": -probability,
    }
    for sort, key in keys.items():
        choose(page, sort=sort)
        found = [key[at[name]] for name in names_on(page)]
        np.testing.assert_allclose(found, known.ordered(key), atol=1e-4)
        assert names_on(page)[-1] == HOSTILE  # it has no score
    choose(page, sort="name")
    numbered = [name for name in names_on(page) if name.startswith("image")]
    assert numbered == [f"image {k}" for k in range(2, 14)]


@needs_browser
def test_tiles_say_what_is_known(opened, results_and_folder) -> None:
    results, _ = results_and_folder
    page = opened()
    known = Scores(results, "first", *start_of(results, "first"))
    badges = page.locator(".tile .badge").all_inner_texts()
    assert sum("\u2715" in one for one in badges) == known.wrong.sum()
    assert sum("constant map" in one for one in badges) == known.constant.sum() == 2
    last = page.locator(".tile").last
    assert "empty prediction" in last.inner_text()
    assert last.get_attribute("title") == HOSTILE
    signs = page.locator(".tile .line span").all_inner_texts()
    assert sum(one.startswith("\u25bc") for one in signs) == (known.score < known.guess).sum()
    assert signs.count("=") == (known.score == known.guess).sum()
    assert page.locator(".score-bar .worse").count() == (known.score < known.guess).sum()
    labels = page.locator(".tile").evaluate_all("all => all.map(t => t.getAttribute('aria-label'))")
    assert all("IoU" in label for label in labels)


# --- Pictures -------------------------------------------------------------------------------------
@needs_browser
def test_the_drawn_outlines_and_maps_are_those_of_the_parts(opened, results_and_folder) -> None:
    results, folder = results_and_folder
    page = opened()
    page.locator(".box[data-drawn]").nth(13).wait_for()
    model, parts = records_of(results, folder)["models"][0], drawn_in(folder)
    pair = model["pairs"][model["start"]]
    for tile in page.locator(".tile").all():
        k = int(tile.get_attribute("data-image"))
        record = parts[f"part-{model['part'][k]:04d}.js"][model["place"][k]]
        shape = record["size"][::-1]
        for kind, outlines in (
            ("mask", record["masks"][pair["number"]]),
            ("truth", record["truth"]),
        ):
            path = tile.locator(f"path.{kind}:not(.halo)").get_attribute("d")
            polygons = [
                [int(number) for number in re.findall(r"-?\d+", one)] for one in path.split("z")
            ]
            filled = fill_outlines([one for one in polygons if one], shape)
            assert overlap(filled, fill_outlines(outlines, shape)) == 1
        pixels = tile.locator("canvas").evaluate(
            "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
        alpha = np.array(pixels).reshape(48, 48, 4)[..., 3] / 255 / 0.72
        found = small_map(record["maps"][pair["number"] // model["masks"]], (48, 48))
        np.testing.assert_allclose(alpha, found, atol=0.02)


@needs_browser
def test_layers_are_switched(opened) -> None:
    page = opened()
    page.locator(".box[data-drawn]").first.wait_for()
    shown = {"map": "canvas", "mask": "path.mask", "truth": "path.truth"}
    for layer, what in shown.items():
        button, drawn = page.locator(f".above [data-layer={layer}]"), page.locator(what).first
        assert button.get_attribute("aria-pressed") == "true"
        assert drawn.evaluate("e => getComputedStyle(e).display") != "none"
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        assert drawn.evaluate("e => getComputedStyle(e).display") == "none"
    assert "layers=none" in page.url


# --- One image ------------------------------------------------------------------------------------
@needs_browser
def test_keys_lead_through_images_and_masks(opened) -> None:
    page = opened()
    focus = "document.activeElement"
    names = names_on(page)
    page.keyboard.press("/")
    assert page.evaluate(f"{focus}.name") == "q"
    page.keyboard.type("image 4")
    assert names_on(page) == ["image 4"]
    page.keyboard.press("Escape")
    assert names_on(page) == names
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(f"{focus} === document.querySelectorAll('.tile')[1]")
    page.keyboard.press("k")
    assert page.locator(".above [data-layer=mask]").get_attribute("aria-pressed") == "false"
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    title, at = page.locator("#viewer-name"), page.locator("dialog .at")
    assert page.locator("dialog").evaluate("d => d.open && d.contains(document.activeElement)")
    assert (title.inner_text(), at.inner_text()) == (names[1], "2 of 14")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert (title.inner_text(), at.inner_text()) == (names[2], "3 of 14")
    pressed = "all => all.findIndex(b => b.getAttribute('aria-pressed') === 'true')"
    pairs = page.locator(".pairs button")
    before = pairs.evaluate_all(pressed)
    page.keyboard.press("ArrowDown")
    assert pairs.evaluate_all(pressed) == (before + 1) % 4
    page.keyboard.press("ArrowUp")
    assert pairs.evaluate_all(pressed) == before
    for key, layer in (("m", "map"), ("k", "mask"), ("t", "truth")):
        button = page.locator(f"dialog [data-layer={layer}]")
        page.keyboard.press(key)
        assert button.get_attribute("aria-pressed") == "false"
        page.keyboard.press(key)
        assert button.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert not page.locator("dialog").evaluate("d => d.open")
    # The event of the dialog, which returns the focus, comes after the key.
    expect(page.locator(".tile").nth(2)).to_be_focused()


@needs_browser
def test_keys_elsewhere_are_left_alone(opened) -> None:
    page = opened()
    page.evaluate("document.body.insertAdjacentHTML('afterbegin', '<input id=own>')")
    page.locator("#own").focus()
    page.keyboard.type("mkt/")
    assert page.locator("#own").input_value() == "mkt/"
    assert page.locator(".above [aria-pressed=false]").count() == 0


@needs_browser
def test_an_image_is_enlarged_with_all_its_scores(opened, results_and_folder) -> None:
    results, _ = results_and_folder
    page = opened("#images?sort=name")
    names = names_on(page)
    page.locator(".tile", has_text="round").first.click()
    name = page.locator("#viewer-name").inner_text()
    assert name in names
    k = NAMES.index(name)
    expected = []
    for method in METHODS:
        for binarizer in BINARIZERS:
            value = Scores(results, "first", method, binarizer).score[k]
            expected.append(f"{method}, {binarizer} {format_short(value)}")
    buttons = page.locator(".pairs button")
    assert [one.strip() for one in buttons.all_inner_texts()] == expected
    page.locator(".large .box[data-drawn]").wait_for()
    before = page.locator(".large path.mask").first.get_attribute("d")
    at = buttons.evaluate_all(
        "all => all.findIndex(b => b.getAttribute('aria-pressed') === 'false')"
    )
    other = buttons.nth(at)
    other.click()
    expect(page.locator(".large path.mask").first).not_to_have_attribute("d", before)
    assert other.get_attribute("aria-pressed") == "true"
    link = page.locator(".files a")
    assert re.fullmatch(r"report_files/large-\d{5}\.webp", link.get_attribute("href"))
    page.get_by_role("button", name="Copy name").click()
    page.locator(".close").click()
    assert not page.locator("dialog").evaluate("d => d.open")


def facts_of(page) -> dict[str, str]:
    """Return the facts of the image that is enlarged, by their names."""
    rows = page.locator("dialog dl div")
    return {one.locator("dt").inner_text(): one.locator("dd").inner_text() for one in rows.all()}


@needs_browser
def test_an_enlarged_image_has_the_names_of_its_label_and_of_its_predicted_class(
    opened, results_and_folder
) -> None:
    results, _ = results_and_folder
    samples = results.samples[results.samples["model"] == "first"].set_index("sample")
    page = opened("#images?sort=name")
    seen = set()
    for k in range(len(NAMES)):
        page.locator(f".tile[data-image='{k}']").click()
        one, facts = samples.loc[NAMES[k]], facts_of(page)
        assert facts["truth"].startswith(f"{CLASSES[one['label']]}, ")
        right = "\u2713 right" if one["label"] == one["predicted"] else "\u2715 wrong"
        assert facts["prediction"].startswith(f"{CLASSES[one['predicted']]}, {right}, probability ")
        seen.add(right)
        page.locator(".close").click()
    assert len(seen) == 2


def predictions_of(records: dict[str, Any]) -> list[str] | None:
    """Return the names of the predicted classes that no label and no badge tells."""
    numbers = records["models"][0]["predicted"]
    return numbers and [records["predictions"][k] if k >= 0 else "" for k in numbers]


def test_predicted_classes_have_no_names_of_other_classes(results_and_folder) -> None:
    results, folder = results_and_folder
    assert predictions_of(records_of(results, folder)) is None  # each is right or wrong
    table = results.samples
    other = table["predicted"].where(np.arange(len(table)) % len(NAMES) != 3, 500)
    foreign = replace(results, samples=table.assign(predicted=other))
    found = predictions_of(records_of(foreign, folder))
    assert found == [f"class {k}" for k in other[: len(NAMES)]]
    assert found[3] == "class 500"


def test_without_labels_predicted_classes_have_their_names(tmp_path) -> None:
    net, parts = small_network(), {"methods": METHODS, "binarizers": BINARIZERS, "prepare": SMALL}
    data = [Sample(f"image {k}", one.image, one.mask) for k, one in enumerate(samples(3))]
    results = evaluate(
        net, data, metrics={"iou": iou}, class_names=CLASSES, name="net", progress=False, **parts
    )
    draw_images(results, data, net, tmp_path, **parts)
    predicted = results.samples["predicted"]
    assert predictions_of(records_of(results, tmp_path)) == [CLASSES[k] for k in predicted]
    some = predicted.mask(np.arange(3) == 2)
    without = replace(results, samples=results.samples.assign(predicted=some))
    expected = [*(CLASSES[k] for k in predicted[:2]), ""]
    assert predictions_of(records_of(without, tmp_path)) == expected


@needs_browser
def test_the_address_restores_the_state(opened, results_and_folder) -> None:
    results, _ = results_and_folder
    page = opened()
    assert page.evaluate("location.hash") == ""
    choose(page, net="second")
    choose(page, method="grad_cam", bin="mean")
    choose(page, show="lt", sort="down")
    page.locator(".above [data-layer=truth]").click()
    expected = names_on(page)
    known = Scores(results, "second", "grad_cam", "mean")
    assert set(expected) == known.where(known.score < known.guess)
    page.locator(".tile").nth(1).click()
    again = opened(page.evaluate("location.hash"))
    assert again.locator("#viewer-name").inner_text() == expected[1]
    again.keyboard.press("Escape")
    assert names_on(again) == expected
    assert again.locator("[name=net]").input_value() == "second"
    assert again.locator("[name=sort]").input_value() == "down"
    assert again.locator(".above [data-layer=truth]").get_attribute("aria-pressed") == "false"
    again.evaluate("location.hash = '#images?class=round'")
    expect(again.locator("[name=class]")).to_have_value("round")
    assert again.locator("[name=show]").input_value() == ""
    strange = opened("#images?net=x&method=y&show=z&sort=constructor&class=w&image=99&layers=q")
    assert strange.locator("dialog").evaluate("d => d.open") is False


@needs_browser
def test_a_link_on_the_page_chooses_the_images(opened) -> None:
    page = opened()
    page.evaluate(
        """document.body.insertAdjacentHTML('beforeend',
        '<p style="margin-top: 3000px"><a href="#images?show=wrong&sort=conf">wrong</a></p>')"""
    )
    page.get_by_role("link", name="wrong").click()
    expect(page.locator("[name=show]")).to_have_value("wrong")
    assert page.locator("[name=sort]").input_value() == "conf"
    expect(page.locator("#images")).to_be_in_viewport()
    assert abs(page.locator("#images").bounding_box()["y"]) < 100


# --- Widths, print, missing files -----------------------------------------------------------------
@needs_browser
@pytest.mark.parametrize("width", [360, 420, 768, 1280])
def test_nothing_is_wider_than_the_page(opened, width) -> None:
    page = opened(width=width)
    wide = "[document.documentElement.scrollWidth, innerWidth]"
    assert page.evaluate(wide) == [width, width]
    columns = (
        "getComputedStyle(document.querySelector('.tiles')).gridTemplateColumns.split(' ').length"
    )
    if width < 500:
        assert page.evaluate(columns) == 3
    for tile in (page.locator(".tile").first, page.locator(".tile").last):
        tile.click()
        dialog = (
            "(d => [d.scrollWidth - d.clientWidth, d.getBoundingClientRect().width <= innerWidth])"
        )
        assert page.evaluate(f"{dialog}(document.querySelector('dialog'))") == [0, True]
        page.keyboard.press("Escape")
    small = """all => all.filter(e => e.offsetParent && (e.offsetWidth < 24 || e.offsetHeight < 24))
        .map(e => e.outerHTML)"""
    assert page.locator("#images :is(button, select, input)").evaluate_all(small) == []


@needs_browser
def test_the_images_are_printed_without_filters(opened) -> None:
    page = opened()
    page.emulate_media(media="print")
    assert not page.locator("form.filters").is_visible()
    assert page.locator(".tile").first.is_visible()


@needs_browser
def test_without_its_folder_the_page_says_so(chromium, results_and_folder, tmp_path) -> None:
    _, folder = results_and_folder
    shutil.copy(folder / "report.html", tmp_path)
    page = chromium.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.locator(".found", has_text="not beside").wait_for()
    assert page.locator(".tile").count() == 14
    page.close()


@needs_browser
@pytest.mark.usefixtures("no_figures")
def test_the_report_has_the_browser(opened, results_and_folder, tmp_path) -> None:
    results, folder = results_and_folder
    shutil.copytree(folder / "report_files", tmp_path / "report_files")
    write_report(results, tmp_path)
    page = opened("#images?show=lt", place=tmp_path)
    known = Scores(results, "first", *start_of(results, "first"))
    assert set(names_on(page)) == known.where(known.score < known.guess)
    page.locator(".box[data-drawn]").first.wait_for()


# --- Limits ---------------------------------------------------------------------------------------
def test_the_script_is_small() -> None:
    folder = Path(__file__).parents[2] / "src" / "cameval" / "report" / "templates"
    assert len((folder / "browser.js").read_bytes()) <= 30_000
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", (folder / "browser.js").read_text())


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> tuple[Results, Path]:
    """5,000 made-up images of two networks with three methods and two binarizers."""
    folder, count = tmp_path_factory.mktemp("many"), 5000
    names = ("cam", "grad_cam", "layer_cam")
    results = made(count, models=("first", "second"), methods=names, groups=500)
    rng = np.random.default_rng(0)
    masks = [gaussian_filter(rng.random((224, 224)), 14) for _ in range(40)]
    outlines = [trace_mask(one > np.quantile(one, 0.75)) for one in masks]
    photo = Photo(rng.integers(0, 255, (32, 32), np.uint8), 1.0)
    empty = Sample("a", np.zeros((2, 2), np.float32), np.zeros((2, 2), bool))
    for model in ("first", "second"):
        of_model = results.select(model=model)
        columns = [c for c in of_model.columns if c.kind == "method" and c.metric == "iou"]
        pairs = [(c.target_class, c.method, c.binarizer, c.metric) for c in columns]
        at = [of_model.columns.index(c) for c in columns]
        tiles = []
        with new_folder(folder, model) as writer:
            photos = None
            for k in range(count):
                chosen = [outlines[i] for i in rng.integers(0, 40, 7)]
                cells = rng.integers(0, 256, (3, 7, 7), np.uint8)
                maps: list[SmallMap | None] = [
                    SmallMap(
                        one, (-0.5, 7.0, -0.5, 7.0), (0.0, 255.0), np.zeros((1, 1), np.float32)
                    )
                    for one in cells
                ]
                known: list[MaskScore | None] = [None] * 6
                drawn = Drawn(
                    k, 0, empty, photo, (224, 224), chosen[0], [], chosen[1:], maps, known
                )
                [(part, place)] = writer.add_image([drawn])
                photos = photos or writer.add_photo(drawn)
                digest, thumb, large = photos
                row = of_model.samples.iloc[k]
                scores = [float(one) for one in of_model.values[k, at]]
                of_files = thumb, large, part, place
                key = str(row["sample"]), int(row["label"]), 0
                tiles.append(Tile(*key, *of_files, 1.0, "", scores, digest))
            writer.close_part()
            finish(writer, ModelPictures(model, count, "", pairs, tiles, []))
    write_page(browser_of(results, folder), folder)
    return results, folder


def test_many_images_make_a_small_page_and_small_parts(many) -> None:
    _, folder = many
    assert (folder / "report.html").stat().st_size <= 1_600_000  # of 2 MB, with all tables
    parts = [file.stat().st_size for file in (folder / "report_files").glob("part-*.js")]
    assert len(parts) == 50
    assert sum(parts) / 10_000 <= 3200


@needs_browser
def test_of_many_images_few_are_made_at_once(opened, many) -> None:
    results, folder = many
    page = opened(place=folder)
    assert page.locator(".tile").count() == 120
    assert page.evaluate("document.querySelectorAll('*').length") < 4000
    known = Scores(results, "first", *start_of(results, "first"))
    choose(page, show="lt")
    below = int((known.score < known.guess).sum())
    assert page.locator(".found").inner_text().startswith(f"{below:,} of 5,000 images")
    page.get_by_role("button", name="Show 120 more").click()
    assert page.locator(".tile").count() == 240
    assert page.evaluate("document.activeElement === document.querySelectorAll('.tile')[120]")
    page.locator(".box[data-drawn]").first.wait_for()


def test_what_the_page_needs_is_decoded_as_it_was(results_and_folder) -> None:
    results, folder = results_and_folder
    data = records_of(results, folder)
    model = data["models"][1]
    pair = model["pairs"][model["start"]]
    method, binarizer = data["methods"][pair["method"]], data["binarizers"][pair["binarizer"]]
    known = Scores(results, "second", method, binarizer)
    for number, expected in ((pair["score"], known.score), (pair["guess"], known.guess)):
        found = np.frombuffer(b64decode(data["arrays"][number]), "<f8")
        np.testing.assert_array_equal(found, expected)
