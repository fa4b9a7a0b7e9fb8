"""The web server's protocol with a short way for the hot routes.

A till's request is verified, decoded and queued straight from the parser's callback, and answered in one write: no task, no ASGI messages,
no response object. Measured, that is a quarter of what the web process spends on a sale. Everything else (other paths, pipelined requests,
a query, HTTP/1.0, `Expect`) takes the server's own way to the same application, where `HotRoutes` answers it as ASGI.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .hot_api import BODY_MAX, JSON_HEADERS, PROBLEM_HEADERS, BodyTooLarge, HotRoutes, is_hot, problem_of

_OK: Final = STATUS_LINE[200] + b"".join(b"%b: %b\r\n" % header for header in JSON_HEADERS) + b"content-length: %d\r\n"
_REFUSED: Final = b"%b" + b"".join(b"%b: %b\r\n" % header for header in PROBLEM_HEADERS) + b"content-length: %d\r\n"
_CLOSE: Final = b"connection: close\r\n"
_END: Final = b"\r\n"


class _NoEvent:
    """Stands for the event on which the server wakes an ASGI application; here nobody waits for it."""

    def set(self) -> None:
        """Do nothing."""


_NOBODY_WAITS: Final = _NoEvent()


class HotCycle:
    """One request on the short way: what the server asks of a request in progress, and the answer's way back."""

    __slots__ = ("body", "disconnected", "keep_alive", "path", "raw_path", "response_complete", "too_large")

    message_event: Final = _NOBODY_WAITS

    def __init__(self, raw_path: bytes, path: str) -> None:
        self.raw_path = raw_path
        self.path = path
        self.body = b""
        self.too_large = False
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False


class PumpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol; its application is `loyalty.main.Application`, which knows the hot routes once the pump runs."""

    cycle: Any

    @property
    def application(self) -> Any:
        """Our application, whose lifespan has run before the first connection."""
        return self.app

    def on_headers_complete(self) -> None:
        """Choose the way of a request as soon as its head is read."""
        cycle = self._hot_cycle()
        if cycle is None:
            super().on_headers_complete()
        else:
            self.cycle = cycle

    def _hot_cycle(self) -> HotCycle | None:
        before = self.cycle
        if before is not None and not before.response_complete:
            return None
        parser = self.parser
        if parser.get_method() != b"POST" or self.expect_100_continue or not parser.should_keep_alive() or parser.should_upgrade():
            return None
        path = self.url.decode("latin-1")
        if not is_hot(path) or "%" in path or "?" in path or self.root_path or parser.get_http_version() != "1.1":
            return None
        return HotCycle(self.url, path)

    def on_body(self, body: bytes) -> None:
        """Gather the body; what no request needs is not kept."""
        cycle = self.cycle
        if type(cycle) is not HotCycle:
            super().on_body(body)
        elif len(cycle.body) + len(body) > BODY_MAX:
            cycle.too_large = True
        else:
            cycle.body = cycle.body + body if cycle.body else body

    def on_message_complete(self) -> None:
        """Hand a whole request to the pump."""
        cycle = self.cycle
        if type(cycle) is not HotCycle:
            super().on_message_complete()
            return
        if cycle.too_large:
            self._refuse(cycle, BodyTooLarge())
            return
        try:
            routes: HotRoutes = self.application.hot
            future = routes.begin(cycle.path, cycle.body, cycle.raw_path, self.headers)
        except Exception as error:  # noqa: BLE001 - said to the till as a problem
            self._refuse(cycle, error)
        else:
            if future.done():
                self._finish(cycle, future)
            else:
                future.add_done_callback(lambda done: self._finish(cycle, done))

    def _finish(self, cycle: HotCycle, future: asyncio.Future[bytes]) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is not None:
            self._refuse(cycle, error)
            return
        answer = future.result()
        self._write(cycle, _OK % len(answer), answer)

    def _refuse(self, cycle: HotCycle, error: BaseException) -> None:
        status, said = problem_of(error)
        self._write(cycle, _REFUSED % (STATUS_LINE[status], len(said)), said)

    def _write(self, cycle: HotCycle, head: bytes, body: bytes) -> None:
        cycle.response_complete = True
        transport = self.transport
        if transport.is_closing():
            return
        if cycle.keep_alive:
            transport.write(head + _END + body)
            self.on_response_complete()
        else:
            # The server is stopping.
            transport.write(head + _CLOSE + _END + body)
            transport.close()
