"""Annotations, shapes among them, are checked at run time in every test: the hook comes before any import of lib."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("lib", "shapes.CHECKED")

MARKED = ("browser", "gpu")  # folders whose tests all have the mark of that name


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a folder says, and keep a file's tests in one process: they share what is made once for them."""
    here = Path(__file__).parent
    for item in items:
        file = item.path.relative_to(here)
        for name in {*MARKED} & {*file.parts}:
            item.add_marker(name)
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(file.as_posix()))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
