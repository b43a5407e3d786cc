"""The book builds as configured: errors end it, and a change in lib or data runs its chapters again."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import stale
import yaml

from lib.paths import BOOK, ROOT

pytestmark = pytest.mark.slow

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())


@pytest.fixture
def book(tmp_path):
    """A book of one notebook under our own configuration; the notebook notes every time it is executed."""
    for folder in ("book/_ext", "book/_assets"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for folder in ("lib", "data"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "source.txt").write_text("1")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copy(BOOK / "references.bib", tmp_path / "book")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/chapter\n")
    write(
        tmp_path,
        'with open("../executed", "a") as f:\n    f.write("x")\nprint("read", open("../data/source.txt").read())',
    )
    return tmp_path


def write(folder, code, text="# A chapter"):
    cells = [nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell(code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "book/chapter.ipynb")


def build(folder, builder="html"):
    command = [Path(sys.executable).with_name("jupyter-book"), "build", folder, "--builder", builder]
    return subprocess.run(command, capture_output=True, text=True)


def executed(folder):
    return len((folder / "executed").read_text())


def test_only_a_change_executes_a_chapter_again(book):
    assert build(book).returncode == 0
    assert build(book).returncode == 0
    assert executed(book) == 1
    (book / "lib/source.txt").write_text("2")
    assert build(book).returncode == 0
    assert executed(book) == 2
    (book / "data/source.txt").write_text("another datum")
    assert build(book).returncode == 0
    assert executed(book) == 3
    assert "read another datum" in (book / "_build/html/book/chapter.html").read_text()
    write(book, 'open("../executed", "a").write("x")\nprint("another cell")')
    assert build(book).returncode == 0
    assert executed(book) == 4
    assert "another cell" in (book / "_build/html/book/chapter.html").read_text()


def test_a_change_that_another_builder_saw_first_still_reaches_the_page(book):
    assert build(book).returncode == 0
    (book / "data/source.txt").write_text("another datum")
    assert build(book, "singlehtml").returncode == 0
    assert build(book).returncode == 0
    assert "read another datum" in (book / "_build/html/book/chapter.html").read_text()
    assert executed(book) == 2


def test_a_new_look_reaches_the_pages_without_executing_them_again(book):
    assert build(book).returncode == 0
    (book / "book/_assets/report.css").write_text("p { color: teal }")
    assert build(book).returncode == 0
    assert "teal" in (book / "_build/html/_static/report.css").read_text()
    assert executed(book) == 1


def test_a_tagged_equation_stays_whole(book):
    write(book, "1 + 1", text="# A chapter\n\n$$\n\\begin{aligned}a &= b \\\\ c &= d\\end{aligned} \\tag{7}\n$$")
    assert build(book).returncode == 0
    page = (book / "_build/html/book/chapter.html").read_text()
    assert "split" not in page.split("<article")[1].split("</article")[0]
    assert "\\begin{equation}" in page


def test_a_chapter_with_an_exception_fails_the_build(book):
    write(book, 'raise RuntimeError("this chapter is broken")')
    ended = build(book)
    assert ended.returncode != 0
    assert "this chapter is broken" in ended.stdout + ended.stderr


def test_the_digest_sees_contents_names_and_removals(book):
    seen = {stale.digest(book)}
    (book / "lib/source.txt").write_text("3")
    seen.add(stale.digest(book))
    (book / "lib/source.txt").rename(book / "lib/renamed.txt")
    seen.add(stale.digest(book))
    (book / "lib/renamed.txt").unlink()
    seen.add(stale.digest(book))
    (book / "book/_text/chapter").mkdir(parents=True)
    (book / "book/_text/chapter/abstract.md").write_text("said")
    seen.add(stale.digest(book))
    assert len(seen) == 5
    (book / "lib/__pycache__").mkdir()
    (book / "lib/__pycache__/a.pyc").write_text("compiled")
    assert stale.digest(book) in seen


def test_every_chapter_is_in_the_table_of_contents():
    listed = {TOC["root"], *(chapter["file"] for chapter in TOC["chapters"])}
    pages = {f"book/{path.stem}" for path in BOOK.iterdir() if path.suffix in (".md", ".ipynb")}
    assert listed == pages
