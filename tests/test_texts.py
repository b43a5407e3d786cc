"""Templates of the chapters' prose: no number is typed, and every name is one that the chapter computes."""

import re
from dataclasses import fields

import chapters
import jinja2
import pytest
import rendered
from jinja2 import meta

from lib import names
from lib.report import prose

every_template = pytest.mark.parametrize("path", rendered.TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.stem}")


def bare(text):
    """The words of a template: expressions, statements and addresses of links left out."""
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\]\([^)]*\)", "", text, flags=re.DOTALL)


def test_every_chapter_has_an_abstract_and_a_discussion():
    assert {(path.parent.name, path.stem) for path in rendered.TEMPLATES} >= {
        (chapter, kind) for chapter in names.CHAPTERS for kind in ("abstract", "discussion")
    }


@every_template
def test_no_decimal_is_typed(path):
    assert chapters.DECIMAL.findall(bare(path.read_text())) == []


def test_a_typed_decimal_is_found():
    assert chapters.DECIMAL.findall(bare("It takes {{ ratio | times }} of it, and 1.52 there."))


@every_template
def test_names_are_fields_of_the_chapters_numbers(path):
    used = meta.find_undeclared_variables(prose._environment().parse(path.read_text()))
    assert used <= {one.name for one in fields(rendered.module(path.parent.name, path.stem).Numbers)}


def test_an_unknown_name_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        prose._environment().from_string("{{ nowhere }}").render()
