"""A web process and its database sessions keep to a core of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loyalty.cores import OwnCore, worker_on_each
from loyalty.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are kept on a core on Linux alone")

_WORKER = (
    "import os, sys; from loyalty.cores import OwnCore; core = OwnCore(); core.take();"
    "print(*os.sched_getaffinity(0), flush=True); sys.stdin.read()"
)


def _worker() -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _cores_of(worker: "subprocess.Popen[str]") -> set[int]:
    assert worker.stdout is not None
    return {int(core) for core in worker.stdout.readline().split()}


def test_workers_of_one_parent_have_a_core_each_and_the_one_after_a_dead_one_finds_its_core() -> None:
    everywhere = os.sched_getaffinity(0)
    workers = [_worker() for _ in everywhere]
    try:
        taken = [_cores_of(worker) for worker in workers]
        assert sorted(core for (core,) in taken) == sorted(everywhere)

        workers.append(_worker())
        assert _cores_of(workers[-1]) == everywhere, "there was none left, so it runs anywhere"

        workers[0].kill()
        workers[0].wait()
        workers.append(_worker())
        assert _cores_of(workers[-1]) == taken[0]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_a_session_is_kept_on_the_core_and_a_stranger_is_no_error() -> None:
    code = (
        "import os,sys; from loyalty.cores import OwnCore, run_anywhere; core = OwnCore(); core.take(); core.share(int(sys.argv[1]));"
        "core.share(2**22 - 1); own = os.sched_getaffinity(0); run_anywhere(); print(own, os.sched_getaffinity(0))"
    )
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        said = subprocess.run([sys.executable, "-c", code, str(other.pid)], capture_output=True, text=True, check=True).stdout
        kept = os.sched_getaffinity(other.pid)
        other.kill()
    assert said.strip() == f"{kept} {os.sched_getaffinity(0)}"
    assert len(kept) == 1


def test_who_took_no_core_moves_nobody() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        OwnCore().share(other.pid)
        assert os.sched_getaffinity(other.pid) == os.sched_getaffinity(0)
        other.kill()


def test_up_gives_cores_where_it_starts_a_worker_on_each_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    assert worker_on_each(cores)
    base = Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", workers=cores)
    assert base.beside_database("postgresql://x/y").to_environment()["LOYALTY_OWN_CORES"] == "1"
    other = Settings(data_dir=tmp_path / "data", keys_dir=tmp_path / "keys", workers=cores + 1)
    assert other.beside_database("postgresql://x/y").own_cores is False
    told = Settings.from_environment({"LOYALTY_DATA": str(tmp_path), "LOYALTY_WORKERS": str(cores), "LOYALTY_OWN_CORES": "0"})
    assert told.beside_database("postgresql://x/y").own_cores is False
    assert "LOYALTY_OWN_CORES" not in base.to_environment(), "a database elsewhere has sessions that are not this machine's"
