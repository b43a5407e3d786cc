"""The built book in Chromium, with the network cut off. Build it first: `make check` does."""

from dataclasses import dataclass, field

import pdf
import pytest
from built import HTML
from playwright.sync_api import Page, sync_playwright

PATIENCE = 120_000  # milliseconds: on two busy cores a page may settle late
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@dataclass
class Visit:
    """A page that has settled, and what went wrong on the way."""

    page: Page
    external: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        root = ["--no-sandbox"]  # as root in CI; pages are our own
        browser = playwright.chromium.launch(executable_path=pdf.chromium(), args=[*FLAGS, *root])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a page at a width and in a scheme: `visit("book/mrss.html", 390, "dark")`."""
    contexts = []

    def go(path: str, width: int = 1280, scheme: str = "light", base: str = HTML.as_uri()) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(f"localStorage.setItem('mode', '{scheme}'); localStorage.setItem('theme', '{scheme}')")
        seen = Visit(context.new_page())
        page = seen.page
        own = (base, "data:", "blob:")
        page.on("request", lambda one: seen.external.append(one.url) if not one.url.startswith(own) else None)
        page.on("requestfailed", lambda one: seen.failed.append(one.url))
        page.on("console", lambda one: seen.errors.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda one: seen.errors.append(str(one)))
        page.route(
            "http*://**", lambda route: route.continue_() if route.request.url.startswith(base) else route.abort()
        )
        page.goto(f"{base}/{path}")
        page.wait_for_load_state("networkidle")
        page.evaluate("window.MathJax ? MathJax.startup.promise.then(() => null) : null")
        if page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count():
            page.wait_for_selector(".widget-slider, .jupyter-widgets", state="attached")
        return seen

    yield go
    for context in contexts:
        context.close()
