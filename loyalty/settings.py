"""What the surroundings say, read once at the edge. Nothing below the composition root reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from loyalty.cores import worker_on_each

POLICIES = ("cn-single-purpose", "generic")
SMTP_SCHEMES = ("smtp", "smtps")
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingRefused(Exception):  # noqa: N818 - said to a person in one sentence, then the process ends
    """A setting that cannot be used; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One process's settings."""

    database_url: str | None = None
    """An outside PostgreSQL 18 (`DATABASE_URL` or the file `DATABASE_URL_FILE`); None: the embedded one under `data_dir`."""
    data_dir: Path
    """The embedded server's data, socket and log (`LOYALTY_DATA`)."""
    keys_dir: Path
    """Keys and generated passwords (`LOYALTY_KEYS`): never inside `data_dir`, so that a copy of the data opens nothing."""
    demo: bool | None = None
    """Demo data wanted (`LOYALTY_DEMO`): None means yes in the embedded database and no in any other."""
    policy: str = POLICIES[0]
    """The policy profile (`LOYALTY_POLICY`)."""
    locale: str = "zh_CN"
    """The pages' language before a reader chooses (`LOYALTY_LOCALE`)."""
    zone: str = "Asia/Shanghai"
    """The IANA zone of a new station and of the office (`LOYALTY_ZONE`)."""
    public_url: str = "http://127.0.0.1:8000"
    """How customers' phones reach the service, without a slash at the end (`LOYALTY_PUBLIC_URL`)."""
    workers: int = 2
    """Web processes (`LOYALTY_WORKERS`)."""
    own_cores: bool | None = None
    """Whether each web process and its database sessions keep to a core of their own (`LOYALTY_OWN_CORES`). None means that `loyalty up`
    decides: yes where it runs the database and starts a worker a core (see `cores.py`)."""
    smtp_url: str | None = None
    """The mail server (`LOYALTY_SMTP` or the file `LOYALTY_SMTP_FILE`): `smtp://name:password@host:587`, `smtps://…:465`. None: mail
    is kept where the office reads it, and not sent."""
    mail_from: str = "Loyalty <no-reply@localhost>"
    """Who mail is from (`LOYALTY_MAIL_FROM`)."""
    log_level: str = "info"
    """`LOYALTY_LOG_LEVEL`."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; a secret `NAME` may stand in the file named by `NAME_FILE`.

        :raises SettingRefused: if a value is not one this product knows, or a secret's file cannot be read
        """
        data = Path(environ["LOYALTY_DATA"]) if environ.get("LOYALTY_DATA") else default_data_dir(environ)
        keys = Path(environ["LOYALTY_KEYS"]) if environ.get("LOYALTY_KEYS") else keys_dir_beside(data)
        return cls(
            database_url=_secret(environ, "DATABASE_URL"),
            data_dir=data.absolute(),
            keys_dir=keys.absolute(),
            demo=_switch(environ, "LOYALTY_DEMO"),
            policy=_one_of(environ, "LOYALTY_POLICY", POLICIES),
            locale=_one_of(environ, "LOYALTY_LOCALE", ("zh_CN", "en")),
            zone=environ.get("LOYALTY_ZONE") or "Asia/Shanghai",
            public_url=(environ.get("LOYALTY_PUBLIC_URL") or "http://127.0.0.1:8000").rstrip("/"),
            workers=_count(environ, "LOYALTY_WORKERS", default_workers()),
            own_cores=_switch(environ, "LOYALTY_OWN_CORES"),
            smtp_url=_secret(environ, "LOYALTY_SMTP"),
            mail_from=environ.get("LOYALTY_MAIL_FROM") or "Loyalty <no-reply@localhost>",
            log_level=_one_of(environ, "LOYALTY_LOG_LEVEL", LOG_LEVELS, default="info"),
        ).checked()

    def checked(self) -> Self:
        """Return these settings if they agree with each other.

        :raises SettingRefused: if the keys would lie inside the data folder
        """
        if self.keys_dir == self.data_dir or self.data_dir in self.keys_dir.parents:
            raise SettingRefused(f"The keys folder {self.keys_dir} lies inside the data folder {self.data_dir}; choose another (--keys).")
        if self.smtp_url is not None and urlsplit(self.smtp_url).scheme not in SMTP_SCHEMES:
            raise SettingRefused("LOYALTY_SMTP begins with smtp:// or smtps://, as in smtps://name:password@mail.example.com:465.")
        return self

    def with_data(self, data: Path | None, keys: Path | None = None) -> Self:
        """Return the settings of another data folder, its keys beside it unless named."""
        if data is None and keys is None:
            return self
        data_dir = self.data_dir if data is None else data.absolute()
        keys_dir = keys.absolute() if keys is not None else (self.keys_dir if data is None else keys_dir_beside(data_dir))
        return replace(self, data_dir=data_dir, keys_dir=keys_dir).checked()

    @property
    def embedded(self) -> bool:
        """Whether this product runs its own PostgreSQL."""
        return self.database_url is None

    def beside_database(self, url: str) -> Self:
        """Return these settings for the web processes beside a database that this machine runs at `url`."""
        own_cores = worker_on_each(self.workers) if self.own_cores is None else self.own_cores
        return replace(self, database_url=url, own_cores=own_cores)

    @property
    def fills_demo(self) -> bool:
        """Whether an empty database is filled with the demo chain."""
        return self.embedded if self.demo is None else self.demo

    def to_environment(self) -> dict[str, str]:
        """Return the variables from which a child process reads these same settings."""
        variables = {
            "LOYALTY_DATA": str(self.data_dir),
            "LOYALTY_KEYS": str(self.keys_dir),
            "LOYALTY_POLICY": self.policy,
            "LOYALTY_LOCALE": self.locale,
            "LOYALTY_ZONE": self.zone,
            "LOYALTY_PUBLIC_URL": self.public_url,
            "LOYALTY_WORKERS": str(self.workers),
            "LOYALTY_LOG_LEVEL": self.log_level,
        }
        variables["LOYALTY_MAIL_FROM"] = self.mail_from
        secrets = {"DATABASE_URL": self.database_url, "LOYALTY_SMTP": self.smtp_url}
        variables |= {name: secret for name, secret in secrets.items() if secret is not None}
        for name, switch in (("LOYALTY_DEMO", self.demo), ("LOYALTY_OWN_CORES", self.own_cores)):
            if switch is not None:
                variables[name] = "1" if switch else "0"
        return variables


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the user's own data folder; root's is under /var/lib, which the unprivileged database user can reach."""
    if environ.get("XDG_DATA_HOME"):
        return Path(environ["XDG_DATA_HOME"]) / "loyalty"
    if os.geteuid() == 0:
        return Path("/var/lib/loyalty")
    return Path.home() / ".local" / "share" / "loyalty"


def keys_dir_beside(data_dir: Path) -> Path:
    """Return the keys folder that belongs to a data folder: its neighbour."""
    return data_dir.with_name(f"{data_dir.name}-keys")


def default_workers() -> int:
    """One web process a core, at least two so that one can be replaced while the other serves."""
    return max(2, min(8, os.cpu_count() or 2))


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    file = environ.get(f"{name}_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip() or None
        except OSError as error:
            raise SettingRefused(f"{name}_FILE names {file}, which cannot be read: {error.strerror}.") from error
    return environ.get(name) or None


def _switch(environ: Mapping[str, str], name: str) -> bool | None:
    value = environ.get(name, "").lower()
    if value in {"", "auto"}:
        return None
    if value in {"1", "yes", "true", "on"}:
        return True
    if value in {"0", "no", "false", "off"}:
        return False
    raise SettingRefused(f"{name}={value!r} is neither 1 nor 0.")


def _one_of(environ: Mapping[str, str], name: str, known: tuple[str, ...], default: str | None = None) -> str:
    value = environ.get(name) or default or known[0]
    if value not in known:
        raise SettingRefused(f"{name}={value!r} is unknown; choose one of: {', '.join(known)}.")
    return value


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 64:
        raise SettingRefused(f"{name}={value!r} is not a number from 1 to 64.")
    return int(value)
