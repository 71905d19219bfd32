"""Channels: consumers over both layers, across restarts."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.e2e.django_project import entry_points
from tests.e2e.harness import DevServer, Serve
from tests.waiting import DEADLINE_S, eventually

pytestmark = [pytest.mark.e2e]

IN_MEMORY = '{"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}'
REDIS = '{"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": ["redis://127.0.0.1:PORT/0"]}}}'
FILES = {
    **entry_points("talk"),
    "talk/settings.py": """
        SECRET_KEY = "x"
        DEBUG = True
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "talk.urls"
        INSTALLED_APPS = ["daphne", "channels", "rooms"]
        ASGI_APPLICATION = "talk.asgi.application"
        CHANNEL_LAYERS = WHICH
    """,
    "talk/urls.py": """
        from asgiref.sync import async_to_sync
        from channels.layers import get_channel_layer
        from django.http import HttpResponse
        from django.urls import path

        def say(request):
            async_to_sync(get_channel_layer().group_send)("room", {"type": "chat", "text": "from a view"})
            return HttpResponse("said")

        urlpatterns = [path("say/", say)]
    """,
    "talk/asgi.py": """
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "talk.settings")
        from django.core.asgi import get_asgi_application
        django = get_asgi_application()
        from channels.routing import ProtocolTypeRouter, URLRouter
        from django.urls import path
        from rooms.consumers import Room, Threaded
        sockets = URLRouter([path("room/", Room.as_asgi()), path("threaded/", Threaded.as_asgi())])
        application = ProtocolTypeRouter({"http": django, "websocket": sockets})
    """,
    "rooms/__init__.py": "",
    "rooms/consumers.py": """
        from asgiref.sync import async_to_sync
        from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer

        WORD = "one"

        class Room(AsyncJsonWebsocketConsumer):
            async def connect(self):
                await self.channel_layer.group_add("room", self.channel_name)
                await self.accept()

            async def disconnect(self, code):
                await self.channel_layer.group_discard("room", self.channel_name)

            async def receive_json(self, content):
                await self.channel_layer.group_send("room", {"type": "chat", "text": f"{WORD} {content}"})

            async def chat(self, event):
                await self.send_json(event["text"])

        class Threaded(JsonWebsocketConsumer):
            groups = ["room"]

            def receive_json(self, content):
                async_to_sync(self.channel_layer.group_send)("room", {"type": "chat", "text": f"{WORD} threaded {content}"})

            def chat(self, event):
                self.send_json(event["text"])
    """,
}


@pytest.fixture
def redis() -> Iterator[int]:
    """A Redis of this test alone, which writes nothing; its port."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("no redis-server: `make test` installs Debian's where it may")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([command, *options], stdout=subprocess.DEVNULL) as process:
        try:

            def listens() -> bool:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                except OSError:
                    return False
                return True

            assert eventually(listens)
            yield port
        finally:
            process.terminate()


@pytest.fixture(params=["in memory", "Redis"])
def talk(request: pytest.FixtureRequest, serve: Serve) -> DevServer:
    layers = IN_MEMORY if request.param == "in memory" else REDIS.replace("PORT", str(request.getfixturevalue("redis")))
    return serve({**FILES, "talk/settings.py": FILES["talk/settings.py"].replace("WHICH", layers)})


def enter(server: DevServer, path: str) -> ClientConnection:
    origin = Origin(f"http://127.0.0.1:{server.port}")
    return connect(
        f"ws://127.0.0.1:{server.port}{path}", origin=origin, open_timeout=DEADLINE_S, close_timeout=DEADLINE_S
    )


def hears(listener: ClientConnection) -> object:
    return json.loads(listener.recv(DEADLINE_S))


def test_a_room_before_and_after_a_restart(talk: DevServer, project: Path) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(enter(talk, path)) for path in ("/room/", "/room/", "/threaded/")]
        for speaker, said in ((listeners[0], "one hello"), (listeners[2], "one threaded hello")):
            speaker.send('"hello"')
            assert [hears(listener) for listener in listeners] == [said] * 3
        assert talk.get("/say/").text == "said"
        assert [hears(listener) for listener in listeners] == ["from a view"] * 3
        talk.edit("rooms/consumers.py", FILES["rooms/consumers.py"].replace('"one"', '"two"'))
        for listener in listeners:
            with pytest.raises(ConnectionClosed):
                listener.recv(DEADLINE_S)
            assert listener.close_code == 1012
    with enter(talk, "/room/") as one, enter(talk, "/threaded/") as other:
        one.send('"again"')
        assert hears(one) == hears(other) == "two again"
        if "channels_redis" in (project / "talk/settings.py").read_text():
            program = (
                "from asgiref.sync import async_to_sync; from channels.layers import get_channel_layer;"
                'async_to_sync(get_channel_layer().group_send)("room", {"type": "chat", "text": "from elsewhere"})'
            )
            subprocess.run([sys.executable, "manage.py", "shell", "-c", program], cwd=project, check=True, timeout=60)
            assert hears(one) == hears(other) == "from elsewhere"
