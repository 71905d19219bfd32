"""The shell of the supervisor: one selector; the outside world becomes events, commands become deeds.

Runs in the supervisor, for the whole life of the command. Rules that hold: one wait; every decision is `state`'s or `plan`'s; every
word to a person goes through `console`.
"""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import assert_never

from devserver.channel import Channel
from devserver.configuration import read_env_file
from devserver.errors import DevServerError
from devserver.lastwords import report_from_death, report_from_hang
from devserver.messages import Configure, Message, PinJudged, Plan
from devserver.options import Options
from devserver.readset import Read, ReadKind
from devserver.supervisor import commands, events, state
from devserver.supervisor.announcer import Announcer, shown, user_roots
from devserver.supervisor.browsers import Browsers
from devserver.supervisor.changes import Changes
from devserver.supervisor.console import Console, Key
from devserver.supervisor.ignore import IgnoreRules, fixed_part
from devserver.supervisor.installed import installed_folders
from devserver.supervisor.launches import Launches
from devserver.supervisor.listener import Listener, bind
from devserver.supervisor.pace import Pace
from devserver.supervisor.pin import MAX_FAILURES, Pin
from devserver.supervisor.plan import Nothing, Refresh, Restart, Resume
from devserver.supervisor.process import RootProcess
from devserver.supervisor.rehearsals import Rehearsals
from devserver.supervisor.tree import ServerRecord, Tree
from devserver.supervisor.watcher import Watcher
from devserver.target import Target

_STACK_WAIT_S = 1.0
_STACK_STEP_S = 0.02
_END_S = 1.0
_TELL_READS_S = 0.1
_BACKGROUND_S = 0.5
"""How often a command in the background looks whether it is in the foreground again: `fg` says so to stopped ones only."""
_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGCHLD,
    signal.SIGCONT,
    signal.SIGWINCH,
)


def run(options: Options, target: Target, argv: Sequence[str], root: RootProcess) -> int:
    """Serve until told to end; the exit code. Takes the root over. Raises ListenError if the address is not to be had."""
    console = Console(options.color, keys=options.reload, full_tracebacks=options.full_tracebacks)
    try:
        listener = bind(options.host, options.port)
    except BaseException:
        root.abandon()
        raise
    return Supervisor(options, target, argv, root, listener, console).run()


