"""A connection that waits too long is closed; one timer a pause watches it, not one a request."""

import asyncio
from types import SimpleNamespace

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from loyalty.authorizations.hot_protocol import PumpProtocol
from tests.authorizations.test_hot_head import BODY, HEAD

IDLE = 5


class Clock:
    """The loop's time and its one timer, moved by hand."""

    def __init__(self):
        self.now, self.timers = 100.0, []

    def time(self):
        return self.now

    def call_later(self, seconds, call):
        self.timers.append((self.now + seconds, call))
        return SimpleNamespace(cancel=lambda: None)

    def advance(self, seconds):
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, call in due:
            call()


class Transport:
    def __init__(self):
        self.written, self.closed = [], False

    def write(self, data):
        self.written.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def get_extra_info(self, name, default=None):
        return default


@pytest.fixture
def till():
    futures = []

    def begin(path, body, raw_path, signed):
        futures.append(asyncio.Future(loop=loop))
        return futures[-1]

    loop = asyncio.new_event_loop()
    config = Config(app="none", interface="asgi3", timeout_keep_alive=IDLE)
    config.loaded, config.loaded_app, config.ws_protocol_class = True, SimpleNamespace(hot=SimpleNamespace(begin=begin)), None
    clock, transport = Clock(), Transport()
    protocol = PumpProtocol(config, ServerState(), {}, _loop=clock)
    protocol.connection_made(transport)

    def ask():
        protocol.data_received(HEAD + BODY)

    def answer():
        futures[-1].set_result(b"{}")
        loop.run_until_complete(asyncio.sleep(0))

    yield SimpleNamespace(ask=ask, answer=answer, clock=clock, transport=transport)
    loop.close()


def test_a_till_that_goes_on_keeps_its_connection_and_one_timer(till):
    for _ in range(10):
        till.ask()
        till.answer()
        till.clock.advance(IDLE - 1)
        assert len(till.clock.timers) == 1
    assert len(till.transport.written) == 10
    assert not till.transport.closed


def test_a_till_that_says_nothing_is_let_go(till):
    till.ask()
    till.answer()
    till.clock.advance(IDLE)
    assert till.transport.closed


def test_a_till_that_waits_for_its_answer_is_not(till):
    till.ask()
    till.answer()
    till.clock.advance(IDLE - 1)
    till.ask()
    till.clock.advance(3 * IDLE)
    assert not till.transport.closed
    till.answer()
    assert len(till.transport.written) == 2
