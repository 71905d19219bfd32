"""The life of the chain, by real processes: what runs again, which processes there are, and what happens when one of them ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from devserver import processes
from tests.e2e.chained import HAS_CHECKPOINTS, Chained, again, chained, module, needs_checkpoints
from tests.e2e.harness import Serve, alive
from tests.e2e.terminal import TerminalServer
from tests.e2e.test_survival import ask_in_background

pytestmark = pytest.mark.either_kind

ALL = ["app", "first", "second", "third"]
HANGS = {
    "Python": "while True: pass",
    "C code with the GIL": "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
}
HEAVY = "time.sleep(0.5)"
"""Worth a checkpoint behind it, however long the last one took."""


@pytest.fixture
def chain(serve: Serve, kind: str) -> Chained:
    """Three heavy modules; second and third were saved once."""
    return chained(serve, kind)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


# --- what runs again ---


def test_a_save_runs_the_file_and_what_comes_after(chain: Chained) -> None:
    assert chain.save("third", "3") == again("third")
    assert chain.save("second", "2") == again("second", "third")
    assert chain.save("third", "33") == again("third")
    chain.save("first", "1")
    assert chain.save("first", "11")[-3:] == ["first", "second", "third"]
    assert chain.save("third", "333") == again("third")
    assert chain.server.get().text == "11 2 333"


def test_several_files_resume_before_the_first_of_them(chain: Chained) -> None:
    git = chain.server.project / ".git"
    git.mkdir()

    def checkout() -> None:
        (git / "index.lock").touch()
        for name in ("third", "second"):
            chain.server.edit(f"{name}.py", module(name, f"{name} checked out"))
        (git / "index.lock").unlink()

    assert chain.ran(checkout) == again("second", "third")
    assert chain.server.wait_for_text("second checked out").text == "one second checked out third checked out"


@needs_checkpoints
def test_a_mistake_put_right_resumes_before_it(chain: Chained) -> None:
    ran = chain.ran(lambda: chain.server.edit("third.py", "def broken(:\n"))
    assert ran == []
    assert "def broken(:" in chain.server.wait_for_text("SyntaxError").text
    assert chain.save("third", "3") == ["third"]
    ran = chain.ran(lambda: chain.server.edit("second.py", module("second", "2", "1 / 0")))
    assert ran == ["second"]
    chain.server.wait_for_text("ZeroDivisionError")
    # While one is broken another is saved that comes after it: nothing of the broken load is kept.
    chain.server.edit("third.py", module("third", "late"))
    assert chain.save("second", "2") == ["second", "third"]
    assert chain.server.get().text == "one 2 late"


@needs_checkpoints
def test_a_signal_loads_everything_from_the_root(chain: Chained) -> None:
    root = chain.line()[0]
    assert chain.ran(lambda: chain.server.process.send_signal(signal.SIGUSR1)) == ALL
    assert chain.line()[0] == root
    assert chain.save("third", "3") == ["third"]


@needs_checkpoints
def test_keys_load_from_the_root_and_in_a_fresh_interpreter(chain: Chained) -> None:
    """A command of its own: keys want a terminal."""
    folder = chain.server.project
    chain.server.stop()
    with TerminalServer(folder, "app:application", "--no-access-log") as server:
        typed = Chained(server)
        server.wait_for_text("one")
        root = typed.line()[0]
        assert typed.ran(lambda: server.enter("r")) == ALL
        assert typed.line()[0] == root
        assert typed.ran(lambda: server.enter("R")) == ALL
        assert typed.line()[0] != root
        assert not alive(root)


def test_without_checkpoints_the_answers_are_the_same(serve: Serve, kind: str) -> None:
    chain = chained(serve, kind, "--no-checkpoints")
    assert len(chain.line()) == 2
    assert chain.save("third", "3") == ALL
    assert chain.save("second", "2") == ALL
    assert chain.ran(lambda: chain.server.edit("third.py", "def broken(:\n")) == ALL[:-1]
    chain.server.wait_for_text("SyntaxError")
    assert chain.save("third", "33") == ALL
    assert chain.server.get().text == "one 2 33"
    assert len(chain.line()) == 2
    assert "resumed" not in chain.server.log


# --- which processes there are ---


@needs_checkpoints
def test_a_resume_discards_what_lies_deeper(chain: Chained) -> None:
    before = chain.line()
    for turn in range(3):
        chain.save("second", f"second {turn}")
        chain.save("third", f"third {turn}")
    after = chain.line()  # one line: beside the new branch nothing is left of the old ones
    assert after[0] == before[0]
    assert before[-1] not in after
    chain.server.wait_until_gone([pid for pid in before if pid not in after])


@needs_checkpoints
def test_a_draining_server_keeps_its_checkpoints_until_it_is_gone(serve: Serve, kind: str) -> None:
    chain = chained(serve, kind, "--grace", "60")
    before = chain.line()
    thread, answers = ask_in_background(chain.server, "/slow")
    chain.server.wait_for_log("slow begins")
    assert chain.save("second", "2") == ["second", "third"]
    kept = [pid for pid in before if alive(pid)]
    assert kept == before, "the old server still works, so all that it stands on is there"
    assert answers == []
    chain.server.edit("go", "")
    thread.join(30)
    assert answers == ["one second saved third saved"]
    assert before[-1] not in chain.line()  # all that belonged to the old one alone is gone
    assert chain.save("third", "3") == ["third"]


@needs_checkpoints
@pytest.mark.parametrize("hang", HANGS)
def test_a_hang_behind_checkpoints_is_healed_by_a_save(chain: Chained, hang: str) -> None:
    chain.server.edit("third.py", module("third", "never", "print('hangs', flush=True)", HANGS[hang]))
    chain.server.wait_for_log("(?m)^hangs")
    assert chain.save("third", "3") == ["third"]

    def hang_again() -> None:
        chain.server.edit("third.py", module("third", "never", "print('hangs', flush=True)", HANGS[hang]))
        chain.server.wait_for_log("(?m)^hangs", count=2)
        chain.server.edit("second.py", module("second", "2"))  # the load that hangs had been frozen before it
        chain.server.wait_for_log("(?m)^hangs", count=3)
        chain.server.edit("third.py", module("third", "33"))

    ran = chain.ran(hang_again)
    assert ran == ["third", "second", "third", "third"]
    assert chain.server.wait_for_text("33").text == "one 2 33"
    chain.line()


@needs_checkpoints
def test_a_page_about_a_hang_stands_beside_the_chain(chain: Chained) -> None:
    line = chain.line()
    chain.server.edit("third.py", module("third", "never", HANGS["Python"]))
    page = chain.server.wait_for_text("still loading")
    assert page.status == 503
    assert "third.py" in page.text
    children = [pid for pid, _start in processes.children(line[0])]
    assert len(children) == 2, "the chain and the page, which comes from the root"
    assert line[1] in children
    assert chain.save("third", "3") == ["third"]
    assert chain.line()[:2] == line[:2]


# --- when one of them ends ---


def test_a_death_in_a_request_continues_when_all_is_loaded(chain: Chained) -> None:
    chain.save("third", "3", HEAVY)
    line = chain.line()

    def die() -> None:
        thread, _answers = ask_in_background(chain.server, "/die")
        thread.join(30)

    assert chain.ran(die) == again()
    assert chain.server.get().text == "one second saved 3"
    assert chain.line()[:-1] == line[:-1]
    chain.server.wait_for_log("exited with code 7")


@needs_checkpoints
def test_who_dies_on_the_way_from_a_checkpoint_is_tried_from_the_root(chain: Chained, tmp_path: Path) -> None:
    (tmp_path / "die").touch()
    dies_once = """
        import os
        try:
            os.unlink("../die")
        except FileNotFoundError:
            pass
        else:
            os._exit(9)
    """
    source = module("third", "3", dies_once)
    assert chain.ran(lambda: chain.server.edit("third.py", source)) == ["third", *ALL]
    chain.server.wait_for_log("exited with code 9")
    assert chain.server.wait_for_text("3").text == "one second saved 3"
    assert chain.save("third", "33") == ["third"]


@needs_checkpoints
@pytest.mark.parametrize("place", [1, -2])
def test_a_frozen_process_that_is_killed_shortens_the_chain(chain: Chained, place: int) -> None:
    line = chain.line()
    chain.ran(lambda: kill(line[place]))
    chain.server.wait_until_gone(line[place:] if place > 0 else line[-2:])
    assert chain.server.get().text == "one second saved third saved"
    after = chain.line()
    assert after[: len(line[:place])] == line[:place]
    for name in ("second", "third", "first"):
        chain.save(name, f"{name} again")
    assert chain.save("third", "3") == ["third"]


@needs_checkpoints
def test_all_frozen_processes_killed_one_by_one(chain: Chained) -> None:
    """From the last to the first, with the command asked in between: it is back each time."""
    for _ in range(len(chain.line()) - 1):
        line = chain.line()
        if len(line) < 3:
            break
        chain.ran(lambda line=line: kill(line[-2]))  # type: ignore[misc]
        chain.server.wait_for_text("one second saved third saved")
    assert chain.save("second", "2")[-2:] == ["second", "third"]


@needs_checkpoints
def test_a_root_that_is_killed_takes_all_with_it(chain: Chained) -> None:
    line = chain.line()
    assert chain.ran(lambda: kill(line[0])) == ALL
    assert chain.server.wait_for_text("one").text == "one second saved third saved"
    chain.server.wait_until_gone(line)
    chain.server.wait_for_log("the root process ended")
    assert chain.save("third", "3") == ["third"]


@needs_checkpoints
@pytest.mark.parametrize("hang", [None, *HANGS])
def test_a_supervisor_that_is_killed_leaves_nothing(chain: Chained, hang: str | None) -> None:
    if hang is not None:
        chain.server.edit("third.py", module("third", "never", "print('hangs', flush=True)", HANGS[hang]))
        chain.server.wait_for_log("(?m)^hangs")
    below = chain.server.below()
    assert len(below) > 3
    kill(chain.server.process.pid)
    chain.server.process.wait()
    chain.server.wait_until_gone(below)


@needs_checkpoints
@pytest.mark.parametrize("hang", [None, *HANGS])
def test_ctrl_c_ends_the_whole_chain(chain: Chained, hang: str | None) -> None:
    if hang is not None:
        chain.server.edit("third.py", module("third", "never", "print('hangs', flush=True)", HANGS[hang]))
        chain.server.wait_for_log("(?m)^hangs")
    assert len(chain.server.below()) > 3
    assert chain.server.stop() == 0  # waits for the end of all of them


# --- what one process alone can have ---


def test_what_is_exclusive_is_given_up_before_it_is_taken_again(serve: Serve, kind: str) -> None:
    listens = """
        import socket
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", PORT))
        listener.listen()
        print("listens on", listener.getsockname()[1], "port")
    """
    chain = chained(serve, kind)
    chain.save("third", "3", listens.replace("PORT", "0"))
    port = chain.server.wait_for_log(r"listens on (\d+) port")[1]
    assert chain.save("third", "33", listens.replace("PORT", port), HEAVY) == again("third")
    if HAS_CHECKPOINTS:
        assert f"(a listening socket (127.0.0.1:{port}))" in chain.changes()[-1]["outcome"]
    for turn in range(3):
        assert chain.save("second", str(turn)) == again("second", "third")
    assert f"holds port {port}" in chain.server.log
    assert chain.server.get().text == "one 2 33"


@needs_checkpoints
def test_a_prompt_behind_a_checkpoint(chain: Chained) -> None:
    folder = chain.server.project
    chain.server.stop()
    with TerminalServer(folder, "app:application", "--no-access-log") as server:
        typed = Chained(server)
        server.wait_for_text("one")
        typed.save("third", "3")
        typed.save("second", "one")  # who was saved has a checkpoint, however dear forks are
        server.edit("third.py", module("third", "33", "value = 40", "breakpoint()"))
        server.wait_for_prompt()
        frozen = typed.line()
        assert len(frozen) > 2
        server.ask("value + 2", "42")
        server.edit("second.py", module("second", "2"))  # waits until the prompt is closed
        server.wait_for_log("a change is waiting")
        server.ask("value + 3", "43")
        assert all(alive(pid) for pid in frozen)
        server.edit("third.py", module("third", "333"))
        ran = typed.ran(lambda: server.enter("c"))
        assert server.wait_for_text("333").text == "one 2 333"
        assert ran[-2:] == ["second", "third"]
        assert "first" not in ran
        typed.line()
