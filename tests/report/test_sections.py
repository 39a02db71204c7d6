"""A report with sections of a study's own, and about what was fixed before the scores were seen."""

import re
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pages import Page, made, written

from cameval.errors import SettingError
from cameval.evaluation import Results, choose_binarizers, concat
from cameval.evaluation._numbers import MISSING, format_short
from cameval.report import (
    Block,
    Cell,
    Picture,
    Row,
    Section,
    Table,
    format_difference,
    format_number,
    format_p,
    page_tests,
    picture_of,
    table_of,
    write_report,
)
from cameval.report import page as writing

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture(scope="module")
def picture() -> Picture:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 3, 2])
    return picture_of(figure, "folds.png", "A line over <three> folds.", "Of each & every fold.")


FRAME = pd.DataFrame(
    {
        "network": ["ResNet", "VGG", "all"],
        "IoU": [0.4119, None, 0.3],
        "images": [1200, 20, 1220],
        "remark": ["", Cell("late", "stopped"), None],
    }
)


def small() -> Results:
    return made(
        n=9,
        groups=3,
        methods=("cam",),
        baselines={"center": "nothing"},
        binarizers=("p95",),
        metrics=("pixel_auroc", "iou"),
    )


# --- Sections -------------------------------------------------------------------------------------


def test_own_sections_come_after_the_findings_and_before_the_others(tmp_path, picture) -> None:
    sections = [
        Section("folds", "Folds", ["One.", "Two."], [table_of(FRAME, "Networks")], [picture]),
        Section("limits", "Limits", "One data set."),
        Section("nothing", "Nothing", ["", " "]),
    ]
    page = written(small(), tmp_path, lead=["In a word.", "", "In two."], sections=sections)
    sections = [one for one in page.ids if one != "theme"]
    assert sections[:4] == ["summary", "folds", "limits", "guessing"]
    contents = [link.removeprefix("#") for link in page.links[1:]]  # the first skips them
    assert contents == [one for one in sections if one in contents]
    assert "nothing" not in page.ids
    order = [page.text.index(words) for words in (page.headline, "In a word.", "In two.")]
    order += [page.text.rindex(words) for words in ("One.", "Two.", "Networks", "One data set.")]
    assert order == sorted(order)
    assert page.text.count("Folds") == 2  # in the contents too
    assert page.source.count('<p class="own">In ') == 2


def test_a_page_without_them_has_no_trace_of_them(tmp_path) -> None:
    first = write_report(small(), tmp_path / "a").read_bytes()
    second = write_report(small(), tmp_path / "b", lead=(), sections=[Section("x", "X")])
    assert second.read_bytes() == first
    assert b'class="own"' not in first
    assert not (tmp_path / "a" / "figures").exists()


def test_what_a_study_writes_stays_text(tmp_path, picture) -> None:
    evil = '<script>alert(1)</script> & "quoted" {{ 7 * 7 }} \x07'
    frame = pd.DataFrame({evil: [evil], "b" + evil: [Cell(evil, evil)]})
    shown = replace(picture, alt=evil, caption=evil)
    section = Section("own", evil, evil, [table_of(frame, evil, notes=[evil])], [shown])
    page = written(small(), tmp_path, lead=evil, sections=[section])
    assert page.text.count('<script>alert(1)</script> & "quoted" {{ 7 * 7 }} \ufffd') >= 9
    assert "\x07" not in page.source


def test_one_paragraph_needs_no_list(tmp_path) -> None:
    page = written(small(), tmp_path, lead="All in one.", sections=[Section("x", "X", "Short.")])
    assert '<p class="own">All in one.</p>' in page.source
    assert "<p>Short.</p>" in page.source


