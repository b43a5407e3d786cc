import base64
import re

import matplotlib.pyplot as plt
import pytest
from ipywidgets.embed import embed_data

from lib.report import widgets


@pytest.fixture
def shown():
    pictures = {"r = 1": plt.figure(), "r < 2": plt.figure()}
    return widgets.slider("factor", pictures)


def test_the_browser_links_the_slider_to_the_pictures(shown):
    slider, stack = shown.children
    models = embed_data(views=[shown])["manager_state"]["state"].values()
    links = [model["state"] for model in models if model["model_name"] == "LinkModel"]
    ends = [f"IPY_MODEL_{slider.model_id}", "index"], [f"IPY_MODEL_{stack.model_id}", "selected_index"]
    assert [(link["source"], link["target"]) for link in links] == [ends]
    assert slider.index == stack.selected_index == 1


def test_every_picture_carries_itself_and_says_what_it_shows(shown):
    first, second = (picture.value for picture in shown.children[1].children)
    assert 'alt="factor: r = 1"' in first
    assert 'alt="factor: r &lt; 2"' in second
    drawing = base64.b64decode(re.search('base64,(.*?)"', first)[1])
    assert b"<svg" in drawing


def test_figures_are_closed(shown):
    assert plt.get_fignums() == []


def test_the_slider_is_named_after_what_it_chooses(shown):
    assert shown.children[0].description == "factor"


def test_nothing_to_choose_is_refused():
    with pytest.raises(ValueError, match="no pictures for the slider 'factor'"):
        widgets.slider("factor", {})
