"""`loyalty import` as a person runs it: files, exit codes, the row report, a kill in the middle."""

import argparse
import asyncio
import csv
import os
import subprocess
import sys

import asyncpg
import pytest

from loyalty.crypto import use_keyring
from loyalty.importing import command
from loyalty.importing.mapping import MapNotSound
from loyalty.importing.reading import FileNotReadable
from loyalty.settings import Settings

from .small import CUSTOMERS, CUSTOMERS_MAP


@pytest.fixture
def settings(databases, tmp_path):
    url = asyncio.run(databases.clone())
    yield Settings(database_url=url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    use_keyring(None)
    asyncio.run(databases.drop(url))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "customers.csv").write_text(CUSTOMERS + '3;=HYPERLINK("x");XX\n4;;CZ\n', encoding="utf-8")
    (tmp_path / "customers.toml").write_text(CUSTOMERS_MAP, encoding="utf-8")
    return tmp_path


def run(settings, *words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(words), settings)


def rows_of(settings, sentence: str) -> list:
    async def ask():
        connection = await asyncpg.connect(settings.database_url)
        try:
            return await connection.fetch(sentence)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_totals_on_the_screen_rows_in_the_report_and_three_where_some_were_rejected(settings, files, capsys):
    words = ("customers", str(files / "customers.csv"), "--map", str(files / "customers.toml"))
    assert run(settings, *words, "--dry-run") == 3
    assert "Dry run: nothing was kept." in capsys.readouterr().out
    assert rows_of(settings, "SELECT 1 FROM customers") == []
    assert run(settings, *words) == 3
    said = capsys.readouterr().out
    assert "added                3" in said
    assert "rejected             1" in said
    with (files / "customers.import-report.csv").open(encoding="utf-8-sig", newline="") as file:
        report = list(csv.DictReader(file))
    assert [(row["line"], row["outcome"], row["code"]) for row in report][-2:] == [("4", "added", ""), ("5", "rejected", "missing")]
    assert report[-1]["zh"] == "缺少 name，请补充。"
    assert (files / "customers.dry-run-report.csv").is_file()


def test_the_report_goes_where_it_can(settings, files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    run(settings, "customers", "customers.csv", "--map", "customers.toml", "--report", "elsewhere.csv")
    assert "elsewhere.csv" in capsys.readouterr().out
    assert (files / "elsewhere.csv").is_file()


def test_what_cannot_be_is_said_in_a_sentence(settings, files):
    with pytest.raises(FileNotReadable, match="no file"):
        run(settings, "customers", "none.csv", "--map", str(files / "customers.toml"))
    with pytest.raises(MapNotSound, match="maps customers, not stations"):
        run(settings, "stations", str(files / "customers.csv"), "--map", str(files / "customers.toml"))


def test_killed_in_the_middle_it_goes_on_where_it_was(settings, tmp_path, capsys):
    rows = "".join(f"{number};Firm {number};CZ\n" for number in range(50))
    (tmp_path / "many.csv").write_text("Nr;Firma;Land\n" + rows, encoding="utf-8")
    (tmp_path / "map.toml").write_text(CUSTOMERS_MAP, encoding="utf-8")
    words = ("customers", str(tmp_path / "many.csv"), "--map", str(tmp_path / "map.toml"), "--set-rows", "20")
    killed = subprocess.run(
        [sys.executable, "-c", "import sys; from loyalty.cli import main; sys.exit(main(sys.argv[1:]))", "import", *words],
        env=os.environ | settings.to_environment() | {"LOYALTY_CRASH": "import-after-set"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    assert rows_of(settings, "SELECT count(*) FROM customers")[0][0] == 20
    assert run(settings, *words) == 0
    said = capsys.readouterr().out
    assert "Went on behind line 21" in said
    assert rows_of(settings, "SELECT count(*) FROM customers")[0][0] == 50
    assert rows_of(settings, "SELECT count(DISTINCT customer_id) FROM customer_references")[0][0] == 50
