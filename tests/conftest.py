"""Shapes in annotations are checked at run time in every test: the hook comes before any import of lib.models."""

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("lib.models", "beartype.beartype")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
