"""Names, document numbers and phones: read as people write them, kept in one form. Whose record is whose."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import phonenumbers
import stdnum
from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidChecksum, ValidationError
from stdnum.util import clean

from loyalty.errors import Refusal

from .model import PERSONS, CustomerKind, IdentifierType

_ANY_DOCUMENT = re.compile(r"[A-Z0-9]{4,24}")
_USUAL: dict[IdentifierType, re.Pattern[str]] = {
    IdentifierType.HK_MACAU_PERMIT: re.compile(r"[HM]\d{8}(\d{2})?"),
    IdentifierType.TAIWAN_PERMIT: re.compile(r"\d{8}(\d{2})?"),
    IdentifierType.FOREIGN_RESIDENCE: re.compile(r"9\d{16}[0-9X]|[A-Z]{3}\d{12}"),
}
_RESIDENT = re.compile(r"\d{17}[0-9X]")


class InvalidIdentifier(Refusal):
    """The number cannot be one of this type."""

    status = 422
    zh = "证件号码不正确（{why_zh}）。"
    en = "This is not a valid document number ({why})."
    next_zh = "请对照证件重新输入。"
    next_en = "Type it again from the document."


class InvalidPhone(Refusal):
    """No such number can exist."""

    status = 422
    zh = "电话号码不正确。"
    en = "This is not a valid phone number."
    next_zh = "请核对；境外号码请加国际区号，例如 +420。"
    next_en = "Check it; give a number abroad with its prefix, such as +420."


class WrongKindOfIdentifier(Refusal):
    """A person's document for an organisation, or the other way round."""

    status = 422
    zh = "此证件类型不适用于该客户。"
    en = "This type of document does not belong to this kind of customer."
    next_zh = "个人请用身份证、护照等；单位请用统一社会信用代码。"
    next_en = "People have an ID card or passport, organisations a registration number."


class Warned(StrEnum):
    """What looks odd about a number and does not block it."""

    CHECK_DIGIT = "check_digit"
    FORMAT = "format"


WARNING_SENTENCES: dict[Warned, tuple[str, str]] = {
    Warned.CHECK_DIGIT: ("校验位不符，请核对。", "The check digit does not match: please compare."),
    Warned.FORMAT: ("格式不常见，请核对。", "The format is unusual: please compare."),
}
"""What each says, in Chinese and English."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document number in its one form, its last four characters, and what looks odd about it."""

    value: str
    tail: str
    warnings: tuple[Warned, ...] = ()


def name_key(name: str) -> str:
    """Return a name as it is compared and searched: compatibility forms folded, no case, no spaces, no punctuation."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(filter(str.isalnum, folded)) or folded.strip()


def read_document(type_: IdentifierType, text: str, *, kind: CustomerKind, country: str = "CN") -> Document:
    """Read a document number as typed.

    A resident ID (GB 11643) with a wrong check digit or birth date is refused: it cannot exist. A USCC (GB 32100) or foreign tax number
    that fails its check is kept with a warning, since registers hold such numbers. Place codes are not judged: retired ones stay in use.

    :raises WrongKindOfIdentifier: if people do not have this type, or organisations do not
    :raises InvalidIdentifier: if the number cannot be one
    """
    if (type_ in PERSONS) != (kind is CustomerKind.PERSON):
        raise WrongKindOfIdentifier
    value = clean(unicodedata.normalize("NFKC", text), " -./").upper().strip()
    if not _ANY_DOCUMENT.fullmatch(value):
        raise InvalidIdentifier(why="letters and digits only, 4 to 24 of them", why_zh="须为 4 至 24 位字母或数字")
    if type_ is IdentifierType.RESIDENT_ID:
        _check_resident(value)
    return Document(value, value[-4:], _warnings(type_, value, country))


def _check_resident(value: str) -> None:
    if not _RESIDENT.fullmatch(value):
        raise InvalidIdentifier(why="a resident ID has 18 characters", why_zh="居民身份证号为 18 位")
    if value[-1] != ric.calc_check_digit(value):
        raise InvalidIdentifier(why="the check digit does not match", why_zh="校验位不符")
    try:
        # Not ric.validate: it raises KeyError for place codes that were retired.
        ric.get_birth_date(value)
    except ValidationError:
        raise InvalidIdentifier(why="the birth date in it does not exist", why_zh="其中的出生日期不存在") from None


def _warnings(type_: IdentifierType, value: str, country: str) -> tuple[Warned, ...]:
    if type_ in _USUAL:
        return () if _USUAL[type_].fullmatch(value) else (Warned.FORMAT,)
    if type_ is IdentifierType.USCC:
        check = uscc.validate
    elif type_ is IdentifierType.TAX_NUMBER and (module := stdnum.get_cc_module(country.lower(), "vat")) is not None:
        check = module.validate
    else:
        return ()
    try:
        check(value)
    except InvalidChecksum:
        return (Warned.CHECK_DIGIT,)
    except ValidationError:
        return (Warned.FORMAT,)
    return ()


def birthday_of(resident_id: str) -> date:
    """Return the birth date that a valid resident ID carries."""
    born: date = ric.get_birth_date(resident_id)
    return born


def read_phone(text: str, *, country: str = "CN") -> str:
    """Return a phone number as E.164; without a prefix it is read as one of `country`.

    :raises InvalidPhone: if no such number can exist
    """
    try:
        number = phonenumbers.parse(unicodedata.normalize("NFKC", text), country)
    except phonenumbers.NumberParseException:
        raise InvalidPhone from None
    if not phonenumbers.is_valid_number(number):
        raise InvalidPhone
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_text(e164: str, *, country: str = "CN") -> str:
    """Write a number as its reader in `country` dials it: national form at home, international abroad."""
    number = phonenumbers.parse(e164, None)
    home = phonenumbers.region_code_for_number(number) == country
    form = phonenumbers.PhoneNumberFormat.NATIONAL if home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(number, form)


class SameDocument(StrEnum):
    """What follows when two records hold one document."""

    MERGE = "merge"
    SUGGEST = "suggest"


def same_document(*, verified: bool, name: str, other_name: str, other_is_active: bool) -> SameDocument:
    """Say what two records with one document number are to each other.

    Same name and same verified document are one customer; a typed number only suggests, and so does a verified one under another name or
    with a record that was closed: a person decides. (Domain notes, customers.)
    """
    if verified and other_is_active and name_key(name) == name_key(other_name):
        return SameDocument.MERGE
    return SameDocument.SUGGEST
