"""What the surroundings say, and what is refused."""

import pytest

from loyalty.cli import main
from loyalty.postgres.tuning import memory_bytes, settings_for
from loyalty.settings import SettingRefused, Settings


def test_a_child_reads_the_settings_its_parent_had(tmp_path):
    settings = Settings.from_environment(
        {"LOYALTY_DATA": str(tmp_path / "data"), "DATABASE_URL": "postgresql://a@b/c", "LOYALTY_DEMO": "0", "LOYALTY_POLICY": "generic"}
    )
    assert Settings.from_environment(settings.to_environment()) == settings
    assert settings.keys_dir == tmp_path / "data-keys"
    assert not settings.embedded


def test_a_secret_may_stand_in_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql://a@b/c\n")
    assert Settings.from_environment({"DATABASE_URL_FILE": str(tmp_path / "url")}).database_url == "postgresql://a@b/c"
    with pytest.raises(SettingRefused, match="cannot be read"):
        Settings.from_environment({"DATABASE_URL_FILE": str(tmp_path / "missing")})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOYALTY_POLICY", "x"),
        ("LOYALTY_DEMO", "perhaps"),
        ("LOYALTY_WORKERS", "0"),
        ("LOYALTY_WORKERS", "²"),
        ("LOYALTY_LOG_LEVEL", "loud"),
    ],
)
def test_an_unknown_value_is_refused_by_name(name, value):
    with pytest.raises(SettingRefused, match=name):
        Settings.from_environment({name: value})


def test_keys_inside_the_data_are_refused(tmp_path):
    with pytest.raises(SettingRefused, match="inside the data folder"):
        Settings.from_environment({"LOYALTY_DATA": str(tmp_path), "LOYALTY_KEYS": str(tmp_path / "keys")})


@pytest.mark.parametrize(
    ("given", "embedded", "fills"),
    [({}, True, True), ({"DATABASE_URL": "postgresql://x/y"}, False, False), ({"LOYALTY_DEMO": "no"}, True, False)],
)
def test_demo_data_is_never_put_into_somebody_elses_database_unasked(given, embedded, fills):
    settings = Settings.from_environment(given)
    assert (settings.embedded, settings.fills_demo) == (embedded, fills)


def test_the_server_takes_a_quarter_of_the_memory_this_container_may_use(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:       16777216 kB\n")
    assert memory_bytes(tmp_path, tmp_path) == 16 << 30
    (tmp_path / "memory.max").write_text("4294967296\n")
    memory = memory_bytes(tmp_path, tmp_path)
    assert memory == 4 << 30
    assert settings_for(memory)["shared_buffers"] == "1024MB"
    assert not {"fsync", "synchronous_commit", "full_page_writes"} & set(settings_for(memory))


def test_help_is_given_and_a_mendable_mistake_is_one_sentence(capsys, monkeypatch):
    assert main([]) == 2
    assert "start everything" in capsys.readouterr().out
    monkeypatch.setenv("LOYALTY_POLICY", "none")
    assert main(["migrate"]) == 1
    assert capsys.readouterr().err.startswith("loyalty migrate: LOYALTY_POLICY")
