"""The slider lives in the static page: by keyboard, from disk and from a server, without network and without Python."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from built import HTML

from lib import names

PAGE = "book/mrss.html"
PICTURE = ".jupyter-widgets img:visible"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=HTML)) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def walk(page):
    """Pictures that the slider shows from its last step to its first, by the left arrow key."""
    handle = page.get_by_role("slider", name="task")
    handle.focus()
    seen = [page.locator(PICTURE).get_attribute("alt")]
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(100)
        seen.append(page.locator(PICTURE).get_attribute("alt"))
    return seen


LABELS = [row.label for row in names.SEQUENCES.values()][::-1]  # the slider stands at the last task
STEPS = [f"task: {label}" for label in LABELS[:4]]


@pytest.mark.parametrize("width", [1280, 390])
def test_arrow_keys_move_the_picture(visit, width):
    seen = visit(PAGE, width)
    assert walk(seen.page) == STEPS
    assert seen.external == []


def test_it_moves_from_a_server_too(visit, server):
    seen = visit(PAGE, base=server)
    assert walk(seen.page) == STEPS
    assert (seen.external, seen.errors) == ([], [])


def test_the_slider_tells_its_name_and_its_value(visit):
    page = visit(PAGE).page
    handle = page.get_by_role("slider", name="task")
    assert handle.get_attribute("aria-valuetext") == LABELS[0]
    handle.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(100)
    assert handle.get_attribute("aria-valuetext") == LABELS[1]


def test_a_static_figure_stands_beside_it(visit):
    page = visit(PAGE).page
    cell = page.locator(".cell", has=page.locator(".jupyter-widgets")).last
    assert cell.locator("img.widget-figure, .cell_output > img").count() >= 1


def test_the_picture_fits_a_phone(visit):
    page = visit(PAGE, 390).page
    box = page.locator(PICTURE).bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
