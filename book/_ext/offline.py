"""Serve math and widgets from the book itself where `make vendor` has run.

Otherwise the pages load them from a CDN, as Jupyter Book does by default.
"""

from pathlib import Path

from sphinx.util import logging

LOCAL = {
    "require": "vendor/requirejs/require.js",
    "widgets": "vendor/@jupyter-widgets/html-manager/dist/embed-amd.js",
    "math": "vendor/mathjax/es5/tex-mml-chtml.js",
}
OURS = "widgets.js"


def use_vendored(app, config) -> None:
    """Point Sphinx and MyST-NB at the vendored files, all or none."""
    scripts = dict(config.nb_ipywidgets_js)
    config.nb_ipywidgets_js = {OURS: {}, **scripts}
    assets = Path(app.srcdir) / "book" / "_assets"
    if not all((assets / path).is_file() for path in LOCAL.values()):
        logging.getLogger(__name__).info(
            "math and widgets come from a CDN; "
            "`make vendor` makes the pages work without network"
        )
        return
    config.mathjax_path = LOCAL["math"]
    config.nb_ipywidgets_js = {
        OURS: {"data-vendor": "../_static/vendor/"},
        LOCAL["require"]: {},
        LOCAL["widgets"]: {},
    }


def leave_out_thebe(app, page, template, context, doctree) -> None:
    """Drop scripts of a service that runs cells elsewhere; we offer Colab."""
    for kind in ("script_files", "css_files"):
        context[kind] = [
            one
            for one in context.get(kind, [])
            if "thebe" not in f"{one.filename} {one.attributes}".lower()
        ]


def setup(app) -> dict:
    app.connect("html-page-context", leave_out_thebe, priority=900)
    app.connect("config-inited", use_vendored, priority=1)
    return {"version": "1", "parallel_read_safe": True}
