"""Sanity checks of an evaluation: what they compute, what they cost, how they are kept."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from evaluations import SMALL, Lazy, Stream, same, samples, small_network
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import cameval
from cameval import CAMExtractor, CAMModel, GAPHead, Sample, Target, concat, evaluate
from cameval.baselines import knows
from cameval.errors import DataError, LayerError, SettingError, ShapeError
from cameval.evaluation import (
    Preparation,
    Results,
    SanityChecks,
    SanityResults,
    default_faithfulness,
    evaluate_maps,
)
from cameval.evaluation._similarities import pair_interval, pairs_of
from cameval.evaluation._sub_sample import Candidate, choose
from cameval.metrics import ADCC, ROAD, average_drop
from cameval.protocols import BaselineInput
from cameval.sanity import cascading_randomization, repeatability

METHODS = {"cam": cameval.cam, "grad": cameval.grad_cam}
PLAN = {
    "methods": METHODS,
    "binarizers": {"p80": cameval.PercentileBinarizer(80)},
    "metrics": {"iou": cameval.iou},
    "prepare": SMALL,
    "batch_size": 2,
}
CHECKS = SanityChecks(samples=5, faithfulness={"adcc": ADCC(), "road": ROAD((30.0,))})


def run(checks: SanityChecks | bool = CHECKS, data=None, net=None, **options) -> Results:
    return evaluate(net or small_network(), data or samples(), sanity=checks, **(PLAN | options))


def other_network(seed: int = 5) -> CAMModel:
    """Make the small network with other weights."""
    net = small_network()
    generator = torch.Generator().manual_seed(seed)
    for tensor in net.parameters():
        tensor.data = torch.randn(tensor.shape, generator=generator)
    return net


def equal(first: Results, second: Results) -> bool:
    """Tell whether the sanity checks of two results are the same."""
    a, b = first.sanity, second.sanity
    assert a is not None
    assert b is not None
    pd.testing.assert_frame_equal(a.similarities, b.similarities, check_exact=True)
    return same(a.scores, b.scores)


@pytest.fixture(scope="module")
def plain() -> Results:
    return run()


# --- What is computed -----------------------------------------------------------------------------


def test_the_table_of_the_run_is_what_it_is_without_checks(plain: Results) -> None:
    assert same(plain, run(False))
    assert run(False).sanity is None


def chosen(results: Results, data: list[Sample]) -> list[Sample]:
    assert results.sanity is not None
    names = results.sanity.scores.samples["sample"].tolist()
    return [one for one in data if one.name in names]


@pytest.mark.parametrize("method", ["cam", "grad"])
def test_random_weights_are_those_of_the_cascade(plain: Results, method: str) -> None:
    extract = CAMExtractor(small_network(), METHODS[method])
    similarities = plain.sanity.similarities
    for one in chosen(plain, samples()):
        cascade = cascading_randomization(extract, SMALL(one)[0][None], seed=CHECKS.seed)
        mine = similarities.query(
            "sample == @one.name and method == @method and check == 'random weights'"
        )
        assert mine["step"].tolist() == list(cascade.layers)
        np.testing.assert_allclose(mine["ssim"], cascade.ssim[:, 0], atol=1e-6)
        np.testing.assert_allclose(mine["spearman"], cascade.spearman[:, 0], atol=1e-6)


def test_other_trainings_and_other_images_are_compared_as_by_hand() -> None:
    data, other = samples(), other_network()
    results = run(SanityChecks(samples=5, faithfulness={}, checkpoints={"b": other}), data)
    made, again, said = {}, {}, {}
    for one in chosen(results, data):
        image = SMALL(one)[0][None]
        first = CAMExtractor(small_network(), cameval.cam)(image)
        second = CAMExtractor(other, cameval.cam)(image, first.classes)
        made[one.name], again[one.name] = first.maps, second.maps
        said[one.name] = bool(second.logits.argmax() == first.classes)
    rows = results.sanity.similarities.query("method == 'cam'")
    assert sorted(made) == sorted(rows["sample"].unique())
    trainings = rows[rows["check"] == "other training"].set_index("sample")
    assert len(trainings) == 5
    for name, row in trainings.iterrows():
        ssim, spearman = repeatability(made[name], again[name])
        assert row["step"] == "b"
        assert row["ssim"] == pytest.approx(float(ssim), abs=1e-6)
        assert row["spearman"] == pytest.approx(float(spearman), abs=1e-6)
        assert row["same_prediction"] == said[name]
    pairs = rows[rows["check"] == "other image"]
    assert len(pairs)
    for row in pairs.itertuples():
        ssim, _ = repeatability(made[row.sample], made[row.step])
        assert row.ssim == pytest.approx(float(ssim), abs=1e-6)


def test_adcc_in_an_evaluation_is_that_of_the_extractor_of_each_method() -> None:
    data = samples(sizes=(32,))
    results = evaluate(
        small_network(),
        data,
        methods=METHODS,
        metrics={"adcc": ADCC()},
        baselines={},
        prepare=SMALL,
    )
    images = torch.stack([SMALL(one)[0] for one in data])
    for name, method in METHODS.items():
        extract = CAMExtractor(small_network(), method)
        found = extract(images)
        expected = ADCC(extract)(extract.model, images, found.maps, found.classes)
        np.testing.assert_allclose(results.select(method=name).values[:, 0], expected, atol=1e-6)


def test_adcc_of_maps_that_cannot_be_made_again_is_undefined() -> None:
    rng = np.random.default_rng(0)
    theirs = {"theirs": lambda sample: rng.random((8, 8))}
    results = evaluate(
        small_network(),
        samples(),
        methods={},
        maps=theirs,
        metrics={"adcc": ADCC()},
        prepare=SMALL,
    )
    assert np.isnan(results.select(method="theirs").values).all()
    assert set(results.select(method="theirs").to_pandas()["reason"]) == {"undefined"}
    center = results.select(method="center").values
    assert ((center > 0) & (center < 1)).all()


@knows("truth")
def exact_truth(batch: BaselineInput) -> Tensor:
    """Return the truth as maps."""
    return batch.truth.float()


def test_adcc_of_several_targets_is_of_the_map_of_each_target() -> None:
    net, rng = small_network(), np.random.default_rng(2)
    image, mask = rng.random((32, 32), dtype=np.float32), np.eye(32, dtype=bool)
    masks = mask, ~mask
    both = Sample("one", image, targets=[Target(0, masks[0]), Target(2, masks[1])])
    results = evaluate(
        net,
        [both],
        methods={"grad": cameval.grad_cam},
        metrics={"adcc": ADCC()},
        baselines={"truth": exact_truth},
        prepare=SMALL,
        task="multilabel",
    )
    given = SMALL(both.by_target()[0])[0][None]
    extract = CAMExtractor(net, cameval.grad_cam)
    for row, label in enumerate((0, 2)):

        def presence(images: Tensor, label: int = label) -> Tensor:
            return nn.functional.pad(net(images)[:, label : label + 1], (1, 0))

        def of_class(images: Tensor, _: Tensor, label: int = label) -> cameval.CAMResult:
            return extract(images, label)

        def of_truth(images: Tensor, _: Tensor, row: int = row) -> SimpleNamespace:
            return SimpleNamespace(maps=torch.from_numpy(masks[row])[None].float())

        for source in (of_class, of_truth):
            maps = source(given, torch.tensor([1])).maps
            expected = ADCC(source)(presence, given, maps, torch.tensor([1]))
            found = results.values[row, 0 if source is of_class else 1]
            assert found == pytest.approx(float(expected), abs=1e-6)


def test_faithfulness_stands_beside_localisation_with_blind_controls(plain: Results) -> None:
    scores = plain.sanity.scores
    assert {column.method for column in scores.columns} == {"cam", "grad", "center", "random"}
    assert {column.metric for column in scores.columns} == {*PLAN["metrics"], "adcc", "road"}
    assert scores.meanings.baselines["random"].knows == "nothing"
    assert scores.meanings.metrics["road"].higher_is_better is True
    whole = plain.select(sample=scores.samples["sample"].tolist(), method="cam", metric="iou")
    part = scores.select(method="cam", metric="iou")
    np.testing.assert_allclose(part.values, whole.values, atol=1e-6)


def test_a_run_without_blind_baselines_has_random_maps_as_controls() -> None:
    scores = run(baselines={"truth": cameval.baselines.truth_baseline}).sanity.scores
    assert {c.method for c in scores.columns if c.kind == "baseline"} == {"random"}


# --- The sub-sample -------------------------------------------------------------------------------

candidates = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=14).map(
    lambda rows: [
        Candidate(k, f"sample {k}", f"group {group}", 0, present)
        for k, (group, present) in enumerate(rows)
    ]
)


@given(candidates, st.integers(1, 8), st.integers(0, 3), st.data())
def test_the_choice_is_of_different_groups_first_and_does_not_depend_on_the_rest(
    every: list[Candidate], count: int, seed: int, data: st.DataObject
) -> None:
    taken = choose(every, count, seed)
    assert len(taken) == min(count, len(every))
    assert taken == sorted(taken, key=lambda one: one.index)
    assert choose(every[::-1], count, seed) == taken
    left_out = [one for one in every if one not in taken]
    assert all(one.present for one in taken) or not any(one.present for one in left_out)
    of_group = [one.group for one in taken if one.present]
    groups = {one.group for one in every if one.present}
    if len(of_group) > len(set(of_group)):  # a second image only if every group has one
        assert set(of_group) == groups
    some = data.draw(st.lists(st.sampled_from(left_out), unique=True)) if left_out else []
    assert choose([*taken, *some], count, seed) == taken


def test_one_target_of_each_image_is_used_with_an_object_if_there_is_one() -> None:
    rng, empty = np.random.default_rng(0), np.zeros((32, 32), bool)
    data = [
        Sample(
            f"image {k}",
            rng.random((32, 32), dtype=np.float32),
            targets=[Target(0, empty), Target(1, np.eye(32, dtype=bool)), Target(2, empty)],
        )
        for k in range(3)
    ]
    checks = SanityChecks(samples=2, faithfulness={})
    table = run(checks, data, task="multilabel").sanity.scores.samples
    assert table["label"].tolist() == [1, 1]
    assert table["present"].all()


# --- The cost -------------------------------------------------------------------------------------

COUNTED: list[int] = []


class Counted(nn.Module):
    """Features that count the images that they are given, also those of copies."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        """Count and pass on."""
        COUNTED.append(len(images))
        return self.inner(images)


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
def test_the_stated_cost_is_what_is_counted(task: str, tmp_path: Path) -> None:
    plain = small_network(1 if task == "binary" else 3)
    net = CAMModel(Counted(plain.features), plain.head).eval()
    data = [
        Sample(one.name, one.image, one.mask, label=0, group=one.group)
        for one in samples(sizes=(32,))
    ]
    other = CAMModel(
        Counted(other_network().features), small_network(plain.head.linear.out_features).head
    )
    checks = SanityChecks(
        samples=3,
        checkpoints={"b": other.eval()},
        faithfulness={**default_faithfulness(), "average_drop": average_drop},
    )
    options = {
        "methods": {"grad": cameval.grad_cam, "score": cameval.ScoreCAM(batch_size=2)},
        "metrics": {"iou": cameval.iou},
        "task": task,
    }
    COUNTED.clear()
    run(False, data, net, **options)
    without = sum(COUNTED)
    COUNTED.clear()
    results = run(checks, data, net, out=tmp_path, **options)
    stated = results.sanity.scores.provenance["sanity"]["cost"]
    assert stated["total"] == sum(COUNTED) - without
    assert stated["images"] == 3
    assert str(
        checks.cost(methods=2, controls=2, stops=2, reruns=stated["start"] - 2, task=task)
    ) == (
        f"{stated['total']:,} passes: {(stated['total'] - stated['start']) // 3:,} "
        "for each of 3 images"
    )
    COUNTED.clear()
    run(checks, data, net, out=tmp_path, **options)
    assert sum(COUNTED) < 60  # what is finished is not done again


# --- Runs that are kept ---------------------------------------------------------------------------


def test_what_is_kept_is_what_is_returned(plain: Results, tmp_path: Path) -> None:
    results = run(out=tmp_path / "run")
    assert equal(results, plain)
    assert equal(Results.load(tmp_path / "run"), plain)
    for number in (1, 2):  # read and written again
        results.to_csv(tmp_path / "table.csv")
        results = Results.from_csv(tmp_path / "table.csv")
        assert equal(results, plain), number
        assert results.provenance.get("has_sanity") is None
    run(False).to_csv(tmp_path / "table.csv")  # the files of the checks are of another table now
    assert Results.from_csv(tmp_path / "table.csv").sanity is None


def test_parquet_keeps_the_checks(plain: Results, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    plain.to_parquet(tmp_path / "table.parquet")
    assert equal(Results.from_parquet(tmp_path / "table.parquet"), plain)


def test_a_damaged_file_of_similarities_is_named(plain: Results, tmp_path: Path) -> None:
    plain.to_csv(tmp_path / "table.csv")
    file = tmp_path / "table-similarities.csv"
    file.write_text(file.read_text().replace("random weights", "other", 1).replace("True", "Yes"))
    if "Yes" not in file.read_text():
        file.write_text("model\n")
    with pytest.raises(DataError, match=r"table-similarities\.csv must be a table"):
        Results.from_csv(tmp_path / "table.csv")


class _Interrupted(Lazy):
    """A dataset that stops when a sample is read for the checks a few times."""

    limit = 10**6

    def __getitem__(self, index: int) -> Sample:
        if len(self.read) >= self.limit:
            raise KeyboardInterrupt
        return super().__getitem__(index)


@pytest.mark.parametrize("reads", [9, 14])  # 7 of the run, 5 of the scores, 5 of the similarities
def test_an_interrupted_run_goes_on(plain: Results, tmp_path: Path, reads: int) -> None:
    data = _Interrupted(samples())
    data.limit = reads
    with pytest.raises(KeyboardInterrupt):
        run(data=data, out=tmp_path)
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    assert any("sanity" in str(path) for path in kept)
    unfinished = Results.load(tmp_path)
    assert len(unfinished) == 7
    assert unfinished.sanity is not None
    data.limit = 10**6
    assert equal(run(data=data, out=tmp_path), plain)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_other_checks_of_the_same_run_are_refused_and_leave_the_run(tmp_path: Path) -> None:
    before = run(out=tmp_path)
    for changed, named in (
        ({"samples": 4}, "'samples'"),
        ({"seed": 1}, "'seed'"),
        ({"layers": 1}, "steps"),
        ({"faithfulness": {"adcc": ADCC()}}, "metrics"),
        ({"checkpoints": {"b": other_network()}}, "checkpoints"),
    ):
        with pytest.raises(SettingError, match=rf"(?s){named}.*delete .*sanity"):
            run(replace(CHECKS, **changed), out=tmp_path)
    assert equal(Results.load(tmp_path), before)
    assert same(run(False, out=tmp_path), before)


def test_a_file_of_other_maps_is_refused(tmp_path: Path) -> None:
    run(out=tmp_path)
    folder = tmp_path / "sanity" / "similarities"
    (folder / "000001.npz").replace(folder / "000000.npz")
    with pytest.raises(DataError, match=r"000000\.npz must hold the similarities of sample 0"):
        run(out=tmp_path)


@pytest.mark.parametrize("data", [Stream(samples()), Lazy(samples()), iter(samples())])
def test_any_source_of_samples_gives_the_same(plain: Results, data: object) -> None:
    assert equal(run(data=data), plain)


TWO = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from cameval.distributed import process_group, rank
from evaluations import Stream, samples
from test_sanity_checks import run
import torch
torch.set_num_threads(1)
with process_group():
    for name, data in (("list", samples()), ("stream", Stream(samples()))):
        results = run(data=data, out=Path({out!r}) / name)
        if rank() == 0:
            results.to_csv(Path({out!r}) / f"{{name}}.csv")
"""


