"""The table: written and read to the bit, split, compared, put together."""

import dataclasses
import json
import os
import pathlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from evaluations import PLAN, SMALL, same, samples, small_network
from pages import made

import cameval
from cameval import evaluate
from cameval.data import Sample
from cameval.errors import DataError, OutputError, SettingError
from cameval.evaluation import Results, SanityChecks, _csv_tables, concat
from cameval.metrics import of_masks
from cameval.statistics import holm, mean_interval


def run(name: str = "net", **options) -> Results:
    data = samples(9)
    empty = Sample('"x",\n<b>', data[0].image, np.zeros_like(data[0].mask), 0, "NA")
    options = {**PLAN, "prepare": SMALL, "baselines": {}, "name": name} | options
    return evaluate(small_network(), [*data, empty], class_names=["r", "s", "l"], **options)


@pytest.fixture(scope="module")
def results() -> Results:
    return run()


# --- Files ----------------------------------------------------------------------------------------


def test_csv_gives_back_every_bit(results, tmp_path) -> None:
    results.to_csv(tmp_path / "table.csv")
    again = Results.from_csv(tmp_path / "table.csv")
    assert same(results, again)
    assert again.provenance == json.loads(json.dumps(results.provenance))
    assert again.class_names == ("r", "s", "l")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["table.csv", "table.json"]
    again.to_csv(tmp_path / "second.csv")
    assert (tmp_path / "second.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()


def test_parquet_gives_back_every_bit(results, tmp_path) -> None:
    results.to_parquet(tmp_path / "table.parquet")
    again = Results.from_parquet(tmp_path / "table.parquet")
    assert same(results, again)
    assert again.provenance == json.loads(json.dumps(results.provenance))


def renamed(results: Results, **columns: list[str]) -> Results:
    return dataclasses.replace(results, samples=results.samples.assign(**columns))


FORMULAS = [
    *("=1+1", "+1", "-1", "@here", "\ttab", "'quoted", "''twice", "'=1", '"', "a,b"),
    *("\nline", " space ", "NA", "nan", "", "1e5", "007", "True", "\u202eturned", "=\n'"),
]


def test_names_that_a_spreadsheet_would_run_are_written_as_text(results, tmp_path) -> None:
    part = results.select(sample=[f"image {k}" for k in range(9)])
    many = concat([renamed(part, model=f"m{k}") for k in range(3)]).samples.index[: len(FORMULAS)]
    found = concat([renamed(part, model=f"m{k}") for k in range(3)])
    found = dataclasses.replace(
        found,
        samples=found.samples.iloc[many].assign(sample=FORMULAS, group=FORMULAS[::-1], model="=m"),
        values=found.values[many],
        codes=found.codes[many],
        weights=found.weights[many],
    )
    found.to_csv(tmp_path / "table.csv")
    assert same(found, Results.from_csv(tmp_path / "table.csv"))
    written = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
    for name in ("model", "sample", "group"):
        words = set(written[name])
        assert not any(word.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for word in words)
    assert {"'=1+1", "'+1", "'-1", "'@here", "'\ttab", "''quoted", "a,b"} <= set(written["sample"])


def test_labels_of_methods_that_a_spreadsheet_would_run_are_written_as_text(tmp_path) -> None:
    found = run(
        methods={"=cam": cameval.cam, "-grad": cameval.grad_cam},
        binarizers={"@p80": cameval.PercentileBinarizer(80)},
        metrics={"+iou": cameval.iou, "'auroc": cameval.pixel_auroc},
    )
    found.to_csv(tmp_path / "table.csv")
    again = Results.from_csv(tmp_path / "table.csv")
    assert same(found, again)
    assert again.meanings == found.meanings
    text = (tmp_path / "table.csv").read_text()
    assert "'=cam,'@p80,'+iou" in text
    assert ",=cam" not in text


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_a_csv_that_was_cut_between_two_samples_is_refused(results, tmp_path, rows) -> None:
    file = tmp_path / "table.csv"
    results.to_csv(file)
    record = json.loads(file.with_suffix(".json").read_text())
    assert record["rows"] == 10
    results.to_pandas().head(rows * len(results.columns)).to_csv(file, index=False)
    with pytest.raises(
        DataError, match=f"must have the 10 samples .* got {rows}; the file was cut"
    ):
        Results.from_csv(file)
    file.with_suffix(".json").unlink()  # nothing says how many there were
    assert len(Results.from_csv(file)) == rows


def test_the_number_of_rows_is_that_of_what_is_written(results, tmp_path) -> None:
    part = results.select(label=[0, 1])
    part.to_csv(tmp_path / "table.csv")
    again = Results.from_csv(tmp_path / "table.csv")
    assert same(part, again)
    assert "rows" not in again.provenance
    both = concat([part, renamed(part, model="other")])
    both.to_csv(tmp_path / "table.csv")
    assert len(Results.from_csv(tmp_path / "table.csv")) == 2 * len(part)


def test_the_tidy_table_has_a_row_for_each_value(results) -> None:
    table = results.to_pandas()
    assert list(table.columns) == [
        *("model", "sample", "group", "label", "present", "predicted", "probability", "area"),
        *("target_class", "kind", "method", "binarizer", "metric"),
        *("value", "reason", "constant", "weight"),
    ]
    assert len(table) == len(results) * len(results.columns)
    assert (table["value"].isna() == (table["reason"] != "")).all()


def broken_csv(results: Results, change) -> str:
    table = results.to_pandas().astype(object)
    return change(table).to_csv(index=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="value"), "must have the column 'value'"),
        (lambda t: t.drop(columns="label"), "must have the column 'label'"),
        (lambda t: t.drop(columns=["model", "sample"]), "must have the column 'model'"),
        (lambda t: t[["value"]], "must have the column 'model'"),
        (lambda t: t.assign(label=2**70), "label must be Int64"),
        (lambda t: t.assign(label="1.5"), "label must be Int64"),
        (lambda t: t.assign(label="nan"), "label must be Int64"),
        (lambda t: t.head(0), "must have at least one row"),
        (lambda t: t.head(-1), "must have one row for each of 10 samples and"),
        (lambda t: t.assign(label="round"), "label must be Int64"),
        (lambda t: t.assign(value="high"), "value must be float64"),
        (lambda t: t.assign(constant="perhaps"), "constant must be bool"),
        (lambda t: t.assign(reason="it rained"), "reason must be one of .* got 'it rained'"),
        (lambda t: t.iloc[[1, 0, *range(2, len(t))]], "must have its rows sample by sample"),
    ],
)
def test_a_csv_that_is_not_such_a_table_is_refused(results, change, message, tmp_path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(broken_csv(results, change))
    with pytest.raises(DataError, match=message) as caught:
        Results.from_csv(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_or_no_table_is_refused(tmp_path) -> None:
    for name, read in (("t.csv", Results.from_csv), ("t.parquet", Results.from_parquet)):
        with pytest.raises(DataError, match=name):
            read(tmp_path / name)
        (tmp_path / name).write_bytes(b"\x00\xff\x00")
        with pytest.raises(DataError, match=name):
            read(tmp_path / name)


def test_labels_that_pandas_has_made_floats_are_read_as_classes(results, tmp_path) -> None:
    table = results.to_pandas()
    table["label"] = table["label"].astype(float)
    table.to_csv(tmp_path / "table.csv", index=False)
    assert "0.0" in (tmp_path / "table.csv").read_text()
    assert same(results, Results.from_csv(tmp_path / "table.csv"))


def a_pipe(path: pathlib.Path) -> None:
    os.mkfifo(path)


def a_loop(path: pathlib.Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [a_pipe, a_loop, pathlib.Path.mkdir])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_no_plain_file_is_refused(make, kind, tmp_path, results) -> None:
    file = tmp_path / f"table.{kind}"
    make(file)
    with pytest.raises(DataError, match=rf"table\.{kind} must be a table of results as"):
        getattr(Results, f"from_{kind}")(file)


@pytest.mark.parametrize("make", [a_pipe, a_loop, pathlib.Path.mkdir])
def test_a_record_that_is_no_plain_file_is_refused_or_none(make, tmp_path, results) -> None:
    results.to_csv(tmp_path / "table.csv")
    (tmp_path / "table.json").unlink()
    make(tmp_path / "table.json")
    if make is a_loop:  # there is nothing at its end
        assert Results.from_csv(tmp_path / "table.csv").provenance == {}
        return
    with pytest.raises(DataError, match=r"table\.json must be the provenance .*no plain file"):
        Results.from_csv(tmp_path / "table.csv")


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b.csv", "", "/"])
def test_names_that_no_file_can_have_are_refused(path, tmp_path, results) -> None:
    for kind in ("csv", "parquet"):
        with pytest.raises(DataError, match="must be a table of results"):
            getattr(Results, f"from_{kind}")(path)
        with pytest.raises(OutputError, match="path must be a place that can be written"):
            getattr(results, f"to_{kind}")(path)
    with pytest.raises(DataError, match=r"must hold a run \(run\.json\), got none"):
        Results.load(path + "/no/such/folder")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_where_a_table_cannot_be_written_what_was_there_stays(
    kind, tmp_path, results, monkeypatch
) -> None:
    file = tmp_path / f"table.{kind}"
    getattr(results, f"to_{kind}")(file)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if kind == "csv":
        monkeypatch.setattr(_csv_tables, "_fields", full)  # after the header
    else:
        monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OutputError, match=r"path must be a place .* No space left on device"):
        getattr(results.select(label=1), f"to_{kind}")(file)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_cannot_be_written_as_a_table(tmp_path, results) -> None:
    for kind in ("csv", "parquet"):
        (tmp_path / f"t.{kind}").mkdir()
        with pytest.raises(OutputError, match="path must be a place that can be written, got"):
            getattr(results, f"to_{kind}")(tmp_path / f"t.{kind}")
        with pytest.raises(OutputError, match="path must be a place that can be written, got"):
            getattr(results, f"to_{kind}")(tmp_path / "no" / f"t.{kind}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]


def nested(depth: int) -> str:
    return '{"parts": [' * depth + "{}" + "]}" * depth


@pytest.mark.parametrize(
    "text",
    [
        *('{"settings": [1]}', '{"settings": "x"}', '{"settings": {"seed": "x"}}'),
        *('{"settings": {"class_names": 3}}', '{"settings": {"class_names": [3]}}'),
        *('{"parts": {"a": 1}}', '{"parts": [3]}', '{"parts": [{"settings": 1}]}'),
        *('{"chosen": []}', '{"rows": "ten"}', '{"rows": 11}', '{"rows": null}'),
        *(nested(900), nested(100_000), "[" * 100_000, '{"a": NaN', "\ud800", "3", "null"),
    ],
    ids=lambda text: text[:40],
)
def test_a_malformed_record_is_refused(results, tmp_path, text) -> None:
    results.to_csv(tmp_path / "table.csv")
    (tmp_path / "table.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"table\.(json|csv)"):
        Results.from_csv(tmp_path / "table.csv")


def test_provenance_that_is_no_record_is_refused(results, tmp_path) -> None:
    results.to_csv(tmp_path / "table.csv")
    for text in ("{", "[1]"):
        (tmp_path / "table.json").write_text(text)
        with pytest.raises(DataError, match=r"table\.json must be the provenance"):
            Results.from_csv(tmp_path / "table.csv")


def test_provenance_says_what_the_table_was_made_of(results) -> None:
    settings = results.provenance["settings"]
    assert settings["weights"] == run().provenance["settings"]["weights"]
    assert len(settings["weights"]) == 64
    p80 = results.meanings.binarizers["p80"]
    assert (p80.setting, p80.origin) == ("PercentileBinarizer(percentile=80)", None)
    assert p80.marked == pytest.approx(0.2)
    assert set(results.meanings.metrics) == set(PLAN["metrics"])
    assert results.meanings.metrics["coverage"].higher_is_better
    assert results.task == "multiclass"
    assert settings["versions"]["cameval"]
    assert results.provenance["started"].endswith("+00:00")


# --- Labels that are not known --------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed() -> Results:
    """Return results of which every third sample has no label; the first has the label 0."""
    data = [dataclasses.replace(s, label=None if k % 3 == 2 else k % 3) for k, s in enumerate(DATA)]
    return evaluate(small_network(), data, prepare=SMALL, baselines={}, name="net", **PLAN)


DATA = samples(9)


def test_a_label_that_is_not_known_is_missing(mixed) -> None:
    labels = mixed.samples["label"]
    assert labels.dtype == "Int64"
    assert labels.isna().tolist() == [k % 3 == 2 for k in range(9)]
    assert labels.dropna().tolist() == [0, 1] * 3
    assert mixed.samples["predicted"].notna().all()
    assert mixed.to_pandas()["label"].isna().sum() == 3 * len(mixed.columns)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_missing_labels_are_kept_in_files(mixed, kind, tmp_path) -> None:
    getattr(mixed, f"to_{kind}")(tmp_path / f"table.{kind}")
    again = getattr(Results, f"from_{kind}")(tmp_path / f"table.{kind}")
    assert same(mixed, again)
    assert again.samples["label"].dtype == again.samples["predicted"].dtype == "Int64"
    assert again.samples["label"].isna().tolist() == mixed.samples["label"].isna().tolist()


def test_no_label_at_all_is_kept_in_files(tmp_path) -> None:
    data = [dataclasses.replace(sample, label=None) for sample in DATA[:3]]
    found = evaluate(small_network(), data, prepare=SMALL, baselines={}, name="net", **PLAN)
    assert found.samples["label"].isna().all()
    for kind in ("csv", "parquet"):
        getattr(found, f"to_{kind}")(tmp_path / f"table.{kind}")
        again = getattr(Results, f"from_{kind}")(tmp_path / f"table.{kind}")
        assert same(found, again)
        assert again.samples["label"].dtype == "Int64"
    assert found.summary(by="correct")["correct"].isna().all()


def test_samples_are_selected_by_labels_that_are_known_or_not(mixed) -> None:
    assert mixed.select(label=0).samples["sample"].tolist() == ["image 0", "image 3", "image 6"]
    assert len(mixed.select(label=[0, 1])) == 6
    for nothing in (None, pd.NA):
        without = mixed.select(label=nothing)
        assert without.samples["sample"].tolist() == ["image 2", "image 5", "image 8"]
    assert len(mixed.select(label=[0, None])) == 6
    with pytest.raises(SettingError, match=r"label must be one of 0, 1, <NA>, got 2"):
        mixed.select(label=2)


def test_the_summary_keeps_what_has_no_label_apart(mixed) -> None:
    table = mixed.summary(by="label")
    assert len(table) == 3 * len(mixed.columns)
    known = table[table["label"].notna()]
    for label in (0, 1):
        part = mixed.select(label=label).summary()
        assert known[known["label"] == label]["mean"].tolist() == part["mean"].tolist()
    without = table[table["label"].isna()]
    assert without["mean"].tolist() == mixed.select(label=None).summary()["mean"].tolist()
    assert (table["n"] + table["n_undefined"] == 3).all()


def test_where_there_is_no_label_nothing_is_right_or_wrong(mixed) -> None:
    table = mixed.summary(by="correct")
    counts = table.groupby("correct", dropna=False)["n"].first()
    assert counts[counts.index.isna()].tolist() == [3]
    right = (mixed.samples["label"] == mixed.samples["predicted"]).sum()
    assert counts.get(True, 0) == right
    assert counts.get(False, 0) == 6 - right


def test_parts_with_and_without_labels_are_put_under_each_other(mixed, results) -> None:
    both = concat([mixed, renamed(results, model="other")])
    assert both.samples["label"].dtype == "Int64"
    assert both.samples["label"].isna().sum() == 3
    assert same(both.select(model="net"), mixed)


def test_maps_of_the_true_class_need_a_label() -> None:
    data = [dataclasses.replace(s, label=None if k == 4 else 0) for k, s in enumerate(DATA)]
    for classes in ("true", ["predicted", "true"], {"mine": "true"}):
        with pytest.raises(DataError, match=r"'image 4': .* true class need a label, got none"):
            evaluate(small_network(), data, prepare=SMALL, baselines={}, classes=classes, **PLAN)
    assert len(evaluate(small_network(), data, prepare=SMALL, baselines={}, classes=0, **PLAN)) == 9


def test_the_first_class_is_a_label_as_any_other() -> None:
    data = [dataclasses.replace(sample, label=0) for sample in DATA[:3]]
    options = {**PLAN, "prepare": SMALL, "baselines": {}}
    found = evaluate(small_network(), data, classes="true", **options)
    fixed = evaluate(small_network(), data, classes=0, **options)
    assert found.samples["label"].tolist() == [0, 0, 0]
    assert np.array_equal(found.values, fixed.values)


# --- Questions ------------------------------------------------------------------------------------


def test_the_summary_is_that_of_each_column(results) -> None:
    table = results.summary()
    assert len(table) == len(results.columns)
    for row, column in zip(table.itertuples(), results.values.T, strict=True):
        found = mean_interval(column, results.samples["group"].to_numpy().astype(str))
        assert row.mean == pytest.approx(found.estimate, abs=1e-12)
        assert (row.low, row.high) == pytest.approx((found.low, found.high), abs=1e-12)
        assert (row.n, row.n_groups, row.n_undefined) == (9, 5, 1)
        assert row.median == np.nanmedian(column)
        assert (row.q25, row.q75) == tuple(np.nanquantile(column, [0.25, 0.75]))


def test_the_summary_splits_by_what_is_known_of_samples(results) -> None:
    table = results.summary(by=["label", "correct"])
    assert table["n"].sum() + table["n_undefined"].sum() == results.values.size
    part = results.select(label=1).summary()
    found = results.summary(by="label").query("label == 1")
    assert found["mean"].tolist() == part["mean"].tolist()
    with pytest.raises(SettingError, match=r"by must name columns .* got 'weather'"):
        results.summary(by="weather")


def test_selecting(results) -> None:
    found = results.select(metric=["iou"], binarizer="p80", label=[0, 1])
    assert {column.metric for column in found.columns} == {"iou"}
    assert len(found.columns) == 2
    assert set(found.samples["label"]) == {0, 1}
    expected = results.to_pandas().query("metric == 'iou' & binarizer == 'p80' & label < 2")
    assert found.to_pandas()["value"].tolist() == pytest.approx(
        expected["value"].tolist(), nan_ok=True
    )
    with pytest.raises(SettingError, match=r"one of auroc, iou, coverage, got dice$"):
        results.select(metric="dice")
    with pytest.raises(SettingError, match="got iou, which has nothing in common with the other"):
        results.select(binarizer="", metric="iou")
    with pytest.raises(SettingError, match=r"conditions must be on model, sample, .* got 'colour'"):
        results.select(colour="red")


def test_the_pivot_holds_means(results) -> None:
    table = results.pivot("iou")
    assert list(table.index) == ["cam", "grad"]
    assert list(table.columns) == ["p80", "mean"]
    column = results.select(metric="iou", method="grad", binarizer="mean").values
    assert table.loc["grad", "mean"] == pytest.approx(np.nanmean(column))
    with pytest.raises(SettingError, match="method must be fixed here, got cam, grad; choose one"):
        results.pivot("iou", index="label")


def test_comparing_pairs_samples(results) -> None:
    table = results.compare("iou", over="binarizer", method="cam")
    (row,) = table.itertuples()
    assert {row.first, row.second} == {"p80", "mean"}
    first, second = (
        results.select(metric="iou", method="cam", binarizer=name).values[:9, 0]
        for name in (row.first, row.second)
    )
    assert row.difference == pytest.approx((first - second).mean())
    assert 0 < row.p <= 1
    for mistake, message in [
        ({}, "binarizer must be fixed here"),
        ({"binarizer": "p80", "reference": "best"}, "reference must be one of"),
        ({"binarizer": "p80", "method": "cam"}, "method must have at least two values"),
        ({"over": "weather"}, "over must be 'model'"),
    ]:
        with pytest.raises(SettingError, match=message):
            results.compare("iou", **mistake)


def test_models_are_put_under_each_other_and_compared(results) -> None:
    both = concat([results, run("other", seed=3)])
    assert len(both) == 2 * len(results)
    assert both.summary()["model"].unique().tolist() == ["net", "other"]
    table = both.compare("iou", over="model", method="cam", binarizer="p80")
    assert table["difference"].tolist() == [0.0]
    with pytest.raises(SettingError, match="a model must have a sample once"):
        concat([results, results])
    fewer = run("other", metrics=[cameval.iou])
    with pytest.raises(SettingError, match=r"must have the same columns, got Column\(.* in one"):
        concat([results, fewer])
    with pytest.raises(SettingError, match="at least one"):
        concat([])


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("results.csv", "got the path 'results.csv'; read it first: Results.load"),
        (["a.csv"], "got the path 'a.csv'; read it first: Results.load"),
        ([pathlib.Path("run")], "got the path 'run'"),
        (pd.DataFrame({"a": [1]}), "got a DataFrame; concatenate the results before"),
        ([pd.DataFrame({"a": [1]})], "got a DataFrame"),
        (None, "got NoneType"),
        ([None], "got NoneType"),
    ],
)
def test_what_is_no_results_is_not_concatenated(parts, said) -> None:
    with pytest.raises(SettingError, match=f"parts must be Results, {said}"):
        concat(parts)


def test_finished_runs_of_one_network_are_concatenated_under_new_names(tmp_path) -> None:
    made, checks = samples(4), SanityChecks(samples=2, layers=1, faithfulness={})
    settings = PLAN | {"prepare": SMALL, "progress": False, "baselines": {}}
    for run in ("a", "b"):
        found = evaluate(small_network(), made, **settings, sanity=checks, out=tmp_path / run)
    (tmp_path / "table").mkdir()
    found.to_csv(tmp_path / "table" / "results.csv")  # as the command line does
    for other in ("b", "table"):
        with pytest.raises(SettingError, match=r"Results.load\(folder, name='"):
            concat([Results.load(tmp_path / "a"), Results.load(tmp_path / other)])
        parts = [Results.load(tmp_path / run, name=f"run {run}") for run in ("a", other)]
        both = concat(parts)
        assert both.samples["model"].unique().tolist() == ["run a", f"run {other}"]
        assert [one["settings"]["model"] for one in both.provenance["parts"]] == [
            "run a",
            f"run {other}",
        ]
        np.testing.assert_array_equal(both.values[:4], found.values)
        assert both.sanity is not None
        for table in (both.sanity.scores.samples, both.sanity.similarities):
            assert table["model"].unique().tolist() == ["run a", f"run {other}"]
        (tmp_path / f"both {other}").mkdir()
        both.to_csv(tmp_path / f"both {other}" / "results.csv")
        assert len(Results.load(tmp_path / f"both {other}")) == 8
        with pytest.raises(SettingError, match="of one model, got run a, run "):
            Results.load(tmp_path / f"both {other}", name="both")
    assert Results.load(tmp_path / "a").samples["model"].unique().tolist() == ["CAMModel"]
    with pytest.raises(SettingError, match="name must be text that is not empty, got ''"):
        Results.load(tmp_path / "a", name="")


def test_the_parts_of_one_model_have_the_new_name_in_their_records(results, tmp_path) -> None:
    halves = [results.select(sample=f"image {k}") for k in range(2)]
    concat(halves).to_csv(tmp_path / "results.csv")
    found = Results.load(tmp_path, name="new")
    assert {one["settings"]["model"] for one in found.provenance["parts"]} == {"new"}
    assert found.provenance["settings"]["model"] == "new"


def test_results_are_concatenated_from_any_iterable_of_them(results) -> None:
    assert same(concat(iter([results])), concat([results]))
    with pytest.raises(SettingError, match=r"parts must be a list of Results, got one; write conc"):
        concat(results)


def test_two_models_are_compared_in_each_class_and_corrected_for_all_tests(results) -> None:
    draw = np.random.default_rng(0).random(results.values.shape)
    renamed_samples = results.samples.assign(model="other")
    both = concat([results, replace(results, samples=renamed_samples, values=draw)])
    chosen = {"over": "model", "method": "cam", "binarizer": "p80"}
    table = both.compare("iou", by="class_name", **chosen)
    assert table.columns[0] == "class_name"
    assert table["class_name"].tolist() == ["r", "s", "l"]
    for row in table.itertuples():
        part = both.select(class_name=row.class_name)
        (alone,) = part.compare("iou", **chosen).itertuples()
        assert (row.difference, row.p, row.low, row.n) == pytest.approx(
            (alone.difference, alone.p, alone.low, alone.n), nan_ok=True
        )
        assert (row.n_groups, row.n_undefined) == (alone.n_groups, alone.n_undefined)
    np.testing.assert_array_equal(table["p_holm"], holm(table["p"].to_numpy()))
    assert (table["p_holm"] > table["p"]).any()
    by_label = both.compare("iou", by=["label"], **chosen)
    assert by_label["label"].tolist() == [0, 1, 2]
    assert by_label.drop(columns="label").equals(table.drop(columns="class_name"))


def few_groups(counts, *, equal=False, undefined=False) -> Results:
    """Return results with so many groups of each label, one image each."""
    labels = np.repeat(np.arange(len(counts)), counts)
    rng = np.random.default_rng(0)
    found = made(len(labels), label=lambda i: int(labels[i]), groups=len(labels), baselines={})
    values = np.clip(rng.normal(0.3, 0.05, found.values.shape), 0, 1)
    higher = [column.method == "grad_cam" for column in found.columns]
    values[:, higher] += rng.uniform(0.1, 0.2, (len(labels), sum(higher)))
    if equal:
        values[:] = 0.5
    if undefined:
        values[:, higher] = np.nan
    return replace(found, values=values)


def test_a_missing_interval_of_a_difference_has_a_reason() -> None:
    chosen = {"binarizer": "otsu", "by": "label"}
    table = few_groups([5, 6, 12]).compare("iou", **chosen)
    assert table["reason"].tolist() == ["too few groups", "", ""]
    assert table["reason_holm"].tolist() == ["too few groups", "too few groups", ""]
    assert table["low"].isna().tolist() == [True, False, False]
    assert table["low_holm"].isna().tolist() == [True, True, False]
    for option, reason in (("equal", "no group differs"), ("undefined", "no pair")):
        table = few_groups([6, 6], **{option: True}).compare("iou", **chosen)
        assert set(table["reason"]) == set(table["reason_holm"]) == {reason}
        assert table[["low", "high", "low_holm"]].isna().all(axis=None)
    assert few_groups([9, 10]).compare("iou", **chosen)["is_reliable"].tolist() == [False, True]
    rough = few_groups([40]).compare("iou", binarizer="otsu", resamples=10)
    assert rough["reason"].tolist() == ["too few resamples"]
    assert few_groups([6]).compare("iou", binarizer="otsu")["reason_holm"].tolist() == [""]
    with pytest.raises(SettingError, match=r"by must name columns of .*got 'reason_holm'"):
        few_groups([6, 6]).compare("iou", binarizer="otsu", by="reason_holm")


def test_a_comparison_says_which_signs_p_is_of() -> None:
    chosen = {"binarizer": "otsu", "by": "label"}
    table = few_groups([5, 12, 21]).compare("iou", **chosen)
    assert table["n_patterns"].tolist() == [2**5, 2**12, 10_001]
    assert table["is_exact"].tolist() == [True, True, False]
    assert table["least_p"].tolist() == [2 / 2**5, 2 / 2**12, 1 / 10_001]
    assert (table["p"] >= table["least_p"]).all()
    few = few_groups([30]).compare("iou", binarizer="otsu", resamples=50)
    assert (few["n_patterns"].item(), few["is_exact"].item()) == (51, False)
    with pytest.raises(SettingError, match=r"by must name columns of .*got 'is_reliable'"):
        few_groups([6, 6]).compare("iou", binarizer="otsu", by="is_reliable")


def test_methods_are_compared_in_parts_that_both_have(results) -> None:
    chosen = {"method": ["cam", "grad"], "binarizer": "p80"}
    right = results.compare("iou", by=["present", "correct"], **chosen)
    counts = results.summary(by=["present", "correct"])
    assert set(zip(right["present"], right["correct"], strict=True)) == set(
        zip(counts["present"], counts["correct"], strict=True)
    )
    whole = results.compare("iou", **chosen)
    assert (right["n"] + right["n_undefined"]).sum() == (whole["n"] + whole["n_undefined"]).sum()
    for by, said in (
        ("labell", "by must name columns of .*got 'labell'; near names: label"),
        ("metric", "by must name columns of .*got 'metric'"),
        ("p", "by must name columns of .*got 'p'"),
    ):
        with pytest.raises(SettingError, match=said):
            results.compare("iou", by=by, **chosen)


def test_a_pair_must_be_in_one_part(results) -> None:
    moved = replace(results, samples=results.samples.assign(model="other", predicted=0))
    both = concat([replace(results, samples=results.samples.assign(predicted=1)), moved])
    chosen = {"over": "model", "method": "cam", "binarizer": "p80"}
    with pytest.raises(
        SettingError, match=r"by must be the same for each model .* 'predicted' for"
    ):
        both.compare("iou", by="predicted", **chosen)


def test_what_one_model_lacks_is_counted_and_never_compared(results) -> None:
    other, chosen = run("other", seed=3), {"method": "cam", "binarizer": "p80"}
    names = results.samples["sample"].tolist()
    few = concat([results.select(sample=names[:6]), other.select(sample=names[4:])])
    with pytest.warns(UserWarning, match=rf"{len(names) - 2} of {len(names)} samples .* one model"):
        (row,) = few.compare("iou", over="model", **chosen).itertuples()
    scores = other.select(metric="iou", sample=names[4:6], **chosen).values
    assert (row.n_unpaired, row.n + row.n_undefined) == (len(names) - 2, 2)
    assert row.n == np.isfinite(scores).sum()
    (row,) = concat([results, other]).compare("iou", over="model", **chosen).itertuples()
    assert (row.n_unpaired, row.n + row.n_undefined) == (0, len(names))
    none = concat([results.select(sample=names[:4]), other.select(sample=names[4:])])
    with pytest.raises(SettingError, match="'net' and 'other' must have samples in common") as told:
        none.compare("iou", over="model", **chosen)
    assert str(told.value).endswith("compare results of the same data, with the same names")
    moved = dataclasses.replace(other, samples=other.samples.assign(label=other.samples.label + 7))
    with pytest.raises(SettingError, match=f"none; {len(names)} have the same name and another l"):
        concat([results, moved]).compare("iou", over="model", **chosen)


def test_truths_of_other_areas_are_warned_of(results) -> None:
    other = run("other", seed=3)
    area = other.samples["area"].to_numpy().copy()
    area[1] += 0.01
    other = dataclasses.replace(other, samples=other.samples.assign(area=area))
    match = f"1 of {len(area)} samples and labels .* as {other.samples['sample'][1]!r}"
    with pytest.warns(UserWarning, match=match):
        concat([results, other]).compare("iou", over="model", method="cam", binarizer="p80")


def test_columns_in_another_order_are_put_into_that_of_the_first(results) -> None:
    other = run("other", metrics=dict(reversed(PLAN["metrics"].items())))
    assert other.columns != results.columns
    both = concat([results, other])
    assert both.columns == results.columns
    assert same(both.select(model="other"), run("other"))


def test_a_label_of_a_metric_stands_for_one_metric(results) -> None:
    @of_masks
    def other_iou(pred, target):
        return cameval.coverage(pred, target)

    another = run("other", metrics=PLAN["metrics"] | {"iou": other_iou})
    with pytest.raises(
        SettingError, match=r"label 'iou' must mean the same .*='iou'.* and .*='other_iou"
    ):
        concat([results, another])


class Weighed:
    """A metric without a repr, whose contents alone tell it from another."""

    takes = "masks"
    higher_is_better = True

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, pred, target):
        """Score masks."""
        return cameval.iou(pred, target) * self.factor


