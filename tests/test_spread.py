from spread import group

NOTEBOOKS = "tests/test_notebooks.py::"


def test_a_files_tests_stay_together():
    tests = ("test_a", "test_a[1-x]", "Class::test_b[y]")
    assert {group(f"tests/models/test_x.py::{test}") for test in tests} == {"tests/models/test_x.py"}


def test_what_looks_at_a_chapter_that_ran_stays_where_it_ran():
    assert group(f"{NOTEBOOKS}test_a_chapter_runs[mrss]") == group(f"{NOTEBOOKS}test_a_trial_is_shown[mrss]") == "mrss"
    assert group(f"{NOTEBOOKS}test_a_chapter_runs[lora]") == "lora"
    assert group(f"{NOTEBOOKS}test_a_chapter_is_well_made[outputs-mrss]") == "tests/test_notebooks.py"
    assert group("tests/models/test_x.py::test_a[mrss]") == "tests/models/test_x.py"


def test_what_looks_at_a_page_stays_where_it_is_open():
    pages = "tests/browser/test_pages.py"
    looks = [f"{pages}::test_axe[{look}book/mrss.html]" for look in ("", "390-", "1280-dark-")]
    assert {group(one) for one in looks} == {"book/mrss.html"}
    assert group(f"{pages}::test_the_book_is_built") == pages
    assert group("tests/browser/test_widgets.py::test_arrows[390]") == "tests/browser/test_widgets.py"
