"""Tables with several targets for each sample: rows, columns of users, means, pairs, files."""

import json
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from evaluations import same
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import mask_pairs
from target_rows import LABELS, RATIOS, SAMPLES, batch, columns_of, made

from cameval.errors import DataError, SettingError
from cameval.evaluation import Results, concat
from cameval.evaluation._batch import BatchScores
from cameval.evaluation._run_folder import RunFolder
from cameval.metrics import Counts
from cameval.metrics.properties import denominator
from cameval.statistics import paired_tests, rank_correlation

# --- Rows -----------------------------------------------------------------------------------------


def test_a_row_is_a_sample_and_a_target() -> None:
    results = made(batch(SAMPLES[:3], LABELS[:3]), batch(SAMPLES[3:], LABELS[3:]))
    assert len(results) == 6
    assert results.samples["sample"].tolist() == SAMPLES
    assert results.samples["label"].tolist() == LABELS
    assert repr(results).startswith("Results(3 samples, 6 targets, 3 groups, models ")
    assert results.select(sample="z", label=1).samples.index.tolist() == [0]
    assert len(results.select(present=True)) == 6


@pytest.mark.parametrize(
    ("names", "labels"),
    [(["x", "x"], [1, 1]), (["x", "y", "x"], [0, 1, 2]), (["x", "x"], [-1, -1])],
)
def test_a_name_stands_for_one_sample(names, labels) -> None:
    with pytest.raises(DataError, match="names of samples must be unique, got 'x' twice"):
        made(batch(names, labels))
    with pytest.raises(DataError, match="names of samples must be unique, got 'x' twice"):
        made(*[batch([name], [label]) for name, label in zip(names, labels, strict=True)])


def test_one_sample_may_have_a_target_without_a_label() -> None:
    assert made(batch(["x", "x"], [-1, 0])).samples["label"].isna().tolist() == [True, False]


def test_without_a_classifier_nothing_is_predicted(tmp_path) -> None:
    results = made(batch(predicted=[-1] * 6, probability=[np.nan] * 6))
    assert results.samples["predicted"].isna().all()
    assert results.samples["predicted"].dtype == "Int64"
    for kind in ("csv", "parquet"):
        getattr(results, f"to_{kind}")(tmp_path / f"t.{kind}")
        assert same(results, getattr(Results, f"from_{kind}")(tmp_path / f"t.{kind}"))
    assert results.summary(by="correct")["correct"].isna().all()
    assert results.dependence("iou", on="probability")["estimate"].isna().all()
    assert results.summary()["n"].tolist() == [6, 6]


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_what_is_correct_depends_on_the_task(task) -> None:
    present = [True, True, False, False, True, True]
    predicted = [0, -1, -1, 2, -1, 0]
    probability = [0.9, 0.1, 0.2, 0.8, np.nan, np.nan]
    given = batch(present=present, predicted=predicted, probability=probability)
    table = made(given, task=task).summary(by=["correct", "sample", "label"])
    found = {
        (row.sample, row.label): None if pd.isna(row.correct) else bool(row.correct)
        for row in table.itertuples()
    }
    expected = {
        "multilabel": [True, False, True, False, None, True],  # the fifth has no probability
        "multiclass": [True, None, None, True, None, True],
    }[task]
    assert found == dict(zip(zip(SAMPLES, LABELS, strict=True), expected, strict=True))


def test_a_label_that_is_not_known_is_neither_right_nor_wrong() -> None:
    given = batch(["x", "y"], [-1, 1], predicted=[-1, 1])
    assert made(given).summary(by="correct")["correct"].isna().tolist().count(True) == 2


# --- Columns of users -----------------------------------------------------------------------------


