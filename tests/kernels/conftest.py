"""Processes for triton, which reads TRITON_INTERPRET while it is imported: with the variable set, and without."""

import importlib.util
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from unittest.mock import patch

import pytest


@pytest.fixture(scope="session")
def worker():
    """A function that starts a process with the environment variables given."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed: pip install triton")

    def start(**environment: str) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        with patch.dict(os.environ, environment):
            pool.submit(int).result()
        return pool

    return start


@pytest.fixture(scope="session")
def interpreter(worker):
    """A process in which triton interprets its kernels, on a CPU."""
    with worker(TRITON_INTERPRET="1") as pool:
        yield pool
