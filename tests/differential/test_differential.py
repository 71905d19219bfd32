"""Never stale: random projects, random edits, and after each the server serves what a fresh start would.

The long run is `make fuzz`. What failed here is repeated by the command that stands below the failure.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.model import small_project
from tests.differential.operations import How, Step, Write
from tests.differential.run import STEPS_PER_SESSION, repeating, session_seed, shrunk
from tests.differential.session import Outcome, Way, random_session, replay

SEED = 3
SHRINKING_S = 30.0
WAYS = {
    "checkpoints": Way(),
    "no-checkpoints": Way(("--no-checkpoints",)),
    "hoisting": Way(eager=True, unordered=True),
    "hoisting, order told": Way(eager=True),
}
SESSIONS = [
    ("checkpoints", 0, STEPS_PER_SESSION),
    ("checkpoints", 1, STEPS_PER_SESSION),
    ("no-checkpoints", 0, STEPS_PER_SESSION),
    ("hoisting", 0, STEPS_PER_SESSION // 2),  # each step takes as long as what is done behind
    ("hoisting, order told", 1, STEPS_PER_SESSION // 2),
]

STALE = ("--reload-exclude", "*.txt")
"""Arguments that make the server miss what it should see."""
FILES = small_project('text = open("data.txt").read()', {"data.txt": "one"})
CHANGE = Step("change what was read", (Write("data.txt", "two", How.RENAMED_OVER),))
BREAK = Step("break the app", (Write("app.py", "import ledger\n\nraise LookupError('broken')\n"),))


@pytest.mark.e2e
@pytest.mark.parametrize(("name", "session", "steps"), SESSIONS)
def test_what_is_served_is_what_a_fresh_start_would_serve(tmp_path: Path, name: str, session: int, steps: int) -> None:
    way = WAYS[name]
    outcome = random_session(session_seed(SEED, session), steps, way, tmp_path)
    if outcome.failure is not None:
        failure = shrunk(outcome.failure, way, SHRINKING_S)
        pytest.fail(f"{failure}\n\nagain: {repeating(SEED, session, way)}", pytrace=False)
    assert outcome.steps == steps
    assert outcome.loaded > steps // 2  # else the edits are too wild to say much
    assert outcome.changed > steps // 4


@pytest.mark.e2e
def test_equal_is_no_failure(tmp_path: Path) -> None:
    outcome = _replayed(tmp_path, CHANGE, BREAK)
    assert outcome.failure is None
    assert (outcome.steps, outcome.loaded, outcome.changed) == (2, 1, 2)


@pytest.mark.e2e
def test_what_is_stale_is_a_failure(tmp_path: Path) -> None:
    """The comparison itself: a server that does not look at a file is found out at the step that changes it."""
    outcome = _replayed(
        tmp_path, BREAK, Step("repair it", (Write("app.py", FILES["app.py"]),)), CHANGE, arguments=STALE
    )
    assert outcome.steps == 2
    assert outcome.failure is not None
    assert outcome.failure.steps[-1] is CHANGE
    assert '-   "text": "two",' in outcome.failure.difference
    assert '+   "text": "one",' in outcome.failure.difference


def _replayed(folder: Path, *steps: Step, arguments: tuple[str, ...] = ()) -> Outcome:
    return replay(FILES, steps, Way(arguments), folder, deadline_s=1.5 if arguments else 10.0)
