"""load → compose → serve → report: joins `load` and `web`, which do not know each other.

Runs in a server process, from the moment it was forked until it ends; it never returns. Rules that hold: what is read is reported
before it runs, so that a save is acted on even if the load hangs; a load that raises is served as a page by this very process;
the end is `os._exit` after the app's own shutdown, because a thread of the user's must not hold it up.
"""

from __future__ import annotations

import asyncio
import atexit
import faulthandler
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from devserver import processes
from devserver.channel import Channel
from devserver.messages import (
    MAX_FDS_PER_MESSAGE,
    AdoptConnections,
    Configure,
    ConnectionsHandedOver,
    Drain,
    HoistFailed,
    ImportsRecorded,
    Interface,
    LoadEnded,
    LoadFailed,
    LoadWanted,
    Message,
    Noticed,
    OutputLeft,
    PinJudged,
    ReadsRecorded,
    RefreshFiles,
    Reported,
    RequestBegan,
    Serve,
    ServingBegan,
    TerminalGranted,
    TerminalReleased,
    TerminalWanted,
)
from devserver.report import Occasion, Report
from devserver.server.asgi import ASGIApp, Receive, Scope, Send
from devserver.server.browsers import Browsers
from devserver.server.checks import Checks
from devserver.server.deferred import ours_first
from devserver.server.first_requests import FirstRequests
from devserver.server.integration import (
    Integrated,
    Integration,
    LogRequest,
    StaticMount,
    applicable,
    files_changed,
    integrate,
)
from devserver.server.load import collector
from devserver.server.load.chain import Resumed
from devserver.server.load.exclusive import exclusive_resources
from devserver.server.load.freezing import Freezer
from devserver.server.load.hoisting import Hoister, HoistError
from devserver.server.load.loading import Loaded, load_target, prepare_path
from devserver.server.load.reads import Recorder
from devserver.server.outside import Outside
from devserver.server.prompt import Prompts
from devserver.server.rehearsing import Courtesy, Mute, State, stand_by, users_modules
from devserver.server.reporting import Reporting
from devserver.server.web import stack
from devserver.server.web.client import Edition
from devserver.server.web.engine import CANCEL_S, Engine, choose_event_loop
from devserver.server.web.hosts import HostCheck, machine_names
from devserver.server.web.lifespan import Lifespan
from devserver.server.web.lines import LineWriter
from devserver.server.web.static_mounts import folder_mount, parse_static_option
from devserver.server.web.streams import EventStreams
from devserver.server.web.wsgi import WSGIAdapter
from devserver.target import Target, TargetKind
from devserver.terminal import request_line

if TYPE_CHECKING:
    from devserver.server.watchdog import Watchdog

SHUTDOWN_S = 0.6
"""What the app's own shutdown gets after the last request at least; else what is left of the grace."""
_FLUSH_S = 0.5
_FIRST_REQUESTS_S = 0.7
"""So long after the first request it is looked what it has imported."""


@dataclass(slots=True)
class App:
    """What is served: the target, or a page about why it is not."""

    asgi: ASGIApp
    interface: Interface
    name: str
    integrated: Integrated
    has_lifespan: bool = False
    wsgi: WSGIAdapter | None = None
    target: object = None  # what the user's code has made
    report: Report | None = None  # the load failed


