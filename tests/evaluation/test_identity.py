"""What a run is: two runs are one only where all that decides a score is equal in its contents."""

import copy
import functools
import os
import subprocess
import sys
import threading
import types
from array import array
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cameval import (
    CAMExtractor,
    CAMModel,
    GAPHead,
    OtsuBinarizer,
    PercentileBinarizer,
    Sample,
    concat,
    evaluate,
    evaluate_maps,
    grad_cam,
    iou,
)
from cameval.baselines import UntrainedBaseline
from cameval.errors import SettingError
from cameval.evaluation import Preparation, Results, _digests
from cameval.evaluation._digests import (
    Unidentified,
    digest_of,
    digest_or_none,
    structure_of,
    weights_hash,
)
from cameval.evaluation._identity import differences
from cameval.extractor import CAMSweep
from cameval.networks import adapt

LIMIT = 0.5


def above_the_limit(maps: Tensor) -> Tensor:
    return maps > LIMIT


def above_by_another_function(maps: Tensor) -> Tensor:
    def inner() -> Tensor:
        return above_the_limit(maps)

    return inner()


def above_in_a_class_body(maps: Tensor) -> Tensor:
    class Settings:
        limit = LIMIT

    return maps > Settings.limit


class _Plain:
    def __init__(self, share: object) -> None:
        self.share = share

    def __call__(self, maps: Tensor) -> Tensor:
        return maps > self.share

    def other(self, maps: Tensor) -> Tensor:
        return maps < self.share


class _Mute(_Plain):
    def __repr__(self) -> str:
        return "Mute()"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class _Slotted:
    __slots__ = ("share",)

    def __init__(self, share: float) -> None:
        self.share = share


class _Locked(_Plain):
    def __init__(self, share: float) -> None:
        super().__init__(share)
        self.lock = threading.Lock()
        self.again = threading.RLock()


class _Rebuilt:
    """One whose copies are made by a function of its own."""

    def __init__(self, share: float) -> None:
        self.hidden = [share]

    def __reduce__(self) -> tuple[object, ...]:
        return _Rebuilt, (self.hidden[0],)


class _Remembering(_Plain):
    @cached_property
    def doubled(self) -> float:
        return 2 * self.share


class _SlottedAndRemembering(_Slotted):
    __slots__ = ("__dict__",)

    @cached_property
    def doubled(self) -> float:
        return 2 * self.share


class _Words(str):
    share = 0.0


def closed_over(share: object) -> Callable[[Tensor], Tensor]:
    return lambda maps: maps > share


def with_default(share: float) -> Callable[[Tensor], Tensor]:
    def binarize(maps: Tensor, least: float = share) -> Tensor:
        return maps > least

    return binarize


def with_named_default(share: float) -> Callable[[Tensor], Tensor]:
    def binarize(maps: Tensor, *, least: float = share) -> Tensor:
        return maps > least

    return binarize


def with_attribute(share: float) -> Callable[[Tensor], Tensor]:
    def binarize(maps: Tensor) -> Tensor:
        return maps > binarize.share

    binarize.share = share
    return binarize


def that_keeps_results(share: float) -> Callable[[float], float]:
    @functools.lru_cache
    def scaled(x: float) -> float:
        return x * share

    return scaled


def disguised(share: float) -> Callable[[Tensor], Tensor]:
    """Make a function that wears the name and module of one of cameval's."""

    @functools.wraps(iou)
    def wrapped(*masks: Tensor) -> Tensor:
        return iou(*masks) * share

    return wrapped


def class_with(share: float) -> type:
    return type("Made", (), {"share": share})


def class_of_code(number: int) -> object:
    kind = type("Made", (), {"__call__": (lambda _, m: m > 1) if number else (lambda _, m: m < 1)})
    return kind()


def property_of(number: int) -> object:
    return type("Made", (), {"p": property((lambda s: 1) if number else (lambda s: 2))})()


def guarded(both: bool) -> Callable[[], None]:
    """Make a function of the same code, but for what its exception handler covers."""
    source = "def f():\n try:\n  a()\n{0} except ValueError: pass\n{1}"
    text = source.format("  b()\n" if both else "", "" if both else " b()\n")
    found: dict[str, Callable[[], None]] = {}
    exec(text, found)
    return found["f"]


