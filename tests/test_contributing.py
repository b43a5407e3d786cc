"""The recipes of CONTRIBUTING.md, followed in a copy of the repository: what they name suffices, and nothing else."""

import re
import subprocess
import sys

import pytest
import yaml
from lottery import ROWS, SEEN, WRITTEN
from worktree import copied, shell

from lib import names
from lib.paths import BOOK, ROOT, RUNS

pytestmark = pytest.mark.slow

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
AFTER = "--- after the tests"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("shared") / "copy")


@pytest.fixture
def copy(shared):
    """The copy as it was committed, whatever an earlier test left in it."""
    shell("git", "reset", "-q", "--hard", cwd=shared)
    shell("git", "clean", "-qfd", cwd=shared)
    return shared


def changed(copy):
    """Files that differ from what was committed, or are new."""
    told = shell("git", "status", "--porcelain", "--untracked-files=all", cwd=copy)
    return {line[3:] for line in told.splitlines()}


def python(copy, code):
    return shell(sys.executable, "-c", code, cwd=copy)


def passing(copy, *chosen, first="", then=""):
    """What tests of the copy print, and, in the same process, what code prints after them.

    first   code that runs before
    """
    options = ["-q", "-p", "no:cacheprovider", *chosen]
    tested = f"import sys, pytest\ncode = pytest.main({options})\ncode and sys.exit(code)"
    return shell(sys.executable, "-c", f"{first}\n{tested}\nprint({AFTER!r})\n{then}", cwd=copy)


def add_row(copy, table):
    """Follow the recipe for a method: one row, one file."""
    file, neighbour, words = ROWS[table]
    module = file.removesuffix(".py").replace("/", ".")
    begins = re.compile(rf"^{table} = \{{.*\n", re.MULTILINE)
    (place,) = (path for path in (copy / "lib/names").glob("*.py") if begins.search(path.read_text()))
    text = place.read_text()
    row = f'    "lottery": Method("lottery", "{module}", "what a stranger added"),\n'
    begin = begins.search(text)
    place.write_text(text[: begin.end()] + row + text[begin.end() :])
    made = WRITTEN.get(table) or (copy / file).with_name(neighbour).read_text()
    for old, new in words.items():
        assert old in made
        made = made.replace(old, new)
    (copy / file).write_text(made)
    return {place.relative_to(copy).as_posix(), file}


def test_the_recipes_name_files_that_there_are():
    for name in re.findall(r"`((?:lib|book|data|tests|workflow)/[\w./-]+)`", TEXT):
        assert (ROOT / name).exists(), name
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE)) == set(ROWS)


def test_a_method_is_one_row_and_one_file(copy):
    expected = set.union(*(add_row(copy, table) for table in ROWS))
    tests = "tests/models/clip/reduction/test_methods.py", "tests/models/mrss/test_mrss_causality.py", "-k", "lottery"
    seen = f"{SEEN}\nfrom lib.report.evidence import Evidence\n"
    seen += "from lib.report.tables import clip, lora, ssm_vlm, ssm_vlm_trained\n"
    seen += "towers = ssm_vlm.towers(Evidence().growing_forward, 'Table 1. Towers').data\n"
    seen += "print(clip.methods().data, lora.kinds().data, towers, ssm_vlm_trained.ways('Table 2. Ways').data)"
    ran, table = passing(copy, *tests, then=seen).split(AFTER)
    assert re.search(r"\d+ passed", ran)
    assert table.count("what a stranger added") == 4  # documentation
    assert changed(copy) == expected


def test_a_row_without_its_file_fails_by_its_name(copy):
    for table in ROWS:
        add_row(copy, table)
        (copy / ROWS[table][0]).unlink()
    code = f"""
from lib import names
for kind in {list(ROWS)}:
    try:
        names.code(kind, "lottery", getattr(names, kind)["lottery"])
    except ImportError as error:
        print(error)
"""
    said = python(copy, code).splitlines()
    assert said == [f"names.{kind}: 'lottery' has no code: write {ROWS[kind][0]}" for kind in ROWS]