@pytest.mark.parametrize(
    ("setting", "one", "other"),
    [
        ("metrics", {"m": Weighed(1.0)}, {"m": Weighed(0.5)}),
        ("metrics", {"m": lambda p, t: cameval.iou(p, t)}, {"m": lambda p, t: -cameval.iou(p, t)}),
        ("classes", {"x": 0}, {"x": 1}),
        ("classes", {"x": "predicted"}, {"x": "true"}),
        ("classes", {"x": lambda z: z.argmax(1)}, {"x": lambda z: z.argmin(1)}),
        ("methods", {"mine": cameval.grad_cam}, {"mine": cameval.layer_cam}),
    ],
)
@pytest.mark.filterwarnings("ignore:metric 'm' does not say what it takes")
def test_one_label_with_two_contents_is_refused(setting, one, other, tmp_path) -> None:
    first, again, second = (
        run(name, **{setting: made}) for name, made in (("a", one), ("b", one), ("c", other))
    )
    both = concat([first, again])
    second.to_csv(tmp_path / "table.csv")
    for parts in (
        [first, second],
        [both, second],
        [Results.from_csv(tmp_path / "table.csv"), both],
    ):
        with pytest.raises(
            SettingError, match=r"must mean the same in all parts|has other contents"
        ):
            concat(parts)