MAKERS = {
    "an object without a repr": _Plain,
    "an object that calls itself equal to all": _Mute,
    "a slot": _Slotted,
    "an object with locks": _Locked,
    "an object made by a function of its own": _Rebuilt,
    "a bound method": lambda s: _Plain(s).other,
    "a partial": lambda s: partial(above_the_limit, share=s),
    "an argument of a partial": lambda s: partial(above_the_limit, s),
    "an attribute of a partial": lambda s: _marked(partial(above_the_limit), s),
    "an array inside a partial": lambda s: partial(np.quantile, q=np.array([s])),
    "an array of objects": lambda s: np.array([{"q": s}, None], dtype=object),
    "a tensor inside a partial": lambda s: partial(torch.mul, other=torch.tensor(s)),
    "an object inside a partial": lambda s: partial(above_the_limit, _Plain(s)),
    "a value closed over": closed_over,
    "an array closed over": lambda s: closed_over(np.full(3, s)),
    "an object closed over": lambda s: closed_over(_Plain(s)),
    "a function closed over": lambda s: closed_over(closed_over(s)),
    "a default": with_default,
    "a default by name": with_named_default,
    "an attribute of a function": with_attribute,
    "a function that keeps its results": that_keeps_results,
    "a function that wears another's name": disguised,
    "a class": class_with,
    "an object of such a class": lambda s: class_with(s)(),
    "a property": lambda s: property_of(s > 0.3),
    "code of a class": lambda s: class_of_code(s > 0.3),
    "what a handler covers": lambda s: guarded(s > 0.3),
    "a set": lambda s: {s, "x", None},
    "a mapping": lambda s: {"share": s},
    "a mapping that cannot be written to": lambda s: types.MappingProxyType({"share": s}),
    "a type of the value": lambda s: 1 if s > 0.3 else True,
    "a masked array": lambda s: np.ma.array([1, 2], mask=[s > 0.3, False]),
    "names of fields": lambda s: np.zeros(2, [("a" if s > 0.3 else "b", "f4")]),
    "the state of a random generator": lambda s: np.random.default_rng(int(s * 10)),
    "the state of torch's": lambda s: torch.Generator().manual_seed(int(s * 10)),
    "a subclass of a word": lambda s: _Words(s),
    "sign of zero": lambda s: 0.0 if s > 0.3 else -0.0,
    "a frozen dataclass": lambda s: PercentileBinarizer(100 * s),
    "a preparation": lambda s: Preparation(size=int(100 * s)),
    "a network": lambda s: _linear(s),
    "a network inside a partial": lambda s: partial(above_the_limit, net=_linear(s)),
}


def _marked(one: partial[object], share: float) -> partial[object]:
    one.share = share
    return one


def _linear(share: float) -> nn.Module:
    net = nn.Linear(1, 1)
    nn.init.constant_(net.weight, share)
    nn.init.zeros_(net.bias)
    return net


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_contents_tell_one_thing_from_another(make) -> None:
    assert digest_of(make(0.2)) == digest_of(make(0.2))
    assert digest_of(make(0.2)) != digest_of(make(0.8))


@pytest.mark.parametrize(
    "function", [above_the_limit, above_by_another_function, above_in_a_class_body]
)
def test_the_globals_that_a_function_reads_are_part_of_it(function, monkeypatch) -> None:
    before = digest_of(function)
    monkeypatch.setitem(globals(), "UNREAD", 3)
    assert digest_of(function) == before
    monkeypatch.setitem(globals(), "LIMIT", 0.7)
    assert digest_of(function) != before


def test_what_a_function_reads_of_a_module_of_the_users_is_part_of_it(monkeypatch) -> None:
    settings = types.ModuleType("settings_of_mine")
    settings.share, settings.unread = 0.2, 1
    package = types.ModuleType("package_of_mine")
    package.settings, package.itself = settings, package
    space = {"package": package, "settings": settings, "__name__": "mine"}
    for text in ("settings.share", "package.settings.share", "package.itself.settings.share"):
        function = eval(f"lambda maps: maps > {text}", space)
        settings.share = 0.2
        before = digest_of(function)
        settings.unread += 1
        assert digest_of(function) == before
        settings.share = 0.8
        assert digest_of(function) != before