def test_own_pictures_are_shown_and_written_beside_the_others(tmp_path, picture) -> None:
    page = written(small(), tmp_path, sections=[Section("own", "Own", pictures=[picture])])
    assert (tmp_path / "figures" / "folds.png").read_bytes() == picture.data
    (shown,) = [image for image in page.images if image["alt"] == picture.alt]
    assert b64decode(shown["src"].partition(",")[2]) == picture.data
    assert "Of each & every fold." in page.text
    assert [file.name for file in (tmp_path / "figures").glob("*.png")] == ["folds.png"]
    for file in ("random-weights.png", "Random-weights-2.png"):
        taken = Section("own", "Own", pictures=[replace(picture, file=file)])
        with pytest.raises(SettingError, match="others than those of the page's own figures"):
            write_report(small(), tmp_path, sections=[taken])


def test_the_reserved_anchors_are_those_of_the_page(tmp_path) -> None:
    page = Page(write_report(small(), tmp_path, lead="Short."))
    reserved = {*writing.ANCHORS}
    absent = {
        "networks",
        "images",
        "by-threshold",
        "choices",
        "more-scores",
        "negatives",
        "parts",
        "sanity",
    }
    assert {*page.ids} - {"theme"} == reserved - absent
    for anchor in reserved:
        with pytest.raises(SettingError, match=f"which are sections of the page.* got '{anchor}'"):
            write_report(small(), tmp_path, sections=[Section(anchor, "Mine", "Words.")])


def test_what_gets_in_the_way_is_refused_before_anything_is_written(tmp_path, picture) -> None:
    one, same = (Section(a, "Own", pictures=[picture]) for a in ("one", "other"))
    for sections, message in [
        ([one, Section("one", "Again")], "anchors of sections must be unique, got 'one' twice"),
        ([one, same], "files of pictures must be unique, got 'folds.png' twice"),
        ([table_of(FRAME, "Networks")], "sections must be a list of Section, got Table"),
        (one, "sections must be a list of Section, got Section"),
    ]:
        with pytest.raises(SettingError, match=message):
            write_report(small(), tmp_path / "new", sections=sections)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: Section("my own", "Own"), "anchor must be a letter, then .* got 'my own'"),
        (lambda p: Section("1st", "Own"), "anchor must be a letter"),
        (lambda p: Section("", "Own"), "anchor must be a letter"),
        (lambda p: Section("own", " "), "title must say what is in 'own'"),
        (lambda p: Section("own", "Own", tables=[FRAME]), "Table, got DataFrame; table_of"),
        (lambda p: Section("own", "Own", tables=FRAME), "Table, got DataFrame; table_of"),
        (lambda p: Section("own", "Own", pictures=p), "list of Picture, got Picture; picture_of"),
        (lambda p: Section("own", "Own", pictures=[b"x"]), "list of Picture, got bytes"),
        (lambda p: replace(p, file="../a.png"), "file must be the name of a picture"),
        (lambda p: replace(p, file="a.jpg"), "file must be the name of a picture"),
        (lambda p: replace(p, alt=""), "alt must say in words what folds.png shows"),
        (lambda p: replace(p, data=b"GIF89a.."), "must be the bytes of a PNG file, got b'GIF89a"),
        (lambda p: Row(Cell("a"), [], "bold"), "look must be one of method, baseline, .*'bold'"),
        (lambda p: Table("T", ["a"], [], look="wide"), "look must be one of lead, words, .*'wide'"),
        (
            lambda p: Table("T", ["a", "b"], [Block([Row(Cell("first"), [])])]),
            "rows of 'T' must have a cell for each of the 1 titles .* got 0 in the row 'first'",
        ),
    ],
)
def test_what_a_section_cannot_hold_is_refused(make, message, picture) -> None:
    with pytest.raises(SettingError, match=message):
        make(picture)


# --- Tables of frames -----------------------------------------------------------------------------


