"""A folder in the hub's layout, made once a file, and a copy of it that a test may change."""

from pathlib import Path

import clips
import pytest


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.folder(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return clips.copied(made, tmp_path)
