"""Every template of the book with the numbers of the committed records, as its chapter renders it."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from lib import names
from lib.experiments import lora_live, mrss_tasks, toys
from lib.report import headlines, prose, take_aways
from lib.report.claims.judging import judged
from lib.report.evidence import Evidence

TEMPLATES = sorted(prose.TEXTS.glob("*/*.md"))
TAKE_AWAYS = "take_aways"
MORE = {  # module -> what its numbers are made of beside the evidence
    "claims": lambda found: (judged(found),),
    "lora": lambda found: (lora_live.factors(),),
    "mrss": lambda found: (mrss_tasks.frame(map(int, found.trained["seed"].unique())),),
}


def module(chapter: str, template: str) -> ModuleType:
    """What makes the numbers of a template; a section of a chapter may have a module of its own."""
    subject = names.CHAPTERS[chapter]
    own = f"lib.report.chapters.{subject}_{template.removesuffix('_abstract')}"
    if template == TAKE_AWAYS and chapter not in take_aways.OWN:
        return take_aways
    return import_module(own if find_spec(own) else f"lib.report.chapters.{subject}")


def texts(chapter: str) -> dict[str, str]:
    """Template -> its text."""
    return {one.stem: _text(chapter, one.stem) for one in TEMPLATES if one.parent.name == chapter}


def _text(chapter: str, template: str) -> str:
    if template == TAKE_AWAYS and chapter not in take_aways.OWN:
        (own,) = [one for one in headlines.headlines(_evidence()) if one.chapter == chapter]
        return take_aways.rendered(own)
    return prose.render(f"{chapter}/{template}", _numbers(module(chapter, template))).data


@cache
def _evidence() -> Evidence:
    return Evidence(toys.every())


@cache
def _numbers(made: ModuleType):
    subject = made.__name__.rpartition(".")[2]
    more = MORE.get(subject, lambda found: ())
    return made.numbers(_evidence(), *more(_evidence()))
