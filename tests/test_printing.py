"""What the pages are made of: vendored scripts, the printable page, the browser that prints."""

import json
import shutil
import subprocess
import tarfile

import pdf
import pytest
import vendor
from bs4 import BeautifulSoup
from docutils.core import publish_doctree
from myst_parser.parsers.docutils_ import Parser
from paper import leave_out_solutions
from printable import printable, sections

PAGE = """<html><head><script src="mathjax.js"></script><script src="theme.js"></script></head><body>
<div class="bd-header">search</div><article><section id="book"><h1>The book</h1><section id="how"><h2>How</h2></section>
<div class="toctree-wrapper"><section id="one"><h2>One</h2><section id="how"><h3>How</h3>
<p><strong>Table 1.</strong> <em>Costs</em></p><details class="hide above-input"><summary>Show</summary></details>
<p id="table-2"><strong>Table 2.</strong>
<em>All rows. Recorded: here</em></p><details class="folded-table"><summary>Table 2: 1 row</summary>
<table><td><p><strong>1.5</strong></p></td></table></details>
<p><strong>Table 3.</strong> <em>More</em></p><details class="folded-table"><summary>Table 3: 9 rows</summary></details>
<ol><li><p>Why?</p><details><summary>Solution</summary><p>So.</p></details></li></ol>
</section><section id="references"><h3>References</h3><p>Own</p></section></section></div></section></article></body>
</html>"""
WHOLE = PAGE.replace(
    '<div class="toctree', '<section id="all"><h2>References</h2><p>Every</p></section><div class="toctree'
)


@pytest.fixture
def soup():
    return BeautifulSoup(printable(PAGE, "The book", "A. Author", {"one": 7}), "html.parser")


def test_chapters_stand_side_by_side_with_titles_of_the_first_level(soup):
    assert [chapter["id"] for chapter in soup.select("main > .chapter")] == ["book", "one"]
    assert [title.get_text() for title in soup.select(".chapter > h1")] == ["The book", "One"]


def test_sections_of_one_name_are_told_apart():
    anchors = [entry.anchor for chapter, below in sections(PAGE) for entry in (chapter, *below)]
    assert anchors == ["book", "how", "one", "one--how", "references"]


def test_contents_link_and_number_what_is_known(soup):
    lines = {line["href"]: line.get_text(" ").split() for line in soup.select(".toc-page a")}
    assert lines["#one"] == ["One", "7"]
    assert lines["#how"] == ["How"]


def test_what_serves_the_screen_only_is_gone(soup):
    assert not soup.select(".bd-header, details")
    assert [script["src"] for script in soup.select("script")] == ["mathjax.js"]


def test_a_folded_table_is_named_where_it_would_stand(soup):
    said = [line.get_text() for line in soup.select("#one p") if "Folded" in line.get_text()]
    assert said == ["Table 2. All rows. Folded on the web page.", "Table 3. More. Folded on the web page."]
    assert soup.select_one("#table-2").strong.get_text() == "Table 2."
    assert not soup.select("table")


def test_references_are_printed_once_where_the_first_page_has_them_all(soup):
    assert soup.find(string="Own")
    once = BeautifulSoup(printable(WHOLE, "The book", "A. Author", {}), "html.parser")
    assert not once.find(string="Own")
    assert once.find(string="Every")
    assert [entry.title for chapter, below in sections(WHOLE) for entry in below].count("References") == 1


def test_an_exercise_is_printed_without_its_solution(soup):
    assert soup.ol.get_text(" ", strip=True) == "Why?"


def test_latex_prints_exercises_without_their_solutions():
    folded = "   <details><summary>Solution</summary>\n\n   So.\n\n   ```python\n   assert 1\n   ```\n\n   </details>"
    doctree = publish_doctree(f"1. Why?\n\n{folded}\n\n2. How?\n\n{folded}\n\nThe end.", parser=Parser())
    assert doctree.astext().count("So.") == 2
    leave_out_solutions(doctree)
    assert doctree.astext().split() == ["Why?", "How?", "The", "end."]


def test_a_tables_caption_stays_with_it(soup):
    assert soup.select_one("p.table-caption").get_text() == "Table 1. Costs"


def test_a_title_with_quotes_stays_one_string_in_the_running_head():
    page = printable(PAGE.replace(">One<", '>The "one"<'), "The book", "A. Author", {})
    assert '@top-right { content: "The \\"one\\"" }' in BeautifulSoup(page, "html.parser").style.string


def test_without_a_browser_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(pdf.PrintError, match=r"apt-get install chromium.*brew.*winget.*CHROMIUM"):
        pdf.chromium()


def test_a_browser_that_was_asked_for_goes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(pdf.PrintError, match=str(tmp_path)):
        pdf.chromium()
    monkeypatch.setenv("CHROMIUM", shutil.which("sh"))
    assert pdf.chromium() == shutil.which("sh")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package as npm would deliver it, and pins that name it."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package/keep.js").write_text("1")
    (tmp_path / "package/leave.md").write_text("2")
    archive = tmp_path / "toy.tgz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(tmp_path / "package", "package")
    pins = tmp_path / "vendor.json"
    pins.write_text(json.dumps({"toy": {"version": "1", "integrity": vendor.integrity(archive), "files": ["*.js"]}}))
    monkeypatch.setattr(vendor, "pack", lambda name, folder: archive)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    return archive, pins


def test_what_was_pinned_is_unpacked_and_nothing_else(tmp_path, package):
    target = tmp_path / "vendor"
    vendor.fetch(target, package[1])
    assert sorted(path.name for path in target.rglob("*") if path.is_file()) == ["keep.js", "vendor.json"]
    assert vendor.complete(target, package[1])
    package[1].write_text("{}")
    assert not vendor.complete(target, package[1])


def test_another_checksum_is_refused_and_the_old_files_stay(tmp_path, package):
    target = tmp_path / "vendor"
    vendor.fetch(target, package[1])
    package[0].write_bytes(package[0].read_bytes() + b"changed")
    with pytest.raises(vendor.VendorError, match=r"toy: sha512-.*, pinned is sha512-"):
        vendor.fetch(target, package[1])
    assert (target / "toy/keep.js").read_text() == "1"


def test_without_npm_the_reason_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(vendor.VendorError, match="npm is not installed"):
        vendor.fetch(tmp_path / "vendor")


def test_a_failed_download_names_the_package(tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "npm error\nnetwork unreachable\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(vendor.VendorError, match="npm pack toy@1: network unreachable"):
        vendor.pack("toy@1", tmp_path)


def test_the_commit_on_the_title_page_is_this_folders_own(tmp_path, monkeypatch):
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", tmp_path]
    subprocess.run([*git, "init", "-q"], check=True)
    monkeypatch.setattr(pdf, "ROOT", tmp_path)
    assert "commit" not in pdf.byline("a")  # there is none
    subprocess.run([*git, "commit", "-qm", "one", "--allow-empty"], check=True)
    assert " · commit " in pdf.byline("a")
    monkeypatch.setenv("GIT_DIR", "/dev/null")
    assert " · commit " in pdf.byline("a")
    monkeypatch.setattr(pdf, "ROOT", tmp_path / "a reader's copy")
    pdf.ROOT.mkdir()
    assert "commit" not in pdf.byline("a")
