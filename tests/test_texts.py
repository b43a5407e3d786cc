"""Templates of the chapters' prose: no number is typed, and every name is one that the chapter computes."""

import re
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec

import chapters
import jinja2
import pytest
from jinja2 import meta

from lib import names
from lib.report import prose, take_aways

TEMPLATES = sorted(prose.TEXTS.glob("*/*.md"))

every_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.stem}")


def bare(text):
    """The words of a template: expressions, statements and addresses of links left out."""
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\]\([^)]*\)", "", text, flags=re.DOTALL)


def test_every_chapter_has_an_abstract_and_a_discussion():
    assert {(path.parent.name, path.stem) for path in TEMPLATES} >= {
        (chapter, kind) for chapter in names.CHAPTERS for kind in ("abstract", "discussion")
    }


@every_template
def test_no_decimal_is_typed(path):
    assert chapters.DECIMAL.findall(bare(path.read_text())) == []


def test_a_typed_decimal_is_found():
    assert chapters.DECIMAL.findall(bare("It takes {{ ratio | times }} of it, and 1.52 there."))


@every_template
def test_names_are_fields_of_the_chapters_numbers(path):
    subject = names.CHAPTERS[path.parent.name]
    own = f"{subject}_{path.stem.removesuffix('_abstract')}"  # a section of a chapter may have numbers of its own
    module = own if find_spec(f"lib.report.chapters.{own}") else subject
    of_headline = path.stem == "take_aways" and path.parent.name not in take_aways.OWN
    numbers = take_aways if of_headline else import_module(f"lib.report.chapters.{module}")
    used = meta.find_undeclared_variables(prose._environment().parse(path.read_text()))
    assert used <= {one.name for one in fields(numbers.Numbers)}


def test_an_unknown_name_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        prose._environment().from_string("{{ nowhere }}").render()
