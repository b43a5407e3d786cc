import pytest

from lib.report import headlines
from lib.report.evidence import Evidence


@pytest.fixture(scope="session")
def found():
    return headlines.headlines(Evidence())
