"""The pages are valid HTML where we wrote it."""

import json
import subprocess

import pytest
from built import HTML, PAGES, TOOLS

CONFIG = {"extends": ["html-validate:standard"]}

# What a dependency writes and we do not mend, by the start of the complaint, with the reason.
THEIRS = {"<p> element is not permitted as content under <summary>": "MyST-NB's toggle of a folded code cell"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    config = tmp_path_factory.mktemp("markup") / "htmlvalidate.json"
    config.write_text(json.dumps({"root": True, **CONFIG}))
    command = ["node", TOOLS / "html-validate" / "bin" / "html-validate.mjs", "--formatter", "json", "--config", config]
    found = config.with_name("found.json")  # not a pipe: the tool exits before a full one is read
    with found.open("w") as out:
        subprocess.run([*command, *(HTML / path for path in PAGES)], stdout=out)
    return {one["filePath"]: one["messages"] for one in json.loads(found.read_text())}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_valid(report, path):
    messages = report.get(str(HTML / path), [])
    ours = [one for one in messages if one["message"] not in THEIRS]
    assert [f"{one['line']}: {one['ruleId']}: {one['message']}" for one in ours] == []
