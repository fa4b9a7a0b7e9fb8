"""Decisions about a company's structure: plain values in, plain values out."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec

from loyalty.customers.plates import InvalidVin, read_plate, read_vin
from loyalty.errors import Refusal
from loyalty.limits.rules import plate_key

from .model import Ownership

VEHICLE_TYPES: Final[dict[str, tuple[str, str]]] = {
    "car": ("轿车", "Car"),
    "suv": ("越野车", "SUV"),
    "van": ("面包车", "Van"),
    "pickup": ("皮卡", "Pickup"),
    "bus": ("客车", "Bus"),
    "light_truck": ("轻型货车", "Light truck"),
    "truck": ("重型货车", "Heavy truck"),
    "tractor": ("牵引车", "Tractor"),
    "tanker": ("罐车", "Tanker"),
    "special": ("专用车", "Special vehicle"),
    "machine": ("工程机械", "Machine"),
}
"""The usual classes, in Chinese and English; a fleet may use words of its own."""
_TYPE_WORDS: Final = {word.casefold(): code for code, words in VEHICLE_TYPES.items() for word in (code, *words)}


class VehicleNotSound(Refusal):
    """A figure that no vehicle has, or a fixed amount for a vehicle that is not private."""

    status = 422
    zh = "车辆资料不正确：{field}。"
    en = "The vehicle's data are not right: {field}."
    next_zh = "请核对排量、油箱、百公里油耗等数值后再提交。"
    next_en = "Check displacement, tank, consumption and the like, and submit again."


class DriverNotSound(Refusal):
    """A driver without a name, or with a number that cannot be typed at a pump."""

    status = 422
    zh = "驾驶员资料不正确：{field}。"
    en = "The driver's data are not right: {field}."
    next_zh = "编号须为 1 至 12 位数字，姓名不能为空。"
    next_en = "The number has 1 to 12 digits, and there must be a name."


class Warned(StrEnum):
    """What looks odd about a vehicle and does not stop it from being kept."""

    VIN_DOUBTFUL = "vin_doubtful"
    VIN_TWICE = "vin_twice"


WARNING_SENTENCES: Final[dict[Warned, tuple[str, str]]] = {
    Warned.VIN_DOUBTFUL: (
        "车辆识别代号的校验位不符，请对照行驶证核对。",
        "The VIN's check digit does not match: compare with the licence.",
    ),
    Warned.VIN_TWICE: ("本企业另一辆车有相同的车辆识别代号。", "Another vehicle of the company has the same VIN."),
}

Short = Annotated[str, msgspec.Meta(max_length=40)]


class VehicleFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vehicle as it is typed. Sizes in millilitres, thousandths of a litre, thousandths of a litre per 100 km, minor units, kilometres.

    `country` None is the company's. `odometer_km` None leaves the reading as it stands.
    """

    plate: str
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] = "car"
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None = None
    vin: Short | None = None
    displacement_ml: Annotated[int, msgspec.Meta(gt=0, le=50_000)] | None = None
    tank_milli: Annotated[int, msgspec.Meta(gt=0, le=5_000_000)] | None = None
    product_code: Short | None = None
    norm_milli: Annotated[int, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    ownership: Ownership = Ownership.COMPANY
    fixed_amount_minor: Annotated[int, msgspec.Meta(ge=0, le=10**12)] | None = None
    department_id: UUID | None = None
    odometer_km: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | None = None


class DriverFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A driver as they are typed. `phone` None means there is none."""

    number: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,12}$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    phone: Short | None = None
    licence_class: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    licence_until: date | None = None
    department_id: UUID | None = None


class SoundVehicle(NamedTuple):
    """A vehicle in its one form, and what looks odd about it."""

    facts: VehicleFacts
    country: str
    plate_key: str
    warnings: tuple[Warned, ...]


def sound_vehicle(facts: VehicleFacts, *, country: str) -> SoundVehicle:
    """Bring a typed vehicle into its one form; a VIN that only looks wrong is kept with a warning.

    :raises InvalidPlate: if no vehicle of the country can carry it
    :raises InvalidVin: if it is not 5 to 17 letters and digits
    :raises VehicleNotSound: if another figure cannot be
    """
    home = facts.country or country
    plate = read_plate(facts.plate, country=home).text
    vin = facts.vin.strip() if facts.vin else ""
    read = _vin(vin, home) if vin else None
    kept = msgspec.structs.replace(
        facts,
        plate=plate,
        type=vehicle_type(facts.type),
        vin=None if read is None else read[0],
        product_code=facts.product_code or None,
    )
    try:
        msgspec.convert(msgspec.to_builtins(kept), VehicleFacts)
    except msgspec.ValidationError as error:
        raise VehicleNotSound(field=str(error)) from None
    if kept.fixed_amount_minor is not None and kept.ownership is not Ownership.PRIVATE:
        raise VehicleNotSound(field="fixed_amount_minor")
    return SoundVehicle(kept, home, plate_key(plate), (Warned.VIN_DOUBTFUL,) if read is not None and read[1] else ())


def _vin(text: str, country: str) -> tuple[str, bool]:
    """Return a VIN in its one form and whether it is doubtful: a fleet's list is not a licence, so a wrong check digit only warns."""
    try:
        found = read_vin(text, country=country)
    except InvalidVin:
        found = read_vin(text, country="")
    return found.text, found.doubtful


def sound_driver(facts: DriverFacts) -> DriverFacts:
    """Bring a typed driver into one form.

    :raises DriverNotSound: if number, name or a length cannot be
    """
    kept = msgspec.structs.replace(
        facts,
        number=plain(facts.number),
        name=facts.name.strip(),
        phone=plain(facts.phone or "") or None,
        licence_class=plain(facts.licence_class or "").upper() or None,
    )
    try:
        return msgspec.convert(msgspec.to_builtins(kept), DriverFacts)
    except msgspec.ValidationError as error:
        raise DriverNotSound(field=str(error)) from None


def vehicle_type(text: str) -> str:
    """Return the code of a usual class, else the fleet's own word in one form."""
    word = plain(text)
    return _TYPE_WORDS.get(word.casefold(), word)


def plain(text: str) -> str:
    """Return typed text without spaces at its ends, full-width letters and digits as ordinary ones."""
    return unicodedata.normalize("NFKC", text).strip()


class Branch(NamedTuple):
    """A department in its tree: how deep it stands (0: right below the company), and its names from the top."""

    department_id: UUID
    depth: int
    path: tuple[str, ...]


def tree(departments: Sequence[tuple[UUID, UUID | None, str]]) -> list[Branch]:
    """Return departments, given as (id, parent, name), each below its parent, names in order. One whose parent is missing stands on top."""
    known = {department_id for department_id, _, _ in departments}
    below: dict[UUID | None, list[tuple[str, UUID]]] = {}
    for department_id, parent_id, name in departments:
        below.setdefault(parent_id if parent_id in known else None, []).append((name, department_id))
    found: list[Branch] = []
    waiting = [Branch(department_id, 0, (name,)) for name, department_id in sorted(below.get(None, []), reverse=True)]
    while waiting:
        branch = waiting.pop()
        found.append(branch)
        children = sorted(below.get(branch.department_id, []), reverse=True)
        waiting += [Branch(department_id, branch.depth + 1, (*branch.path, name)) for name, department_id in children]
    return found


def upwards(parents: Mapping[UUID, UUID | None], department_id: UUID | None) -> list[UUID]:
    """Return a department and those above it, the nearest first."""
    found: list[UUID] = []
    above = department_id
    while above is not None and above not in found:
        found.append(above)
        above = parents.get(above)
    return found


def downwards(parents: Mapping[UUID, UUID | None], department_id: UUID) -> frozenset[UUID]:
    """Return a department and all below it."""
    return frozenset(one for one in parents if department_id in upwards(parents, one))