def test_columns_of_users_stand_after_the_label_each_in_its_kind() -> None:
    table = made().samples
    assert list(table.columns) == [
        *("model", "sample", "group", "label"),
        *("view", "age", "dose", "pregnant", "=note", "other"),
        *("present", "predicted", "probability", "area"),
    ]
    dtypes = {"view": "object", "age": "Int64", "dose": "float64", "pregnant": "boolean"}
    assert {name: str(table[name].dtype) for name in dtypes} == dtypes
    assert table["age"].tolist()[:3] == [61, 61, 2**53 + 1]  # no float holds the second
    assert table["view"].tolist() == ["lateral", "lateral", "", None, None, None]
    assert table["dose"].tolist()[:3] == [0.1, 0.1, 3.0]
    assert table["pregnant"].isna().tolist() == [False, False, True, True, True, True]
    assert table["other"].tolist() == [None, None, None, "1", "1", "1"]


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([True, None, False], "boolean", [True, pd.NA, False]),
        ([1, None, -3], "Int64", [1, pd.NA, -3]),
        ([1, 2.5, None], "float64", [1.0, 2.5, np.nan]),
        ([2.0, 3.0, 4.0], "float64", [2.0, 3.0, 4.0]),
        ([1, "2", None], "object", ["1", "2", None]),
        ([True, 1, 0], "object", ["True", "1", "0"]),
        ([2**63, 1, None], "object", [str(2**63), "1", None]),
        ([None, None, None], "object", [None, None, None]),
    ],
)
@pytest.mark.parametrize("file", ["csv", "parquet"])
def test_a_column_of_a_user_has_one_kind_in_memory_and_in_files(
    values, kind, found, file, tmp_path
) -> None:
    info = [json.dumps({"mine": value}) for value in values]
    results = made(batch(["x", "y", "z"], [0, 0, 0], info=info))
    getattr(results, f"to_{file}")(tmp_path / f"t.{file}")
    again = getattr(Results, f"from_{file}")(tmp_path / f"t.{file}")
    for table in (results.samples, again.samples):
        assert str(table["mine"].dtype) == kind
        for value, expected in zip(table["mine"], found, strict=True):
            assert value is expected or value == expected or value != value


TEXTS = st.one_of(
    st.none(), st.sampled_from(["", "'", "=1", "-1", "a\nb", "NA", "1", "True", " ", '"', "a,b"])
)