def test_functions_of_libraries_count_with_their_names() -> None:
    for one, other in ((np.quantile, np.median), (iou, torch.relu), (torch.relu, torch.sigmoid)):
        assert digest_of(one) == digest_of(one) != digest_of(other)
    assert digest_of(partial(np.quantile, q=0.5)) == digest_of(partial(np.quantile, q=0.5))
    assert digest_of(OtsuBinarizer) != digest_of(PercentileBinarizer)


def test_a_script_with_the_name_of_a_standard_module_is_no_library(monkeypatch) -> None:
    def from_script(text: str) -> str:
        script = types.ModuleType("profile")
        script.__file__ = "/somewhere/profile.py"
        monkeypatch.setitem(sys.modules, "profile", script)
        exec(text, vars(script))
        return digest_of(script.binarize)

    texts = [f"def binarize(maps):\n    return maps > {share}" for share in (0.2, 0.2, 0.8)]
    first, again, other = map(from_script, texts)
    assert first == again != other


def test_a_class_that_wears_the_name_of_a_library_is_none() -> None:
    def made(share: float) -> type:
        return type("Linear", (), {"__module__": "torch.nn", "share": share})

    assert digest_of(made(0.2)) == digest_of(made(0.2)) != digest_of(made(0.8))


def test_code_counts_and_where_it_is_written_does_not() -> None:
    texts = ("lambda m: m > 1", "\n\nlambda m: m > 1", "lambda m: m >= 1", "lambda m, *n: m > 1")
    first, moved, other, more = (eval(text.strip(), {}) for text in texts)
    assert digest_of(first) == digest_of(moved)
    assert len({digest_of(f) for f in (first, other, more)}) == 3


OF_A_SCRIPT = """
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial
from typing import NamedTuple

from torch import nn

from cameval import SkimageBinarizer

LEAST = 0.5

class Side(Enum):
    LEFT = 1

class Pair(NamedTuple):
    low: float
    high: float

@cache
def share():
    return LEAST

def above(maps):
    return maps > share()

@dataclass(frozen=True)
class Above:
    least: float = LEAST
    side: Side = Side.LEFT
    pair: Pair = Pair(0.0, 1.0)
    def __call__(self, maps):
        return above(maps) & (maps < self.pair.high)

class Small(nn.Sequential):
    pass

THINGS = [above, Above(), partial(above), share, Side.LEFT, Small(nn.ReLU())]
THINGS += [SkimageBinarizer(above)]
"""


def things_of_a_script(name: str, monkeypatch, text: str = OF_A_SCRIPT) -> list[object]:
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(text, f"{name}.py", "exec"), vars(module))
    found: list[object] = module.THINGS
    return found


def test_a_script_and_its_copy_have_the_same_contents(monkeypatch) -> None:
    script, copied = (things_of_a_script(name, monkeypatch) for name in ("__main__", "own"))
    for one, other in zip(script, copied, strict=True):
        assert digest_of(one) == digest_of(other), one
    edited = OF_A_SCRIPT.replace("LEAST = 0.5", "LEAST = 0.6").replace("nn.Sequential", "nn.Module")
    edited = edited.replace("LEFT = 1", "LEFT = 2").replace("nn.ReLU()", "")
    for one, other in zip(script, things_of_a_script("own", monkeypatch, edited), strict=True):
        assert digest_of(one) != digest_of(other), one


def test_results_of_a_metric_of_a_script_and_of_its_module_are_joined(monkeypatch) -> None:
    metric = """
from cameval.metrics import of_masks

@of_masks(higher_is_better=True)
def share(pred, target):
    return (pred & target).sum((-2, -1)) / target.sum((-2, -1))

THINGS = [share]
"""
    samples = [Sample(f"{k}", np.eye(8, dtype=np.float32), np.eye(8) > 0) for k in range(3)]

    def results_of(name: str, text: str, model: str) -> Results:
        return evaluate_maps(
            {"image": lambda one: one.image},
            samples,
            metrics=things_of_a_script(name, monkeypatch, text),
            binarizers=OtsuBinarizer(),
            name=model,
            progress=False,
        )

    script = results_of("__main__", metric, "first")
    assert len(concat([script, results_of("own", metric, "second")])) == 6
    other = metric.replace("/ target", "/ pred")
    with pytest.raises(SettingError):
        concat([script, results_of("own", other, "second")])


