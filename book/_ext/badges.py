"""Pages without the badge that opens a chapter in Colab.

A notebook carries it for those who read it on GitHub. The picture would come
from the network, and a page has a launch button of its own.
"""

from docutils import nodes

COLAB = "https://colab.research.google.com/"


def leave_out_badges(app, doctree) -> None:
    """Remove links to Colab that are a picture, with what held nothing else."""
    for image in list(doctree.findall(nodes.image)):
        link = image.parent
        if link.get("refuri", "").startswith(COLAB):
            around = link.parent
            around.remove(link)
            if not around.children:
                around.parent.remove(around)


def setup(app) -> dict:
    app.connect("doctree-read", leave_out_badges)
    return {
        "version": "1",
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