def test_what_a_part_does_not_say_is_not_known_of_the_whole(results, tmp_path) -> None:
    run("other").to_csv(tmp_path / "table.csv")
    (tmp_path / "table.json").unlink()
    silent = Results.from_csv(tmp_path / "table.csv")
    for parts in ([results, silent], [silent, results]):
        assert concat(parts).meanings.metric("iou") is None
    assert concat([results, run("other")]).meanings == results.meanings


def test_what_differs_between_parts_is_seen(results) -> None:
    other = run("other")
    renamed = dataclasses.replace(
        other, provenance=other.provenance | {"settings": {"class_names": ["x", "y", "z"]}}
    )
    assert concat([results, renamed]).class_names == ()
    moved = dataclasses.replace(other, samples=other.samples.assign(group="all the same"))
    with pytest.raises(SettingError, match="a sample must have the same group in all models"):
        concat([results, moved])
    both = concat([results, other])
    groups = both.samples["group"].where(both.samples["model"] != "other", "all the same")
    mixed = dataclasses.replace(both, samples=both.samples.assign(group=groups))
    with pytest.raises(SettingError, match="a sample must have one group, got several of 'image"):
        mixed.compare("iou", over="model", method="cam", binarizer="p80")


def test_the_provenance_does_not_overwrite_the_table(results, tmp_path) -> None:
    with pytest.raises(SettingError, match=r"path must not end in \.json"):
        results.to_csv(tmp_path / "table.json")
    results.to_csv(tmp_path / "table.csv.gz")  # a name, not a format
    assert same(Results.from_csv(tmp_path / "table.csv.gz"), results)


