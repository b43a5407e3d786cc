"""Annotations, shapes among them, are checked at run time in every test: the hook comes before any import of lib."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jaxtyping
import pytest
import torch

jaxtyping.install_import_hook("lib", "shapes.CHECKED")

# The same examples in every run, so that a failure is of the change before it; how long one takes is no finding.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")

MARKED = ("browser", "gpu")  # folders whose tests all have the mark of that name


def pytest_itemcollected(item: pytest.Item) -> None:
    for name in {*MARKED} & {*item.path.relative_to(Path(__file__).parent).parts}:
        item.add_marker(name)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist all run in one process
def pytest_xdist_make_scheduler(config, log):
    from spread import Together

    return Together(config, log)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """For a test that compiles or exports: what checks annotations cannot be traced."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
