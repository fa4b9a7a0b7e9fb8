"""The demo's log-ins: drawn at random when the chain is made, kept beside the keys, printed at each start."""

import base64
import itertools
import os
import secrets
from pathlib import Path

import msgspec

from loyalty.crypto import new_totp_secret, totp_uri

_FILE = "demo-log-ins.json"
_WORDS = [
    "amber",
    "anchor",
    "apple",
    "autumn",
    "bamboo",
    "basket",
    "beacon",
    "birch",
    "bridge",
    "bronze",
    "candle",
    "canyon",
    "carpet",
    "cedar",
    "cherry",
    "cinder",
    "clover",
    "cobalt",
    "copper",
    "coral",
    "cotton",
    "crane",
    "cricket",
    "crystal",
    "dancer",
    "dawn",
    "delta",
    "desert",
    "domino",
    "dragon",
    "eagle",
    "ember",
    "falcon",
    "fennel",
    "ferry",
    "field",
    "finch",
    "flame",
    "forest",
    "fossil",
    "garden",
    "ginger",
    "glacier",
    "granite",
    "harbor",
    "hazel",
    "heron",
    "honey",
    "indigo",
    "island",
    "ivory",
    "jasmine",
    "kettle",
    "lagoon",
    "lantern",
    "laurel",
    "lemon",
    "lotus",
    "magnet",
    "maple",
    "marble",
    "meadow",
    "melon",
    "mirror",
    "morning",
    "mosaic",
    "nectar",
    "nickel",
    "nutmeg",
    "oasis",
    "ocean",
    "olive",
    "onyx",
    "orchid",
    "otter",
    "oyster",
    "pebble",
    "pepper",
    "pilot",
    "plum",
    "pollen",
    "quartz",
    "quiver",
    "raven",
    "ribbon",
    "river",
    "rocket",
    "saddle",
    "saffron",
    "salmon",
    "sapphire",
    "shadow",
    "silver",
    "sparrow",
    "spruce",
    "summit",
    "sunset",
    "temple",
    "thistle",
    "thunder",
    "tiger",
    "timber",
    "topaz",
    "tulip",
    "turtle",
    "valley",
    "velvet",
    "violet",
    "walnut",
    "willow",
    "window",
    "winter",
    "yarrow",
    "zephyr",
]


class OfficeLogIn(msgspec.Struct):
    """A person of the office: password and second factor."""

    log_in_name: str
    name: str
    role: str
    password: str
    totp_secret: str
    """Base 32, as authenticator apps take it."""


class CounterLogIn(msgspec.Struct):
    """A person at the counter: staff card and PIN."""

    name: str
    role: str
    station: str
    card_number: str
    pin: str


class DemoCard(msgspec.Struct):
    """A holder's card to try things with."""

    what: str
    number: str
    pin: str


class LogIns(msgspec.Struct):
    """All that is printed."""

    office: list[OfficeLogIn] = []
    counter: list[CounterLogIn] = []
    cards: list[DemoCard] = []
    fleet: list[OfficeLogIn] = []
    partner: list[OfficeLogIn] = []


def new_password() -> str:
    """Return five random words and a number: some 40 bits, good enough for a demonstration on loopback."""
    return "-".join([*(secrets.choice(_WORDS) for _ in range(5)), str(secrets.randbelow(90) + 10)])


def new_pin(digits: int = 6) -> str:
    """Return random digits that no rule calls simple: no digit beside itself, no neighbours."""
    while True:
        pin = "".join(secrets.choice("0123456789") for _ in range(digits))
        steps = [int(after) - int(before) for before, after in itertools.pairwise(pin)]
        if all(abs(step) > 1 for step in steps) and len(set(pin)) > 3:
            return pin


def new_second_factor() -> tuple[bytes, str]:
    """Return a TOTP secret, raw and in base 32."""
    raw = new_totp_secret()
    return raw, base64.b32encode(raw).decode("ascii")


def keep(log_ins: LogIns, folder: Path) -> None:
    """Write them where only we read them."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f"{_FILE}.new"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(log_ins)))
    fresh.rename(folder / _FILE)


def kept(folder: Path) -> LogIns | None:
    """Return what was kept; None where nothing was."""
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=LogIns)
    except (OSError, msgspec.DecodeError):
        return None


def told(log_ins: LogIns, *, folder: Path, code: str | None = None) -> str:
    """Write them for the person who started the demo; `code` makes a browser the first counter."""
    lines = [f"  Demo log-ins (random, kept in {folder / _FILE})", "", "  Office  管理: name, password, authenticator secret"]
    lines += [f"    {each.log_in_name:<9} {each.password:<44} {each.totp_secret}   {each.role}" for each in log_ins.office]
    if log_ins.fleet:
        lines += ["", "  Fleet   车队: e-mail, password, authenticator secret, at /fleet"]
        lines += [f"    {each.log_in_name:<22} {each.password:<44} {each.totp_secret}   {each.role}" for each in log_ins.fleet]
    if log_ins.partner:
        lines += ["", "  Partner 商户: e-mail, password, authenticator secret, at /partner"]
        lines += [f"    {each.log_in_name:<22} {each.password:<44} {each.totp_secret}   {each.role}" for each in log_ins.partner]
    lines += ["", "  Cashier 收银: staff card, PIN"]
    if code is not None:
        lines.append(f"    first give this browser the counter of HZ01, within 15 minutes: {code}")
    lines += [f"    {each.card_number}   {each.pin}   {each.name}, {each.role}, {each.station}" for each in log_ins.counter]
    lines += ["", "  Cards   持卡人: number, PIN"]
    lines += [f"    {each.number}   {each.pin}   {each.what}" for each in log_ins.cards]
    return "\n".join(lines)


def uri_of(log_in: OfficeLogIn) -> str:
    """Return what an authenticator app scans."""
    return totp_uri(base64.b32decode(log_in.totp_secret), account=log_in.log_in_name, issuer="Loyalty demo")