def test_two_processes_give_the_checks_of_one(plain: Results, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    path = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    script.write_text(TWO.format(path=path, out=str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*command, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("list", "stream"):
        assert equal(Results.from_csv(tmp_path / f"{name}.csv"), plain)
        assert equal(Results.load(tmp_path / name), plain)


# --- Other trainings ------------------------------------------------------------------------------


def test_a_network_its_weights_and_their_file_are_the_same_training(tmp_path: Path) -> None:
    net, other = small_network(), other_network()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.save(other.state_dict(), tmp_path / "b.pth")
    found = [
        run(SanityChecks(samples=3, faithfulness={}, checkpoints={"b": one}), net=net)
        for one in (other, other.state_dict(), tmp_path / "b.pth")
    ]
    assert equal(found[0], found[1])
    assert equal(found[0], found[2])
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_layer_of_the_network_is_that_of_the_other_trainings() -> None:
    def net(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(4, 5, 3),
            nn.Flatten(),
            nn.LazyLinear(3),
        ).eval()

    first, second = net(0), net(1)
    for one in (first, second):
        one(torch.zeros(1, 3, 32, 32))
    checks = SanityChecks(samples=2, faithfulness={}, checkpoints={"b": second})
    model = cameval.adapt(first, layer="0")
    results = run(checks, net=CAMExtractor(model), methods={"grad": cameval.grad_cam})
    rows = results.sanity.similarities.query("check == 'other training'")
    assert len(rows) == 2
    assert rows["ssim"].notna().all()


def test_checkpoints_that_are_no_other_training_are_refused() -> None:
    def refused(one: object, words: str) -> None:
        with pytest.raises(SettingError, match=words):
            run(SanityChecks(checkpoints={"b": one}))

    refused(small_network(), "'b' with the weights of the network itself")
    refused(small_network().state_dict(), "'b' with the weights of the network itself")
    refused(small_network(4), "'b' with 4")
    refused({"strange": torch.zeros(3)}, "state dicts that fit the network, got for 'b'")


# --- Summaries ------------------------------------------------------------------------------------


def test_a_summary_has_the_mean_of_each_step_and_one_row_for_all_pairs(plain: Results) -> None:
    table, summary = plain.sanity.similarities, plain.sanity.summary()
    keys = ["method", "check", "step"]
    assert not summary.duplicated(keys).any()
    for row in summary.itertuples():
        part = table.query("method == @row.method and check == @row.check")
        if row.check == "other image":
            assert row.step == ""
        else:
            part = part.query("step == @row.step")
        assert row.n == len(part)
        assert row.ssim == pytest.approx(part["ssim"].mean())
        assert row.spearman == pytest.approx(part["spearman"].mean())
        assert row.ssim_low <= row.ssim <= row.ssim_high
    shares = summary.query("check == 'random weights'")["random_modules"].tolist()
    assert sorted(set(shares)) == [1, 2]


def test_maps_that_do_not_change_have_no_interval() -> None:
    def blind(activations, target):
        return torch.eye(8).expand(len(activations.features), 8, 8)

    summary = run(methods={"blind": blind}).sanity.summary()
    weights = summary[summary["check"] == "random weights"]
    assert (weights["ssim"] > 1 - 1e-9).all()
    assert weights[["ssim_low", "ssim_high"]].isna().all(axis=None)


def test_the_interval_of_pairs_covers_the_mean() -> None:
    rng = np.random.default_rng(0)
    names = [f"g{k:02d}" for k in range(16)]
    pairs = pairs_of(names, seed=0)
    first, second = (np.array([names[pair[side]] for pair in pairs]) for side in (0, 1))
    covered = []
    for _ in range(400):
        own = dict(zip(names, rng.normal(0, 0.1, 16), strict=True))
        noise = rng.normal(0, 0.1, len(pairs))
        values = np.array([own[a] + own[b] for a, b in zip(first, second, strict=True)]) + noise
        one = pair_interval(values, first, second, 0.95)
        covered.append(one.low <= 0 <= one.high)
    assert 0.92 < np.mean(covered) < 0.99


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.integers(0, 5))
def test_pairs_are_of_different_images_and_groups(groups: list[str], seed: int) -> None:
    pairs = pairs_of(groups, seed)
    assert len(set(map(frozenset, pairs))) == len(pairs)
    assert all(one != other for one, other in pairs)
    if len(set(groups)) > 1:
        assert all(groups[one] != groups[other] for one, other in pairs)
        assert {k for pair in pairs for k in pair} == set(range(len(groups)))
    else:
        assert bool(pairs) == (len(groups) > 1)


def test_selections_have_no_checks_and_concatenations_have_those_of_all(plain: Results) -> None:
    assert plain.select(method="cam").sanity is None
    second = run(net=other_network(), name="second")
    both = concat([plain, second])
    assert isinstance(both.sanity, SanityResults)
    assert len(both.sanity.similarities) == 2 * len(plain.sanity.similarities)
    assert both.sanity.summary()["model"].nunique() == 2
    assert concat([plain, run(False, net=other_network(), name="second")]).sanity is None


def test_a_map_that_is_not_finite_or_constant_is_counted_as_undefined() -> None:
    def fragile(activations, target):
        maps = activations.features.mean(1)
        sane = activations.logits.abs().max() < 50
        return maps if sane else maps * float("nan")

    net = small_network()
    checks = SanityChecks(samples=3, faithfulness={}, checkpoints={"b": _scaled(net, 1e4)})
    summary = run(checks, net=net, methods={"fragile": fragile}).sanity.summary()
    training = summary[summary["check"] == "other training"].iloc[0]
    assert training["n_undefined_ssim"] == 3
    assert np.isnan(training["ssim"])


def _scaled(net: CAMModel, factor: float) -> CAMModel:
    head = nn.Linear(net.head.linear.in_features, net.head.linear.out_features)
    head.load_state_dict({k: factor * v for k, v in net.head.linear.state_dict().items()})
    return CAMModel(net.features, GAPHead(head)).eval()


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples": 0}, "samples must be a positive integer"),
        ({"layers": 0}, "layers must be a positive integer"),
        ({"layers": "some"}, "layers must be a number of stops, 'all'"),
        ({"layers": []}, "layers must be a number of stops, 'all'"),
        ({"checkpoints": ["a.pth"]}, "checkpoints must be other trainings by name"),
        ({"checkpoints": {"": {}}}, "labels of checkpoints"),
        ({"seed": -1}, "seed must be an integer"),
    ],
)
def test_settings_that_are_wrong_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        SanityChecks(**settings)


