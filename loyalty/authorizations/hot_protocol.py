"""The web server's protocol with a short way for the hot routes.

A till's request that comes whole and plain (`hot_head.py`) is verified, decoded and queued as soon as it is received, and answered in one
write: no parser callbacks, no task, no ASGI messages, no response object. Measured, that is a quarter of what the web process spends on a
sale. Everything else takes the server's own way to the same application, where `HotRoutes` answers it as ASGI.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .hot_api import JSON_HEADERS, PROBLEM_HEADERS, HotRoutes, problem_of
from .hot_head import PlainRequest, read_plain

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
    """A connection's request on the short way, one at a time: what the server asks of a request in progress."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    message_event: Final = _NOBODY_WAITS

    def __init__(self) -> None:
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = True


class PumpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol; its application is `loyalty.main.Application`, which knows the hot routes once the pump runs."""

    cycle: Any
    _between = True
    """Whether the server's parser stands between two requests."""
    _answered_at = 0.0

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._hot = HotCycle()

    @property
    def application(self) -> Any:
        """Our application, whose lifespan has run before the first connection."""
        return self.app

    def data_received(self, data: bytes) -> None:
        """Choose the way of what came: a request of its own, plain and on a connection that waits for one, takes the short one."""
        before = self.cycle
        plain = read_plain(data) if self._between and (before is None or before.response_complete) and not self.root_path else None
        if plain is None:
            super().data_received(data)
        else:
            self._begin(plain)

    def on_message_begin(self) -> None:
        """Note that the parser is within a request."""
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that the parser is between two requests."""
        self._between = True
        super().on_message_complete()

    def _begin(self, plain: PlainRequest) -> None:
        cycle = self.cycle = self._hot
        cycle.response_complete = False
        try:
            routes: HotRoutes = self.application.hot
            future = routes.begin(plain.path, plain.body, plain.raw_path, plain.signed)
        except Exception as error:  # noqa: BLE001 - said to the till as a problem
            self._refuse(error)
        else:
            if future.done():
                self._finish(future)
            else:
                future.add_done_callback(self._finish)

    def _finish(self, future: asyncio.Future[bytes]) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is not None:
            self._refuse(error)
            return
        answer = future.result()
        self._write(_OK % len(answer), answer)

    def _refuse(self, error: BaseException) -> None:
        status, said = problem_of(error)
        self._write(_REFUSED % (STATUS_LINE[status], len(said)), said)

    def _write(self, head: bytes, body: bytes) -> None:
        cycle, transport = self._hot, self.transport
        cycle.response_complete = True
        if transport.is_closing():
            return
        if not cycle.keep_alive:
            # The server is stopping.
            transport.write(head + _CLOSE + _END + body)
            transport.close()
            return
        transport.write(head + _END + body)
        if self.pipeline:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch(self.timeout_keep_alive)

    def _watch(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing came for a while. The short way leaves the timer as it is: one a pause, not one a request."""
        self.timeout_keep_alive_task = None
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if not self._hot.response_complete:
            self._watch(self.timeout_keep_alive)
        elif left > 0:
            self._watch(left)
        else:
            super().timeout_keep_alive_handler()
