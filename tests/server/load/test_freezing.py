"""When a load is frozen and when not, and what is put right in who continues it: real forks, with a load made of calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from devserver.messages import CheckpointFrozen
from tests.server.load.test_chain import Loading, Speaker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is frozen elsewhere")

# `reach(name)` is an import that is about to search `name`; `run()` a module that ran and was worth a checkpoint.
DRIVER = """
import time
from devserver.messages import Plan
from devserver.server.load import freezing
from devserver.server.load.chain import Resumed
from devserver.server.load.freezing import Freezer
from devserver.server.load.hoisting import Hoister

class Journal:
    position, source_count, settled = 1, 0, 0
    def settle(self):
        self.settled += 1
        say(f"settled at {self.position}")
    changed = ()
    def confirm_early(self):
        return self.changed

class Integration:
    name, error = "Framework", None
    def before_freeze(self):
        if self.error:
            raise RuntimeError(self.error)
    def after_resume(self):
        say("put right by the framework")
    def files_changed(self, paths):
        say(f"hears of {[path.name for path in paths]}")

def on_resumed(resumed):
    global channel
    channel = resumed.channel
    os.dup2(resumed.stack_fd, stack_fd)
    os.close(resumed.stack_fd)
    say(f"continues as {resumed.server}")

phase = ""

def rest():
    pass

def not_hoisted(error):
    say(f"not hoisted: {error}")
    os._exit(0)

def start(saved=(), checkpoints=True):
    global freezer, stack_fd
    stack_fd = os.memfd_create("stack")
    plan = Plan(checkpoints, tuple(f"{os.getcwd()}/{name}.py" for name in saved))
    first = Resumed(1, channel, stack_fd, None, plan)
    freezer = Freezer(
        first, journal=journal, integrations=[framework], on_resumed=on_resumed, hoister=Hoister(lambda: phase, say, list),
        rest=rest, not_hoisted=not_hoisted
    )

def run(ms=1000.0):
    "Time passes on the freezer's clock alone."
    journal.source_count += 1
    wait(ms)

def wait(ms):
    clock.offset += ms / 1000

class Clock:
    offset = 0.0
    def perf_counter(self): return time.perf_counter() + self.offset
    def __getattr__(self, name): return getattr(time, name)

def reach(name):
    freezer.search_begins(f"{os.getcwd()}/{name}")

