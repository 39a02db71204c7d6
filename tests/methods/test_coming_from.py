"""The pairs of docs/coming_from.rst: what others and we make of the same network and images.

The other libraries come with the extra ``oracle``; our half of each pair runs without them.
"""

import copy
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models import VisionTransformer, resnet18

from cameval import CAMExtractor, layer_cam, normalize_maps
from cameval.maps import upsample

PAGE = Path(__file__).parents[2] / "docs" / "coming_from.rst"
BLOCK = re.compile(
    r"^\.\. code-block:: python\n(?:   :caption: .+\n)?   :name: ([\w-]+)-(theirs|ours)\n\n"
    r"((?:   .*\n|\n)+)",
    re.MULTILINE,
)
BLOCKS = {
    (name, side): re.sub(r"^   ", "", code, flags=re.MULTILINE)
    for name, side, code in BLOCK.findall(PAGE.read_text(encoding="utf-8"))
}
LIBRARIES = {"grad-cam": "pytorch_grad_cam", "captum": "captum", "torchcam": "torchcam"}
PAIRS = sorted(name for name, side in BLOCKS if side == "theirs")


def setting() -> dict[str, Any]:
    """Return the names that the page says its examples have."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = resnet18(num_classes=6).eval()
        images = torch.randn(3, 3, 96, 96)
        maps = torch.rand(3, 96, 96)
        vit = VisionTransformer(96, 16, 3, 2, 16, 32, num_classes=6).eval()
        torch.nn.init.normal_(vit.heads.head.weight, std=20)  # it is zero
    with torch.no_grad():
        net.fc.weight.mul_(20)  # gradients far above the epsilons of the others
    rgb = images[0].permute(1, 2, 0).sigmoid().numpy()
    one = maps[0].numpy()
    classes = torch.tensor([4, 0, 2])
    given = {"net": net, "images": images, "classes": classes, "maps": maps, "rgb": rgb, "one": one}
    return given | {"vit": vit}


def run(name: str, side: str, **changed: Any) -> dict[str, Any]:
    names = setting() | changed
    exec(compile(BLOCKS[name, side], f"{PAGE.name}: {name}-{side}", "exec"), names)
    return names


def close(key: str, atol: float) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Return a comparison of one name of both sides."""

    def compare(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
        first, second = (torch.as_tensor(side[key]).detach().float() for side in (theirs, ours))
        torch.testing.assert_close(second, first, atol=atol * float(first.abs().max()), rtol=0)

    return compare


def pictures(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    assert theirs["picture"].shape == theirs["rgb"].shape
    assert len(ours["figure"].axes[0].images) == 2


def drops(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Compare by their maps: of the probability, and scaled on the feature grid."""
    net, images, classes = ours["net"], ours["images"], ours["classes"]

    def probability(logits: Tensor) -> Tensor:
        return logits.softmax(1).gather(1, classes[:, None])[:, 0]

    coarse = CAMExtractor(net, method=layer_cam)(images, target=probability).coarse
    masks = upsample(normalize_maps(coarse), (96, 96))[:, None]
    with torch.no_grad():
        whole, masked = (
            net(shown).softmax(1).gather(1, classes[:, None]) for shown in (images, masks * images)
        )
    drop, increase = ((whole - masked).relu() / whole).mean(), (masked > whole).double().mean()
    assert theirs["scores"]["avg_drop"] == pytest.approx(float(drop), abs=1e-4)
    assert theirs["scores"]["conf_increase"] == pytest.approx(float(increase))
    assert float(ours["drop"]) != pytest.approx(float(drop), abs=1e-3)
    assert float(ours["drop"]) == pytest.approx(float(drop), abs=0.1)


SAME = {
    "grad-cam-map": close("maps", 1e-4),
    "grad-cam-layer": close("maps", 1e-4),
    "grad-cam-negative": close("maps", 1e-4),
    "grad-cam-transformer": close("maps", 1e-4),
    "grad-cam-picture": pictures,
    "grad-cam-road": close("scores", 0.05),  # their noise is not seeded
    "captum-map": close("maps", 1e-5),
    "captum-signed": close("coarse", 1e-5),
    "torchcam-map": close("coarse", 1e-5),
    "torchcam-cam": close("coarse", 1e-5),
    "torchcam-drop": drops,
}


def test_every_pair_of_the_page_is_compared() -> None:
    assert sorted(SAME) == PAIRS
    assert {name for name, side in BLOCKS if side == "ours"} == {*PAIRS, "captum-method"}
    captions = re.findall(r":caption: (.+)", PAGE.read_text(encoding="utf-8"))
    assert len(captions) == 2 * len(PAIRS) + 2  # and the pair of Quantus, which is not run


def test_the_versions_of_the_page_are_those_of_the_extra() -> None:
    text = (PAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    for package in ("grad-cam", "captum", "torchcam"):
        (version,) = re.findall(rf'"{package}==([\d.]+)"', text)
        assert f"Version {version}" in page


@pytest.mark.parametrize("name", [*PAIRS, "captum-method"])
def test_our_half_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "grad-cam-picture":
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    given = setting()
    made = run(name, "ours", **given)
    new = {"maps", "coarse", "scores", "drop", "figure"} & {
        key for key, value in made.items() if value is not given.get(key)
    }
    assert new


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_agrees(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = next(module for key, module in LIBRARIES.items() if name.startswith(key))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(library, reason="the extra 'oracle' is not installed")
        monkeypatch.chdir(tmp_path)
        given = setting()
        changed = {"maps": given["maps"].numpy()} if name == "grad-cam-road" else {}
        theirs = run(name, "theirs", net=copy.deepcopy(given["net"]), **changed)
    SAME[name](theirs, run(name, "ours", **changed))


def test_the_signed_method_is_the_signed_map() -> None:
    both = run("captum-method", "ours")["coarse"], run("captum-signed", "ours")["coarse"]
    torch.testing.assert_close(*both, atol=1e-5 * float(both[1].abs().max()), rtol=0)
    assert isinstance(both[0], Tensor)
    assert np.isfinite(both[0].numpy()).all()
