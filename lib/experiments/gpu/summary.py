"""The table at the end: how each job ended, what did not fit, and how variants stand to the first of their kind."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from lib.experiments.gpu.kept import Kept, Place
from lib.files.reading import read_json

SETTING = ("part", "precision", "batch", "length", "dim", "side", "states", "tokens", "threads", "keep_freed", "after")
MEMORY = "out of memory"


def table(kept: Mapping[str, Kept], place: Place) -> str:
    """One line per job: state, seconds, cases, those without numbers; and under it a line per part with ratios."""
    lines = [f"{'job':16}{'seconds':>8}{'cases':>7}{'failed':>8}{'no memory':>11}  state"]
    for name, one in kept.items():
        cases = _cases(place.record(name) if one.done else place.partial(name))
        errors = [case["error"] for case in cases if case.get("error")]
        full = sum(error.startswith(MEMORY) for error in errors)
        lines.append(f"{name:16}{one.seconds:8.0f}{len(cases):7}{len(errors) - full:8}{full:11}  {one.state}")
        lines += [f"    {line}" for line in ratios(cases)]
    lines.append(f"{'in all':16}{sum(one.seconds for one in kept.values()):8.0f}")
    return "\n".join(lines)


def ratios(cases: list[dict[str, Any]]) -> Iterator[str]:
    """A line per part: at its last setting, which variant is fastest, and its median relative to the first one's."""
    settings: dict[tuple, dict[str, float]] = {}
    for case in cases:
        if case.get("seconds"):
            setting = tuple(case["parameters"].get(name) for name in SETTING)
            settings.setdefault(setting, {})[case["variant"]] = median(case["seconds"])
    last = {setting[0]: timed for setting, timed in settings.items() if len(timed) > 1}
    for part, ((first, reference), *others) in ((part, timed.items()) for part, timed in last.items()):
        name, least = min(others, key=lambda item: item[1])
        if reference > 0:
            yield f"{part}: {name} {least / reference:.2f} × {first} ({1e3 * reference:.3g} ms)"


def _cases(path: Path) -> list[dict[str, Any]]:
    try:
        found = read_json(path)["cases"]
        return [case for case in found if isinstance(case["parameters"], dict) and case["variant"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []
