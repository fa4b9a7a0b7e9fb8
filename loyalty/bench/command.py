"""`loyalty bench`: a server, a web process and a load process of its own, thrown away afterwards.

The database keeps `fsync` and `synchronous_commit`: what is measured is what a station gets. The load tool is on the same machine, so
absolute figures mean little; ratios to TPC-B of the same run are what counts.
"""

import argparse
import asyncio
import dataclasses
import json
import multiprocessing
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from loyalty import clock, schema
from loyalty.db import driver_dsn, make_engine, make_sessions
from loyalty.installation import open_keys
from loyalty.postgres import EmbeddedServer, find_binaries
from loyalty.serving import web_command
from loyalty.settings import Settings, default_workers

from . import allocation, backtest, load, misuse, portal, rules
from .population import Population, populate
from .yardstick import Yardstick

OPERATIONS = ("authorise", "complete", "sale")
_TICKS = os.sysconf("SC_CLK_TCK")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("rules", "misuse", "backtest", "fleet", "allocation"),
        help="measure only this: the rules engine, or what the detectors of misuse find in a generated year, without a server; "
        "a replay of a generated month, the pages of the portal of a large company, or the allocation of its month",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument(
        "--connections", type=int, action="append", help="connections, repeatable (default: 1, 16, 64, 256; with --json 64)"
    )
    parser.add_argument("--rules", type=int, default=1, help="live rules; with 200, five kinds meet on each fill (default 1)")
    parser.add_argument("--seconds", type=int, default=8, help="measured seconds of each row (default 8)")
    parser.add_argument("--accounts", type=int, default=100_000, help="accounts, one card each (default 100,000)")
    parser.add_argument("--workers", type=int, default=default_workers(), help="web processes (default: as `loyalty up`, one a core)")
    parser.add_argument(
        "--sales", type=int, default=1_000_000, help="backtest: sales of the month (default 1,000,000), by 20,000 customers"
    )
    parser.add_argument("--cards", type=int, default=10_000, help="fleet, allocation: cards of the one company (default 10,000)")
    parser.add_argument("--fills", type=int, help="fleet, allocation: fills of its year (default 2,000,000; allocation: 200,000)")
    parser.add_argument("--requests", type=int, default=20, help="fleet: measured requests of each page (default 20)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="fleet: make the company in this folder and leave it there, or measure the one there"
    )
    parser.add_argument("--operation", choices=OPERATIONS, action="append", help="only these, repeatable")
    parser.add_argument("--pool", action="store_true", help="all cards draw on one company pool")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Measure, and print."""
    if arguments.what == "misuse":
        scores = [score._asdict() for score in misuse.score(misuse.generate(1))]
        print(json.dumps(scores) if arguments.json else misuse.report())
        return 0
    if arguments.what == "rules":
        report = rules.measure()
        print(json.dumps(report) if arguments.json else rules.table(report))
        return 0
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="loyalty-bench-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    settings = dataclasses.replace(settings, data_dir=folder / "data", keys_dir=folder / "keys")
    try:
        if arguments.what == "backtest":
            figures = backtest.measure(settings, sales=arguments.sales, accounts=20_000, workers=arguments.workers)
            print(json.dumps(figures) if arguments.json else backtest.table(figures))
            return 0
        if arguments.what == "fleet":
            figures = portal.measure(
                settings, cards=arguments.cards, fills=arguments.fills or 2_000_000, requests=arguments.requests, start=_serve
            )
            print(json.dumps(figures) if arguments.json else portal.table(figures))
            return 0 if all(page["status"] == HTTPStatus.OK for page in figures["pages"]) else 1
        if arguments.what == "allocation":
            figures = allocation.measure(settings, cards=arguments.cards, fills=arguments.fills or 200_000)
            print(json.dumps(figures) if arguments.json else allocation.table(figures))
            return 0 if figures["sound"] else 1
        report = _bench(arguments, settings)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        print(json.dumps(report))
    else:
        _print_table(report)
    return 1 if report["errors"] else 0


def _serve(settings: Settings) -> tuple[subprocess.Popen[bytes], int]:
    port = _free_port()
    web = _start_web(dataclasses.replace(settings, workers=1, log_level="warning"), port)
    _wait_for(port)
    return web, port


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _bench(arguments: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    server = EmbeddedServer(settings.data_dir, settings.keys_dir)
    _say("Starting a database of its own …")
    server.start()
    try:
        url = server.url
        asyncio.run(schema.migrate(url))
        _say(f"Making {arguments.accounts:,} accounts with a card each …")
        settings = dataclasses.replace(settings, workers=arguments.workers, log_level="warning").beside_database(url)
        population = asyncio.run(_populate(settings, url, arguments))
        yardstick = Yardstick(Path(find_binaries(settings.data_dir).program("pgbench")), _database_for(server))
        _say("Filling TPC-B's tables (scale 50) …")
        yardstick.prepare()
        return _measure_all(arguments, settings, server, population, yardstick)
    finally:
        server.stop()


def _database_for(server: EmbeddedServer) -> str:
    async def make() -> None:
        connection = await asyncpg.connect(driver_dsn(server.url_of("postgres")))
        await connection.execute("CREATE DATABASE yardstick")
        await connection.close()

    asyncio.run(make())
    return server.url_of("yardstick")


async def _populate(settings: Settings, url: str, arguments: argparse.Namespace) -> Population:
    engine = make_engine(url, transaction_seconds=0)
    try:
        await open_keys(settings, engine, now=clock.real_now())
        return await populate(
            make_sessions(engine),
            driver_dsn(url),
            accounts=arguments.accounts,
            tills=64,
            pooled=arguments.pool,
            rules=arguments.rules,
            now=clock.business_now(),
            policy=settings.policy,
        )
    finally:
        await engine.dispose()


def _measure_all(
    arguments: argparse.Namespace, settings: Settings, server: EmbeddedServer, population: Population, yardstick: Yardstick
) -> dict[str, Any]:
    levels = arguments.connections or ([64] if arguments.json else [1, 16, 64, 256])
    operations = [name for name in OPERATIONS if not arguments.operation or name in arguments.operation]
    if "complete" in operations and "authorise" not in operations:
        operations.insert(0, "authorise")

    def cpu_of_server() -> float:
        return _cpu(server.pid or 0)

    measured: list[tuple[float, float]] = []

    def measure_yardstick() -> None:
        os.sync()
        measured.append(yardstick.measure(arguments.seconds, cpu_of_server))
        _say(f"TPC-B: {measured[-1][0]:,.0f} transactions/s")

    port = _free_port()
    web = _start_web(settings, port)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    loader = context.Process(target=load.serve, args=(theirs, msgspec.msgpack.encode(population), port), daemon=True)
    loader.start()
    # Ours is then the only end of the pipe here, so that a load process that dies is an error and not a silence.
    theirs.close()
    rows = []
    try:
        _wait_for(port)
        for connections in levels:
            for operation in operations:
                # Before each row and after the last: a machine with neighbours is fast and slow by turns.
                measure_yardstick()
                rows.append(_one(ours, web, server, operation, connections, arguments.seconds))
                _say(f"{operation} on {connections}: {rows[-1]['per_s']:,.0f}/s, p99 {rows[-1]['p99_ms']:.1f} ms {rows[-1]['first_error']}")
        measure_yardstick()
    finally:
        ours.send_bytes(b"")
        loader.join(10)
        web.terminate()
        web.wait()
    tpcb = sum(per_s for per_s, _ in measured) / len(measured)
    tpcb_cpu_us = round(1e6 * sum(cpu for _, cpu in measured) / len(measured))
    for row in rows:
        row["ratio"] = round(row["per_s"] / tpcb, 2)
    errors = sum(row.pop("errors") for row in rows)
    for row in rows:
        if not row["first_error"]:
            del row["first_error"]
    return {
        "tpcb_per_s": round(tpcb),
        "tpcb_runs": [round(per_s) for per_s, _ in measured],
        "tpcb_cpu_us": tpcb_cpu_us,
        "hot": rows,
        "errors": errors,
    }


def _one(
    pipe: Connection, web: subprocess.Popen[bytes], server: EmbeddedServer, operation: str, connections: int, seconds: int
) -> dict[str, Any]:
    warm_up = 2.0
    expected = int((seconds + warm_up) * (13_000 if connections > 1 else 3_000))
    # What was written before and waits in memory for the disk is nobody's cost here.
    os.sync()
    pipe.send_bytes(msgspec.msgpack.encode(load.Load(operation, connections, float(seconds), warm_up, expected)))
    before = _cpu(web.pid), _cpu(server.pid or 0)
    result = msgspec.msgpack.decode(pipe.recv_bytes(), type=load.Result)
    after = _cpu(web.pid), _cpu(server.pid or 0)
    spent = [after[0] - before[0], after[1] - before[1], result.cpu_seconds * (seconds + warm_up) / seconds]
    whole = sum(spent) or 1.0
    answered = result.answered or 1
    return {
        "operation": operation,
        "connections": connections,
        "per_s": round(result.done / result.seconds),
        "p50_ms": round(result.p50_ms, 2),
        "p99_ms": round(result.p99_ms, 2),
        "cpu": {"web": round(spent[0] / whole, 2), "database": round(spent[1] / whole, 2), "load": round(spent[2] / whole, 2)},
        "cpu_us": {
            "web": round(1e6 * spent[0] / answered),
            "database": round(1e6 * spent[1] / answered),
            "load": round(1e6 * spent[2] / answered),
        },
        "errors": result.errors,
        "first_error": result.first_error,
    }


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and everything below it, ended children included."""
    children: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            seconds[int(entry.name)] = sum(int(value) for value in fields[11:15]) / _TICKS
    whole, waiting = 0.0, [pid]
    while waiting:
        each = waiting.pop()
        whole += seconds.get(each, 0.0)
        waiting += children.get(each, [])
    return whole


def _start_web(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    words = web_command(host="127.0.0.1", port=port, workers=settings.workers)
    return subprocess.Popen(words, env=os.environ | settings.to_environment(), stdin=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def _print_table(report: dict[str, Any]) -> None:
    print(f"TPC-B (pgbench -M prepared, scale 50, 8 clients): {report['tpcb_per_s']:,} transactions/s")
    print(f"  before each row and after the last: {report['tpcb_runs']}; {report['tpcb_cpu_us']} µs of CPU each, client and server")
    heads = f"{'operation':<12}{'connections':>12}{'per s':>10}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}"
    print(f"{heads}   CPU web / database / load, µs a request")
    for row in report["hot"]:
        parts = ("web", "database", "load")
        split = " / ".join(f"{row['cpu'][part]:.0%}" for part in parts) + "   " + " / ".join(str(row["cpu_us"][part]) for part in parts)
        figures = f"{row['per_s']:>10,}{row['ratio']:>8.2f}{row['p50_ms']:>9.1f}{row['p99_ms']:>9.1f}"
        print(f"{row['operation']:<12}{row['connections']:>12}{figures}   {split}")
    print(f"errors: {report['errors']};  peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
