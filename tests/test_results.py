"""The table: written and read to the bit, split, compared, put together."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from evaluations import PLAN, SMALL, samples, small_network

import cameval
from cameval import bootstrap_mean, evaluate
from cameval.data import Sample
from cameval.errors import DataError, SettingError
from cameval.evaluation import Results


def run(name: str = "net", **options) -> Results:
    data = samples(9)
    empty = Sample('"x",\n<b>', data[0].image, np.zeros_like(data[0].mask), 0, "NA")
    options = {**PLAN, "prepare": SMALL, "baselines": {}, "name": name} | options
    return evaluate(small_network(), [*data, empty], class_names=["r", "s", "l"], **options)


@pytest.fixture(scope="module")
def results() -> Results:
    return run()


def same(first: Results, second: Results) -> bool:
    """Tell whether two results are equal to the bit."""
    return (
        first.samples.astype(object).equals(second.samples.astype(object))
        and first.columns == second.columns
        and np.array_equal(first.values.view(np.int64), second.values.view(np.int64))
        and np.array_equal(first.codes, second.codes)
    )


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


def test_the_tidy_table_has_a_row_for_each_value(results) -> None:
    table = results.to_pandas()
    assert list(table.columns) == [
        *("model", "sample", "group", "label", "predicted", "probability", "area"),
        *("explained", "kind", "method", "binarizer", "metric", "value", "reason", "degenerate"),
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
        (lambda t: t.head(0), "must have at least one row"),
        (lambda t: t.head(-1), "must have one row for each of 10 samples and"),
        (lambda t: t.assign(label="round"), "label must be int64"),
        (lambda t: t.assign(value="high"), "value must be float64"),
        (lambda t: t.assign(degenerate="perhaps"), "degenerate must be bool"),
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
    assert settings["binarizers"]["p80"] == "PercentileBinarizer(percentile=80)"
    assert settings["versions"]["cameval"]
    assert results.provenance["started"].endswith("+00:00")


# --- Questions ------------------------------------------------------------------------------------


def test_the_summary_is_that_of_each_column(results) -> None:
    table = results.summary()
    assert len(table) == len(results.columns)
    for row, column in zip(table.itertuples(), results.values.T, strict=True):
        found = bootstrap_mean(column, results.samples["group"].to_numpy().astype(str))
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
    with pytest.raises(SettingError, match=r"metric must be one of auroc, iou, coverage, got dice"):
        results.select(metric="dice")
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
    groups = results.samples["group"][:9]
    means = pd.Series(first - second).groupby(groups.to_numpy()).mean()
    assert row.difference == pytest.approx(means.mean())
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
    both = Results.concat([results, run("other", seed=3)])
    assert len(both) == 2 * len(results)
    assert both.summary()["model"].unique().tolist() == ["net", "other"]
    table = both.compare("iou", over="model", method="cam", binarizer="p80")
    assert table["difference"].tolist() == [0.0]
    with pytest.raises(SettingError, match="a model must have a sample once"):
        Results.concat([results, results])
    fewer = run("other", metrics=[cameval.iou])
    with pytest.raises(SettingError, match=r"must have the same columns, got Column\(.* in one"):
        Results.concat([results, fewer])
    with pytest.raises(SettingError, match="at least one"):
        Results.concat([])


def test_columns_in_another_order_are_put_into_that_of_the_first(results) -> None:
    other = run("other", metrics=dict(reversed(PLAN["metrics"].items())))
    assert other.columns != results.columns
    both = Results.concat([results, other])
    assert both.columns == results.columns
    assert same(both.select(model="other"), run("other"))


def test_a_label_of_a_metric_stands_for_one_metric(results) -> None:
    coverage_as_iou = run("other", metrics=PLAN["metrics"] | {"iou": cameval.coverage})
    with pytest.raises(SettingError, match=r"label 'iou' must mean the same .* and 'coverage' in"):
        Results.concat([results, coverage_as_iou])


def test_what_differs_between_parts_is_seen(results) -> None:
    other = run("other")
    renamed = dataclasses.replace(
        other, provenance=other.provenance | {"settings": {"class_names": ["x", "y", "z"]}}
    )
    assert Results.concat([results, renamed]).class_names == ()
    moved = dataclasses.replace(other, samples=other.samples.assign(group="all the same"))
    with pytest.raises(SettingError, match="a sample must have one group, got several of 'image"):
        Results.concat([results, moved]).compare("iou", over="model", method="cam", binarizer="p80")


def test_the_provenance_does_not_overwrite_the_table(results, tmp_path) -> None:
    with pytest.raises(SettingError, match=r"path must not end in \.json"):
        results.to_csv(tmp_path / "table.json")
    results.to_csv(tmp_path / "table.csv.gz")  # a name, not a format
    assert same(Results.from_csv(tmp_path / "table.csv.gz"), results)


def test_dependence_on_size_and_confidence(results) -> None:
    from scipy.stats import spearmanr

    table = results.dependence("iou", method="cam", binarizer="p80")
    column = results.select(metric="iou", method="cam", binarizer="p80").values[:9, 0]
    expected = spearmanr(results.samples["area"][:9], column).statistic
    assert table["estimate"].tolist() == [pytest.approx(expected)]
    assert results.dependence("iou", on="probability")["on"].eq("probability").all()
    with pytest.raises(SettingError, match="on must be 'area' or 'probability'"):
        results.dependence("iou", on="weather")


def test_the_repr_says_how_much_there_is(results) -> None:
    assert repr(results) == "Results(10 samples x 10 columns, 10 undefined values, models net)"
