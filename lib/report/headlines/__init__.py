"""What readers should remember: one headline a topic, each of one case; `lib.report.first_pages` writes them.

A headline is a sentence on one model at one size on one machine, beside the strongest alternative: see `case`. A file
per subject makes it, by a rule that its first lines state. `lib.report.audit` computes all of it again.
"""

from collections.abc import Sequence
from dataclasses import replace

from lib import names
from lib.report.evidence import Evidence as Evidence
from lib.report.frames import Missing as Missing
from lib.report.headlines import clip, distill, lora, mrss, ssm
from lib.report.headlines.case import Headline as Headline
from lib.report.headlines.case import Measured as Measured
from lib.report.headlines.case import Model as Model
from lib.report.headlines.case import Point as Point
from lib.report.views.files import naming_files

SUBJECTS = (ssm, mrss, distill, clip, lora)


@naming_files
def headlines(evidence: Evidence) -> list[Headline]:
    """One for each subject, all of the reference machine.

    raises   lib.report.frames.Missing where a record is missing
    """
    found = []
    for subject in SUBJECTS:
        own = evidence.fresh()
        headline = subject.headline(own)
        found.append(replace(headline, records=tuple(own.used)))
    return found


def listed(found: Sequence[Headline], evidence: Evidence, chapter: str, record: str) -> str:
    """A list in Markdown, with links to chapters and to records.

    chapter   address of a chapter, with a {} where its name goes
    record    the same of a record's file below data/runs
    """
    lines = []
    for one in found:
        sources = [f"[{_short(name)}]({record.format(f'{evidence.machine}/{name}.json')})" for name in one.records]
        lines.append(
            f"- **{one.topic}.** {one.text}\n"
            f"  - [Chapter]({chapter.format(one.chapter)}). Records: {', '.join(sources)}."
        )
    return "\n".join(lines)


def _short(record: str) -> str:
    """A record's name without its subject, a data set by its own name."""
    word = record.partition("_")[2] or record
    return names.SEQUENCES[word].label if word in names.SEQUENCES else word