def test_dependence_on_size_and_confidence(results) -> None:
    table = results.dependence("iou", method="cam", binarizer="p80")
    column = results.select(metric="iou", method="cam", binarizer="p80").values[:9, 0]
    ranks = pd.DataFrame({"area": results.samples["area"][:9], "iou": column})
    ranks = ranks.groupby(results.samples["label"][:9].astype(int)).rank(pct=True)
    expected = np.corrcoef(ranks["area"], ranks["iou"])[0, 1]  # three images of each class
    assert table["estimate"].tolist() == [pytest.approx(expected)]
    assert results.dependence("iou", on="probability")["on"].eq("probability").all()
    with pytest.raises(SettingError, match="on must be 'area' or 'probability'"):
        results.dependence("iou", on="weather")


def test_the_repr_counts_what_models_share_once(results) -> None:
    both = concat([results, run("other", seed=3)])
    said = "10 samples, 6 groups, 2 models"
    assert repr(both).startswith(f"Results({said}, models net, other, methods ")
    assert f">{said}</td>" in both._repr_html_()
    names = results.samples["sample"].tolist()
    moved = results.select(sample=names[5:])
    moved = replace(moved, samples=moved.samples.assign(model="other"))
    apart = concat([results.select(sample=names[:5]), moved])
    assert repr(apart).startswith(f"Results({said}, models ")
    assert repr(results.select(sample="image 0")).startswith("Results(1 sample, 1 group, models ")


def test_the_repr_says_how_much_there_is(results) -> None:
    text = repr(results)
    assert text.startswith("Results(10 samples, 6 groups, models net, methods ")
    assert "undefined values 10" in text
    means = results.select(metric="iou", kind="method").summary()["mean"]
    assert f"mean IoU {means.max():.3f}" in text
    assert len(text) < 400


def test_a_comparison_has_the_seed_of_the_run_or_its_own() -> None:
    table = made(40, groups=25, methods=("cam", "grad_cam"), baselines={}, binarizers=("p95",))
    ps = [table.compare("iou", seed=seed)["p"].tolist() for seed in (None, 3, 4, 5)]
    assert ps[0] == ps[1]
    assert len({tuple(p) for p in ps}) == 3
    again = replace(table, provenance={"settings": table.provenance["settings"] | {"seed": 4}})
    assert again.compare("iou")["p"].tolist() == ps[2]