def test_a_frame_becomes_a_table(tmp_path) -> None:
    table = table_of(
        FRAME, "Networks", notes=["Means."], head="net", looks=["method", "baseline", "total"]
    )
    page = written(small(), tmp_path, sections=[Section("own", "Own", tables=[table])])
    found = page.table("Networks")
    assert found.titles == ["net", "IoU", "images", "remark"]
    assert found.rows == [
        ("", "ResNet", [".412", "1,200", ""]),
        ("", "VGG", [MISSING, "20", "late | stopped"]),
        ("", "all", [".300", "1,220", MISSING]),
    ]
    assert {("method", "ResNet"), ("baseline", "VGG"), ("total", "all")} <= {
        *re.findall(r'<tr class="(\w+)"><th scope="row">(\w+)', page.source)
    }
    assert '<p class="note">Means.</p>' in page.source


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, ".250"),
        (np.float32(0.5), ".500"),
        (12345, "12,345"),
        (np.int64(-3), "-3"),
        (float("nan"), MISSING),
        (None, MISSING),
        (pd.NA, MISSING),
        (pd.NaT, MISSING),
        (True, "yes"),
        (np.False_, "no"),
        ("<b>", "<b>"),
        (Cell("a", "b"), "a"),
    ],
)
def test_cells_are_written_as_the_page_writes_them(value, text) -> None:
    frame = pd.DataFrame({"head": ["row"], "cell": pd.Series([value], dtype=object)})
    assert table_of(frame, "T").blocks[0].rows[0].cells[0].text == text


def test_missing_whole_numbers_leave_the_others_whole() -> None:
    frame = pd.DataFrame({"head": ["a", "b"], "n": pd.array([1200, None], dtype="Int64")})
    rows = table_of(frame, "T").blocks[0].rows
    assert [row.cells[0].text for row in rows] == ["1,200", MISSING]


def test_a_frame_that_is_no_table_is_refused() -> None:
    for frame in (FRAME.head(0), FRAME[["IoU"]]):
        with pytest.raises(SettingError, match="at least one row and two columns, got"):
            table_of(frame, "T")
    with pytest.raises(SettingError, match="looks must be one for each of the 3 rows, got 2"):
        table_of(FRAME, "T", looks=["", "total"])
    with pytest.raises(SettingError, match=r"cells must be text, .* got Timestamp"):
        table_of(FRAME.assign(day=pd.Timestamp(0)), "T")


def test_a_figure_becomes_the_same_picture_again() -> None:
    def drawn() -> Picture:
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([1, 3, 2])
        return picture_of(figure, "a.png", "A line.", "")

    assert drawn() == drawn()
    assert drawn().data.startswith(b"\x89PNG")


# --- Fixed in advance -----------------------------------------------------------------------------


def level(column) -> float:
    """Make grad_cam with otsu the best, cam with p95 the best of cam."""
    best = {("grad_cam", "otsu"): 0.5, ("cam", "p95"): 0.4, ("cam", "otsu"): 0.3}
    return best.get((column.method, column.binarizer), 0.2)


def chosen_on_validation(label: str = "validated") -> Results:
    """Make results with a column of binarizers chosen elsewhere: p95 for all."""
    test = made(n=12, groups=4, value=level)
    elsewhere = made(n=12, value=lambda c: 0.2 + 0.2 * (c.binarizer == "p95"))
    names = elsewhere.samples["sample"] + " of another part"
    groups = elsewhere.samples["group"] + " of another part"
    validation = replace(elsewhere, samples=elsewhere.samples.assign(sample=names, group=groups))
    return choose_binarizers(validation).apply(test, label)


def mean(results: Results, **where: str) -> str:
    return format_number(results.select(metric="iou", **where).summary()["mean"].iloc[0])


def test_by_default_the_best_is_shown_and_called_a_choice(tmp_path) -> None:
    page = written(made(n=12, value=level), tmp_path)
    assert "grad_cam · masks by otsu" in page.text
    assert "Gray band: the best guess with the same binarizer." in page.text
    assert page.caution.startswith(
        "With p95 cam scores .40 and grad_cam .21, not tested: the order"
    )
    assert "Optimistic: the best of 4 pairs of method and binarizer, chosen" in page.caution
    assert "Method and binarizer are the best of 4 combinations on these same images" in page.text
    assert "The binarizer was chosen by these same scores" in page.text


