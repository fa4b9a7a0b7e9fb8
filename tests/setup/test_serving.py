"""Workers listen beside each other on one port, and the kernel shares connections out among them."""

import pickle
import socket
import sys

import pytest

from loyalty.serving import HeldPort

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only here does the kernel share connections out")


def test_what_holds_a_port_becomes_a_listener_of_its_own_in_each_worker():
    with HeldPort(socket.AF_INET, ("127.0.0.1", 0)) as held:
        workers = [pickle.loads(pickle.dumps(held)) for _ in range(2)]  # noqa: S301 - as it is sent to a worker
        for worker in workers:
            worker.listen(256)
            worker.setblocking(False)
        tills = [socket.create_connection(held.getsockname()) for _ in range(200)]
        shares = [accepted(worker) for worker in workers]
        for each in (*tills, *workers):
            each.close()
    assert sum(shares) == 200
    assert min(shares) > 50


def accepted(worker: socket.socket) -> int:
    count = 0
    while True:
        try:
            worker.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_port_in_use_is_not_shared_with_a_stranger():
    with socket.create_server(("127.0.0.1", 0)) as stranger, pytest.raises(OSError, match="in use"):
        HeldPort(socket.AF_INET, stranger.getsockname())
