"""Lifespan, a background task and a WebSocket. Serve it with `devserver run` in this folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import BackgroundTasks, FastAPI, Request, WebSocket, WebSocketDisconnect


class State(TypedDict):
    sent: list[str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    yield {"sent": []}


app = FastAPI(title="Greetings", lifespan=lifespan)


@app.get("/")
async def index() -> dict[str, str]:
    return {"message": "Hello"}


@app.post("/greetings/{name}", status_code=202)
async def greet(name: str, request: Request, tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(request.state.sent.append, name)
    return {"message": f"A greeting to {name} is on its way"}


@app.get("/greetings")
async def greetings(request: Request) -> list[str]:
    return request.state.sent


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass
