"""The table of token reductions: one row and one file make a method, and a row that lacks something fails by name."""

import ast
import sys
from pathlib import Path

import pytest
import torch
from reductions import SUMMARISING
from refusals import refused
from towers import images, tower

from lib import names
from lib.models.clip import cost as vit_cost
from lib.models.clip import reduction
from lib.models.clip.reduction import reduce_tokens
from lib.models.clip.tokens import GONE
from lib.profilers.flops import flops

FOLDER = Path(reduction.__file__).parent
HEAD = """
import torch
from lib.models.clip.merge_schedules import kept
from lib.models.clip.reduction.base import Reduced

class First(Reduced):
    summarises = True

    def planned(self, patches):
        return self.once(0, patches - kept(self.keep, patches))
"""
REST = """
    def fewer(self, tokens, cut, attended):
        return self.best(tokens, cut, -torch.arange(1.0 * tokens.count).expand(len(tokens), -1))
"""
NAMED = "\nMETHOD = First\n"


@pytest.fixture
def add(tmp_path, monkeypatch):
    """A row "dummy", and its file beside those of the other methods, if it has a text."""
    module = "lib.models.clip.reduction.dummy"

    def add(text: str | None) -> None:
        if text is not None:
            (tmp_path / "dummy.py").write_text(text)
        monkeypatch.setattr(reduction, "__path__", [*reduction.__path__, str(tmp_path)])
        monkeypatch.setitem(names.REDUCTIONS, "dummy", names.Method("first patches", module, "the first patches"))

    yield add
    if sys.modules.pop(module, None):
        del reduction.dummy


def test_one_row_and_one_file_are_a_method(add):
    add(HEAD + REST + NAMED)
    model, x = tower(dtype=torch.float32), images(2, dtype=torch.float32)
    whole, half = reduce_tokens(model, "dummy", 1.0), reduce_tokens(model, "dummy", 0.5)
    assert torch.equal(whole(x).last_hidden_state, model(x).last_hidden_state)
    assert torch.equal(whole(x).pooler_output, model(x).pooler_output)
    output, tokens = half.traced(x)
    assert (output.pooler_output - model(x).pooler_output).norm() > 1e-3
    assert tokens.places.tolist() == [[*range(1, 9), *[GONE] * 8]] * 2
    assert half.method == "dummy"
    assert sum(vit_cost.vision_flops(model.config, half.seen(16)).values()) == flops(lambda: half(x)) / 2
    assert reduce_tokens(model, "dummy", 0.5, summary=True).seen(16) == [(10, 10)] * 3


def test_a_new_method_is_listed_where_methods_are(add):
    add(HEAD + REST + NAMED)
    with refused(f"method = 'l2': one of {', '.join(names.REDUCTIONS)} is needed"):
        reduce_tokens(tower(), "l2")
    with refused(
        f"summary: method = 'merge' leaves out no fixed number of patches; {', '.join(SUMMARISING)}, dummy do"
    ):
        reduce_tokens(tower(), "merge", summary=True)


def test_a_row_without_a_file_fails_by_name_and_leaves_the_others_alone(add):
    add(None)
    with refused("names.REDUCTIONS: 'dummy' has no code: write lib/models/clip/reduction/dummy.py", ImportError):
        reduce_tokens(tower(), "dummy", 0.5)
    assert reduce_tokens(tower(), "norm", 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + REST, "METHOD in lib.models.clip.reduction.dummy is no class of Reduction"),
        ("METHOD = 'First'", "METHOD in lib.models.clip.reduction.dummy is no class of Reduction"),
        ("METHOD = int", "METHOD in lib.models.clip.reduction.dummy is no class of Reduction"),
        (HEAD + NAMED, "First in lib.models.clip.reduction.dummy lacks fewer"),
        (HEAD.split("    def")[0] + NAMED, "First in lib.models.clip.reduction.dummy lacks fewer, planned"),
    ],
)
def test_a_file_that_is_incomplete_fails_by_name(add, text, message):
    add(text)
    with refused(f"names.REDUCTIONS: 'dummy' is incomplete: {message}", ImportError):
        reduce_tokens(tower(), "dummy", 0.5)


def test_every_row_has_its_file_and_every_file_its_row():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base"}
    assert {row.module.removeprefix("lib.models.clip.reduction.") for row in names.REDUCTIONS.values()} == files


def test_no_code_compares_methods_by_name():
    for path in FOLDER.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Constant) and node.value in names.REDUCTIONS), (path.name, node.lineno)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "seed"}, "method = 'seed': one of original, norm, random, class_attention, adaptive, merge, "),
        ({"method": "norm", "keep": 0.0}, "keep = 0.0: more than 0"),
        ({"method": "merge", "keep": 1.5}, "keep = 1.5: more than 0"),
        ({"method": "merge", "schedule": "linear"}, "schedule = 'linear': one of"),
        (
            {"method": "merge", "keep": 0.1, "schedule": "constant"},
            "schedule = 'constant': 7 tokens remain when 5 are to merge at point 2; at most 3 can at once",
        ),
        ({"method": "class_attention", "layer": 3}, "layer = 3: an integer from 0 to 2 is needed"),
        ({"method": "original", "summary": True}, "summary: method = 'original' leaves out no fixed number of patches"),
        ({"method": "original", "keep": 2.0}, "keep = 2.0: more than 0"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_made(options, message):
    with refused(message):
        reduce_tokens(tower(), **options)


@pytest.mark.parametrize("method", [name for name in names.REDUCTIONS if reduction.kind(name).reads_class])
def test_a_tower_without_the_class_token_that_is_read_is_named(method):
    with refused(f"method = '{method}': SiglipVisionModel has no class token"):
        reduce_tokens(tower("siglip"), method)
    with refused("class_row_only: SiglipVisionModel has no class token"):
        reduce_tokens(tower("siglip"), "norm", class_row_only=True)