def test_classes_that_are_compiled_count_with_their_module(monkeypatch) -> None:
    monkeypatch.setattr(_digests, "_of_library", lambda thing: thing not in (array, _Plain))
    before = digest_of(array), digest_of(_Plain)
    named = _digests._named
    monkeypatch.setattr(
        _digests, "_named", lambda one: "x." * (one in (array, _Plain)) + named(one)
    )
    assert digest_of(array) != before[0]
    assert digest_of(_Plain) == before[1]


def test_a_change_of_an_array_is_seen() -> None:
    share = np.array([0.2, 0.4])
    for thing in (closed_over(share), _Plain(share), partial(np.quantile, q=share), [share]):
        before = digest_of(thing)
        share[0] += 1
        assert digest_of(thing) != before


@pytest.mark.parametrize("kind", [_Remembering, _SlottedAndRemembering])
def test_a_value_that_is_worked_out_once_and_kept_is_no_setting(kind) -> None:
    one, other = kind(0.2), kind(0.2)
    assert one.doubled == 0.4
    assert digest_of(one) == digest_of(other) != digest_of(kind(0.8))


def small_network() -> CAMModel:
    torch.manual_seed(0)
    return CAMModel(nn.Conv2d(3, 4, 3), GAPHead(nn.Linear(4, 2))).eval()


@pytest.mark.parametrize(
    "make",
    [
        lambda: CAMExtractor(small_network(), grad_cam),
        lambda: CAMSweep(small_network(), {"grad_cam": grad_cam}),
        lambda: UntrainedBaseline(CAMExtractor(small_network(), grad_cam)),
    ],
)
def test_an_extractor_that_was_used_is_the_same(make: Callable[[], Any]) -> None:
    used = make()
    (used.extractor if isinstance(used, UntrainedBaseline) else used)(torch.rand(1, 3, 16, 16))
    assert digest_of(used) == digest_of(make())
    assert digest_of(copy.deepcopy(used)) == digest_of(make())


def test_a_run_goes_on_whose_baseline_was_used_before(tmp_path: Path) -> None:
    """As where one process scores validation and test images, and another only the rest."""
    rng = np.random.default_rng(0)
    images = rng.random((4, 32, 32), dtype=np.float32)
    made = [Sample(str(k), image, image > 0.8) for k, image in enumerate(images)]

    def score(baseline: UntrainedBaseline, out: str) -> Results:
        return evaluate(
            small_network(),
            made,
            methods=[grad_cam],
            binarizers=[PercentileBinarizer(90)],
            metrics=[iou],
            baselines={"untrained": baseline},
            prepare=Preparation(size=32),
            out=tmp_path / out,
            progress=False,
        )

    first = UntrainedBaseline(CAMExtractor(small_network(), grad_cam))
    score(first, "validation")
    found = score(first, "test")
    again = score(UntrainedBaseline(CAMExtractor(small_network(), grad_cam)), "test")
    np.testing.assert_array_equal(again.values, found.values)


def test_things_that_hold_themselves_can_be_told_apart() -> None:
    def ring(share: float) -> list[object]:
        found: list[object] = [share]
        found.append(found)
        return found

    def calling_itself(share: float) -> Callable[[int], float]:
        def count(n: int) -> float:
            return share if n == 0 else count(n - 1)

        return count

    for make in (ring, calling_itself):
        assert digest_of(make(0.2)) == digest_of(make(0.2)) != digest_of(make(0.8))


def holding_itself_in_a_set() -> object:
    node = _Plain(0.2)
    node.children = {node}
    return node


