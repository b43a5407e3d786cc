"""Which tests stay in one process, where several run them: those that share what is made once for them."""

from xdist.scheduler import LoadScopeScheduling

from lib.names import CHAPTERS


def group(nodeid: str) -> str:
    """A chapter that is executed, a page that a browser keeps open, by a test's parameters; a file in other cases."""
    file, _, test = nodeid.partition("::")
    _, _, parameters = test.rstrip("]").partition("[")
    if file.endswith("browser/test_pages.py"):
        return parameters.rpartition("-")[2] or file
    return parameters if file.endswith("test_notebooks.py") and parameters in CHAPTERS else file


class Together(LoadScopeScheduling):
    """Gives a group of tests as a whole to the next process that is free, in the order in which they stand."""

    def __init__(self, config, log):
        config.option.loadscopereorder = False  # by number of tests, what takes longest would come last
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
