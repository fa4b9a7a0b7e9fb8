"""The files that deliver the product say what they should."""

import re
from pathlib import Path

import pytest
import yaml

import hatch_build

ROOT = Path(__file__).parents[2]


def test_compose_has_database_app_and_one_scheduler_with_health_checks_and_secrets_by_file():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert services["database"]["image"] == "postgres:18"
    for name in ("database", "app", "scheduler"):
        assert services[name]["healthcheck"]["test"][0] == "CMD"
        assert services[name]["secrets"]
        assert not [
            value for value in services[name]["environment"].values() if "password" in value and not value.startswith("/run/secrets/")
        ]
    assert services["app"]["command"][0] == "web"
    assert services["scheduler"]["entrypoint"] == ["python", "-m", "jobs"]
    assert {secret["file"] for secret in compose["secrets"].values()} == {"./secrets/database_password", "./secrets/database_url"}
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_lock_pins_everything_with_hashes_and_names_no_host():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index|--find-links", lock)
    for pin in re.split(r"\n(?=\S)", lock.strip()):
        assert "--hash=sha256:" in pin, pin.splitlines()[0]


def test_third_party_scripts_are_the_approved_bytes_or_no_build(tmp_path, monkeypatch):
    hatch_build.copy_assets(tmp_path)
    assert {path.name for path in (tmp_path / hatch_build.VENDOR).iterdir()} == set(hatch_build.ASSETS)
    wheel, inside, _ = hatch_build.ASSETS["uplot.min.js"]
    monkeypatch.setitem(hatch_build.ASSETS, "uplot.min.js", (wheel, inside, "0" * 64))
    with pytest.raises(RuntimeError, match=r"uplot.*has sha256"):
        hatch_build.copy_assets(tmp_path)
