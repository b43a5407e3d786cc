"""Print every value of every headline beside what raw records give, and end with 1 where anything differs."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lib.paths import BOOK, ROOT, RUNS
from lib.report.audit.compare import rows, unsaid
from lib.report.headlines import Evidence, Headline, Missing, headlines

PAGES = (ROOT / "README.md", BOOK / "intro.md")
PICTURE = BOOK / "_assets/headlines"


def audit(found: Sequence[Headline], folder: Path, pages: Sequence[Path], picture: Path) -> list[str]:
    """Print the table, and return a line per difference.

    folder   of the machine's records
    pages    that say the headlines
    picture  its file without ending
    """
    table = list(rows(found, folder))
    cells = [
        ("headline", "value", "printed", "recomputed"),
        *((r.topic, r.name, r.printed, r.recomputed) for r in table),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return [line for row in table for line in row.wrong] + list(unsaid(found, pages, picture))


def main() -> None:
    """Audit the reference machine's headlines, the first pages and the picture."""
    evidence = Evidence()
    try:
        found = headlines(evidence)
    except Missing as error:
        sys.exit(f"{error}: there is nothing to audit")
    differences = audit(found, RUNS / evidence.machine, PAGES, PICTURE)
    print("\n".join(["", *differences] if differences else ["", "no difference"]))
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
