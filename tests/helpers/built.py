"""The built book, as the browser's tests read it, and the tools that npm installs for them."""

from lib.paths import ROOT

HTML = ROOT / "_build" / "html"
PAGES = sorted(path.relative_to(HTML).as_posix() for path in (HTML / "book").glob("*.html"))
TOOLS = ROOT / "tests/browser/node_modules"
