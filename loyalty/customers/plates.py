"""Number plates (GA 36) and vehicle identification numbers (GB 16735, ISO 3779): strict in China, soft elsewhere."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from loyalty.errors import Refusal

_PROVINCE = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
_LETTER = "[A-HJ-NP-Z]"
_EITHER = "[A-HJ-NP-Z0-9]"
_ENERGY = "[A-HJK]"
"""New-energy marks: D A B C E battery, F G H J K others; I is left out."""

_SEPARATORS = re.compile(r"[\s·•.\-]")


class PlateKind(StrEnum):
    ORDINARY = "ordinary"
    NEW_ENERGY = "new_energy"
    SPECIAL = "special"
    """Trailer, learner, police, Hong Kong and Macau, embassy, consulate, armed police."""
    FOREIGN = "foreign"


_PATTERNS: tuple[tuple[PlateKind, re.Pattern[str]], ...] = (
    (PlateKind.NEW_ENERGY, re.compile(f"{_PROVINCE}{_LETTER}({_ENERGY}{_EITHER}\\d{{4}}|\\d{{5}}{_ENERGY})")),
    (PlateKind.ORDINARY, re.compile(f"{_PROVINCE}{_LETTER}{_EITHER}{{5}}")),
    (PlateKind.SPECIAL, re.compile(f"{_PROVINCE}{_LETTER}{_EITHER}{{4}}[挂学警]")),
    (PlateKind.SPECIAL, re.compile("粤Z[A-HJ-NP-Z0-9]{4}[港澳]")),
    (PlateKind.SPECIAL, re.compile(f"{_PROVINCE}{_LETTER}\\d{{4}}领|\\d{{6}}使|使\\d{{6}}")),
    (PlateKind.SPECIAL, re.compile(f"WJ{_PROVINCE}?\\d{{4}}[0-9TDSHBXJ]")),
)

_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_VIN_VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


class InvalidPlate(Refusal):
    """No vehicle can carry it."""

    status = 422
    zh = "车牌号“{plate}”不正确。"
    en = '"{plate}" is not a valid number plate.'
    next_zh = "请核对；新能源车牌为 8 位，例如 京AD12345。"
    next_en = "Check it; new-energy plates have 8 characters, such as 京AD12345."


class InvalidVin(Refusal):
    """No vehicle of this country can carry it."""

    status = 422
    zh = "车辆识别代号不正确。"
    en = "This is not a valid vehicle identification number."
    next_zh = "请对照行驶证核对 17 位代号。"
    next_en = "Compare the 17 characters with the vehicle licence."


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate in its one form: upper case, no separators."""

    text: str
    kind: PlateKind


@dataclass(frozen=True, slots=True)
class Vin:
    """A VIN in its one form; `doubtful` where it fails a check that its country does not prescribe."""

    text: str
    doubtful: bool


def read_plate(text: str, *, country: str = "CN") -> Plate:
    """Read a plate as typed. In China it must fit GA 36; elsewhere any letters and digits will do.

    :raises InvalidPlate: if it fits nothing
    """
    plate = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()
    if country != "CN":
        if not (plate.isalnum() and 2 <= len(plate) <= 12):
            raise InvalidPlate(plate=plate)
        return Plate(plate, PlateKind.FOREIGN)
    for kind, pattern in _PATTERNS:
        if pattern.fullmatch(plate):
            return Plate(plate, kind)
    raise InvalidPlate(plate=plate)


def read_vin(text: str, *, country: str = "CN") -> Vin:
    """Read a VIN as typed: its check digit is law in China, a hint elsewhere.

    :raises InvalidVin: if it is wrong in China, or has other than letters and digits anywhere
    """
    vin = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()
    right = bool(_VIN.fullmatch(vin)) and vin[8] == vin_check_digit(vin)
    if not right and (country == "CN" or not (vin.isalnum() and vin.isascii() and 5 <= len(vin) <= 17)):
        raise InvalidVin
    return Vin(vin, doubtful=not right)


def vin_check_digit(vin: str) -> str:
    """Return the ninth character that 17 VIN characters call for."""
    total = sum(
        weight * (int(character) if character.isdigit() else _VIN_VALUES[character])
        for weight, character in zip(_VIN_WEIGHTS, vin, strict=True)
    )
    return "X" if total % 11 == 10 else str(total % 11)
