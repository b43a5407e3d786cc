"""The command line of an experiment: settings from a preset, options over them, a table at the end."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from lib import records
from lib.experiments.base import Settings
from lib.paths import PRESETS, RUNS, WRITTEN, in_repository
from lib.records import Record

ROWS = 40  # of the table that is printed
SMOKE = "smoke"  # the preset whose figures mean nothing


def main(
    about: str,
    chapter: str,
    settings: type[Settings],
    run: Callable[[Any], Record],
    frame: Callable[[list[Record]], Any],
    arguments: list[str] | None = None,
) -> None:
    """Run an experiment by the settings of a preset and of options, show its cases, and write its record if asked.

    about    the experiment's docstring
    chapter  whose presets are read
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    try:
        in_repository(PRESETS)
    except FileNotFoundError as error:
        sys.exit(str(error))
    names = sorted(path.stem for path in (PRESETS / chapter).glob("*.yml"))
    parser.add_argument("--preset", choices=names, default=SMOKE, help="default: smoke, seconds on any machine")
    parser.add_argument("--record", action="store_true", help="write data/runs/<machine>/<name>.json")
    for one in fields(settings):
        default = "" if one.default is MISSING else f"; {one.default!r} where the preset has none"
        parser.add_argument(f"--{one.name}", type=_reader(one.type), help=f"over the preset's{default}")
    given = vars(parser.parse_args(arguments))
    name, write = given.pop("preset"), given.pop("record")
    preset = yaml.safe_load((PRESETS / chapter / f"{name}.yml").read_text())
    if write and WRITTEN == RUNS and (name == SMOKE or given.get("steps")):
        why = f"--steps {given['steps']}" if given.get("steps") else f"--preset {name}"
        parser.error(f"--record with {why}: a trial replaces no record; RECORDS_TO=FOLDER keeps it elsewhere")
    chosen = preset | {name: value for name, value in given.items() if value is not None}
    try:
        wanted = settings.of(chosen)
        if write:
            wanted.check_place(WRITTEN)
        made = run(wanted)
        place = records.write(made, WRITTEN) if write else None
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    shown = frame([made]).drop(columns=["runs", "machine", "experiment"], errors="ignore").dropna(axis=1, how="all")
    print(shown.head(ROWS).to_string(index=False))
    print(f"written: {place}" if place else "not written: say --record to keep it")


def _reader(kind: Any) -> Callable[[str], Any]:
    """How an option's text becomes a value: flags as true or false, several values with commas."""
    if kind is bool or kind == "bool":
        return lambda text: {"true": True, "false": False}[text.lower()]
    if kind is Path:
        return Path
    if kind in (int, float, str):
        return kind
    return yaml.safe_load
