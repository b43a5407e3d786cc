"""Every test in this folder names the report that it answers: `@pytest.mark.reported("owner/repository", number)`."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    unnamed = [item.nodeid for item in items if "reported" in item.path.parts and not _named(item)]
    if unnamed:
        raise pytest.UsageError(f"without the number of a report: {', '.join(unnamed)}")


def _named(item: pytest.Item) -> bool:
    marks = [*item.iter_markers("reported")]
    return bool(marks) and all(
        len(mark.args) == 2 and mark.args[0].count("/") == 1 and isinstance(mark.args[1], int) for mark in marks
    )