def test_a_machine_is_its_folder(copy):
    """A machine with a single record of cost is compared, and changes no verdict and no text of others."""
    made = """
import sys
from pathlib import Path
sys.path[:0] = [".", "tests/helpers"]
import rehearsal
rehearsal.machines(Path("data/runs"), full=(), cost_only=("tesla-t4",))
for path in Path("data/runs/tesla-t4").glob("*.json"):
    if path.stem not in ("mrss_proxy", "machine"):
        path.unlink()
"""
    code = """
from lib.report.chapters import mrss
from lib.report.evidence import Evidence
e = Evidence()
print(e.machine, *sorted(mrss.across_machines(e)["machine"].unique()), sep="|")
"""
    printed = passing(copy, "tests/test_runs.py", "-k", "tesla and not commit", first=made, then=code)
    assert changed(copy) == {"data/runs/tesla-t4/mrss_proxy.json", "data/runs/tesla-t4/machine.json"}
    machine, *compared = printed.split(AFTER)[1].strip().split("|")
    assert machine == "amd-epyc-2-cores"
    assert "Tesla T4" in compared


JUDGE = '''

@decides("A99", on="mamba")
def a_stranger_is_right(gate: pd.DataFrame) -> Verdict:
    """A99: is anything recorded of the gate?"""
    return Verdict("A stranger looked.", decide(not gate.empty, gate.empty))
'''
CASES = """

def test_a_stranger_is_judged_both_ways():
    assert judges.a_stranger_is_right(pd.DataFrame({"a": [1]})).verdict == REPRODUCED
    assert judges.a_stranger_is_right(pd.DataFrame()).verdict == CONTRADICTED
"""


def test_a_claim_is_an_entry_a_judge_and_its_cases(copy):
    claims = copy / "data/original/claims.yml"
    entry = {"id": "A99", "section": "none", "claim": "A stranger can add a claim", "kind": "theory"}
    entry |= {"chapter": "ssm_background", "about": ["mamba"]}
    text = claims.read_text()
    at = text.index("- id: B1\n")
    claims.write_text(text[:at] + yaml.safe_dump([entry], sort_keys=False) + text[at:])
    with (copy / "lib/report/claims/ssm.py").open("a") as file:
        file.write(JUDGE)
    cases = copy / "tests/report/claims/test_ssm.py"
    head = "import pandas as pd\n\nfrom lib.report.claims import ssm as judges\n"
    head += "from lib.report.claims.ledger import CONTRADICTED, REPRODUCED\n"
    cases.write_text(cases.read_text() + "\n\n" + head + CASES)
    named = {"data/original/claims.yml", "lib/report/claims/ssm.py", "tests/report/claims/test_ssm.py"}
    assert changed(copy) == named
    code = """
from lib.report.claims.judging import judged
from lib.report.claims.ledger import about
from lib.report.evidence import Evidence
assert "A99" in about("ssm_background")
print(judged(Evidence(), ["A99"])[0].verdict)
"""
    tests = "tests/report/claims/test_ssm.py", "tests/report/claims/test_ledger.py", "-k", "stranger or A99"
    ran, verdict = passing(copy, *tests, then=code).split(AFTER)
    assert re.search(r"[1-9]\d* passed", ran)
    assert verdict.strip() == "reproduced"


def test_a_chapter_lacks_what_the_tests_name(copy):
    """A chapter's row alone fails by what is missing; the recipe's files are those of every chapter."""
    place = copy / "lib/names/__init__.py"
    text = place.read_text()
    place.write_text(text.replace("CHAPTERS = {", 'CHAPTERS = {\n    "lottery": "lottery",', 1))
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_notebooks.py", "tests/test_texts.py"]
    command += ["-k", "there_is_a_notebook or has_an_abstract"]
    ended = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "test_there_is_a_notebook_for_every_chapter" in ended.stdout
    assert "test_every_chapter_has_an_abstract_and_a_discussion" in ended.stdout
    for notebook, subject in names.CHAPTERS.items():
        pattern = TEXT[TEXT.index("## A chapter") : TEXT.index("## A machine")]
        assert "`lib/report/chapters/<subject>.py`" in pattern
        assert (ROOT / f"lib/report/chapters/{subject}.py").exists()
        assert (BOOK / f"{notebook}.ipynb").exists()
        assert (BOOK / f"_text/{notebook}/discussion.md").exists()
    assert RUNS.is_dir()
