"""The studio's server: who may speak to it, what it survives, and that it goes on serving everyone."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from descentlab.errors import InputError
from descentlab.studio.server import MOST_BYTES, MOST_CLIENTS, frame, read_message
from test_formula_hostile import HOSTILE

TESTS = str(Path(__file__).parent)
FAULTS = "{'answer': 'studio_faults.answer', 'first': (), 'seconds': {'run': 1.0}, 'memory': 400 << 20}"


class Server:
    """A server in a process of its own, and the addresses it has told."""

    def __init__(self, settings: str) -> None:
        program = f"import sys\nsys.path.insert(0, {TESTS!r})\n"
        program += f"from descentlab.studio.server import serve\nserve(answer={settings})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.address = self.next_address()
        self.port = int(re.findall(r":(\d+)/", self.address)[0])
        self.host = f"127.0.0.1:{self.port}"
        self.origin = f"http://{self.host}"
        self._wait_until_it_listens()
        self.cookie = self.spend(self.address)

    def next_address(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _wait_until_it_listens(self) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError("The server does not listen.")

    def spend(self, address: str) -> str:
        status, headers, _ = self.get("/?" + address.split("?")[1])
        assert status == 303
        assert headers["location"] == "/"
        assert {"HttpOnly", "SameSite=Strict"} <= set(headers["set-cookie"].split("; "))
        return headers["set-cookie"].split(";")[0]

    def get(
        self, path: str, *lines: str, host: str | None = "", method: str = "GET"
    ) -> tuple[int, dict[str, str], str]:
        """Send a request byte by byte as given; return status, headers and body."""
        head = [
            f"{method} {path} HTTP/1.1",
            *([] if host is None else [f"Host: {host or self.host}"]),
            *lines,
            "Connection: close",
            "",
            "",
        ]
        with socket.create_connection(("127.0.0.1", self.port), 10) as wire:
            wire.sendall("\r\n".join(head).encode("latin-1"))
            data = b""
            while part := wire.recv(65536):
                data += part
        top, _, body = data.partition(b"\r\n\r\n")
        first, *rest = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
        return int(first.split()[1]), headers, body.decode("utf-8", "replace")

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        with connect(
            f"ws://{self.host}/ws",
            origin=self.origin,
            additional_headers={"Cookie": self.cookie},
            max_size=None,
            compression=None,
            close_timeout=0.5,
        ) as wire:
            yield Client(wire)

    @property
    def memory(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )

    def children(self) -> list[int]:
        return [
            int(pid)
            for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


class Client:
    """A page, without its browser."""

    def __init__(self, wire: ClientConnection) -> None:
        self.wire = wire

    def ask(self, seconds: float = 60.0, **message: Any) -> dict[str, Any]:
        self.wire.send(json.dumps(message))
        return self.receive(seconds)

    def receive(self, seconds: float = 60.0) -> dict[str, Any]:
        data = self.wire.recv(seconds)
        assert isinstance(data, bytes)
        (length,) = struct.unpack("<I", data[:4])
        assert (4 + length) % 8 == 0
        content: dict[str, Any] = json.loads(data[4 : 4 + length])
        assert len(data) == 4 + length + sum(-(-size // 8) * 8 for size in content["sizes"])
        return content


@pytest.fixture(scope="module")
def faulty() -> Iterator[Server]:
    """A server whose workers do what messages say (studio_faults)."""
    server = Server(FAULTS)
    yield server
    server.close()


@pytest.fixture(scope="module")
def real() -> Iterator[Server]:
    server = Server("{}")
    yield server
    server.close()


# --- who may speak ---

GOOD_HOSTS = ("127.0.0.1:{port}", "localhost:{port}")
BAD_HOSTS = (
    "127.0.0.1",
    "localhost",
    "127.0.0.1:{other}",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "127.0.0.1:{port}@evil.example",
    "[::1]:{port}",
    "0.0.0.0:{port}",
    "2130706433:{port}",
    "LOCALHOST.:{port}",
)
GOOD_ORIGINS = ("http://127.0.0.1:{port}", "http://localhost:{port}")
BAD_ORIGINS = (
    "null",
    "http://evil.example",
    "http://127.0.0.1",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1:{other}",
    "http://evil.example:{port}",
    "http://127.0.0.1:{port}.evil.example",
    "file://",
    "http://127.0.0.1:{port}/",
)


def filled(text: str, server: Server) -> str:
    return text.format(port=server.port, other=server.port + 1)


@pytest.mark.parametrize("with_cookie", [True, False])
@pytest.mark.parametrize("origin", [None, *GOOD_ORIGINS, *BAD_ORIGINS])
@pytest.mark.parametrize("host", [None, *GOOD_HOSTS, *BAD_HOSTS])
def test_http_answers_the_right_host_origin_and_cookie_alone(
    faulty: Server, host: str | None, origin: str | None, with_cookie: bool
) -> None:
    lines = [f"Cookie: {faulty.cookie}"] if with_cookie else []
    lines += [f"Origin: {filled(origin, faulty)}"] if origin else []
    right = with_cookie and host in GOOD_HOSTS and (origin is None or origin in GOOD_ORIGINS)
    for path in ("/", "/studio.js", "/ws"):
        status, headers, body = faulty.get(path, *lines, host=None if host is None else filled(host, faulty))
        if right and path != "/ws":
            assert status == 200
            assert len(body) > 300
        else:
            assert status in ((403, 404) if host is not None else (400, 403))
            assert len(body) < 200
        if status != 400:  # HTTP/1.1 without a Host never reaches the guard
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("with_cookie", [True, False])
@pytest.mark.parametrize("origin", [None, *GOOD_ORIGINS, *BAD_ORIGINS])
@pytest.mark.parametrize("host", [*GOOD_HOSTS, *BAD_HOSTS])
def test_the_socket_answers_the_right_host_origin_and_cookie_alone(
    faulty: Server, host: str, origin: str | None, with_cookie: bool
) -> None:
    lines = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    lines += [f"Cookie: {faulty.cookie}"] if with_cookie else []
    lines += [f"Origin: {filled(origin, faulty)}"] if origin else []
    head = ["GET /ws HTTP/1.1", f"Host: {filled(host, faulty)}", *lines, "", ""]
    with socket.create_connection(("127.0.0.1", faulty.port), 10) as wire:
        wire.sendall("\r\n".join(head).encode())
        status = int(wire.recv(65536).split()[1])
    assert status == (101 if with_cookie and host in GOOD_HOSTS and origin in GOOD_ORIGINS else 403)


def test_a_second_host_or_origin_is_refused(faulty: Server) -> None:
    cookie = f"Cookie: {faulty.cookie}"
    assert faulty.get("/", cookie, f"Host: {faulty.host}")[0] in (400, 403)
    assert faulty.get("/", cookie, f"Origin: {faulty.origin}", "Origin: http://evil.example")[0] == 403


def test_a_wrong_cookie_opens_nothing(faulty: Server) -> None:
    name, secret = faulty.cookie.split("=")
    for wrong in (
        f"{name}=",
        f"{name}={secret[:-1]}",
        f"{name}x={secret}",
        f"other={secret}",
        f"{name}={secret}x",
        "%",
        f"{name}=\xff",
    ):
        assert faulty.get("/", f"Cookie: {wrong}")[0] == 403
    assert faulty.get("/", f"Cookie: a=1; {faulty.cookie}; b=2")[0] == 200


def test_a_token_is_good_once_and_a_spent_one_brings_a_new_address(faulty: Server) -> None:
    spent = "/?" + faulty.address.split("?")[1]
    assert faulty.get("/?token=wrong")[0] == 403
    status, _, body = faulty.get(spent)
    assert status == 403
    assert "shows a new one" in body
    fresh = faulty.next_address()
    assert fresh != faulty.address
    assert faulty.get(spent)[0] == 403
    assert faulty.get("/?" + fresh.split("?")[1], "Origin: http://evil.example")[0] == 403
    assert faulty.get("/?" + fresh.split("?")[1], host="evil.example")[0] == 403
    assert faulty.spend(fresh) == faulty.cookie
    # With the cookie an address with a token leads to the clean one.
    assert faulty.get(spent, f"Cookie: {faulty.cookie}")[0] == 303


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_pages_are_only_read(faulty: Server, method: str) -> None:
    assert faulty.get("/", f"Cookie: {faulty.cookie}", method=method)[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/studio.js/..%2fserver.py",
        "/static/",
        "/page/app.js",
        "/etc/passwd",
        "/..%5c..%5cwindows",
        "/index.html\x00.js",
        "/?token=a&token=b",
        "/.git/config",
    ],
)
def test_no_file_but_the_four_is_served(faulty: Server, path: str) -> None:
    status, _, body = faulty.get(path, f"Cookie: {faulty.cookie}")
    assert status in (303, 400, 404)
    assert "root:" not in body
    assert "descentlab" not in body


def test_it_listens_on_this_machine_alone(faulty: Server) -> None:
    wanted = f"{socket.inet_aton('127.0.0.1')[::-1].hex().upper()}:{faulty.port:04X}"
    listening = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    assert [place for place in listening if place.endswith(f":{faulty.port:04X}")] == [wanted]


# --- what it survives ---


def test_frames_are_aligned_and_complete() -> None:
    for n in range(20):
        data = frame(({"kind": "k" * n}, [bytes(n), b"12345678"]))
        (length,) = struct.unpack("<I", data[:4])
        assert (4 + length) % 8 == 0
        assert json.loads(data[4 : 4 + length])["sizes"] == [n, 8]
        assert data.endswith(b"12345678")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "1",
        '"run"',
        "{}",
        '{"kind": "run"}',
        '{"kind": "system", "id": 1}',
        '{"kind": ["run"], "id": 1}',
        '{"kind": "run", "id": null}',
        '{"kind": "run", "id": true}',
        "[" * 60_000,
        '{"kind":' * 9_000,
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_message(text)


def junk(generator: random.Random) -> str | bytes:
    if generator.random() < 0.02:
        return "x" * (MOST_BYTES + generator.randrange(1, MOST_BYTES))
    kind = generator.randrange(6)
    if kind == 0:
        return generator.randbytes(generator.randrange(400))
    if kind == 1:
        return "[" * generator.randrange(1, 30_000)
    if kind == 2:
        return json.dumps({"kind": "run", "id": generator.choice([None, True, [], {}])})
    if kind == 3:
        return json.dumps({"kind": generator.choice(["", "shell", "../run", 7, None]), "id": 1})
    if kind == 4:
        return "".join(chr(generator.randrange(32, 0x2000)) for _ in range(generator.randrange(300)))
    return '{"kind": "run", "id": 1, "x": ' + "1" * generator.randrange(5000)


def flood(server: Server, frames: int, seed: int) -> None:
    """Send malformed frames; a client that is shown the door comes back."""
    generator = random.Random(seed)
    sent = 0
    while sent < frames:
        with contextlib.suppress(ConnectionClosed), server.client() as client:
            while sent < frames:
                client.wire.send(junk(generator))
                sent += 1
                if sent % 20 == 0:
                    assert client.ask(kind="hello", id=sent)["arrays"] == []


@pytest.mark.parametrize("frames", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_malformed_frames_do_no_harm(faulty: Server, frames: int) -> None:
    flood(faulty, 300, 0)
    before = faulty.memory
    flood(faulty, frames, 1)
    assert faulty.memory - before < 12 << 20
    with faulty.client() as client:
        assert client.ask(kind="hello", id=1)["id"] == 1


def test_a_client_that_sends_nothing_but_junk_is_shown_the_door(faulty: Server) -> None:
    with faulty.client() as client:
        for _ in range(400):
            client.wire.send("junk")
        replies = 0
        with contextlib.suppress(ConnectionClosed):
            while replies < 400:
                replies += len(client.receive(5)) > 0
        assert 1 <= replies <= 100


def test_an_oversized_frame_ends_its_connection_alone(faulty: Server) -> None:
    with faulty.client() as other:
        for size in (MOST_BYTES + 1, 20 << 20):
            with pytest.raises(ConnectionClosed), faulty.client() as client:  # noqa: PT012
                client.wire.send("x" * size)
                client.wire.recv(10)
        assert other.ask(kind="hello", id="still here")["id"] == "still here"


@pytest.mark.parametrize(
    ("kind", "what", "words"),
    [
        ("run", "hang", "longer than 1 s"),
        ("field", "memory", "too much memory"),  # a kind with more time than a busy machine takes to fill it
        ("run", "end", "broke off"),
    ],
)
def test_work_that_explodes_is_stopped_and_the_worker_replaced(
    faulty: Server, kind: str, what: str, words: str
) -> None:
    with faulty.client() as client, faulty.client() as other:
        pid = client.ask(kind="hello", id=0)["pid"]
        reply = client.ask(kind=kind, id=1, do=what)
        assert words in reply["error"]["message"]
        assert reply["id"] == 1
        again = other.ask(kind="hello", id=2)
        assert again["pid"] != pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_killed_from_outside_is_replaced(faulty: Server) -> None:
    with faulty.client() as client:
        os.kill(client.ask(kind="hello", id=0)["pid"], signal.SIGKILL)
        time.sleep(0.1)
        assert client.ask(kind="hello", id=1)["id"] == 1


def test_the_slow_lane_does_not_hold_up_the_quick_one(faulty: Server) -> None:
    with faulty.client() as slow, faulty.client() as quick:
        slow.wire.send(json.dumps({"kind": "survey", "id": 0, "do": "sleep", "seconds": 3}))
        began = time.monotonic()
        for i in range(20):
            assert quick.ask(kind="run", id=i)["id"] == i
        assert time.monotonic() - began < 2.5
        assert slow.receive()["id"] == 0


def test_the_latest_of_a_kind_wins_and_clients_take_turns(faulty: Server) -> None:
    with faulty.client() as greedy, faulty.client() as other:
        for i in range(30):
            greedy.wire.send(json.dumps({"kind": "run", "id": i, "do": "sleep", "seconds": 0.2}))
        time.sleep(0.1)
        began = time.monotonic()
        assert other.ask(kind="run", id="mine")["id"] == "mine"
        assert time.monotonic() - began < 1.0
        replies = [greedy.receive() for _ in range(30)]
        assert sum(reply.get("superseded", False) for reply in replies) == 28
        answered = [reply["id"] for reply in replies if not reply.get("superseded")]
        assert answered[-1] == 29


def test_a_client_that_does_not_read_costs_little_and_holds_nobody_up(faulty: Server) -> None:
    with faulty.client() as other:
        other.ask(kind="hello", id=0)
        before = faulty.memory
        # A raw socket that never reads: replies of 8 MB each are asked for, by different kinds.
        with contextlib.suppress(ConnectionClosed, OSError), faulty.client() as sleeper:
            sleeper.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for i in range(200):
                for kind in ("hello", "formula", "field", "run", "anatomy", "copy"):
                    sleeper.wire.send(json.dumps({"kind": kind, "id": i, "do": "long"}))
                if i % 20 == 0:
                    began = time.monotonic()
                    assert other.ask(kind="run", id=i)["id"] == i
                    assert time.monotonic() - began < 3.0
        assert faulty.memory - before < 700 << 20  # at most a few tens of replies, and it is let go of:
        deadline = time.monotonic() + 30
        while faulty.memory - before > 60 << 20 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert faulty.memory - before < 60 << 20


def test_there_is_room_for_so_many_clients_and_no_more(faulty: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(faulty.client()) for _ in range(MOST_CLIENTS)]
        with pytest.raises((InvalidStatus, ConnectionClosed)), faulty.client() as extra:
            extra.wire.recv(5)
        assert clients[-1].ask(kind="hello", id=1)["id"] == 1
    time.sleep(0.3)
    with faulty.client() as client:
        assert client.ask(kind="hello", id=2)["id"] == 2


# --- the real workers ---


def hostile_texts(count: int) -> list[str]:
    generator = random.Random(4)
    pieces = [
        *HOSTILE.values(),
        "9^9^9^9",
        "x^" * 500 + "x",
        "(" * 200 + "x",
        "sin(" * 30 + "x",
        "exp(exp(exp(exp(x))))",
        "x*" * 900 + "x",
        "1e308*x^1000",
        "sqrt(" * 14 + "x" + ")" * 14,
    ]
    texts = [
        generator.choice(pieces)
        if generator.random() < 0.5
        else generator.choice(pieces)[: generator.randrange(1, 200)]
        + generator.choice("+*/^(),")
        + generator.choice(pieces)[:100]
        for _ in range(count)
    ]
    # Longer than a formula may be, shorter than a frame may be: frames too long have a test of their own.
    return [text[:5000] for text in texts]


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_hostile_formulas_are_answered_in_time_and_run_nothing(
    real: Server, count: int, tmp_path: Path
) -> None:
    with real.client() as client, real.client() as other:
        assert len(other.ask(kind="hello", id=0)["optimizers"]) > 10
        before = None
        for i, text in enumerate(hostile_texts(count)):
            problem = {"text": text, "domain": None, "variables": None}
            kind = ("formula", "field", "derivation")[i % 3]
            began = time.monotonic()
            reply = client.ask(kind=kind, id=i, problem=problem)
            assert time.monotonic() - began < 12
            assert reply["id"] == i
            assert "The work failed" not in reply.get("error", {}).get("message", ""), (text, reply)
            if i == count // 3:
                before = real.memory
        assert before is not None
        assert real.memory - before < 30 << 20
        good = {"text": "x^2 + y^2", "domain": [[-1, 1], [-1, 1]], "variables": None}
        assert "error" not in other.ask(kind="field", id="after", problem=good)


def test_everything_ends_with_the_server() -> None:
    for how in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        server = Server(FAULTS)
        try:
            with server.client() as client:
                client.ask(kind="hello", id=0)
                client.ask(kind="survey", id=1)
                workers = server.children()
                assert len(workers) == 2
                server.process.send_signal(how)
                server.process.wait(15)
            deadline = time.monotonic() + 10
            while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        finally:
            server.close()


def test_a_taken_port_and_an_unusable_formula_are_said_before_anything_is_served(faulty: Server) -> None:
    for words, message in (
        ([f"--port={faulty.port}"], "is not free"),
        (["x +"], "missing"),
        (["nosuch.py:f"], "no file"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "descentlab", "studio", *words, "--no-browser"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
