"""Verdicts on claims, from evidence: of every judge of the ledger, or of those that are named."""

from collections.abc import Iterable
from dataclasses import replace

from lib.report.claims import (
    cited,
    clip,
    clip_cost,
    distill,
    history,
    lora,
    mrss,
    mrss_fair,
    mrss_scan,
    mrss_table,
    original,
    ssm,
    ssm_vlm,
)
from lib.report.claims.ledger import JUDGES, NOT_TESTABLE, Judge, Verdict, claims
from lib.report.evidence import Evidence
from lib.report.frames import Missing

# imported for their judges
SUBJECTS = (
    ssm,
    mrss_table,
    mrss,
    mrss_scan,
    mrss_fair,
    distill,
    clip,
    clip_cost,
    lora,
    ssm_vlm,
    original,
    history,
    cited,
)


def judged(evidence: Evidence, ids: Iterable[str] | None = None, on: str | None = None) -> list[Verdict]:
    """Verdicts on claims, in the order of their names here: on all that there are, where none is named.

    on       only judges on this subject; all where left out
    raises   ValueError, quoting it, for a claim that is not there
    """
    ids = list(claims()) if ids is None else list(ids)
    if unknown := [one for one in ids if one not in claims()]:
        raise ValueError(f"claim {unknown[0]!r}: there are {', '.join(claims())}")
    return [judge(evidence, one) for id_ in ids for one in JUDGES if one.id == id_ and on in (None, one.on)]


def judge(evidence: Evidence, one: Judge) -> Verdict:
    """One judge's verdict; "not testable here" where a record or a toy that it reads is missing or incomplete.

    Any other exception is an error of this code, and is raised.
    """
    own = evidence.fresh()
    try:
        with own.files.naming():
            found = one.decide(**{name: getattr(own, name) for name in one.reads})
    except Missing as error:
        said = str(error)
        found = Verdict(f"{said[0].upper()}{said[1:]}.", NOT_TESTABLE)
    return replace(found, id=one.id, on=one.on, records=tuple(own.used))
