"""The page in a real browser: nothing is requested, nothing is cut, and keys work."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from chromium import expect, needs_browser
from pages import made
from PIL import Image

from cameval import concat
from cameval.evaluation._score_bins import MOST_DOTS
from cameval.report import _chart, write_report
from cameval.report._svg import Drawing

pytestmark = needs_browser


CUT = """() => [...document.querySelectorAll('svg[role=img]')].flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(text => {
        const box = text.getBoundingClientRect();
        return box.width && text.checkVisibility()
            && (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2
            || box.bottom > frame.bottom + 2);
    }).map(text => text.textContent);
})"""
"""Texts of figures that are cut."""

OVER_EACH_OTHER = """() => [...document.querySelectorAll('svg[role=img]')].flatMap(svg => {
    const texts = [...svg.querySelectorAll('text')]
        .map(text => [text.getBoundingClientRect(), text])
        .filter(([box, text]) => box.width && text.checkVisibility());
    const bad = texts.filter(([box, text]) => !text.transform.baseVal.numberOfItems
        && parseFloat(getComputedStyle(text).fontSize)
            * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width < 10.9)
        .map(([box, text]) => 'small: ' + text.textContent);
    texts.forEach(([a, one], k) => texts.slice(k + 1).forEach(([b, other]) => {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 2 && tall > 4) bad.push(one.textContent + ' | ' + other.textContent);
    }));
    return bad;
})"""
"""Texts of figures that are on each other, or small."""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Write a page of two networks; some names are long."""
    name = 'a </script> "long" name of a class ' * 3
    parts = [
        made(
            40,
            groups=20,
            models=(model,),
            methods=("cam", "a_method_with_a_long_name"),
            classes=("round", name, "long"),
            value=lambda c, level=level: level if c.kind == "method" else 0.3,
        )
        for model, level in (("net", 0.5), ("a network with a rather long name", 0.3))
    ]
    return write_report(concat(parts), tmp_path_factory.mktemp("page"), title="A page")


@pytest.fixture(scope="module", params=["networks", "images"])
def large(request, tmp_path_factory) -> Path:
    """Write a page of more than four networks, or of more images than are drawn as dots."""
    folder = tmp_path_factory.mktemp("large")
    if request.param == "images":
        return write_report(made(MOST_DOTS + 100, methods=("cam",), binarizers=("p95",)), folder)
    names = ("net", "W" * 40, "a network with a long name", "densenet121-res224-all", "שלום")
    parts = [
        made(
            40,
            groups=20,
            models=(model,),
            methods=("a_method_with_a_long_name",),
            binarizers=("p95",),
            value=lambda c, k=k: 0.2 + 0.1 * k if c.kind == "method" else 0.4,
        )
        for k, model in enumerate(names)
    ]
    with pytest.MonkeyPatch.context() as patch:
        nothing = lambda *_, **__: Drawing("", "", "<svg></svg>", "<svg></svg>")  # noqa: E731
        patch.setattr(_chart, "draw_twice", nothing)
        return write_report(concat(parts), folder)


