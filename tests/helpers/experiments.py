"""All experiments of the library, found by their files: modules of `lib.experiments` with a NAME."""

import re
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from lib import experiments

ALL = [
    module
    for found in iter_modules(experiments.__path__)
    if hasattr(module := import_module(f"lib.experiments.{found.name}"), "NAME")
]
MEASURING = [one for one in ALL if one.NAME != "repeats"]  # all but the one that runs others again


def of(record: str) -> ModuleType | None:
    """The experiment whose record has this name, or None."""
    pattern = {one: re.escape(one.NAME).replace(re.escape("{task}"), "(" + "|".join(tasks(one)) + ")") for one in ALL}
    found = [one for one in ALL if re.fullmatch(pattern[one], record)]
    return found[0] if found else None


def tasks(experiment: ModuleType) -> list[str]:
    """Tasks of a family of records; none of an experiment with one record."""
    return list(getattr(experiment, "TASKS", ()))


def on_gpu(experiment: ModuleType) -> list[str]:
    """Names of its records that no CPU makes."""
    return [experiment.NAME.format(task=task) for task in getattr(experiment, "ON_GPU", ())]


def names(experiment: ModuleType) -> list[str]:
    """Names of an experiment's records."""
    return [experiment.NAME.format(task=task) for task in tasks(experiment)] or [experiment.NAME]
