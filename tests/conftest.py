"""Annotations, shapes among them, are checked at run time in every test: the hook comes before any import of lib."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("lib", "shapes.CHECKED")

MARKED = ("browser", "gpu")  # folders whose tests all have the mark of that name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        for name in {*MARKED} & {*item.path.relative_to(here).parts}:
            item.add_marker(name)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
