"""Headlines held against what was computed again, pages and picture against headlines; a line per difference."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from lib.report.audit import clips, sequences
from lib.report.audit.raw import EXACT, Found, Unit
from lib.report.headlines import Headline, Measured

SUBJECTS: Mapping[str, Callable[[Path], dict[str, Found]]] = {  # by the headline's chapter
    "ssm_background": sequences.scan,
    "mrss": sequences.resolution,
    "kernel_distillation": sequences.distillation,
    "clip_vtp": clips.tokens,
    "lora": clips.adapters,
}
DESCRIPTION = ".//{http://purl.org/dc/elements/1.1/}description"


@dataclass(frozen=True)
class Row:
    """One value of one headline: as it is printed, and as it was computed again."""

    topic: str
    name: str
    printed: str
    recomputed: str
    wrong: tuple[str, ...]


def rows(found: Sequence[Headline], folder: Path) -> Iterator[Row]:
    """Every value of every headline beside what the records of a machine's folder give."""
    for one in found:
        try:
            again = SUBJECTS[one.chapter](folder)
        except (LookupError, OSError, StopIteration, ValueError) as error:
            line = f"{one.topic}: nothing comes of the records: {type(error).__name__}: {error}"
            yield Row(one.topic, "everything", "-", "-", (line,))
            continue
        for name in dict.fromkeys([*one.numbers, *again]):
            mine, theirs = one.numbers.get(name), again.get(name)
            if mine is None or theirs is None:
                where = "the headline" if mine is None else "the records"
                yield Row(one.topic, name, _of(mine), _of(theirs), (f"{one.topic}: {name} is not in {where}",))
                continue
            wrong = tuple(f"{one.topic}: {name}: {line}" for line in unlike(mine, theirs))
            yield Row(one.topic, name, mine.printed, written(theirs), wrong)


def unlike(mine: Measured, theirs: Found) -> Iterator[str]:
    """Where a headline's number is not the one computed again, or is printed in another way."""
    pairs = {
        "value": (mine.value, theirs.value, EXACT),
        "low": (_end(mine.low), theirs.low, theirs.within),
        "high": (_end(mine.high), theirs.high, theirs.within),
    }
    for what, (headline, again, within) in pairs.items():
        if isnan(headline) != isnan(again) or abs(headline - again) > within * max(1, abs(again)):
            yield f"{what} {headline:.6g}, computed again {again:.6g}"
    # Ends of a bootstrap differ with its draws: what is printed is held against the headline's own.
    ends = replace(theirs, low=_end(mine.low), high=_end(mine.high)) if theirs.within > EXACT else theirs
    if mine.printed != (text := written(ends)):
        yield f"printed {mine.printed!r}, from the records {text!r}"


def _end(value: float | None) -> float:
    return nan if value is None else value


def _of(one: Measured | Found | None) -> str:
    return "-" if one is None else one.printed if isinstance(one, Measured) else written(one)


def written(one: Found) -> str:
    """A number as pages print it."""
    if one.unit is Unit.TIMES:
        return f"{one.value:.2f}×" if one.value < 10 else f"{one.value:.0f}×"
    if one.unit is Unit.SHARE:
        return f"{100 * one.value:.1f} %"
    if one.unit is Unit.RANGE:
        return f"{100 * one.low:.1f} to {100 * one.high:.1f} %"
    sign = "+" if one.unit in (Unit.POINTS, Unit.CHANGE) else ""
    end = "" if one.unit is Unit.POINTS else " %"
    middle, low, high = (100 * value for value in (one.value, one.low, one.high))
    below, above = middle - low, high - middle
    if abs(below - above) < 0.05:
        return f"{_tenths(middle, sign)} ± {_tenths(max(below, above))}{end}"
    return f"{_tenths(middle, sign)} [{_tenths(low, sign)}, {_tenths(high, sign)}]{end}"


def _tenths(value: float, sign: str = "") -> str:
    rounded = round(value, 1) or 0.0  # none is minus nothing
    return f"{rounded:{sign}.1f}".replace("-", "−")


def unsaid(found: Sequence[Headline], pages: Sequence[Path], picture: Path) -> Iterator[str]:
    """Numbers of headlines that a page or the picture's description lacks, a line each.

    picture   its file without ending
    """
    for page in pages:
        text = page.read_text()
        for one in found:
            item = re.search(rf"^- {re.escape(f'**{one.topic}.**')}.*(?:\n  .*)*", text, re.MULTILINE)
            said = item[0] if item else ""
            if one.text not in said:
                yield f"{page.name}: {one.topic}: the text is not the headline's"
            for name, number in one.numbers.items():
                if number.printed not in said:
                    yield f"{page.name}: {one.topic}: {name}: {number.printed!r} is not there"
    for file, said in described(picture).items():
        for one in found:
            for point in (one.reached, one.proposed):
                if point is not None and str(point) not in said:
                    yield f"{file}: {one.topic}: '{point}' is not in the description"
    for one in found:
        times = [value for number in one.numbers.values() for value in (number.value, 1 / number.value)]
        for point in (one.reached, one.proposed):
            if point is not None and min(abs(point.ratio - value) for value in times) > EXACT:
                yield f"{one.topic}: the picture's {point.ratio:.6g} is no time of the headline"


def described(picture: Path) -> dict[str, str]:
    """The description that each kind of the picture carries, by file name."""
    drawing = ElementTree.parse(picture.with_suffix(".svg")).find(DESCRIPTION)
    with Image.open(picture.with_suffix(".png")) as image:
        pixels = image.text.get("Description", "")
    return {f"{picture.name}.svg": "" if drawing is None else drawing.text or "", f"{picture.name}.png": pixels}
