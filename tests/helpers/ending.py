"""A job that ends its process without an answer, as a fault in a peer's code does; where a new process finds it."""

import os


def end(settings: object) -> None:
    """End this process at once."""
    os._exit(3)
