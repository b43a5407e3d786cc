"""Imported once by the process that the jobs' processes are forks of: what all of them would import one by one.

What cannot be imported is left to them: theirs is the line that says why.
"""

from contextlib import suppress
from importlib import import_module

from lib.experiments.gpu.jobs import JOBS

for module in dict.fromkeys(job.module for job in JOBS.values()):
    with suppress(Exception):
        import_module(module)
