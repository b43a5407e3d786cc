"""The built book in Chromium, with the network cut off. Build it first: `make check` does."""

from collections import OrderedDict
from dataclasses import dataclass, field

import pdf
import pytest
from built import HTML
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PATIENCE = 120_000  # milliseconds: on two busy cores a page may settle late
KEPT = 4  # pages that stay open for the tests that only look: both widths, both schemes
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

# Loaded, its fonts and pictures there, its equations set, its sliders drawn. Not "no request for half a second": that
# depends on how busy the machine is, and now and then it never comes true.
SETTLED = """async () => {
  await document.fonts.ready;
  const pictures = [...document.images].filter(one => one.loading != "lazy");
  await Promise.all(pictures.map(one => one.decode().catch(() => null)));
  if (window.MathJax) await MathJax.startup.promise;
}"""
WIDGETS = 'script[type="application/vnd.jupyter.widget-view+json"]'


@dataclass
class Visit:
    """A page that has settled, and what went wrong on the way."""

    page: Page
    external: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def opened(browser: Browser, path: str, width: int, scheme: str, base: str) -> tuple[BrowserContext, Visit]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE)
    context.add_init_script(f"localStorage.setItem('mode', '{scheme}'); localStorage.setItem('theme', '{scheme}')")
    seen = Visit(context.new_page())
    page = seen.page
    own = (base, "data:", "blob:")
    page.on("request", lambda one: seen.external.append(one.url) if not one.url.startswith(own) else None)
    page.on("requestfailed", lambda one: seen.failed.append(one.url))
    page.on("console", lambda one: seen.errors.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: seen.errors.append(str(one)))
    page.goto(f"{base}/{path}")
    page.evaluate(SETTLED)
    if page.locator(WIDGETS).count():
        page.wait_for_selector(".widget-slider, .jupyter-widgets", state="attached")
    return context, seen


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        root = ["--no-sandbox"]  # as root in CI; pages are our own
        browser = playwright.chromium.launch(executable_path=pdf.chromium(), args=[*FLAGS, *OFFLINE, *root])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a page of one's own at a width and in a scheme: `visit("book/mrss.html", 390, "dark")`."""
    contexts = []

    def go(path: str, width: int = 1280, scheme: str = "light", base: str = HTML.as_uri()) -> Visit:
        context, seen = opened(browser, path, width, scheme, base)
        contexts.append(context)
        return seen

    yield go
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def look(browser):
    """The same for who changes nothing: the page stays open for the next test."""
    kept: OrderedDict[tuple[str, int, str], tuple[BrowserContext, Visit]] = OrderedDict()

    def at(path: str, width: int = 1280, scheme: str = "light") -> Visit:
        key = (path, width, scheme)
        if key not in kept:
            while len(kept) >= KEPT:
                kept.popitem(last=False)[1][0].close()
            kept[key] = opened(browser, path, width, scheme, HTML.as_uri())
        return kept[key][1]

    yield at
    for context, _ in kept.values():
        context.close()