def very_deep() -> object:
    found: list[object] = []
    for _ in range(3000):
        found = [found]
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda: (i for i in range(3)),
        lambda: closed_over(i for i in range(3)),
        lambda: sys.__stdout__,
        lambda: _Plain(sys.__stdout__),
        lambda: threading.local(),
        lambda: torch.empty(3, device="meta"),
        holding_itself_in_a_set,
        very_deep,
    ],
)
def test_what_has_no_contents_is_said(make) -> None:
    with pytest.raises(Unidentified, match="must have contents that can be compared, got a "):
        digest_of(make())
    assert issubclass(Unidentified, SettingError)
    assert digest_or_none(digest_of, make()) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.rand(3, dtype=torch.complex64).conj(),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.tensor([True, False]),
        lambda: torch.rand(2, 3, dtype=torch.bfloat16).T,
        lambda: torch.tensor(1.5),
        lambda: torch.empty(3, 0),
    ],
)
def test_tensors_of_all_kinds_have_contents(make) -> None:
    torch.manual_seed(0)
    first = make()
    assert digest_of(first) == digest_of(first.clone())
    assert digest_of(first) != digest_of(torch.cat([first, first], 0) if first.ndim else first + 1)


SCRIPT = """
from functools import partial
import numpy as np, torch
from torch import nn
from cameval.evaluation._digests import digest_of, structure_of
from test_identity import MAKERS
for name, make in MAKERS.items():
    print(name, digest_of(make(0.2)))
print(structure_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())))
print(digest_of({"a", "b", "c", "d", ("e", 1)}), digest_of(lambda x: x in {"p", "q", "r"}))
"""


def test_digests_are_the_same_in_every_process() -> None:
    def said(seed: str) -> subprocess.Popen[str]:
        paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )

    first, second = (process.communicate()[0] for process in [said("1"), said("2")])
    assert len(first.splitlines()) == len(MAKERS) + 2
    assert first == second


def test_a_class_is_the_same_after_its_objects_were_copied() -> None:
    kind = type("Made", (), {"share": 0.2})
    before = digest_of(kind)
    copy.deepcopy(kind())
    assert digest_of(kind) == before


# --- Networks -------------------------------------------------------------------------------------


def body(*, stride: int = 2, last: nn.Module | None = None, **more: object) -> nn.Module:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 4, 3, stride=stride, **more)
    return nn.Sequential(first, nn.BatchNorm2d(4), last or nn.ReLU())


class _Scaled(nn.Module):
    def __init__(self, share: object) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 3)
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.share


