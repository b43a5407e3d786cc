"""Print the book to `_build/ece1512-project-a.pdf`. Run as `make pdf`.

The single-page HTML is printed twice. The first pass tells on which page each
section begins, the second sets these numbers into the table of contents.
"""

import argparse
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

LONGEST = 900  # seconds that a browser may print; a minute is usual


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
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LONGEST
            )
        except subprocess.TimeoutExpired:
            said = f"{browser} was still printing after {LONGEST} seconds"
            raise PrintError(said) from None
        finally:
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
    """Author, day, and the commit where git knows one of this folder."""
    parts = [author, f"{date.today():%d %B %Y}"]
    if shutil.which("git"):
        asked = ["git", "-C", ROOT, "rev-parse", "--show-toplevel", "HEAD"]
        told = {k: v for k, v in os.environ.items() if k != "GIT_DIR"}
        head = subprocess.run(asked, capture_output=True, text=True, env=told)
        top, *commits = [*head.stdout.splitlines(), ""]
        if head.returncode == 0 and Path(top).samefile(ROOT):
            parts.append(f"commit {commits[0][:7]}")
    return " · ".join(parts)


def write(browser: str) -> None:
    """Print twice, then add bookmarks and the book's name."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    title, author = config["title"], config["author"]
    html, below = PAGE.read_text(), byline(author)
    numbers: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.pdf"
        for _ in range(2):
            pass_through(browser, printable(html, title, below, numbers), draft)
            numbers = page_numbers(draft)
        finished = PdfWriter(clone_from=draft)
    outline(finished, sections(html), numbers)
    finished.add_metadata({"/Title": title, "/Author": author})
    finished.write(PDF)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--find-browser",
        action="store_true",
        help="only say which browser would print, or what to install",
    )
    asked = parser.parse_args()
    try:
        browser = chromium()
        if asked.find_browser:
            print(f"pdf: {browser} will print")
            return 0
        write(browser)
    except PrintError as error:
        print(f"pdf: {error}", file=sys.stderr)
        return 1
    print(f"open: {PDF}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
