"""Print the book to `_build/ece1512-project-a.pdf`. Run as `make pdf`.

The single-page HTML is printed twice. The first pass tells on which page each
section begins, the second sets these numbers into the table of contents.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import yaml
from printable import printable, sections
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "_build" / "singlehtml" / "book" / "intro.html"
PDF = ROOT / "_build" / "ece1512-project-a.pdf"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
HOW = (
    "no Chromium found (looked for {tried}). Debian or Ubuntu: apt-get install "
    "chromium. macOS: brew install --cask chromium. Windows: winget install "
    "Google.Chrome. Or set CHROMIUM to its path."
)
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
    "--virtual-time-budget=20000",
)


class PrintError(RuntimeError):
    """The book could not be printed."""


def chromium() -> str:
    """The browser to print with; CHROMIUM in the environment goes first."""
    asked = os.environ.get("CHROMIUM")
    tried = [asked] if asked else NAMES
    for name in tried:
        if found := shutil.which(name):
            return found
    raise PrintError(HOW.format(tried=", ".join(tried)))


def pass_through(browser: str, html: str, pdf: Path) -> None:
    """Print HTML from where the single page's links to its assets hold."""
    page = PAGE.parents[1] / "printable.html"
    page.write_text(html)
    with tempfile.TemporaryDirectory() as profile:
        root = (
            ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        )
        places = [
            f"--user-data-dir={profile}",
            f"--print-to-pdf={pdf}",
            page.as_uri(),
        ]
        command = [browser, *FLAGS, *root, *places]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300
        )
    page.unlink()
    if done.returncode != 0 or not pdf.is_file():
        raise PrintError(
            f"{browser} printed nothing: {done.stderr.strip()[-300:]}"
        )


def page_numbers(pdf: Path) -> dict[str, int]:
    """Anchor -> page, from the links of the table of contents."""
    reader = PdfReader(pdf)
    return {
        name.removeprefix("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def outline(book: PdfWriter, entries, numbers: dict[str, int]) -> None:
    """Bookmarks: chapters, and their sections below them."""
    for chapter, below in entries:
        page = numbers[chapter.anchor] - 1
        parent = book.add_outline_item(title=chapter.title, page_number=page)
        for one in below:
            page = numbers[one.anchor] - 1
            book.add_outline_item(
                title=one.title, page_number=page, parent=parent
            )


def byline(author: str) -> str:
    head = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    return f"{author} · {date.today():%d %B %Y}" + (
        f" · commit {head}" if head else ""
    )


def main() -> int:
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    title, author = config["title"], config["author"]
    try:
        browser = chromium()
        html = PAGE.read_text()
        PDF.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "draft.pdf"
            pass_through(
                browser, printable(html, title, byline(author), {}), draft
            )
            numbers = page_numbers(draft)
            pass_through(
                browser, printable(html, title, byline(author), numbers), draft
            )
            finished = PdfWriter(clone_from=draft)
            outline(finished, sections(html), numbers)
            finished.add_metadata({"/Title": title, "/Author": author})
            finished.write(PDF)
    except PrintError as error:
        print(f"pdf: {error}", file=sys.stderr)
        return 1
    print(f"open: {PDF}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
