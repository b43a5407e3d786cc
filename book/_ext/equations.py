r"""Tagged equations for every builder: `$$ ... \tag{1} $$` is kept whole.

Sphinx sets a display equation in `equation*` and `split`, where LaTeX allows no
tag, and one with `\\` in a second `split`. Here such a block brings its own
environment, which MathJax reads as well.
"""

from docutils import nodes


def keep_tags(app, doctree) -> None:
    """Every tagged display equation becomes an `equation` of its own."""
    for block in doctree.findall(nodes.math_block):
        text = block.astext().strip()
        if r"\tag{" not in text or block.get("nowrap"):
            continue
        block.children = [
            nodes.Text(f"\\begin{{equation}}\n{text}\n\\end{{equation}}")
        ]
        block["nowrap"] = True


def setup(app) -> dict:
    app.connect("doctree-read", keep_tags)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