journal, framework, clock = Journal(), Integration(), Clock()
freezing.time = clock
"""


class Load:
    """A load in a folder of its own, which holds a module `views`."""

    def __init__(self, folder: Path, source: str) -> None:
        (folder / "views.py").touch()
        self.loading = Loading(folder, f"{DRIVER}\n{dedent(source)}\nsay('done')\nserve()", cwd=folder)

    def told(self, by: Speaker | None = None) -> list[str]:
        """What is said until the end of the load."""
        lines = []
        while (text := (by or self.loading.server).text()) != "done":
            lines.append(text)
        return lines

    def frozen(self) -> list[int]:
        """The positions of the checkpoints that were left behind. After `told`."""
        positions = []
        for message, _fds in self.loading.server.left(CheckpointFrozen):
            assert isinstance(message, CheckpointFrozen)
            positions.append(message.position)
        return positions


Start = Callable[[str], Load]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Start]:
    started: list[Load] = []

    def start(source: str) -> Load:
        started.append(Load(tmp_path, source))
        return started[-1]

    yield start
    for one in started:
        one.loading.close()


def test_what_was_read_is_told_before_and_the_position_counts_on(load: Start) -> None:
    loaded = load("start(); run(); reach('views'); run(); reach('views'); say(f'goes on at {journal.position}')")
    assert loaded.told() == ["settled at 1", "settled at 2", "goes on at 3"]
    assert loaded.frozen() == [1, 2]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("start(checkpoints=False); run(); reach('views'); freezer.load_ended()", "not wanted"),
        ("start(); wait(1000); reach('views')", "nothing of the user's has run"),
        ("start(); run(); reach('absent')", "there is no such module"),
        ("start(); run(1.0); reach('views'); freezer.load_ended()", "it is not worth it"),
        ("start(); run(); freezer.stop(); reach('views'); freezer.load_ended()", "the load has failed"),
        ("start(); run(); freezer.load_ended.__self__._enabled = False; reach('views')", "it is over"),
        (
            "start(); run(); t = threading.Thread(target=reach, args=('views',)); t.start(); t.join()",
            "an import in a thread",
        ),
    ],
)
def test_nothing_is_frozen(load: Start, source: str, why: str) -> None:
    loaded = load(source)
    assert loaded.told() == [], why
    assert loaded.frozen() == [], why


def test_when_all_is_loaded_the_last_checkpoint_is_made(load: Start) -> None:
    loaded = load("start(); run(); freezer.load_ended(); run(); reach('views'); freezer.load_ended()")
    assert loaded.told() == ["settled at 1"]
    assert loaded.frozen() == [1]


def test_a_saved_file_has_its_own_however_near(load: Start) -> None:
    loaded = load("start(saved=['views']); run(); reach('other'); run(3.0); reach('views'); run(3.0); reach('other')")
    assert loaded.told() == ["settled at 1"]
    assert loaded.frozen() == [1]


def test_a_barrier_is_named_and_nothing_is_frozen_until_it_is_gone(load: Start) -> None:
    loaded = load(
        """
        start(); run()
        pair = socket.socketpair()
        reach('views')
        say(freezer.barrier)
        for end in pair:
            end.close()
        reach('views')      # so soon it is not looked again
        wait(25)
        reach('views')
        say(f"barrier: {freezer.barrier!r}")
        """
    )
    named, *rest = loaded.told()
    assert "socket" in named
    assert rest == ["settled at 1", "barrier: ''"]
    assert loaded.frozen() == [1]


def test_for_a_saved_file_it_is_looked_at_once(load: Start) -> None:
    loaded = load(
        """
        start(saved=['views']); run()
        with open("data.bin", "w") as file:
            reach('views')
            say(freezer.barrier)
        reach('views')
        """
    )
    named, *rest = loaded.told()
    assert "data.bin" in named
    assert rest == ["settled at 1"]


def test_what_an_integration_cannot_put_aside_is_a_barrier(load: Start) -> None:
    loaded = load("start(); framework.error = 'a transaction is open'; run(); reach('views'); say(freezer.barrier)")
    assert loaded.told() == ["Framework: a transaction is open"]


def test_a_fork_that_fails_is_told_and_the_load_goes_on(load: Start) -> None:
    loaded = load(
        """
        def fork(): raise BlockingIOError(11, "Resource temporarily unavailable")
        start(); run()
        real, os.fork = os.fork, fork
        reach('views')
        os.fork = real
        say(freezer.barrier)
        wait(1000)
        reach('views')
        say(f"{freezer.barrier!r} at {journal.position}")
        """
    )
    unavailable = "no process to be had: Resource temporarily unavailable"
    assert loaded.told() == ["settled at 1", unavailable, "settled at 1", "'' at 2"]


def test_who_continues_is_put_right_before_the_load_goes_on(load: Start) -> None:
    loaded = load("start(); run(); reach('views'); say('goes on'); freezer.load_ended()")
    assert loaded.told() == ["settled at 1", "goes on"]
    checkpoint, _frozen = loaded.loading.checkpoint()
    server, _pid = loaded.loading.resume(checkpoint, 2)
    assert loaded.told(server) == ["continues as 2", "put right by the framework", "goes on"]


def test_what_was_built_early_of_files_that_changed_is_built_again(load: Start) -> None:
    loaded = load("start(); journal.changed = ['/app/page.html']; run(); reach('views')")
    loaded.told()
    checkpoint, _frozen = loaded.loading.checkpoint()
    server, _pid = loaded.loading.resume(checkpoint, 2)
    assert loaded.told(server) == ["continues as 2", "put right by the framework", "hears of ['page.html']"]


def test_who_continues_may_be_frozen_again(load: Start) -> None:
    """Its channel is another one, and no barrier."""
    loaded = load("start(); run(); reach('views'); run(); reach('views'); say(freezer.barrier)")
    loaded.told()
    checkpoint, _frozen = loaded.loading.checkpoint()
    server, _pid = loaded.loading.resume(checkpoint, 2, checkpoints=True)
    assert loaded.told(server) == ["continues as 2", "put right by the framework", "settled at 2", ""]
    frozen, fds = server.next(CheckpointFrozen)
    assert frozen.position == 2
    deeper, _pid = loaded.loading.resume(loaded.loading.speaker(fds[0]), 3, checkpoints=True)
    assert loaded.told(deeper) == ["continues as 3", "put right by the framework", ""]


def test_output_that_waits_is_printed_once(load: Start) -> None:
    loaded = load("start(); run(); print('waits', end=''); reach('views')")
    loaded.told()
    checkpoint, _frozen = loaded.loading.checkpoint()
    server, _pid = loaded.loading.resume(checkpoint, 2)
    loaded.told(server)
    assert loaded.loading.said() == "waits"
