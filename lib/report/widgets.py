"""Widgets that move in a static page too: every state is drawn beforehand, and the browser links them."""

import base64
import io
from collections.abc import Mapping
from html import escape

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def slider(name: str, pictures: Mapping[str, Figure]) -> ipywidgets.VBox:
    """A slider over pictures. The figures are closed; keys are the slider's steps and the pictures' descriptions.

    name    what the slider chooses, its label
    raises  ValueError where there is nothing to choose
    """
    if not pictures:
        raise ValueError(f"no pictures for the slider {name!r}: at least 1 is needed")
    steps = list(pictures)
    chooser = ipywidgets.SelectionSlider(options=steps, value=steps[-1], description=name)
    frames = [ipywidgets.HTML(_image(figure, f"{name}: {step}")) for step, figure in pictures.items()]
    # Stack came with ipywidgets 8; with 7, as on Colab, tabs do the same.
    stack = getattr(ipywidgets, "Stack", ipywidgets.Tab)(frames, selected_index=len(steps) - 1)
    ipywidgets.jslink((chooser, "index"), (stack, "selected_index"))
    return ipywidgets.VBox([chooser, stack])


def _image(figure: Figure, description: str) -> str:
    """An image element that carries its own drawing, so that no two drawings share an identifier."""
    drawing = io.BytesIO()
    figure.savefig(drawing, format="svg")
    plt.close(figure)
    data = base64.b64encode(drawing.getvalue()).decode()
    return f'<img alt="{escape(description)}" src="data:image/svg+xml;base64,{data}">'
