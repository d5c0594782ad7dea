"""Who may speak to the studio: one browser, on this machine, that was given the address.

A pure ASGI guard round the whole app, for HTTP and WebSocket alike. The name a browser believes it speaks to
(Host) and the page that speaks (Origin) must be exactly ours, so no page from elsewhere reaches the server, not
even by a name that was made to point here. A token, good once, is exchanged for a cookie that no script and no
other site can use.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

POLICY_VIOLATION = 1008


class Guard:
    """Lets only the right requests through to `app`; announce(address): told of every new address to open."""

    def __init__(self, app: App, port: int, announce: Callable[[str], None]) -> None:
        self._app = app
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._base = f"http://127.0.0.1:{port}/"
        # Cookies do not tell ports apart: the name does.
        self._name = f"descentlab_studio_{port}"
        self._secret = secrets.token_urlsafe(32)
        self._token: str | None = None
        self._spent: str | None = None
        self._announce = announce
        sources = " ".join(sorted(f"ws://{host}" for host in self._hosts))
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {sources}; "
            "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]

    def new_address(self) -> str:
        """Make and announce an address that opens the studio once; an older one is no longer good."""
        self._token = secrets.token_urlsafe(32)
        address = f"{self._base}?token={self._token}"
        self._announce(address)
        return address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None and self._has_cookie(scope):
            if scope["type"] == "http" and scope["path"] == "/" and scope["query_string"]:
                await self._respond(send, 303, "", [(b"location", b"/")])
            else:
                await self._app(scope, receive, self._with_headers(send))
        elif refusal is None and scope["type"] == "http" and self._spends_token(scope):
            cookie = f"{self._name}={self._secret}; Path=/; HttpOnly; SameSite=Strict"
            await self._respond(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await self._respond(send, 403, refusal or self._closed(scope))

    def _refusal(self, scope: Scope) -> str | None:
        """Say why this request cannot be ours, whatever its cookie."""
        hosts, origins = _all(scope, b"host"), _all(scope, b"origin")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "The studio answers to its own address only."
        if len(origins) > 1 or any(origin not in self._origins for origin in origins):
            return "The studio answers to its own page only."
        if scope["type"] == "websocket":
            return None if origins else "A connection must say which page it comes from."
        return None if scope["method"] in ("GET", "HEAD") else "The studio's pages can only be read."

    def _has_cookie(self, scope: Scope) -> bool:
        for text in _all(scope, b"cookie"):
            try:
                found = SimpleCookie(text).get(self._name)
            except CookieError:
                continue
            if found is not None and secrets.compare_digest(found.value.encode(), self._secret.encode()):
                return True
        return False

    def _spends_token(self, scope: Scope) -> bool:
        given = _token(scope)
        if scope["path"] != "/" or scope["method"] != "GET" or self._token is None or given is None:
            return False
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return False
        self._token, self._spent = None, self._token
        return True

    def _closed(self, scope: Scope) -> str:
        """Return what a browser without a cookie is told; one that came with a spent token may have a new one."""
        given = _token(scope)
        spent = given is not None and self._spent is not None and secrets.compare_digest(given, self._spent)
        if scope["path"] == "/" and spent:
            if self._token is None:
                self.new_address()
            return "This address was used already. The terminal in which the studio runs shows a new one."
        return "Open the address that the terminal shows."

    async def _respond(self, send: Send, status: int, text: str, headers: Headers = ()) -> None:
        body = text.encode()
        start: Headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        guarded = self._with_headers(send)
        await guarded({"type": "http.response.start", "status": status, "headers": [*start, *headers]})
        await guarded({"type": "http.response.body", "body": body})

    def _with_headers(self, send: Send) -> Send:
        async def guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        return guarded


def _all(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _token(scope: Scope) -> str | None:
    try:
        tokens = parse_qs(scope["query_string"].decode("ascii"), max_num_fields=4).get("token", [])
    except (UnicodeDecodeError, ValueError):
        return None
    return tokens[0] if len(tokens) == 1 and tokens[0].isascii() else None