class Supervisor:
    """One run of the command."""

    def __init__(
        self,
        options: Options,
        target: Target,
        argv: Sequence[str],
        root: RootProcess,
        listener: Listener,
        console: Console,
    ) -> None:
        self._options = options
        self._target = target
        self._argv = tuple(argv)
        self._listener = listener
        self._console = console
        self._state = state.start(grace_s=options.grace, reload=options.reload)
        self._events: deque[events.Event] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_count = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._registered: dict[int, tuple[int, Callable[[], None]]] = {}
        self._exit_code: int | None = None
        self._announcer = Announcer(console, options, target, listener, call_later=self._call_later)
        self._pace = Pace(self._set_pace, call_later=self._call_later)
        self._rules = IgnoreRules.from_options(options.reload_include, options.reload_exclude, Path.cwd())
        folders = (target.app_dir, *options.reload_dir)
        self._roots = tuple(dict.fromkeys(str(Path(folder).resolve()) for folder in folders))
        self._installed = installed_folders() if options.reload else ()
        self._pin = Pin()
        self._page_token = os.urandom(24).hex()
        self._watcher: Watcher | None = None
        self._tell_reads = False
        self._lent_to = 0  # the server that has the terminal
        self._prompt_waits = False  # for the foreground
        self._foreground_timer = False
        self._signals, self._signals_write = socket.socketpair()
        self._changes = Changes(
            options,
            self._rules,
            self._roots,
            current=self._current_record,
            hear=self._hear,
            decided=self._decided,
            lines=lambda: (self._tree.chain.line, self._tree.chain.branch),
            call_later=self._call_later,
            installed=self._installed,
        )
        # Greater than that of any command before, whose pages may still be open.
        self._first_run = int(time.time() * 1000)
        self._browsers = Browsers(self._call_later)
        self._launches = Launches(options.editor, notice=self._notice)
        self._tree = Tree(
            root,
            self._configure,
            emit=self._happened,
            on_reads=self._reads_arrived,
            on_activity=self._pace.in_use,
            notice=self._notice,
            on_report=self._announcer.reported,
            on_checks=self._announcer.checked,
            on_output=self._console.pass_on,
            spare=self._launches.holds,
            show_pin=self._show_pin,
            judge_pin=self._judge_pin,
            on_stream=self._browsers.opened,
            on_refreshed=lambda news: self._browsers.refreshed(news.urls, news.number, page=news.page),
            on_load_wanted=self._load_wanted,
            on_rehearsal=self._rehearsal_said,
            call_later=self._call_later,
        )
        self._tree.listen_on(listener.sockets)
        self._rehearsals = Rehearsals(
            self._tree,
            plan=self._plan,
            edited=lambda: self._changes.saved_sources,
            call_later=self._call_later,
            prefer=self._rehearsal_preferred,
            tell=self._announcer.loaded_exactly,
        )

    def _configure(self) -> Configure:
        environment: tuple[tuple[str, str], ...] = ()
        self._changes.root_begins()
        if self._options.env_file is not None:
            try:
                environment = read_env_file(self._options.env_file, os.environ)
            except DevServerError as error:  # it was readable at the start; the next save may mend it
                self._console.warning(error.message)
        hosts = tuple(str(sock.getsockname()[0]) for sock in self._listener.sockets)
        return Configure(
            self._options,
            self._target,
            self._argv,
            (*hosts, self._options.host),
            style=self._console.style,
            error_style=self._console.error_style,
            environment=environment,
            page_token=self._page_token,
            grant=self._pin.grant if self._options.console and self._listener.is_loopback else "",
        )

    # --- the one wait ---

    def run(self) -> int:
        self._take_signals()
        self._tree.reap_roots()  # a root may have ended before its end could be signalled
        try:
            if self._options.reload:
                self._start_watching()
            while self._exit_code is None:
                self._turn()
        finally:
            self._end()
        return self._exit_code

    def _turn(self) -> None:
        wanted = self._wanted_descriptors()
        for fd in [fd for fd, how in self._registered.items() if wanted.get(fd) != how]:
            self._selector.unregister(fd)
            del self._registered[fd]
        self._browsers.settle()
        for fd, (mask, act) in wanted.items():
            if fd not in self._registered:
                self._selector.register(fd, mask, act)
                self._registered[fd] = (mask, act)
        timeout = None if not self._timers else max(0.0, self._timers[0][0] - time.monotonic())
        for key, _mask in self._selector.select(timeout):
            key.data()
        self._run_timers()
        self._run_events()

    def _wanted_descriptors(self) -> dict[int, tuple[int, Callable[[], None]]]:
        read = selectors.EVENT_READ
        wanted: dict[int, tuple[int, Callable[[], None]]] = {self._signals.fileno(): (read, self._signals_came)}
        for processes in (self._tree, self._launches):
            for channel in processes.channels():
                mask = read | (selectors.EVENT_WRITE if channel.wants_write else 0)
                wanted[channel.fileno()] = (mask, _Attend(processes, channel))
        wanted |= {fd: (read, attend) for fd, attend in self._browsers.descriptors().items()}
        if self._watcher is not None:
            wanted[self._watcher.fileno()] = (read, self._files_came)
        if (keyboard := self._console.keyboard) is not None and self._console.reads_keys and not self._state.prompt:
            wanted[keyboard] = (read, self._keys_came)
        if (fd := self._console.waits_for) is not None:
            wanted[fd] = (selectors.EVENT_WRITE, self._console.flush)
        return wanted

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _call_later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._timer_count), act))

    def _run_events(self) -> None:
        while self._events:
            self._state, orders = state.advance(self._state, self._events.popleft())
            for command in orders:
                self._carry_out(command)
            self._hand_terminal_over()  # after each event: one prompt may close and the next open in a single turn

    # --- the outside world ---

    def _take_signals(self) -> None:
        self._signals.setblocking(False)
        self._signals_write.setblocking(False)
        signal.set_wakeup_fd(self._signals_write.fileno(), warn_on_full_buffer=False)
        for signum in _SIGNALS:
            if signum is not signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:  # nohup
                signal.signal(signum, _woken)

    def _signals_came(self) -> None:
        try:
            numbers = self._signals.recv(256)
        except BlockingIOError:
            return
        if self._state.prompt:  # whoever typed it may have closed the prompt before
            self._hear()
            self._run_events()
        for number in dict.fromkeys(numbers):
            match number:
                case signal.SIGINT if self._state.prompt and not self._state.stopping:
                    self._tree.interrupt(self._state.prompt)
                case signal.SIGINT | signal.SIGTERM | signal.SIGHUP:
                    if number == signal.SIGINT:
                        self._console.interrupted()
                    self._events.extend([events.StopAsked()] * numbers.count(number))
                case signal.SIGUSR1:
                    self._key(Key.RESUME)
                case signal.SIGCHLD:
                    self._tree.reap_roots()
                    self._launches.reap()
                case signal.SIGCONT:
                    self._look_for_foreground()
                case signal.SIGWINCH:
                    self._console.resized()
                    if self._state.prompt:
                        self._tree.redraw_prompt(self._state.prompt, resized=True)
                case signal.SIGTSTP if not self._lent_to:
                    os.kill(os.getpid(), signal.SIGTSTP)
                case signal.SIGTSTP:
                    self._console.notice("Ctrl-Z works again when the debugger prompt is closed")

    def _keys_came(self) -> None:
        for key in self._console.read_keys():
            self._key(key)
        if self._console.is_suspended:
            self._await_foreground()

    def _await_foreground(self) -> None:
        if not self._foreground_timer:
            self._foreground_timer = True
            self._call_later(_BACKGROUND_S, self._foreground_timer_fired)

    def _foreground_timer_fired(self) -> None:
        self._foreground_timer = False
        self._look_for_foreground()

    def _look_for_foreground(self) -> None:
        self._console.resume()
        self._hand_terminal_over()
        if self._console.is_suspended or self._prompt_waits:
            self._await_foreground()

    def _key(self, key: Key) -> None:
        match key:
            case Key.RESUME:
                self._because(("you",), "asked for a restart")
                self._events.append(events.ResumeDecided())
            case Key.RESTART:
                self._because(("you",), "asked for a restart")
                self._events.append(events.RestartDecided())
            case Key.QUIT:
                self._events.append(events.StopAsked())
            case Key.HELP:
                self._console.help()

    def _hand_terminal_over(self) -> None:
        """Lend the terminal to the server at whose prompt a person sits, and take it back from one that needs it no more."""
        wants = self._state.prompt
        if self._lent_to and self._lent_to != wants:
            self._lent_to = 0
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            self._console.take_back()
            self._announcer.restart_clock()
        if not wants or wants == self._lent_to:
            self._prompt_waits = False
        elif self._console.in_foreground:
            self._prompt_waits = False
            self._lent_to = wants
            # A stop would leave the shell and the prompt reading the same keys.
            signal.signal(signal.SIGTSTP, _woken)
            self._console.lend(lambda: self._tree.redraw_prompt(wants))
            self._tree.let_prompt(wants)
        elif not self._prompt_waits:
            self._prompt_waits = True
            self._console.notice("a breakpoint waits until devserver is in the foreground again (fg)")
            self._await_foreground()

    def _show_pin(self) -> None:
        if self._pin.is_locked:
            self._console.warning(f"the console of error pages is locked: {MAX_FAILURES} wrong PINs; restart devserver")
        else:
            self._console.notice(f"PIN of the console in error pages: {self._pin.text}")

    def _judge_pin(self, tried: str) -> PinJudged:
        was_locked = self._pin.is_locked
        judged = self._pin.judge(tried)
        if self._pin.is_locked and not was_locked:
            self._show_pin()
        return judged

    def _notice(self, text: str, warning: bool) -> None:
        (self._console.warning if warning else self._console.notice)(text)

    # --- changes ---

    def _start_watching(self) -> None:
        options = self._options
        self._watcher = Watcher(
            [Path(root) for root in self._roots], self._rules, poll=options.poll, notify=self._console.notice
        )
        self._watcher.watch_names(self._installed)
        if options.env_file is not None:
            self._watcher.watch_also([str(Path(options.env_file).resolve())])

    def _files_came(self) -> None:
        assert self._watcher is not None
        batch = self._watcher.take()
        if batch.paths or batch.rescan:
            self._changes.seen(batch.paths, rescan=batch.rescan)

    def _happened(self, event: events.Event) -> None:
        if isinstance(event, events.Loaded) and self._watcher is not None:
            record = self._tree.servers[event.server]
            if record.loaded is not None and record.loaded.watched:
                self._watcher.watch_also(map(fixed_part, record.loaded.watched))
        if isinstance(event, events.LoadRaised):
            self._changes.when_saved(lambda: self._events.append(event))
        else:
            self._events.append(event)

    def _hear(self) -> None:
        """Take in all that processes have said by now."""
        for channel in self._tree.channels():
            if not channel.closed:
                self._tree.attend(channel)

    def _reads_arrived(self, server: ServerRecord, reads: Sequence[Read]) -> None:
        if self._watcher is not None:
            inside = tuple(f"{root}/" for root in self._roots)
            if outside := [read for read in reads if not read.path.startswith(inside)]:
                self._watcher.watch_also(_places(outside))
            if not self._tell_reads:  # all at once, when the stream of them ebbs
                self._tell_reads = True
                self._call_later(_TELL_READS_S, self._tell_watcher)
        self._changes.read(server, [read.path for read in reads])

    def _tell_watcher(self) -> None:
        self._tell_reads = False
        if self._watcher is not None and (record := self._current_record()) is not None:
            paths = [path for reads in record.chain() for path in reads.paths()]
            self._watcher.watched_reads([*self._changes.root_paths(), *paths])

    def _current_record(self) -> ServerRecord | None:
        """The server whose read-set counts."""
        current = self._state.current
        return None if current is None else self._tree.servers.get(current.number)

    def _decided(self, decision: Nothing | Refresh | Resume | Restart) -> None:
        match decision:
            case Nothing():
                return
            case Refresh(paths=paths, watched=watched):
                self._pace.in_use()
                if paths:
                    self._announcer.refreshed(paths)
                self._events.append(events.RefreshDecided(paths, watched))
            case Resume(checkpoint=position, paths=paths, hoisted=hoisted):
                self._because(shown(paths), "changed")
                self._events.append(events.ResumeDecided(position, hoisted))
            case Restart(paths=paths, reason=reason):
                self._because(shown(paths), "changed", reason)
                self._events.append(events.RestartDecided())
            case _:
                assert_never(decision)

    def _load_wanted(self, server: ServerRecord, paths: Sequence[str]) -> None:
        """What the app watches has changed, and it has no other answer."""
        if server is self._current_record():
            self._because(shown(paths), "changed")
            self._events.append(events.ResumeDecided())

    def _rehearsal_said(self, number: int, message: Message | None) -> None:
        self._rehearsals.said(number, message)

    def _rehearsal_preferred(self, number: int, file: str, why: str) -> None:
        """The server that answers is not what a fresh start would be: the one that was loaded behind it is."""
        self._announcer.order_mattered(file, why)
        self._events.append(events.RehearsalPreferred(number))

    def _because(self, names: Sequence[str], event: str, reason: str = "") -> None:
        self._pace.in_use()
        self._run_events()  # what is told of the load before has causes of its own
        current = self._state.current
        overtakes = current is not None and current.phase is state.Phase.LOADING
        self._announcer.because(names, event, reason, overtakes=overtakes)

    def _set_pace(self, busy: bool) -> None:
        if self._watcher is not None:
            self._watcher.set_pace(busy)

    # --- commands ---

    def _carry_out(self, command: commands.Command) -> None:
        tree = self._tree
        match command:
            case commands.SpawnRoot():
                self._rehearsals.overtaken()
                tree.spawn_root()
            case commands.RetireRoot():
                tree.retire_root()
            case commands.Resume(server=number, stand_in=report, generation=generation):
                run, refreshes, plan = self._first_run + generation, self._browsers.refreshes, self._plan()
                if report is None:
                    self._rehearsals.overtaken()
                    tree.resume(number, command.position, command.hoisted, plan, run=run, refreshes=refreshes)
                else:
                    tree.stand_in(number, report, plan, run=run, refreshes=refreshes)
                self._changes.load_began(number, inherits=command.inherits)
            case commands.TakeOver(server=number, generation=generation):
                run = self._first_run + generation
                tree.take_over(number, run=run, refreshes=self._browsers.refreshes)
                self._changes.load_began(number)
            case commands.LetServe(server=number):
                tree.let_serve(number)
                self._changes.load_ended(number)
            case commands.LetDrain(server=number):
                tree.let_drain(number, self._options.grace)
            case commands.KillServer(server=number):
                tree.kill(number)
            case commands.Refresh(server=number, paths=paths, watched=watched):
                self._browsers.refreshes += bool(paths)
                tree.refresh(number, paths, watched, self._browsers.refreshes)
            case commands.TellBrowsers(generation=generation):
                self._browsers.newest(self._first_run + generation)
            case commands.StartTimer(timer=timer, server=number, seconds=seconds):
                event = events.TimerFired(timer, number)
                self._call_later(seconds, lambda: self._events.append(event))
            case commands.ReadStack(server=number, status=None):
                tree.ask_for_stack(number)
                self._await_stack(number, "", time.monotonic() + _STACK_WAIT_S)
            case commands.ReadStack(server=number, status=status):
                text = tree.last_words.get(number, "")
                detail = "It died again and again at its start. Save a file to try again."
                report = report_from_death(
                    status or 0, text, user_roots=user_roots(self._target), detail=detail, loading=True
                )
                self._events.append(events.StackRead(number, report))
            case commands.OpenEditor(path=path, line=line, column=column):
                self._launches.open(path, line, column)
            case commands.Tell():
                if command.notice is commands.Notice.SERVING:
                    self._rehearse_behind(command.server)
                self._announcer.tell(command, tree.servers.get(command.server), tree.last_words.get(command.server, ""))
            case commands.Exit(code=code):
                if self._exit_code is None:
                    self._exit_code = code
            case _:
                assert_never(command)

    def _rehearse_behind(self, number: int) -> None:
        if self._plan().checkpoints and self._options.hoist and (server := self._tree.servers.get(number)):
            self._rehearsals.serving(server)

    def _plan(self) -> Plan:
        """What the next load is told about checkpoints."""
        wanted = self._options.checkpoints and self._options.reload
        return Plan(wanted, self._changes.saved_sources, self._tree.load_ms)

    def _await_stack(self, number: int, before: str, deadline: float) -> None:
        """faulthandler writes when the signal has arrived, line by line: look until no more comes, but not for long."""
        server = self._tree.servers.get(number)
        if server is None:
            return
        text = self._tree.stack_of(server)
        if ("  File " not in text or text != before) and time.monotonic() < deadline:
            self._call_later(_STACK_STEP_S, lambda: self._await_stack(number, text, deadline))
            return
        report = report_from_hang(
            text, round(time.monotonic() - server.began), user_roots=user_roots(self._target), target=self._target.label
        )
        self._events.append(events.StackRead(number, report))

    # --- the end ---

    def _end(self) -> None:
        for signum in _SIGNALS:
            if signum is not signal.SIGCHLD:
                signal.signal(signum, signal.SIG_IGN)  # what is left takes milliseconds and leaves nothing behind
        if self._watcher is not None:
            self._watcher.close()
        self._listener.close()
        self._browsers.close()
        self._tree.close(_END_S)
        self._launches.close()
        self._console.close()
        self._selector.close()
        signal.set_wakeup_fd(-1)
        self._signals.close()
        self._signals_write.close()


def _woken(number: int, frame: FrameType | None) -> None:
    """Handled where the selector sees it: `set_wakeup_fd` works for signals that have a handler."""


def _places(reads: Sequence[Read]) -> list[str]:
    """What to watch for reads outside of the roots: a package as a whole, a file by itself. Not folders that were listed or
    asked for, which may hold a whole disk: the watcher looks at them."""
    return [
        os.path.dirname(read.path) if read.path.endswith("/__init__.py") else read.path
        for read in reads
        if read.kind not in (ReadKind.LISTING, ReadKind.PRESENT, ReadKind.DISTRIBUTIONS)
    ]


class _Attend:
    """Attend to one channel. Equal for equal channels, so that the selector is not told anew each turn."""

    def __init__(self, processes: Tree | Launches, channel: Channel) -> None:
        self._processes = processes
        self._channel = channel

    def __call__(self) -> None:
        self._processes.attend(self._channel)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Attend) and other._channel is self._channel

    def __hash__(self) -> int:
        return id(self._channel)
