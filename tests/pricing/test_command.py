"""`loyalty rules` at a terminal: out to a file, changed by hand, in again as a draft, compared, submitted."""

import argparse
import asyncio

import pytest

from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.pricing import command
from loyalty.pricing.document import Document
from loyalty.pricing.operations import publish
from loyalty.settings import Settings
from tests.factories.world import make_world
from tests.pricing.documents import rule


@pytest.fixture
async def rules(database_url, sessions, now, capsys):
    """Return the command on a database with one live rule and one member of staff: words in, exit code and output out."""
    async with transaction(sessions) as session:
        await make_world(session, now=now)
        await identity.hire(session, employee_number="1001", name="王丽", now=now)
        await publish(session, document=Document(rules=(rule(),)), note="开业", now=now)
    settings = Settings.from_environment({"DATABASE_URL": database_url})
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)

    async def run(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(command.run, parser.parse_args(words), settings)
        return code, capsys.readouterr().out

    return run


async def test_a_file_goes_out_is_changed_and_comes_in_as_a_draft(rules, tmp_path):
    path = tmp_path / "rules.toml"
    assert (await rules("export", str(path)))[0] == 0
    path.write_text(path.read_text("utf-8").replace("rate_e4 = 3000", "rate_e4 = 3500"), "utf-8")
    code, said = await rules("import", str(path), "--note", "十月", "--as", "1001")
    assert code == 0
    assert "effect.rate_e4: 3000 → 3500" in said
    number = said.split()[1]
    code, said = await rules("diff", "1", number)
    assert "changed  rules per-litre" in said
    code, said = await rules("submit", number, "--as", "1001")
    assert "Somebody else approves it" in said
    code, said = await rules("list")
    assert f"{number}  submitted" in said
    assert "1  live" in said
    code, said = await rules("show", number)
    assert (code, "王丽" in said) == (0, True)


async def test_what_is_live_goes_to_standard_output_as_the_readme_says(rules, tmp_path):
    code, said = await rules("export")
    assert (code, "[[rules]]" in said) == (0, True)
    assert await rules("export", "1", "-") == (0, said)
    assert (await rules("export", "1", str(tmp_path / "one.toml")))[0] == 0
    assert (tmp_path / "one.toml").read_text("utf-8") == said
    with pytest.raises(command.WordsNotUnderstood, match="one number and one file"):
        await rules("export", "1", "one.toml", "two.toml")


async def test_faults_are_named_line_by_line_and_keep_it_from_being_submitted(rules, tmp_path):
    path = tmp_path / "rules.toml"
    await rules("export", str(path))
    path.write_text(path.read_text("utf-8").replace("\n[rules.when]", "group = 'gone'\nbudget = 'gone'\n[rules.when]"), "utf-8")
    code, said = await rules("import", "--check", str(path))
    assert code == command.FAULTY
    assert said.count("fault ") == 2
    assert "Draft" not in said
    code, said = await rules("import", str(path))
    assert code == command.FAULTY
    code, said = await rules("submit", said.split()[1], "--as", "1001")
    assert (code, said.count("fault ")) == (command.FAULTY, 2)


async def test_what_cannot_be_done_is_said_in_a_sentence(rules, tmp_path):
    with pytest.raises(command.RulesRefused, match="no such rulebook"):
        await rules("show", "99")
    with pytest.raises(command.RulesRefused, match="cannot be read"):
        await rules("import", str(tmp_path / "nothing.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("rules = [")
    with pytest.raises(command.RulesRefused, match="cannot be read"):
        await rules("import", str(broken))
    with pytest.raises(command.StaffUnknown):
        await rules("submit", "1", "--as", "7")
    with pytest.raises(SystemExit):
        await rules("approve", "1")
