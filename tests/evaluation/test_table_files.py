"""Files of tables: written and read some samples at a time, as pandas would at once."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from evaluations import same
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import made

from cameval.errors import DataError
from cameval.evaluation import Results, _csv_tables, _parquet_tables, concat
from cameval.evaluation._arrays_file import load_arrays
from cameval.evaluation._info import with_info
from cameval.evaluation._run_folder import read_arrays

HERE = Path(__file__).parent
WORDS = (
    "a,b",
    'q"x',
    "new\nline",
    "=1",
    "'",
    "''x",
    "",
    "\u00e9\u202e",
    "NA",
    "007",
    "True",
    " s ",
)


def varied(n: int = 30, seed: int = 0) -> Results:
    """Make results with undefined scores, weights, missing labels and columns of all kinds."""
    rng = np.random.default_rng(seed)
    results = made(n, label=lambda i: None if i % 5 == 0 else i % 3, baselines={})
    values, codes, weights = (
        getattr(results, name).copy() for name in ("values", "codes", "weights")
    )
    at = rng.random(values.shape) < 0.1
    values[at], codes[at] = np.nan, rng.integers(1, 6, at.sum())
    codes[rng.random(values.shape) < 0.1] |= 0x80
    weights[rng.random(values.shape) < 0.3] = rng.integers(0, 99)
    values[0, :2] = 1e-310, 1 / 3

    def some(make) -> list:
        return [make() if rng.random() < 0.8 else None for _ in range(n)]

    own = {
        "text": some(lambda: str(rng.choice(WORDS))),
        "whole": some(lambda: int(rng.integers(-5, 9))),
        "=number": some(rng.random),
        "truth": some(lambda: bool(rng.random() < 0.5)),
        "nothing": [None] * n,
    }
    names = [f"{rng.choice(WORDS)}{i}" for i in range(n)]
    groups = [str(rng.choice(WORDS)) for _ in range(n)]
    table = with_info(results.samples.assign(sample=names, group=groups), own)
    changed = {"samples": table, "values": values, "codes": codes, "weights": weights}
    return dataclasses.replace(results, **changed)


@pytest.fixture(scope="module")
def results() -> Results:
    return varied()


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """Let a part of a table have few rows, which are no whole number of samples."""
    monkeypatch.setattr(_csv_tables, "_ROWS", 37)
    monkeypatch.setattr(_parquet_tables, "_ROWS", 37)


# --- Equality with what pandas does ---------------------------------------------------------------


def as_pandas_writes(results: Results) -> bytes:
    """Return the tidy table as CSV, written at once."""

    def quoted(word: object, *, own: bool = False) -> str:
        if word is None or word != word:
            return ""
        text = f"'{word}" if str(word)[:1] in tuple("=+-@\t\r\n'") else str(word)
        return text or "'" * own

    table = results.to_pandas()
    own = ("text", "nothing")
    words = ("model", "sample", "group", "target_class", "kind", "method", "binarizer", "metric")
    for name in words:
        table[name] = [quoted(word) for word in table[name].astype(object)]
    for name in own:
        table[name] = [quoted(word, own=True) for word in table[name].astype(object)]
    return table.rename(columns={"=number": "'=number"}).to_csv(index=False).encode()


@pytest.mark.parametrize("rows", [1, 37, 100, 2**16])
def test_the_csv_is_the_one_that_pandas_writes_at_once(results, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(_csv_tables, "_ROWS", rows)
    results.to_csv(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == as_pandas_writes(results)


def test_pandas_reads_the_tidy_table_from_parquet(results, small_parts, tmp_path):
    results.to_parquet(tmp_path / "table.parquet")
    table, expected = pd.read_parquet(tmp_path / "table.parquet"), results.to_pandas()
    for name in expected:
        found, wanted = (t[name].astype(object).where(t[name].notna()) for t in (table, expected))
        assert found.tolist() == wanted.tolist() or found.equals(wanted), name
    assert json.loads(table.attrs["provenance"])["rows"] == len(results)


def test_a_table_that_pandas_wrote_at_once_is_read(results, small_parts, tmp_path):
    table = results.to_pandas()
    results.to_csv(tmp_path / "table.csv")
    table.attrs["provenance"] = (tmp_path / "table.json").read_text()
    table.to_parquet(tmp_path / "table.parquet", row_group_size=50)
    assert same(Results.from_parquet(tmp_path / "table.parquet"), results)


def test_words_are_kept_once_in_parquet(results, tmp_path):
    results.to_parquet(tmp_path / "table.parquet")
    group = pq.ParquetFile(tmp_path / "table.parquet").metadata.row_group(0)
    columns = [group.column(k) for k in range(group.num_columns)]
    encodings = {column.path_in_schema: column.encodings for column in columns}
    for name in ("model", "sample", "group", "text", "method", "metric", "reason"):
        assert "RLE_DICTIONARY" in encodings[name]


# --- Round trips ----------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
OWN = {
    "text": TEXT,
    "whole": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False),
    "truth": st.booleans(),
}


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(TEXT, min_size=1, max_size=5, unique=True),
    rows=st.sampled_from([3, 2**16]),
    data=st.data(),
)
def test_every_name_and_column_of_a_user_comes_back(names, rows, data, tmp_path_factory):
    n = len(names)
    own = {
        f"{data.draw(st.sampled_from(WORDS))}{kind}": data.draw(
            st.lists(values | st.none(), min_size=n, max_size=n)
        )
        for kind, values in OWN.items()
    }
    small = {
        "methods": ("cam",),
        "baselines": {},
        "binarizers": ("p95",),
        "metrics": ("iou", "coverage"),
    }
    results = made(n, label=lambda i: None, **small)
    group = data.draw(st.lists(TEXT, min_size=n, max_size=n))
    table = with_info(results.samples.assign(sample=names, group=group), own)
    results = dataclasses.replace(results, samples=table)
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_csv_tables, "_ROWS", rows)
        patch.setattr(_parquet_tables, "_ROWS", rows)
        for kind in ("csv", "parquet"):
            getattr(results, f"to_{kind}")(folder / f"table.{kind}")
            again = getattr(Results, f"from_{kind}")(folder / f"table.{kind}")
            assert same(again, results)
            kinds = [str(again.samples[name].dtype) for name in own]
            assert kinds == [str(results.samples[name].dtype) for name in own]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_parts_of_a_table_that_end_within_a_sample_are_joined(results, kind, small_parts, tmp_path):
    other = renamed(varied(7, 1))
    group_of = dict(zip(results.samples["sample"], results.samples["group"], strict=True))
    groups = other["sample"].map(group_of).fillna(other["group"]).astype(other["group"].dtype)
    both = concat([results, dataclasses.replace(varied(7, 1), samples=other.assign(group=groups))])
    getattr(both, f"to_{kind}")(tmp_path / f"table.{kind}")
    assert same(getattr(Results, f"from_{kind}")(tmp_path / f"table.{kind}"), both)


def test_an_end_of_a_line_in_a_name_is_quoted(small_parts, tmp_path):
    results = made(3, baselines={})
    table = results.samples.assign(sample=["a\rb", "a\nb", "a\r\nb"])
    results = dataclasses.replace(results, samples=table)
    results.to_csv(tmp_path / "table.csv")
    assert same(Results.from_csv(tmp_path / "table.csv"), results)


def renamed(results: Results) -> pd.DataFrame:
    return results.samples.assign(model="another")


# --- Damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_that_was_cut_is_refused(results, kind, share, small_parts, tmp_path):
    file = tmp_path / f"table.{kind}"
    getattr(results, f"to_{kind}")(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=rf"table\.{kind}"):
        getattr(Results, f"from_{kind}")(file)


DISORDER = {
    "a row less": (lambda t: t.drop(index=77), "must have one row for each of 30 samples"),
    "a row twice": (lambda t: t.iloc[[*range(78), *range(77, len(t))]], "got 421 rows"),
    "two rows exchanged": (
        lambda t: t.iloc[[*range(76), 77, 76, *range(78, len(t))]],
        r"sample by sample, .* got method 'grad_cam' in row 77",
    ),
    "samples sorted by metric": (
        lambda t: t.sort_values("metric", kind="stable"),
        "sample by sample, as they were written",
    ),
    "a sample twice": (
        lambda t: t.iloc[[*range(14), *range(len(t))]],
        "one row for each of 30 samples and targets in each of 14 columns, got 434 rows",
    ),
    "a sample for another": (
        lambda t: t.iloc[[*range(14), *range(14), *range(28, len(t))]],
        "one row for each of 29 samples and targets in each of 14 columns, got 420 rows",
    ),
    "another group in one row": (
        lambda t: t.assign(group=[*t["group"][:200], "other", *t["group"][201:]]),
        "sample by sample, as they were written, got group 'other' in row 201",
    ),
    "missing text in one row": (
        lambda t: t.assign(text=["x"] * 200 + [None] + ["x"] * (len(t) - 201)),
        "sample by sample, as they were written, got text None in row 201",
    ),
    "a strange reason late": (
        lambda t: t.assign(reason=[*t["reason"][:400], "rain", *t["reason"][401:]]),
        "reason must be one of .* got 'rain'",
    ),
    "a negative weight late": (
        lambda t: t.assign(weight=[*t["weight"][:400], -1, *t["weight"][401:]]),
        "weight must be a number of pixels or missing",
    ),
}


@pytest.mark.parametrize("rows", [37, 2**16])
@pytest.mark.parametrize(("change", "message"), DISORDER.values(), ids=DISORDER)
def test_rows_that_are_not_in_order_are_refused(change, message, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(_csv_tables, "_ROWS", rows)
    monkeypatch.setattr(_parquet_tables, "_ROWS", rows)
    results = made(30, baselines={})
    results = dataclasses.replace(results, samples=with_info(results.samples, {"text": ["x"] * 30}))
    results.to_csv(tmp_path / "table.csv")
    record = (tmp_path / "table.json").read_text()
    table = change(results.to_pandas().astype(object))
    table.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(DataError, match=message):
        Results.from_csv(tmp_path / "table.csv")
    table.attrs["provenance"] = record
    table.to_parquet(tmp_path / "table.parquet")
    with pytest.raises(DataError, match=message):
        Results.from_parquet(tmp_path / "table.parquet")


# --- Memory ---------------------------------------------------------------------------------------

MEMORY = """
import sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
import numpy as np
from pages import made
from cameval.evaluation import Results

