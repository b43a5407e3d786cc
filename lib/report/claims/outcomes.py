"""What comes out for a claim with several checks, and for claims that rest on one fact."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib.report.claims.ledger import JUDGES, NOT_TESTABLE, UNSUPPORTED, VERDICTS, Claim, Verdict, claims

MIXED = "depends on the form"  # a summary word: no judge names it
OUTCOMES = (*VERDICTS[:-1], MIXED, NOT_TESTABLE)


@dataclass(frozen=True)
class Outcome:
    """A claim with all its checks.

    word     one of OUTCOMES: what the checks on its own subjects come to
    checks   all, those that decide first
    """

    claim: Claim
    word: str
    checks: tuple[Verdict, ...]

    @property
    def id(self) -> str:
        """Of the claim."""
        return self.claim.id


@dataclass(frozen=True)
class Fact:
    """A fact that claims rest on; a claim that shares none is a fact alone.

    name   its name; empty for a claim alone
    ids    of its claims
    word   one of OUTCOMES: what they come to together
    """

    name: str
    ids: tuple[str, ...]
    word: str


def agreed(words: Iterable[str]) -> str:
    """The word that all agree on, those that are not testable left out.

    `MIXED` where two that decide differ. One that decides beside one that is unsupported, which neither supports nor
    refutes, is `UNSUPPORTED`: whether the two differ is not known.
    """
    found = set(words) - {NOT_TESTABLE}
    decided = found - {UNSUPPORTED}
    if len(decided) > 1 or MIXED in decided:
        return MIXED
    return UNSUPPORTED if UNSUPPORTED in found else decided.pop() if decided else NOT_TESTABLE


def outcomes(verdicts: Sequence[Verdict]) -> list[Outcome]:
    """What the claims come to that verdicts are on, in the order of the file.

    A check on a subject that the claim is not about is shown and decides nothing.

    verdicts   all that there are on each claim: a part of them could come to another word
    raises     ValueError, naming it, where one is left out
    """
    made = []
    for claim in claims().values():
        checks = sorted((one for one in verdicts if one.id == claim.id), key=lambda one: not one.decides)
        if checks:
            left = {one.on for one in JUDGES if one.id == claim.id} - {one.on for one in checks}
            if left:
                raise ValueError(f"{claim.id} has a check on {sorted(left)[0]!r}, too, which is left out")
            word = agreed(one.verdict for one in checks if one.decides)
            made.append(Outcome(claim, word, tuple(checks)))
    return made


def facts(found: Sequence[Outcome]) -> list[Fact]:
    """The facts that claims rest on, in the order of their first claims: each stands for all claims that share it."""
    groups: dict[str, list[Outcome]] = {}
    for one in found:
        groups.setdefault(one.claim.fact or one.id, []).append(one)
    return [
        Fact(group[0].claim.fact, tuple(one.id for one in group), agreed(one.word for one in group))
        for group in groups.values()
    ]
