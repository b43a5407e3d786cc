"""`python -m lib.report.diagrams` writes every diagram's file anew."""

from lib.files import write_whole
from lib.report.diagrams import DIAGRAMS, FOLDER, svg

FOLDER.mkdir(parents=True, exist_ok=True)
for name in DIAGRAMS:
    write_whole(FOLDER / f"{name}.svg", svg(name))
