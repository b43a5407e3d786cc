"""What a user of the library is told, where the tests' own check of annotations would speak first."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import jaxtyping
import pytest


@contextmanager
def refused(message: str, error: type[Exception] = ValueError) -> Iterator[None]:
    """The code inside raises just this error, and its message begins so; annotations are not checked meanwhile."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(error, match=f"^{re.escape(message)}") as caught:
            yield
        assert caught.type is error
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
