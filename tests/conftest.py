"""Annotations, shapes among them, are checked at run time in every test: the hook comes before any import of lib."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("lib", "shapes.CHECKED")

MARKED = ("browser", "gpu")  # folders whose tests all have the mark of that name


def pytest_itemcollected(item: pytest.Item) -> None:
    for name in {*MARKED} & {*item.path.relative_to(Path(__file__).parent).parts}:
        item.add_marker(name)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist all run in one process
def pytest_xdist_make_scheduler(config, log):
    from spread import Together

    return Together(config, log)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