def test_a_validated_binarizer_is_the_headline_and_no_optimistic_choice(tmp_path) -> None:
    results = chosen_on_validation()
    page = written(results, tmp_path, binarizer="validated", method="cam")
    score = mean(results, method="cam", binarizer="p95")
    assert "cam · threshold chosen on other images" in page.text
    assert page.says.startswith(f"Mean IoU with the true masks: {format_short(float(score))},")
    origin = "chosen on other images by the highest mean IoU"
    assert f"The binarizer of each map was {origin}." in page.text
    assert "ptimistic" not in page.text
    assert "these same scores" not in page.text
    assert page.table("IoU by true class").rows[0][0] == "cam, validated"
    assert page.table("IoU by true class").find("all images", "IoU").startswith(score)
    assert page.table("Paired differences").rows[0][0].endswith(", validated")
    assert "With validated, each method and each baseline has the binarizer" in page.text
    assert "p95 for cam, grad_cam, center, intensity, truth" in page.text
    assert "Gray band: the best guess with the binarizer that was chosen for it." in page.text


def test_what_is_still_chosen_is_said(tmp_path) -> None:
    results = chosen_on_validation()
    page = written(results, tmp_path / "a", binarizer="validated")
    assert "was chosen on other images by the highest mean IoU." in page.text
    assert "The method is the best of 2 on these same images, an optimistic choice." in page.text
    assert "these same scores" not in page.text
    page = written(made(n=12, value=level), tmp_path / "b", method="cam")
    assert "cam · masks by p95" in page.text
    assert "Optimistic: the best of 2 binarizers, chosen on these same" in page.caution
    assert "The binarizer is the best of 2 on these same images, an optimistic" in page.text
    assert "The binarizer was chosen by these same scores" in page.text
    optimum = choose_binarizers(results).apply(results, "optimum")
    page = written(optimum, tmp_path / "c", binarizer="optimum", method="cam")
    origin = "chosen on these same images by the highest mean IoU, an optimistic choice"
    assert f"The binarizer of each map was {origin}." in page.text
    assert "The binarizer was chosen by these same scores" in page.text
    page = written(made(n=12, value=level), tmp_path / "d", binarizer="p95", method="cam")
    assert "ptimistic" not in page.text
    assert "The binarizer was" not in page.text


def test_tests_are_against_the_method_that_was_fixed(tmp_path) -> None:
    page = written(made(n=12, value=level), tmp_path, method="grad_cam", binarizer="p95")
    table = page.table("Paired differences")
    assert table.rows[0][:2] == ("minus grad_cam, p95", "cam")
    assert not [block for block, _, _ in table.rows if block == "minus cam, p95"]


def test_without_methods_a_baseline_may_be_fixed(tmp_path) -> None:
    results = made(n=9, methods=())
    page = written(results, tmp_path, method="intensity")
    assert "intensity · masks by" in page.text
    assert page.chip == "? No method"
    assert page.headline == "No method was evaluated beside the baselines."


def test_where_nothing_needs_a_binarizer_none_is_preferred(tmp_path) -> None:
    results = made(n=9, metrics=("pixel_auroc",))
    page = written(results, tmp_path, method="cam")
    assert page.says.startswith("Mean AUROC with the true masks: ")
    assert "ptimistic" not in page.text


def test_labels_that_were_not_evaluated_are_refused(tmp_path) -> None:
    with pytest.raises(SettingError, match=r"binarizer must be one .*\(p95\), got 'validated'"):
        write_report(small(), tmp_path / "new", binarizer="validated")
    with pytest.raises(SettingError, match=r"method must be one .*\(cam\), got 'center'"):
        write_report(small(), tmp_path / "new", method="center")
    assert not (tmp_path / "new").exists()


