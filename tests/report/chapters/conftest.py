"""Texts of a chapter's tests can be read, too, whatever their records say: see `density`."""

import density
import pytest

from lib.report import prose


@pytest.fixture(autouse=True)
def few_numbers_a_paragraph(monkeypatch):
    """Every text that a test renders holds few numbers a paragraph."""
    rendered = prose.render

    def checked(name, numbers):
        text = rendered(name, numbers)
        assert density.complaints(name, text.data) == []
        return text

    monkeypatch.setattr(prose, "render", checked)