@settings(max_examples=25)
@given(st.lists(st.tuples(TEXTS, st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_text_and_numbers_of_users_are_given_back_to_the_bit(tmp_path_factory, rows) -> None:
    folder = tmp_path_factory.mktemp("texts")
    names = [f"image {k}" for k in range(len(rows))]
    info = [json.dumps({"'text": text, "number": number}) for text, number in rows]
    results = made(batch(names, [0] * len(rows), info=info))
    results.to_csv(folder / "t.csv")
    again = Results.from_csv(folder / "t.csv")
    assert same(results, again)
    assert [v if isinstance(v, str) else None for v in again.samples["'text"]] == [
        text for text, _ in rows
    ]
    assert again.samples["number"].tolist() == [number for _, number in rows]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_keep_targets_weights_and_columns_of_users(kind, tmp_path) -> None:
    weights = np.where(np.arange(12).reshape(6, 2) % 3 == 0, np.nan, 7.0)
    results = made(batch(weights=weights, present=[1 < k < 5 for k in range(6)]))
    getattr(results, f"to_{kind}")(tmp_path / f"table.{kind}")
    again = getattr(Results, f"from_{kind}")(tmp_path / f"table.{kind}")
    assert same(results, again)
    for name in results.samples.columns[3:]:  # after the words
        assert again.samples[name].dtype == results.samples[name].dtype
    np.testing.assert_array_equal(again.weights, weights)
    assert again.provenance == json.loads(json.dumps(results.provenance))  # nothing more
    if kind == "csv":
        assert json.loads((tmp_path / "table.json").read_text())["rows"] == 6
        header = (tmp_path / "table.csv").read_text().splitlines()[0]
        assert "'=note" in header.split(",")
        again.to_csv(tmp_path / "again.csv")
        assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()


def test_without_a_record_columns_of_users_are_text(tmp_path) -> None:
    made().to_csv(tmp_path / "t.csv")
    (tmp_path / "t.json").unlink()
    table = Results.from_csv(tmp_path / "t.csv").samples
    assert table["age"].tolist() == ["61", "61", str(2**53 + 1), None, None, None]


def test_columns_of_users_are_selected_split_by_and_pivoted() -> None:
    results = made()
    assert results.select(view="lateral").samples["sample"].tolist() == ["x", "x"]
    assert results.select(pregnant=True).samples["sample"].tolist() == ["x", "x"]
    assert results.select(age=None).samples["sample"].tolist() == ["z"] * 3
    by_view = results.summary(by="view")
    for view in ("lateral", "", None):
        rows = by_view["view"].isna() if view is None else by_view["view"].eq(view)
        part = results.select(view=view).summary()
        assert by_view[rows]["mean"].tolist() == part["mean"].tolist()
    assert results.summary(by=["view", "age"])["n"].sum() == 12
    table = results.pivot("iou", index="pregnant", method="cam")
    assert table.loc[True, "p80"] == pytest.approx(results.values[:2, 0].mean())
    assert len(table) == 2
    assert table[table.index.isna()]["p80"].item() == pytest.approx(results.values[2:, 0].mean())


def test_a_column_with_a_name_of_the_summary_is_no_split() -> None:
    results = made(batch(["x", "y"], [0, 1], info=['{"mean": 1}', '{"mean": 2}']))
    assert len(results.select(mean=1)) == 1
    with pytest.raises(SettingError, match=r"by must name no column of the summary .* got 'mean'"):
        results.summary(by="mean")


@pytest.mark.parametrize(
    "word", ["", "{", "3", "[1]", '{"label": 3}', '{"a": [1]}', '{"a": {}}', "[" * 100_000]
)
def test_info_of_a_run_that_is_no_row_of_columns_is_refused(word) -> None:
    with pytest.raises(DataError, match="info"):
        made(batch(["x"], [0], info=[word]))


# --- Files of another kind ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["present", "weight"])
def test_a_table_of_before_is_refused(name, tmp_path) -> None:
    results = made()
    results.to_pandas().drop(columns=name).to_csv(tmp_path / "t.csv", index=False)
    message = f"must have the column '{name}', got .*; evaluate again if another version of cameval"
    with pytest.raises(DataError, match=message):
        Results.from_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["weights", "present", "info"])
def test_a_batch_of_before_is_refused(name, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    (folder.path / "batches").mkdir(parents=True)
    folder.write(0, batch())
    assert folder.read(0, 2).label.tolist() == LABELS
    arrays = {f.name: getattr(batch(), f.name) for f in fields(BatchScores) if f.name != name}
    np.savez(folder.path / "batches" / "000000.npz", **arrays)
    with pytest.raises(DataError, match=f"must hold the scores of a batch, .*{name}.*; delete it"):
        folder.read(0, 2)


@pytest.mark.parametrize("weight", [-1.0, np.inf])
def test_a_weight_is_a_number_of_pixels(weight, tmp_path) -> None:
    results = made(batch(weights=np.full((6, 2), weight)))
    results.to_csv(tmp_path / "t.csv")
    with pytest.raises(DataError, match="weight must be a number of pixels"):
        Results.from_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("info", [3, [1], {"age": "money"}, {"age": ["Int64"]}, {"view": "Int64"}])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_malformed_record_of_kinds_is_refused(info, kind, tmp_path) -> None:
    results = made()
    getattr(results, f"to_{kind}")(tmp_path / f"t.{kind}")
    if kind == "csv":
        record = json.loads((tmp_path / "t.json").read_text())
        (tmp_path / "t.json").write_text(json.dumps(record | {"info": info}))
    else:
        table = pd.read_parquet(tmp_path / "t.parquet")
        record = json.loads(table.attrs["provenance"])
        table.attrs["provenance"] = json.dumps(record | {"info": info})
        table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"info of its record|view must be Int64"):
        getattr(Results, f"from_{kind}")(tmp_path / f"t.{kind}")


def test_a_file_without_the_last_target_is_refused(tmp_path) -> None:
    results = made()
    results.to_csv(tmp_path / "t.csv")
    results.to_pandas().head(10).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"must have the 6 samples and targets .* got 5"):
        Results.from_csv(tmp_path / "t.csv")


# --- Means ----------------------------------------------------------------------------------------


@given(st.lists(mask_pairs(), min_size=1, max_size=6))
def test_the_pooled_mean_is_the_score_of_all_pixels_together(pairs) -> None:
    values, weights = (np.full((len(pairs), len(RATIOS)), np.nan) for _ in range(2))
    for row, (pred, truth) in enumerate(pairs):
        counts = Counts.of(pred[None], truth[None])
        for k, metric in enumerate(RATIOS.values()):
            values[row, k] = float(metric(pred[None], truth[None])[0])
            weights[row, k] = float(denominator(metric)(counts)[0])
    names = [f"image {k}" for k in range(len(pairs))]
    given = batch(names, [0] * len(names), values=values, weights=weights)
    table = made(given, columns=columns_of(("cam",), metrics=RATIOS)).summary()
    pred, truth = (torch.cat([pair[k].flatten() for pair in pairs])[None, None] for k in (0, 1))
    expected = [float(metric(pred, truth)[0]) for metric in RATIOS.values()]
    assert table["pooled"].tolist() == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_the_pooled_mean_counts_marks_where_there_is_no_object() -> None:
    values = [[0.5, 0.5], [np.nan, 0.5], [np.nan, 0.5]]
    weights = [[10.0, np.nan], [30.0, np.nan], [np.nan, np.nan]]
    given = batch(["x", "y", "z"], [0, 0, 0], values=values, weights=weights)
    table = made(given).summary()
    assert table["pooled"][0] == 0.5 * 10 / 40
    assert table["mean"].tolist() == [0.5, 0.5]
    assert np.isnan(table["pooled"][1])  # no ratio of pixels
    assert np.isnan(made(given).select(sample=["y", "z"]).summary()["pooled"]).all()


def test_scores_that_say_nothing_of_weights_have_no_pooled_mean() -> None:
    results = made()
    plain = Results(
        results.samples, results.columns, results.values, results.codes, results.provenance
    )
    assert plain.weights.shape == plain.values.shape
    assert plain.summary()["pooled"].isna().all()


@given(
    st.lists(
        st.tuples(st.integers(-1, 3), st.one_of(st.just(float("nan")), st.floats(0, 1, width=16))),
        min_size=1,
        max_size=12,
    )
)
def test_the_macro_mean_is_the_mean_of_the_means_of_labels(rows) -> None:
    labels, scores = zip(*rows, strict=True)
    names = [f"image {k}" for k in range(len(rows))]
    given = batch(names, labels, values=np.array(scores)[:, None])
    (row,) = made(given, columns=columns_of(("cam",))).summary().itertuples()
    means = []
    for label in sorted(set(labels) - {-1}):
        defined = [s for one, s in rows if one == label and s == s]
        if defined:
            means.append(sum(defined) / len(defined))
    expected = sum(means) / len(means) if means else float("nan")
    assert row.macro == pytest.approx(expected, abs=1e-12, nan_ok=True)
    every = [s for s in scores if s == s]
    assert row.mean == pytest.approx(np.mean(every) if every else np.nan, abs=1e-12, nan_ok=True)


def test_positives_and_negatives_are_blocks_of_their_own() -> None:
    present = np.array([True, False, True, False, False, True])
    values = np.where(present[:, None], 0.5, [np.nan, 0.1])
    columns = columns_of(("cam",), metrics=("iou", "false_positive_rate"))
    results = made(batch(values=values, present=present), columns=columns)
    table = results.summary(by="present").set_index(["present", "metric"])
    assert table["n"].to_dict() == {
        (True, "iou"): 3,
        (True, "false_positive_rate"): 3,
        (False, "iou"): 0,
        (False, "false_positive_rate"): 3,
    }
    assert table.loc[(False, "iou"), "n_undefined"] == 3
    assert table.loc[(False, "false_positive_rate"), "mean"] == pytest.approx(0.1)
    several = results.summary(by=["label", "present"])
    assert len(several) == 2 * len(set(zip(LABELS, present, strict=True)))


def test_counts_are_of_rows_and_groups() -> None:
    table = made().summary()
    assert table["n"].tolist() == [6, 6]
    assert table["n_groups"].tolist() == [3, 3]


# --- Pairs ----------------------------------------------------------------------------------------


def many(n: int = 12, seed: int = 0, **options) -> BatchScores:
    """Make n samples of one to three targets."""
    names = [f"image {k}" for k in range(n) for _ in range(k % 3 + 1)]
    labels = [label for k in range(n) for label in range(k % 3 + 1)]
    values = np.random.default_rng(seed).random((len(names), 2))
    return batch(names, labels, values=values, **options)


def test_comparisons_pair_rows_of_a_sample_and_a_label() -> None:
    results = made(many())
    (row,) = results.compare("iou", resamples=500, seed=1).to_dict("records")
    groups = results.samples["group"].to_numpy(str)
    first, second = results.values.T
    (expected,) = paired_tests({"cam": first, "grad": second}, groups, resamples=500, seed=1)
    assert (row["difference"], row["p"], row["n"]) == (expected.difference, expected.p, expected.n)
    assert row["n_groups"] == 12


def test_models_are_compared_where_both_have_a_sample_and_a_label() -> None:
    one = made(many())
    shuffled = made(many(seed=1), model="other").select(label=[1, 2])
    both = concat([one, shuffled])
    with pytest.warns(UserWarning, match="12 of 24 samples and labels are in one model only"):
        (row,) = both.compare("iou", over="model", method="cam").to_dict("records")
    assert row["n_unpaired"] == 12
    kept = one.select(label=[1, 2]).values[:, 0] - shuffled.values[:, 0]
    assert row["difference"] == pytest.approx(kept.mean())
    assert (row["n"], row["n_undefined"]) == (len(kept), 0)


def test_targets_without_a_label_are_paired_too() -> None:
    given = replace(many(), label=np.where(many().label == 1, -1, many().label))
    (row,) = made(given).compare("iou").to_dict("records")
    assert row["n"] == len(given.label)


def test_dependence_counts_each_target() -> None:
    results = made(many())
    table = results.dependence("iou")
    expected = rank_correlation(
        results.samples["area"].to_numpy(),
        results.values[:, 0],
        results.samples["group"].to_numpy(str),
        within=results.samples["label"].to_numpy(int),
    )
    assert table["estimate"][0] == expected.estimate
    assert table["n"][0] == len(results)


# --- Concatenation --------------------------------------------------------------------------------


def test_parts_may_have_other_targets_of_one_sample() -> None:
    results = made()
    parts = [results.select(label=[0]), results.select(label=[1, 2])]
    both = concat(parts)
    assert len(both) == 6
    assert both.weights.shape == both.values.shape
    with pytest.raises(SettingError, match="sample once with each label, got 'x' twice"):
        concat([results, parts[1]])


def test_columns_of_users_of_several_parts_are_put_together() -> None:
    def part(model: str, **info) -> Results:
        return made(batch(["x"], [0], info=[json.dumps(info)]), model=model)

    both = concat([part("a", age=3, site="north"), part("b", age=2.5, view="lateral"), part("c")])
    table = both.samples
    assert list(table.columns)[3:8] == ["label", "age", "site", "view", "present"]
    assert table["age"].tolist()[:2] == [3.0, 2.5]
    assert table["age"].dtype == "float64"
    assert table["site"].tolist() == ["north", None, None]
    words = concat([part("a", age=3), part("b", age="old"), part("c", age=None)]).samples["age"]
    assert words.tolist() == ["3", "old", None]
    assert concat([part("a", age=3), part("b", age=None)]).samples["age"].dtype == "Int64"
    assert concat([part("a", on=True), part("b")]).samples["on"].dtype == "boolean"