class ServerProcess:
    """One server. Owns its channel, its loop and everything that it loads."""

    def __init__(self, resumed: Resumed, configure: Configure, integrations: Sequence[Integration]) -> None:
        self._channel: Channel = resumed.channel
        self._stand_in = resumed.stand_in
        self._stack_fd = resumed.stack_fd
        self._options = configure.options
        self._target: Target = configure.target
        self._argv = configure.argv
        self._environment = configure.environment
        self._bound_hosts = configure.bound_hosts
        self._style = configure.style
        self._integrations = integrations
        self._applicable: tuple[Integration, ...] = ()
        self._reporting = Reporting(configure, self._send)
        self._recorder = Recorder(
            on_read=self._send_reads,
            roots=(self._target.app_dir, *self._options.reload_dir),
            phase=self._module_begins,
        )
        self._plan = resumed.plan
        self._courtesy = Courtesy()
        self._mute = Mute()
        self._first_requests = FirstRequests(self._recorder, integrations, self._courtesy.give_way)
        self._hoister = Hoister(self._phase, self._first_requests.build_in_branch, self._recorder.sources)
        self._freezer = Freezer(
            resumed,
            journal=self._recorder,
            integrations=integrations,
            on_resumed=self._continue_as,
            hoister=self._hoister,
            rest=self._courtesy.give_way,
            not_hoisted=self._end_unhoisted,
        )
        self._recorder.about_to_search = self._freezer.search_begins
        self._began = time.perf_counter()  # to load, or to go on with it
        self._ran_before = 0  # modules that had run by then
        self._prompts = Prompts(
            ask=lambda: self._send(TerminalWanted()),
            give_back=lambda: self._send(TerminalReleased()),
            attend=self._attend,
            notice=lambda text: self._send(Noticed(text)),
            has_terminal=_is_terminal(sys.stdin) and _is_terminal(sys.stdout),
        )
        self._outside = Outside(
            make_report=lambda error, where: self._reporting.make(error, Occasion.BACKGROUND, detail=where),
            show=lambda report, once: self._send(Reported(report, once)),
            notice=lambda text: self._send(Noticed(text, warning=True)),
            user_roots=self._reporting.user_roots,
        )
        self._browsers = Browsers(configure, self._send, self._recorder.sent_static)
        self._browsers.edition = Edition(resumed.run, resumed.refreshes)
        self._reporting.edition = lambda: self._browsers.edition
        self._checks: Checks | None = None
        self._watchdog: Watchdog | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: LineWriter | None = None
        self._engine: Engine | None = None
        self._streams: EventStreams | None = None
        self._handed_over: list[tuple[int, bytes]] = []
        self._drain_grace_s: float | None = None
        self._drain_began: asyncio.Event | None = None
        self._early_orders: list[tuple[Message, list[int]]] = []

    # --- the whole life ---

    def run(self) -> NoReturn:
        """Load, serve until told to end, end."""
        self._prepare_process()
        collector.begin_load()
        app = self._page_app(self._stand_in) if self._stand_in is not None else self._load()
        if self._plan.rehearses:
            self._stand_by(app)
        collector.end_load()
        loop = choose_event_loop()
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self._serve(app))
        except BaseException as error:  # ours, or the user's KeyboardInterrupt out of a callback
            self._reporting.show(self._reporting.make(error, Occasion.BACKGROUND))
            self._end(1)
        self._end(0)

    def _prepare_process(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)  # into a file or pipe too, as on a terminal
        faulthandler.enable(file=self._stack_fd, all_threads=True)
        faulthandler.register(processes.STACK_SIGNAL, file=self._stack_fd, all_threads=True)
        self._begin_rehearsal(active=self._plan.rehearses)
        os.environ.update(self._environment)
        sys.argv = list(self._argv)
        self._prompts.install()
        self._outside.install()

    def _end(self, status: int) -> NoReturn:
        """Run the app's atexit handlers and go. Non-daemon threads and executors are not waited for."""
        try:
            atexit._run_exitfuncs()
        except BaseException:
            logging.getLogger("devserver").exception("an atexit handler raised")
        self._outside.tell_rest()
        if self._lines is not None:
            for fd, text in self._lines.take_left():
                self._send(OutputLeft(text, fd))
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass
        self._channel.flush_within(_FLUSH_S)
        os._exit(status)

    # --- loading ---

    def _load(self) -> App:
        """Import the target. What it raises becomes the page that is served."""
        self._recorder.install()
        try:
            if self._target.kind is not TargetKind.FOLDER:
                prepare_path(self._target)
                for integration in self._integrations:
                    integration.prepare()
            loaded = load_target(self._target, self._options, self._integrations)
            self._applicable = applicable(loaded.app, self._integrations, sys.modules)
            integrated = integrate(loaded.app, self._applicable, self._options)
            self._reporting.app_is_known(integrated)
            app = self._compose(loaded, integrated)
            stack.prepare(self._mounts(app))
        except BaseException as error:  # SystemExit and KeyboardInterrupt too
            self._freezer.stop()
            return self._page_app(self._reporting.make(error, Occasion.LOAD))
        self._freezer.load_ended()
        return app

    def _continue_as(self, resumed: Resumed) -> None:
        """This process continues from a checkpoint: it is another server than the one that came so far."""
        self._channel = resumed.channel
        self._browsers.edition = Edition(resumed.run, resumed.refreshes)
        os.dup2(resumed.stack_fd, self._stack_fd, inheritable=False)  # faulthandler knows it by its number
        os.close(resumed.stack_fd)
        self._began = time.perf_counter()
        self._ran_before = self._recorder.source_count
        self._outside.resumed()
        self._plan = resumed.plan
        self._begin_rehearsal(active=self._plan.rehearses)

    def _phase(self) -> str:
        """The part of the load that runs, as the frameworks name theirs."""
        return "/".join(filter(None, (integration.phase() for integration in self._integrations)))

    def _module_begins(self) -> str:
        self._courtesy.give_way()
        return self._phase()

    # --- rehearsals ---

    def _begin_rehearsal(self, *, active: bool) -> None:
        self._mute.switch(on=active)
        self._freezer.know(*self._mute.descriptors())
        self._courtesy.begin(active=active)

    def _end_unhoisted(self, error: HoistError) -> NoReturn:
        self._send(HoistFailed(error.module, error.reason))
        self._channel.flush_within(_FLUSH_S)
        os._exit(0)

    def _stand_by(self, app: App) -> None:
        """Say what the load has come to. Returns if the supervisor wants this process to serve after all."""
        took_s = time.perf_counter() - self._began
        # In that state a server that was hoisted begins.
        self._first_requests.import_early(self._plan.late)
        self._first_requests.build_early(self._plan.early)
        error = "" if app.report is None else app.report.gist
        if not self._hoister.count and not error:
            self._send(ImportsRecorded(self._recorder.take_import_graph()))
        self._send_reads()
        state = State(
            modules=users_modules(self._recorder.modules()),
            target=app.target,
            integrations=self._applicable,
            random_numbers=self._freezer.random_numbers(),
            error=error,
        )
        order = stand_by(self._channel, state, self._courtesy.give_way)
        files_changed(self._integrations, self._recorder.confirm_early())
        self._browsers.edition = Edition(order.run, order.refreshes)
        self._began = time.perf_counter() - took_s  # it stood by since
        self._begin_rehearsal(active=False)

    def _compose(self, loaded: Loaded, integrated: Integrated) -> App:
        if loaded.interface is Interface.STATIC:
            folder = StaticMountOnly(folder_mount(Path(self._target.path)))
            return App(folder, loaded.interface, loaded.name, Integrated(name="static files", static=(folder.mount,)))
        if loaded.interface is Interface.WSGI:
            adapter = WSGIAdapter(
                loaded.app,  # type: ignore[arg-type]  # examined by detect_interface
                threads=self._options.threads,
                on_request_ended=self._request_ended,
                warn=lambda text: self._send(Noticed(text, warning=True)),
            )
            return App(adapter, loaded.interface, loaded.name, integrated, wsgi=adapter, target=loaded.app)
        return App(
            loaded.app,  # type: ignore[arg-type]
            loaded.interface,
            loaded.name,
            integrated,
            has_lifespan=True,
            target=loaded.app,
        )

    def _page_app(self, report: Report) -> App:
        async def page(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await send({"type": "websocket.close", "code": 1013, "reason": "the application is not loaded"})
                return
            await self._reporting.answer(report, scope, send)

        return App(page, Interface.ASGI, self._target.label, Integrated(name=""), report=report)

    def _request_ended(self) -> None:
        self._prompts.request_ended()
        for integration in self._applicable:
            integration.request_ended()

    # --- serving ---

    async def _serve(self, app: App) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._lines = self._reporting.lines = self._browsers.lines = LineWriter(loop)
        self._drain_began = asyncio.Event()
        self._prompts.use_loop(loop)
        loop.add_reader(self._channel.fileno(), self._obey_all)
        self._outside.use_loop(loop)
        lifespan = Lifespan(app.asgi)
        if app.has_lifespan:
            try:
                await lifespan.startup()
            except BaseException as error:
                app = self._page_app(self._reporting.make(error, Occasion.LIFESPAN))
        self._engine = Engine(
            self._build_stack(app),
            state=lifespan.state,
            on_first_request=self._first_request,
            look_at_orders=self._obey_all,
            notice=lambda text: self._send(Noticed(text, warning=True)),
            on_error=lambda error: self._reporting.show(self._reporting.make(error, Occasion.REQUEST)),
        )
        self._watch_loop(loop)
        for integration in self._applicable:
            integration.serves(self._recorder.missed)
        self._recorder.begin_serving()
        self._first_requests.begin()
        self._send_reads()
        self._say_loaded(app, (time.perf_counter() - self._began) * 1000)
        for message, fds in self._early_orders:
            self._obey(message, fds)
        await self._drain_began.wait()
        assert self._drain_grace_s is not None
        assert self._streams is not None
        deadline = self._prompts.clock() + self._drain_grace_s
        await self._streams.end_all()
        await self._engine.finish_drain(deadline, self._prompts.clock, ignore=self._streams.was_stream)
        self._send_handed_over()
        if app.wsgi is not None:
            await self._end_threads(app.wsgi, deadline)
        if app.has_lifespan:
            try:
                left = deadline - self._prompts.clock()
                await asyncio.wait_for(lifespan.shutdown(), max(left, SHUTDOWN_S))
            except TimeoutError:
                self._send(Noticed("the lifespan shutdown did not end in time", warning=True))
            except BaseException as error:
                self._reporting.show(self._reporting.make(error, Occasion.LIFESPAN))
        if self._watchdog is not None:
            self._watchdog.stop()

    def _watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._options.slow_callbacks:
            with ours_first():
                from devserver.server.watchdog import Watchdog

            self._watchdog = Watchdog(
                loop,
                self._options.slow_callbacks,
                clock=self._prompts.clock,
                tell=self._outside.loop_held,
                notice=lambda text: self._send(Noticed(text)),
            )
            self._watchdog.start()

    async def _end_threads(self, adapter: WSGIAdapter, deadline: float) -> None:
        """Wait for what threads do after an answer is complete (`close`), but not for event streams that sleep."""
        assert self._streams is not None
        left = deadline - self._prompts.clock()
        try:
            await asyncio.wait_for(adapter.drained(), min(left, CANCEL_S) if self._streams.ended_some else left)
        except TimeoutError:
            pass
        adapter.stop()

    def _first_request(self) -> None:
        assert self._loop is not None
        self._send(RequestBegan())
        if self._plan.saved:
            self._loop.call_later(_FIRST_REQUESTS_S, self._send_late_imports)

    def _send_late_imports(self) -> None:
        self._send(self._first_requests.found())

    def _build_stack(self, app: App) -> ASGIApp:
        assert self._loop is not None
        built = stack.build(
            app.asgi,
            host_check=HostCheck(
                self._bound_hosts,
                self._options.allowed_host,
                machine_names() if not _only_loopback(self._bound_hosts) else (),
            ),
            static=self._mounts(app),
            make_report=self._reporting.make,
            show=self._reporting.show,
            answer=self._reporting.answer,
            errors=self._reporting.api,
            kept=self._reporting.kept,
            write_request=(app.integrated.log_request or self._request_writer()) if self._options.access_log else None,
            on_static_sent=self._browsers.static_sent,
            framework_errors=self._options.framework_errors,
            stream_opened=self._browsers.stream_opened,
            browser_said=self._browsers.said,
            following=lambda inner: self._browsers.following(inner, app.integrated, self._mounts(app)),
        )
        self._streams = built.streams
        return built.app

    def _mounts(self, app: App) -> list[StaticMount]:
        if app.report is not None:
            return []
        return [*(parse_static_option(text, Path.cwd()) for text in self._options.static), *app.integrated.static]

    def _request_writer(self) -> LogRequest:
        lines, style = self._lines, self._style
        assert lines is not None
        now = time.time

        def write(method: str, path: str, status: int, size: int, seconds: float) -> None:
            lines.write(request_line(now(), method, path, status, size, seconds, style))

        return write

    def _say_loaded(self, app: App, load_ms: float) -> None:
        exclusive = exclusive_resources()
        if app.report is not None:
            self._send(LoadFailed(app.report, load_ms, exclusive))
            return
        if self._options.checks:
            self._checks = self._checks_of(app)
        self._send(
            LoadEnded(
                name=app.integrated.name or ("WSGI app" if app.interface is Interface.WSGI else "ASGI app"),
                interface=app.interface,
                modules=self._recorder.source_count,
                load_ms=load_ms,
                ran=self._recorder.source_count - self._ran_before,
                hoisted=self._hoister.count,
                barrier=self._freezer.barrier,
                exclusive=exclusive,
                template_roots=tuple(str(root) for root in app.integrated.template_roots),
                static_roots=tuple(str(root) for root in app.integrated.static_roots),
                watched=app.integrated.watched,
                notices=app.integrated.notices,
            )
        )

    def _checks_of(self, app: App) -> Checks:
        engine = self._engine
        assert engine is not None
        return Checks(
            self._applicable,
            user_roots=self._reporting.user_roots,
            versions=app.integrated.versions,
            is_busy=lambda: engine.is_busy,
            failed=self._stand_in_the_way,
            told=self._send,
            raised=lambda error: self._reporting.show(
                self._reporting.make(error, Occasion.BACKGROUND, detail="in the checks of the project (--no-checks)")
            ),
        )

    def _stand_in_the_way(self, report: Report) -> None:
        """The app is not to be served after all: from now on its page answers, which is newer than what browsers show."""
        assert self._streams is not None
        edition = self._browsers.edition
        self._browsers.edition = Edition(edition.run + 1, edition.seen)
        self._streams.replace_app(self._page_app(report).asgi)

    # --- the supervisor's orders ---

    def _attend(self, timeout_s: float) -> None:
        """For who keeps the loop waiting: act on what the supervisor says within that time."""
        self._channel.flush()
        if self._channel.readable(timeout_s):
            self._obey_all()

    def _obey_all(self) -> None:
        for message, fds in self._channel.receive():
            if isinstance(message, TerminalGranted):
                self._prompts.grant()
            elif isinstance(message, PinJudged):
                self._reporting.pin_judged(message)
            elif self._engine is None:
                self._early_orders.append((message, fds))
            else:
                self._obey(message, fds)
        if self._channel.closed:
            os._exit(1)  # the supervisor is gone; the root is about to end us too

    def _obey(self, message: Message, fds: list[int]) -> None:
        assert self._loop is not None
        assert self._engine is not None
        match message:
            case Serve():
                self._engine.serve(fds)
                self._send(ServingBegan())
                if self._checks is not None:
                    self._checks.begin(self._loop)
            case AdoptConnections(data=data):
                for fd, read in zip(fds, data, strict=False):
                    self._engine.adopt(fd, read.encode("latin-1"))
            case Drain(grace_s=grace_s):
                self._drain(grace_s)
            case RefreshFiles(paths=paths, number=number, watched=watched):
                files_changed(self._applicable, paths)
                if paths and not watched:
                    self._browsers.refreshed(paths, number)
                threading.Thread(target=self._react, args=(paths, watched, number), daemon=True).start()
            case _:
                raise AssertionError(f"not for a server: {message}")

    def _react(self, paths: Sequence[str], watched: Sequence[str], number: int) -> None:
        """In a thread: let the app deal with the change of files. What it watches and does not deal with asks for a load; else
        browsers may see what has become of it."""
        assert self._loop is not None
        changed = [Path(path) for path in dict.fromkeys((*paths, *watched))]
        try:
            unanswered = {str(path) for integration in self._applicable for path in integration.react(changed)}
        except Exception as error:
            self._reporting.show(self._reporting.make(error, Occasion.BACKGROUND, detail="when files had changed"))
            return
        if wanting := tuple(path for path in watched if path in unanswered):
            self._send(LoadWanted(wanting))
        elif paths and watched:
            self._loop.call_soon_threadsafe(self._browsers.refreshed, paths, number)

    def _drain(self, grace_s: float) -> None:
        assert self._engine is not None
        assert self._drain_began is not None
        self._drain_grace_s = grace_s
        self._engine.begin_drain(self._hand_over)
        self._send_handed_over()
        self._drain_began.set()

    def _hand_over(self, fd: int, data: bytes) -> None:
        if not self._handed_over and self._loop is not None:
            self._loop.call_soon(self._send_handed_over)  # several in one message
        self._handed_over.append((fd, data))

    def _send_handed_over(self) -> None:
        while self._handed_over:
            batch, self._handed_over = self._handed_over[:MAX_FDS_PER_MESSAGE], self._handed_over[MAX_FDS_PER_MESSAGE:]
            fds = [fd for fd, _data in batch]
            data = tuple(read.decode("latin-1") for _fd, read in batch)
            self._send(ConnectionsHandedOver(len(batch), data), fds)

    # --- what is told ---

    def _send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """From any thread. What the socket does not take now goes out when it is writable."""
        self._channel.send(message, fds, close_fds=True)
        if self._channel.wants_write and self._loop is not None:
            self._loop.call_soon_threadsafe(self._flush_later)

    def _flush_later(self) -> None:
        assert self._loop is not None
        if self._channel.flush():
            self._loop.remove_writer(self._channel.fileno())
        else:
            self._loop.add_writer(self._channel.fileno(), self._flush_later)

    def _send_reads(self) -> None:
        if reads := self._recorder.drain_reads():
            self._send(ReadsRecorded(reads))


class StaticMountOnly:
    """The app of a folder target: everything is answered by the static handler before it."""

    def __init__(self, mount: StaticMount) -> None:
        self.mount = mount

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1000})


def _is_terminal(stream: object) -> bool:
    try:
        return isinstance(stream, io.TextIOBase) and stream.isatty()
    except ValueError:  # closed
        return False


def _only_loopback(hosts: Sequence[str]) -> bool:
    return all(host.startswith("127.") or host == "::1" for host in hosts)
