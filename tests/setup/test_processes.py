"""`loyalty up` as a person starts, stops and kills it: real processes, real signals."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from loyalty.postgres.living import processes_on
from loyalty.running import AlreadyRunning, FolderLock, open_database
from loyalty.settings import Settings

LOYALTY = str(Path(sys.executable).with_name("loyalty"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def loyalty(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LOYALTY, *words], capture_output=True, text=True, check=False)


@contextmanager
def up(data: Path, port: int, *more: str):
    """Start the service, wait until it says it is there, and kill it if the test leaves it running."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_URL", "LOYALTY_"))}
    process = subprocess.Popen(
        [LOYALTY, "up", "--data", str(data), "--port", str(port), "--workers", "2", "--no-demo", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd="/",
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Stop with Ctrl-C" in line:
                break
        else:
            pytest.fail(f"it ended: {''.join(said)}")
        yield process, said
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait()


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += [int(entry.name), *children_of(int(entry.name))]
    return found


def ends(pid: int, within_seconds: float = 30) -> bool:
    """Wait for a process that is not our child; a zombie nobody reaps has ended too."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_seconds)[0])
    finally:
        os.close(descriptor)


def test_up_serves_says_so_to_a_second_one_and_leaves_nothing(outside_folder):
    data, port = outside_folder / "up", free_port()
    with up(data, port) as (process, said):
        assert any(f"http://127.0.0.1:{port}/cashier" in line for line in said)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            assert json.load(answer) == {"status": "ok"}
        second = loyalty("up", "--data", str(data), "--port", str(free_port()))
        assert second.returncode == 1
        assert f"already runs on {data}" in second.stderr
        taken = loyalty("up", "--data", str(outside_folder / "x"), "--port", str(port))
        assert "choose another with --port" in taken.stderr
        # Other commands work on the running server's database.
        meanwhile = loyalty("partitions", "--data", str(data))
        assert (meanwhile.returncode, meanwhile.stdout) == (0, "All partitions are there.\n")
        everyone = children_of(process.pid)
        assert len(everyone) >= 8, "PostgreSQL's, the web server's and the scheduler's processes"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert all(ends(pid) for pid in everyone)
    assert processes_on(data / "cluster") == []


def test_a_killed_up_leaves_no_process_and_starts_again(outside_folder):
    data, port = outside_folder / "killed", free_port()
    with up(data, port) as (process, _):
        everyone = children_of(process.pid)
        process.kill()
        process.wait()
        assert all(ends(pid) for pid in everyone)
    # A pid file whose number now belongs to somebody else keeps nobody from starting.
    (data / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n{data / 'cluster'}\n")
    with up(data, port) as (process, _):
        postgres = processes_on(data / "cluster")
        assert postgres
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_up_mends_a_server_and_a_web_process_that_die(outside_folder):
    data, port = outside_folder / "mended", free_port()
    with up(data, port) as (process, _):
        os.kill(int((data / "cluster" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert any("PostgreSQL ended by itself" in line for line in iter(process.stdout.readline, ""))
        web = next(pid for pid in children_of(process.pid) if b"loyalty.serving" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(web, signal.SIGTERM)
        assert any("The web process ended" in line for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(60) == 0


def test_the_keys_lie_outside_the_data_and_only_ours_open_them(outside_folder):
    settings = Settings(data_dir=outside_folder / "kept", keys_dir=outside_folder / "kept-keys")
    with open_database(settings) as opened:
        assert opened.database_url is not None
        with pytest.raises(AlreadyRunning), open_database(settings):
            pass
    assert processes_on(settings.data_dir / "cluster") == []
    assert [path for path in settings.keys_dir.iterdir() if path.stat().st_mode & 0o077] == []
    assert settings.keys_dir.stat().st_mode & 0o077 == 0


def test_a_lock_is_freed_by_its_holders_death_not_by_a_file(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.take()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        second.take()
    first.free()
    second.take()
    second.free()
