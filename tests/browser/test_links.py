"""Links, images and anchors inside the book lead somewhere."""

from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from built import HTML, PAGES

from lib.paths import ROOT


@cache
def soup_of(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(), "html.parser")


@cache
def anchors(page: Path) -> set[str]:
    """Every place of a page that a link can name."""
    return {one.get(name) for one in soup_of(page).find_all(True) for name in ("id", "name")} - {None}


def targets(path):
    """Path and anchor of everything that a page refers to on this site."""
    soup = soup_of(HTML / path)
    for name, attribute in (("a", "href"), ("link", "href"), ("img", "src"), ("script", "src")):
        for found in soup.find_all(name, attrs={attribute: True}):
            address = urlsplit(found[attribute])
            if not address.scheme and not address.netloc:
                yield unquote(address.path), unquote(address.fragment)


def broken(path):
    found = []
    for file, anchor in targets(path):
        place = ((HTML / path).parent / file).resolve() if file else HTML / path
        if not place.exists():
            found.append(file)
        elif anchor and place.suffix == ".html" and anchor not in anchors(place):
            found.append(f"{file}#{anchor}")
    return found


@pytest.mark.parametrize("path", PAGES)
def test_no_link_inside_the_book_is_broken(path):
    assert broken(path) == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<a href="nowhere.html">x</a><a href="#nothing">y</a><img src="page.html">')
    assert broken(page) == ["nowhere.html", "#nothing"]


@pytest.mark.parametrize("path", [path for path in PAGES if (ROOT / path).with_suffix(".ipynb").exists()])
def test_a_launch_button_opens_the_notebook_in_colab(path):
    soup = soup_of(HTML / path)
    addresses = [link["href"] for link in soup.select('a[href*="colab.research.google.com"]')]
    notebook = path.replace(".html", ".ipynb")
    assert addresses
    assert all(address.endswith(f"/blob/main/{notebook}") for address in addresses)


@pytest.mark.parametrize("path", PAGES)
def test_every_image_says_what_it_shows(path):
    soup = soup_of(HTML / path)
    silent = [image["src"] for image in soup.select("article img") if len(image.get("alt", "").split()) < 4]
    assert silent == []