class _Shifted(_Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + self.share


def scaled(share: object, kind: type[_Scaled] = _Scaled) -> nn.Module:
    torch.manual_seed(0)
    return kind(share)


def patched(net: nn.Module) -> nn.Module:
    net[0].forward = lambda x: x
    return net


def hooked(net: nn.Module, share: float) -> nn.Module:
    net[0].register_forward_hook(lambda _module, _args, out: out * share)
    return net


def turned_round() -> nn.Module:
    net = body()
    return nn.Sequential(net[0], net[2], net[1])


STRUCTURES = {
    "a stride": lambda: body(stride=1),
    "a padding": lambda: body(padding=1),
    "an activation": lambda: body(last=nn.GELU()),
    "a setting of an activation": lambda: body(last=nn.LeakyReLU(0.3)),
    "another setting of it": lambda: body(last=nn.LeakyReLU(0.1)),
    "an order": turned_round,
    "a hook": lambda: hooked(body(), 0.2),
    "another hook": lambda: hooked(body(), 0.8),
    "a forward of the instance": lambda: patched(body()),
    "an attribute": lambda: scaled(0.2),
    "another attribute": lambda: scaled(0.8),
    "a tensor that is no buffer": lambda: scaled(torch.tensor(0.2)),
    "another tensor that is no buffer": lambda: scaled(torch.tensor(0.8)),
    "a nested setting": lambda: scaled({"share": [0.2]}),
    "another nested setting": lambda: scaled({"share": [0.8]}),
    "a subclass": lambda: scaled(0.2, _Shifted),
    "as made": body,
}


def test_the_same_weights_in_another_structure_are_another_network() -> None:
    found = {name: structure_of(make()) for name, make in STRUCTURES.items()}
    assert found == {name: structure_of(make()) for name, make in STRUCTURES.items()}
    assert len(set(found.values())) == len(found)
    assert weights_hash(body()) == weights_hash(body(stride=1)) == weights_hash(patched(body()))


def test_weights_and_the_mode_are_no_structure() -> None:
    net = body()
    before = structure_of(net), structure_of(adapted := adapt_whole(net))
    with torch.no_grad():
        net[0].weight += 1
    net.eval()
    net.requires_grad_(False)
    assert (structure_of(net), structure_of(adapted)) == before


def adapt_whole(net: nn.Module) -> nn.Module:
    return adapt(nn.Sequential(*net, nn.Flatten(), nn.Linear(4, 2)), layer="2")


def test_the_network_behind_a_cut_is_compared_too() -> None:
    from torchvision.models import squeezenet1_1

    net = squeezenet1_1(num_classes=3).eval()
    before = structure_of(adapt(net))
    with torch.no_grad():
        net.classifier[1].bias += 1
    assert structure_of(adapt(net)) == before
    net.threshold = 3
    assert structure_of(adapt(net)) != before


def test_buffers_count_whether_they_are_saved_or_not() -> None:
    def made(value: float, *, persistent: bool) -> nn.Module:
        net = body()
        net.register_buffer("mask", torch.full((3,), value), persistent=persistent)
        return net

    for persistent in (True, False):
        first, again, other = (made(v, persistent=persistent) for v in (1, 1, 2))
        assert weights_hash(first) == weights_hash(again) != weights_hash(other)
        assert structure_of(first) == structure_of(other)


def test_weights_are_compared_with_name_shape_and_kind() -> None:
    net = nn.Linear(4, 4, bias=False)
    other = nn.Linear(2, 8, bias=False)
    other.weight = nn.Parameter(net.weight.detach().reshape(8, 2))
    assert weights_hash(net) != weights_hash(other)
    assert weights_hash(net) != weights_hash(nn.Sequential(net))
    zeros = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(zeros.weight)
    before = weights_hash(zeros)
    assert weights_hash(zeros.half()) != before


# --- Differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        ({"seed": 0}, {"seed": 0}, []),
        ({"seed": 0}, {"seed": 1}, ["seed (0 and 1)"]),
        ({"seed": 0}, {}, ["seed (0 and None)"]),
        ({"samples": None}, {"samples": None}, []),
        ({"m": {"a": "1"}}, {"m": {"a": "2"}}, ["m, of which 'a' has other contents"]),
        ({"m": {"a": "1"}}, {"m": {"b": "1"}}, ["m (a and b)"]),
        ({"m": {"a": "1", "b": "2"}}, {"m": {"b": "2", "a": "1"}}, ["order of its m"]),
        (
            {"m": {"a": None}},
            {"m": {"a": None}},
            ["m, of which 'a' has no contents that can be compared"],
        ),
        (
            {"prepare": None},
            {"prepare": None},
            ["prepare, which has no contents that can be compared"],
        ),
        ({"structure": "a"}, {"structure": "b"}, ["structure"]),
        ({"outputs": [1.0, 100.0]}, {"outputs": [1.05, 100.0]}, []),
        ({"outputs": [1.0, 100.0]}, {"outputs": [1.2, 100.0]}, ["outputs"]),
        ({"outputs": [1.0]}, {"outputs": [1.0, 2.0]}, ["outputs"]),
        ({"outputs": [float("nan"), 1.0]}, {"outputs": [float("nan"), 1.0]}, []),
        ({"outputs": [float("inf"), 1.0]}, {"outputs": [float("inf"), 1.0]}, []),
        ({"outputs": [float("nan"), 1.0]}, {"outputs": [0.0, 1.0]}, ["outputs"]),
        ({"outputs": ["x"]}, {"outputs": [1.0]}, ["outputs"]),
        ({"outputs": [[1.0], 2.0]}, {"outputs": [1.0, 2.0]}, ["outputs"]),
        ({"outputs": {}}, {"outputs": [1.0]}, ["outputs"]),
        ({"outputs": []}, {"outputs": []}, []),
    ],
)
def test_differences_are_said_part_by_part(there, here, said) -> None:
    assert differences(there, here) == said