def test_what_cannot_be_checked_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="sanity must be True, False"):
        evaluate(small_network(), samples(), sanity="yes")
    with pytest.raises(LayerError, match="strange"):
        run(SanityChecks(layers=["strange"]), out=tmp_path)
    with pytest.raises(ShapeError, match="sides of at least 11"):
        run(True, prepare=Preparation(size=8), out=tmp_path)
    assert not list(tmp_path.rglob("*.npz"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'sanity'"):
        evaluate_maps({"a": lambda sample: sample.mask * 1.0}, samples(), sanity=True)
    with pytest.raises(SettingError, match="stops must be given"):
        SanityChecks(layers="all").cost()


def test_named_layers_and_all_of_them_are_stops() -> None:
    def steps(layers: object) -> list[tuple[str, int]]:
        checks = SanityChecks(samples=1, faithfulness={}, layers=layers)
        table = run(checks, methods={"cam": cameval.cam}).sanity.similarities
        rows = table[table["check"] == "random weights"]
        return list(zip(rows["step"], rows["random_modules"], strict=True))

    assert steps("all") == steps(9) == [("head.linear", 1), ("features.0", 2)]
    assert steps(["features"]) == [("features", 2)]
    assert steps(["features.0", "head"]) == [("head", 1), ("features.0", 2)]
