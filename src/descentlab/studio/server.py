"""The studio's local server: one page, its module and style, and one WebSocket, on 127.0.0.1 alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from descentlab.errors import InputError
from descentlab.studio.guard import POLICY_VIOLATION, Guard
from descentlab.studio.lanes import KINDS, QUICK, SLOW, Answer, Lane
from descentlab.studio.module import PAGE, studio_module, studio_style

ADDRESS = "127.0.0.1"
MOST_CLIENTS = 16
MOST_BYTES = 64 << 10  # of a message
MOST_MALFORMED = 100  # in a row, before a client is shown the door
MOST_UNSENT = 64  # replies that wait for a client to read
SENDING_SECONDS = 20.0
TRY_AGAIN_LATER = 1013


def frame(answer: Answer) -> bytes:
    """Return a reply as one binary frame: length of the JSON, the JSON, the buffers, each 8-aligned.

    >>> frame(({"kind": "x"}, [b"abc"]))[:4]
    b'\\x1c\\x00\\x00\\x00'
    """
    content, buffers = answer
    text = json.dumps({**content, "sizes": [len(b) for b in buffers]}).encode()
    text += b" " * ((4 - len(text)) % 8)
    return b"".join([struct.pack("<I", len(text)), text, *(b + bytes(-len(b) % 8) for b in buffers)])


def read_message(text: str) -> dict[str, Any]:
    """Return the message in a frame; raises InputError for anything else."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("A message is one JSON object.") from None
    if not isinstance(message, dict) or message.get("kind") not in KINDS:
        raise InputError(f"A message is one JSON object of a kind among {', '.join(KINDS)}.")
    if isinstance(message.get("id"), bool) or not isinstance(message.get("id"), int | float | str):
        raise InputError("A message has an id, a number or a text.")
    return message


class Client:
    """One page: of each kind one message is at work and the latest waits; replies wait to be sent, few at most."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.waiting: dict[str, dict[str, Any]] = {}
        self.working: set[str] = set()
        self.replies: asyncio.Queue[bytes] = asyncio.Queue(MOST_UNSENT)
        self.gone = asyncio.Event()

    def take(self, message: dict[str, Any]) -> None:
        """Let a message wait for its lane, in place of an older one of its kind."""
        older = self.waiting.get(message["kind"])
        self.waiting[message["kind"]] = message
        if older is not None:
            self.reply(({"kind": older["kind"], "id": older["id"], "superseded": True, "arrays": []}, []))

    def next_of(self, kinds: tuple[str, ...]) -> dict[str, Any] | None:
        """Return a waiting message of these kinds, none of whose kind is at work."""
        for kind in self.waiting:
            if kind in kinds and kind not in self.working:
                self.working.add(kind)
                return self.waiting.pop(kind)
        return None

    def reply(self, answer: Answer) -> None:
        """Queue a reply; a client that has stopped reading is given up."""
        try:
            self.replies.put_nowait(frame(answer))
        except asyncio.QueueFull:
            self.gone.set()

    async def send(self) -> None:
        """Send replies until the client is gone."""
        while True:
            data = await self.replies.get()
            try:
                async with asyncio.timeout(SENDING_SECONDS):
                    await self.websocket.send_bytes(data)
            except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
                self.gone.set()
                return


class Studio:
    """Clients and lanes. A lane takes one message of each client in turn."""

    def __init__(self, quick: Lane, slow: Lane) -> None:
        self.lanes = {QUICK: quick, SLOW: slow}
        self.clients: deque[Client] = deque()
        self._news = {QUICK: asyncio.Event(), SLOW: asyncio.Event()}

    @contextlib.asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """Start the workers and work until the server ends."""
        for lane in self.lanes.values():
            lane.start()
        tasks = [asyncio.create_task(self._work(kinds)) for kinds in self.lanes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for lane in self.lanes.values():
                lane.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, kinds: tuple[str, ...]) -> None:
        lane = self.lanes[kinds]
        while True:
            client, message = await self._next(kinds)
            answer = await asyncio.to_thread(lane.call, message)
            client.working.discard(message["kind"])
            client.reply(answer)

    async def _next(self, kinds: tuple[str, ...]) -> tuple[Client, dict[str, Any]]:
        while True:
            for _ in range(len(self.clients)):
                client = self.clients[0]
                self.clients.rotate(-1)
                message = client.next_of(kinds)
                if message is not None:
                    return client, message
            self._news[kinds].clear()
            await self._news[kinds].wait()

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one page until it leaves."""
        if len(self.clients) >= MOST_CLIENTS:
            await websocket.close(TRY_AGAIN_LATER)
            return
        await websocket.accept()
        client = Client(websocket)
        self.clients.append(client)
        tasks = [
            asyncio.create_task(work) for work in (client.send(), self._read(client), client.gone.wait())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.clients.remove(client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(RuntimeError, OSError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(1.0):
                    await websocket.close(POLICY_VIOLATION)

    async def _read(self, client: Client) -> None:
        malformed = 0
        while malformed < MOST_MALFORMED:
            received = await client.websocket.receive()
            if received["type"] == "websocket.disconnect":
                return
            try:
                message = read_message(received.get("text") or "")
            except InputError as error:
                malformed += 1
                fault = {"message": str(error), "position": None, "text": ""}
                client.reply(({"kind": None, "id": None, "error": fault, "arrays": []}, []))
                continue
            malformed = 0
            client.take(message)
            self._news[QUICK if message["kind"] in QUICK else SLOW].set()


def make_app(studio: Studio) -> Starlette:
    """Return the app: four files and the socket."""

    def text(media: str, read: Callable[[], str]) -> Callable[[Request], Any]:
        async def respond(_: Request) -> Response:
            return Response(read(), media_type=media)

        return respond

    def file(name: str) -> Callable[[], str]:
        return lambda: (PAGE / name).read_text(encoding="utf-8")

    return Starlette(
        routes=[
            Route("/", text("text/html", file("index.html"))),
            Route("/shim.js", text("text/javascript", file("shim.js"))),
            Route("/studio.js", text("text/javascript", studio_module)),
            Route("/studio.css", text("text/css", studio_style)),
            WebSocketRoute("/ws", studio.serve),
        ],
        lifespan=studio.running,
    )


def listen(port: int) -> socket.socket:
    """Return a socket on this machine alone; port 0 takes a free one. Raises InputError if it is taken."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
    except (OSError, OverflowError):
        listening.close()
        raise InputError(f"The port {port} is not free here. Give another, or none.") from None
    return listening


def serve(
    own: Callable[[], Any] | None = None,
    port: int = 0,
    announce: Callable[[str], None] = print,
    answer: Mapping[str, Any] | None = None,
) -> None:
    """Serve the studio until interrupted. own: makes the objective to begin with, in a worker, so it must pickle.

    announce: told of each address that opens the studio, once each; answer: settings of `Lane` (for tests).
    """
    import uvicorn

    listening = listen(port)
    pickled = None if own is None else pickle.dumps(own)
    begin: tuple[dict[str, Any], ...] = ({"kind": "hello", "id": 0},)
    settings = {"own": pickled, "first": begin, **(answer or {})}
    studio = Studio(Lane(**settings), Lane(**settings))
    guard = Guard(make_app(studio), listening.getsockname()[1], announce)
    config = uvicorn.Config(
        guard,
        log_level="error",
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    guard.new_address()
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