def test_folds_that_chose_differently_are_one_report(tmp_path) -> None:
    folds = []
    for k, better in enumerate(("p95", "otsu")):
        parts = []
        for word in ("validation", "test"):
            part = made(n=12, value=lambda c, b=better: 0.2 + 0.3 * (c.binarizer == b))
            names = [f"{word} {k} {i}" for i in range(12)]
            groups = [f"{word} {k} {i % 4}" for i in range(12)]
            parts.append(replace(part, samples=part.samples.assign(sample=names, group=groups)))
        validation, test = parts
        folds.append(choose_binarizers(validation).apply(test))
    results = concat(folds)
    results.to_csv(tmp_path / "results.csv")
    again = Results.from_csv(tmp_path / "results.csv")
    page = written(again, tmp_path, binarizer="validated", method="cam")
    score = mean(results, method="cam", binarizer="validated")
    assert float(score) > max(
        float(mean(results, method="cam", binarizer=b)) for b in ("p95", "otsu")
    )
    assert f"Mean IoU with the true masks: {format_short(float(score))}" in page.says
    assert page.text.count("Chosen as validated") == 2
    assert "otsu for cam, grad_cam, center" in page.text
    assert "24 images" in page.text


def test_a_choice_for_several_classes_names_them(tmp_path) -> None:
    results = made(n=9, target_class=("predicted", "true"))
    results = choose_binarizers(results).apply(results, "optimum")
    assert "cam (the true class)" in written(results, tmp_path, binarizer="optimum").text


# --- Numbers and tests for sections of your own ---------------------------------------------------


def test_a_section_of_your_own_is_five_lines(tmp_path) -> None:
    results = small()
    means = results.pivot("iou").reset_index()
    table = table_of(means, "Mean IoU by method and binarizer")
    section = Section("mine", "My section", "These means are over all images.", [table])
    page = Page(write_report(results, tmp_path, sections=[section]))
    iou = results.select(metric="iou", method="cam", kind="method").values.mean()
    assert page.table("Mean IoU by method").find("cam", "p95") == format_number(float(iou))


def test_tests_that_are_quoted_are_those_of_the_page(tmp_path) -> None:
    results = made(n=24, groups=12, models=("a", "b"), target_class=("predicted", "true"))
    page = written(results, tmp_path, method="cam", binarizer="otsu")
    tests = page_tests(results, method="cam", binarizer="otsu")
    rows = [
        (head, cells[0].split(" | ")[0], cells[1].split(" | ")[0])
        for caption in ("Paired differences in IoU", "Paired differences in IoU between", "from")
        for table in page.tables
        if table.caption.startswith(caption) and table.titles[1:3] == ["difference", "p"]
        for _, head, cells in table.rows
    ]
    assert {kind: len(part) for kind, part in tests.groupby("kind")} == {
        "method": 10,
        "model": 2,  # in IoU, and in a metric without a binarizer
        "target_class": 2,
    }
    for test in tests[tests["kind"] == "method"].itertuples():
        difference = format_difference(test.difference)
        expected = test.first, difference, format_p(test.p_holm)
        assert expected in rows
    assert list(tests.columns) == [
        *("kind", "model", "first", "second", "target_class", "method", "binarizer", "metric"),
        *("difference", "low", "high", "p", "p_holm", "low_holm", "high_holm", "confidence_holm"),
        *("n", "n_groups", "n_differing", "n_undefined"),
        *("n_patterns", "is_exact", "least_p", "is_reliable", "family", "tests"),
    ]
    assert set(tests.groupby(["metric", "binarizer"]).groups) == {
        ("iou", "otsu"),
        ("pixel_auroc", ""),
    }
    assert set(tests["tests"]) == {len(tests)}
    one = (
        tests[(tests["model"] == "a") & (tests["second"] == "center")].set_index("first").loc["cam"]
    )
    chosen = {"model": "a", "binarizer": "otsu", "target_class": "predicted"}
    alone = results.compare("iou", over="method", reference="center", **chosen)
    expected = alone.set_index("first").loc["cam"]
    for name in ("difference", "low", "high", "p", "n", "n_groups", "n_differing", "n_undefined"):
        assert one[name] == pytest.approx(expected[name]), name
    with pytest.raises(SettingError, match="method must be one of those evaluated"):
        page_tests(results, method="center")


# --- Chosen binarizers ----------------------------------------------------------------------------


def fold_of(results: Results, at: np.ndarray) -> tuple[Results, Results]:
    """Return the images of a fold, and the others."""
    return tuple(
        replace(
            results,
            samples=results.samples[part].reset_index(drop=True),
            **{k: getattr(results, k)[part] for k in ("values", "codes", "weights")},
        )
        for part in (at, ~at)
    )


@pytest.mark.usefixtures("figures_drawn")
def test_chosen_binarizers_have_a_fold_of_their_own(tmp_path) -> None:
    results = made(30, groups=30, baselines={"center": "nothing"})
    first, second = fold_of(results, np.arange(30) < 12)
    choices = [choose_binarizers(first), choose_binarizers(second, by="label")]
    page = written(choices[0].apply(second), tmp_path / "a")
    table = page.table("Binarizer that was chosen for each map")
    assert [head.split(" | ")[0] for _, head, _ in table.rows] == ["cam", "grad_cam", "center"]
    for row in choices[0].to_pandas().itertuples():
        assert table.find(row.method, "binarizer") == row.binarizer
        assert table.find(row.method, "mean") == format_number(row.score)
    assert table.rows[0][0] == "validated: by the mean IoU of 12 images"
    assert "With validated, each map has the binarizer that was chosen for it. A frame" in page.text
    folds = concat([choices[0].apply(second), choose_binarizers(second).apply(first)])
    page = written(folds, tmp_path / "b")
    table = page.table("Binarizer that was chosen for each map")
    assert {block for block, _, _ in table.rows} == {
        "choice 1 of 2, validated: by the mean IoU of 12 images",
        "choice 2 of 2, validated: by the mean IoU of 18 images",
    }
    table = written(choices[1].apply(first), tmp_path / "c").table("Binarizer that was chosen")
    assert table.titles == ["map", "class", "binarizer", "mean"]
    assert {cells[0] for _, _, cells in table.rows} == {"all classes", "round", "square", "long"}


def test_without_a_choice_there_is_no_such_fold(tmp_path) -> None:
    assert "choices" not in written(small(), tmp_path).ids


@pytest.mark.usefixtures("figures_drawn")
def test_a_choice_is_no_further_binarizer_of_the_thresholds(tmp_path) -> None:
    results = chosen_on_validation()
    page = written(results, tmp_path / "repeated", binarizer="validated", method="cam")
    section = page.source[page.source.index('<section id="by-threshold"') :]
    figure, fold = section.split('<details class="fold">')[:2]
    assert "<span>2 binarizers</span>" in figure
    assert "Binarizers that are compared: p95 and otsu." in figure
    assert "A circle: validated, chosen on other images by the highest mean IoU." in figure
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", figure)
    assert "otsu" in texts
    assert "validated" not in texts
    assert texts.count("validated, of each map") == 2  # in both widths
    assert "<span>2 binarizers and 1 choice</span>" in fold
    mixed = results.values.copy()
    at = [c.binarizer == "validated" for c in results.columns]
    mixed[:, at] = np.where(np.arange(12)[:, None] < 6, mixed[:, at], 0.11)
    page = written(replace(results, values=mixed), tmp_path / "mixed", binarizer="validated")
    section = page.source[page.source.index('<section id="by-threshold"') :]
    figure = section.split('<details class="fold">')[0]
    assert "<span>2 binarizers and 1 choice</span>" in figure
    assert "A circle" not in figure
    assert "validated" in re.findall(r"<text[^>]*>([^<]*)</text>", figure)
