"""Names that every docstring example may use without an import."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cameval


@pytest.fixture(autouse=True)
def _example_names(doctest_namespace: dict[str, Any]) -> None:
    torch.manual_seed(0)
    doctest_namespace.update(np=np, torch=torch, nn=nn)
    doctest_namespace.update({name: getattr(cameval, name) for name in cameval.__all__})