def peak():
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) / 1024

small = made(200)
folder = Path({folder!r})
for kind in ("csv", "parquet"):
    getattr(small, f"to_{{kind}}")(folder / f"small.{{kind}}")
    getattr(Results, f"from_{{kind}}")(folder / f"small.{{kind}}")
for kind, n in (("csv", 10_000), ("parquet", 40_000)):
    results = made(n)
    for work in (
        lambda: getattr(results, f"to_{{kind}}")(folder / f"table.{{kind}}"),
        lambda: getattr(Results, f"from_{{kind}}")(folder / f"table.{{kind}}"),
    ):
        Path("/proc/self/clear_refs").write_text("5")
        before = peak()
        work()
        print(round(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_tidy_table_is_never_in_memory(tmp_path):
    script = MEMORY.format(tests=str(HERE.parent), folder=str(tmp_path))
    pool = {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # the others keep pages that are free
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | pool,
    )
    # At once: 273, 361, 221 and 287 MiB at least.
    peaks = [int(word) for word in done.stdout.split()]
    assert all(peak < most for peak, most in zip(peaks, (120, 200, 160, 235), strict=True)), peaks


# --- Arrays of a run ------------------------------------------------------------------------------

ARRAYS = {
    "numbers": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "words": np.array(["a", "longer", "\u00e9"]),
    "truths": np.array([True, False]),
    "nothing": np.zeros((0, 3)),
    "one": np.array(7, np.uint32),
    "empty word": np.array([""], "U0"),
    "turned": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    "big end first": np.arange(3, dtype=">i4"),
}


def test_arrays_are_those_that_numpy_loads(tmp_path):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "arrays.npz", **ARRAYS)
        found = load_arrays(tmp_path / "arrays.npz")
        with np.load(tmp_path / "arrays.npz") as expected:
            assert [*found] == expected.files
            for name, array in found.items():
                assert array.dtype == expected[name].dtype
                np.testing.assert_array_equal(array, expected[name], strict=True)
                assert array.flags.writeable


@settings(max_examples=60, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_does_not_matter(at, change, tmp_path_factory):
    file = tmp_path_factory.mktemp("arrays") / "arrays.npz"
    np.savez(file, numbers=np.arange(5.0), words=np.array(["a", "b"]))
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= change
    file.write_bytes(content)
    try:
        found = read_arrays(file)
    except DataError:
        return
    for name, array in (("numbers", np.arange(5.0)), ("words", np.array(["a", "b"]))):
        if name in found:
            np.testing.assert_array_equal(found[name], array)
