"""Published accuracies: each of a benchmark that there is, and of a paper that the book cites."""

import re

import pytest
from pydantic import ValidationError
from refusals import refused

from lib.paths import ROOT
from lib.report.published import published


def test_every_number_has_a_citation_that_the_book_has():
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text(), re.MULTILINE))
    cited = {one.citation for entries in published().values() for one in entries}
    assert cited
    assert cited <= keys


def test_the_collections_with_a_published_split_have_numbers_beside_them():
    assert {"vowels", "basic_motions"} <= set(published())
    assert max(one.accuracy for one in published()["vowels"]) == 0.959


def test_a_number_that_cannot_be_compared_as_it_is_says_why():
    (compressed,) = published()["characters"]
    assert (compressed.bits, compressed.accuracy) == (1.386, None)
    assert compressed.bits == pytest.approx(8 * 701049 / 4047392, abs=5e-4)  # bytes after and before, as printed there
    assert "another edition" in compressed.note


def test_a_number_of_an_unknown_benchmark_is_refused(tmp_path):
    path = tmp_path / "benchmarks.yml"
    path.write_text("plugs:\n  - {method: guessing, accuracy: 0.1, citation: nobody2020}\n")
    with refused("benchmarks.yml: 'plugs' is none of the benchmarks cifar, cifar_grey, "):
        published(path)


@pytest.mark.parametrize(
    "entry",
    [
        "{method: a, accuracy: 88.65, citation: b}",
        "{method: a, accuracy: 0.5}",
        "{method: a, citation: b}",
        "{method: a, accuracy: 0.5, bits: 1.5, citation: b}",
        "{method: a, bits: 0, citation: b}",
    ],
)
def test_an_entry_of_another_form_is_refused(entry, tmp_path):
    path = tmp_path / "benchmarks.yml"
    path.write_text(f"plaid:\n  - {entry}\n")
    with pytest.raises(ValidationError):
        published(path)