@pytest.fixture
def visit(chromium, file) -> Iterator[Any]:
    """Return a function that opens the page, and check that nothing went wrong meanwhile."""
    contexts, problems = [], []

    def opened(width: int = 1280, height: int = 1000, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:")) or problems.append(request.url)
            ),
        )
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.parametrize("width", [360, 420, 768, 1000, 1280])
def test_nothing_scrolls_sideways_and_no_text_of_a_figure_is_cut(visit, width) -> None:
    page = visit(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(CUT)
    assert cut == []


@pytest.mark.parametrize("width", [360, 1280])
def test_no_text_of_a_figure_is_on_another_and_none_is_small(visit, width) -> None:
    page = visit(width)
    found = page.evaluate(OVER_EACH_OTHER)
    assert found == []


@pytest.mark.parametrize("width", [360, 1280])
def test_figures_of_many_networks_and_of_many_images_are_whole(chromium, large, width) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 1000})
    page.goto(large.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []
    assert page.evaluate(OVER_EACH_OTHER) == []
    assert page.locator("svg.headline:visible").count() == 1
    page.close()


def test_the_headline_figure_is_on_the_first_screen(visit) -> None:
    page = visit()
    figure = page.locator("svg.headline:visible").first
    box = figure.bounding_box()
    assert box["y"] + box["height"] <= 1000
    assert "Mean IoU" in figure.get_attribute("aria-label")


def test_rows_are_sorted_by_a_click_on_a_heading(visit) -> None:
    page = visit()
    head = page.locator("#scores table.scores th", has_text="IoU").first
    column = head.evaluate("cell => cell.cellIndex")
    read = f"""() => [...document.querySelector('#scores table.scores').tBodies]
        .map(part => [...part.rows].map(row => row.className === 'heading' ? row.innerText
            : row.cells[{column}].innerText.trim().split(/\\s/)[0]))"""
    before = page.evaluate(read)
    assert len(before) > 1
    for heading, *means in before:
        assert heading.split()[-1].isalpha()
        assert [float(text) for text in means] == sorted(map(float, means), reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.evaluate(read) == before
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    for (heading, *means), (was, *others) in zip(page.evaluate(read), before, strict=True):
        assert heading == was
        assert [float(text) for text in means] == sorted(map(float, others))


EDGES = """(selector) => [...document.querySelectorAll(selector)].map(part => {
    const box = part.getBoundingClientRect();
    return { more: part.scrollWidth > part.clientWidth, left: box.left, right: box.right,
        top: box.top, height: box.height, layers: getComputedStyle(part).backgroundAttachment };
})"""
"""Whether each part scrolls sideways, where it is, and how its backgrounds are attached."""


def darkest(page, x: float, y: float) -> int:
    """Return the darkest gray in a small square of the page."""
    clip = {"x": x, "y": y, "width": 4, "height": 4}
    picture = Image.open(BytesIO(page.screenshot(clip=clip))).convert("L")
    return picture.getextrema()[0]


def test_the_contents_show_at_the_edge_that_there_are_more(visit) -> None:
    page = visit(420)
    (row,) = page.evaluate(EDGES, "nav ul")
    assert row["more"]
    at_the_end = row["right"] - 4, row["top"] + 2
    assert darkest(page, *at_the_end) < 235
    assert darkest(page, row["left"], row["top"] + 2) == 255
    page.evaluate("document.querySelector('nav ul').scrollLeft = 9999")
    assert darkest(page, *at_the_end) == 255
    assert darkest(page, row["left"], row["top"] + 2) < 235


def test_the_current_section_is_in_view_among_the_contents(visit) -> None:
    page = visit(420)
    page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    page.locator("#scores").evaluate("section => section.scrollIntoView()")
    current = page.locator("nav a[aria-current]")
    expect(current).to_have_text("All scores")
    expect(current).to_be_in_viewport(ratio=1)
    page.evaluate("scrollTo(0, 0)")
    expect(current).to_have_text("Summary")
    expect(current).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize(("width", "more"), [(420, True), (1280, False)])
def test_the_table_of_all_scores_fits_or_shows_that_it_scrolls(visit, width, more) -> None:
    page = visit(width)
    page.locator("#scores .scroll").first.scroll_into_view_if_needed()
    part = page.evaluate(EDGES, "#scores .scroll")[0]
    assert part["more"] == more
    shade = darkest(page, part["right"] - 4, max(part["top"], 60) + 10)
    assert (shade < 235) == more


def test_a_link_opens_the_fold_that_it_leads_to(visit) -> None:
    page = visit()
    assert not page.locator("#tests").is_visible()
    page.evaluate("location.hash = 'tests'")
    expect(page.locator("#tests")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(visit, scheme) -> None:
    page = visit(color_scheme=scheme)
    poor = page.evaluate(
        """() => {
            const light = (color) => {
                const parts = color.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
                    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                return .2126 * parts[0] + .7152 * parts[1] + .0722 * parts[2];
            };
            const ground = light(getComputedStyle(document.body).backgroundColor);
            const found = [];
            for (const one of document.querySelectorAll('main :is(p, b, span, a, td, th, text)')) {
                if (!one.textContent.trim() || !one.checkVisibility()) continue;
                const style = getComputedStyle(one);
                const color = light(one.tagName === 'text' ? style.fill : style.color);
                const ratio = (Math.max(color, ground) + .05) / (Math.min(color, ground) + .05);
                if (ratio < 4.5) found.push([one.textContent, ratio]);
            }
            return found;
        }"""
    )
    assert poor == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground


def test_the_page_is_complete_without_script(visit) -> None:
    page = visit(java_script_enabled=False)
    assert page.locator("svg.headline:visible").count() == 3
    assert page.locator("#theme:visible").count() == 0
    page.locator("summary", has_text="Paired tests").click()
    assert page.locator("#tests table").first.is_visible()


def test_it_is_printed_with_open_folds(visit, tmp_path) -> None:
    page = visit()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
