"""The page of known limits says what the tests are marked with, and nothing else."""

import limits
import pytest
from limits import PAGE, SUBJECTS, Limit, found, page

from lib.paths import REPOSITORY


def test_links_lead_to_this_repository():
    assert f"{REPOSITORY}/blob/main" == limits.TESTS


def test_the_page_is_written_from_the_marks():
    assert PAGE.read_text() == page(found()), "python book/_ext/limits.py mends it"


@pytest.fixture
def marked(tmp_path):
    """The limits of a tree whose one test has this mark."""

    def tree(*marks):
        (tmp_path / "tests/lora").mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"@pytest.mark.limit({mark})" for mark in marks)
        (tmp_path / "tests/lora/test_layers.py").write_text(f"import pytest\n\n{lines}\ndef test_it(): ...\n")
        return found(tmp_path)

    return tree


def test_a_mark_becomes_an_item_that_links_its_test(marked):
    (limit,) = marked("'lora', 'A layer | of $4$', 'It has no effect.'")
    assert limit == Limit("lora", "A layer | of $4$", "It has no effect.", "tests/lora/test_layers.py")
    said = page([limit])
    assert f"## {SUBJECTS['lora']}" in said
    assert rf"- **A layer | of \$4\$.** It has no effect. ([test]({limits.TESTS}/tests/lora/test_layers.py))" in said


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (["'lora', 'one'"], "line 3: a limit has three texts"),
        (["'lora', f'{1}', 'why'"], "three texts"),
        (["'lora', 'one', why='because'"], "three texts"),
        (["'cooking', 'one', 'why'"], "subject 'cooking': one of ssm, "),
        (["'lora', 'one', 'why'", "'lora', 'one', 'because'"], "line 4: this limit is said twice: one"),
    ],
)
def test_a_mark_that_is_no_limit_is_refused(marked, marks, message):
    with pytest.raises(ValueError, match=message):
        marked(*marks)
