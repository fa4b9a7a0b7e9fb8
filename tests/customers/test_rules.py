"""How names, documents, phones, plates and VINs are read."""

from datetime import date
from pathlib import Path

import pytest

from loyalty.customers.model import PERSONS, CustomerKind, IdentifierType
from loyalty.customers.plates import InvalidPlate, InvalidVin, PlateKind, read_plate, read_vin, vin_check_digit
from loyalty.customers.rules import (
    WARNING_SENTENCES,
    InvalidIdentifier,
    InvalidPhone,
    SameDocument,
    Warned,
    WrongKindOfIdentifier,
    birthday_of,
    name_key,
    phone_text,
    read_document,
    read_phone,
    same_document,
)

PERSON, ORGANISATION = CustomerKind.PERSON, CustomerKind.ORGANISATION
USCCS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors" / "cn_uscc_valid.txt"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("上海货运（集团）有限公司", "上海货运(集团) 有限公司"),
        ("阿卜杜拉·买买提", "阿卜杜拉•买买提"),
        ("ＡＢＣ Ltd.", "abc ltd"),
        ("Jan  Novák", "jan novák"),
    ],
)
def test_spellings_of_one_name_are_one_name(one, other):
    assert name_key(one) == name_key(other)


def test_a_name_of_signs_is_still_a_name():
    assert name_key("!!!") == "!!!"


FULL_WIDTH = "３４０５２４１９８００１０１００１Ｘ"


@pytest.mark.parametrize("typed", ["34052419800101001X", "34052419800101001x", " 340524 19800101 001X ", FULL_WIDTH])
def test_the_standards_own_resident_id_is_valid_though_its_place_code_was_retired(typed):
    document = read_document(IdentifierType.RESIDENT_ID, typed, kind=PERSON)
    assert (document.value, document.tail, document.warnings) == ("34052419800101001X", "001X", ())
    assert birthday_of(document.value) == date(1980, 1, 1)


IMPOSSIBLE = ("340524198001010011", "340524800101001", "34052419801301001X", "340524198002300010", "", "34052419800101001Y", "abc")


@pytest.mark.parametrize("typed", IMPOSSIBLE)
def test_a_resident_id_that_cannot_exist_is_refused(typed):
    with pytest.raises(InvalidIdentifier) as refused:
        read_document(IdentifierType.RESIDENT_ID, typed, kind=PERSON)
    assert not typed or typed not in refused.value.sentence("en")


def test_a_uscc_warns_and_never_blocks():
    assert read_document(IdentifierType.USCC, "9144030071526726xg", kind=ORGANISATION).warnings == ()
    assert read_document(IdentifierType.USCC, "9144030071526726XA", kind=ORGANISATION).warnings == (Warned.CHECK_DIGIT,)
    assert read_document(IdentifierType.USCC, "310115000123456", kind=ORGANISATION).warnings == (Warned.FORMAT,)


def test_real_uscc_numbers_pass_without_a_warning():
    if not USCCS.exists():
        pytest.skip("the published numbers are not beside the project")
    numbers = USCCS.read_text(encoding="ascii").split()
    assert len(numbers) > 100
    assert not [each for each in numbers if read_document(IdentifierType.USCC, each, kind=ORGANISATION).warnings]


def test_a_foreign_tax_number_is_checked_where_its_country_is_known():
    assert read_document(IdentifierType.TAX_NUMBER, "CZ25123891", kind=ORGANISATION, country="CZ").warnings == ()
    assert read_document(IdentifierType.TAX_NUMBER, "CZ25123892", kind=ORGANISATION, country="CZ").warnings == (Warned.CHECK_DIGIT,)
    assert read_document(IdentifierType.TAX_NUMBER, "12345", kind=ORGANISATION, country="XX").warnings == ()


@pytest.mark.parametrize(
    ("type_", "usual", "odd"),
    [
        (IdentifierType.HK_MACAU_PERMIT, "H12345678", "Q1234"),
        (IdentifierType.TAIWAN_PERMIT, "12345678", "A2345678"),
        (IdentifierType.FOREIGN_RESIDENCE, "CHN123456789012", "CHN1234"),
    ],
)
def test_permits_of_an_unusual_form_warn(type_, usual, odd):
    assert read_document(type_, usual, kind=PERSON).warnings == ()
    assert read_document(type_, odd, kind=PERSON).warnings == (Warned.FORMAT,)


@pytest.mark.parametrize("type_", IdentifierType)
def test_people_and_organisations_have_documents_of_their_own(type_):
    with pytest.raises(WrongKindOfIdentifier):
        read_document(type_, "12345678", kind=ORGANISATION if type_ in PERSONS else PERSON)


def test_every_warning_says_itself_in_both_languages():
    assert set(WARNING_SENTENCES) == set(Warned)


@pytest.mark.parametrize(
    ("typed", "country", "stored", "shown"),
    [
        ("139 1234-5678", "CN", "+8613912345678", "139 1234 5678"),
        ("１３９１２３４５６７８", "CN", "+8613912345678", "139 1234 5678"),
        ("0755-88886666", "CN", "+8675588886666", "0755 8888 6666"),
        ("+420 608 123 456", "CN", "+420608123456", "+420 608 123 456"),
        ("608 123 456", "CZ", "+420608123456", "608 123 456"),
    ],
)
def test_a_phone_is_stored_one_way_and_shown_as_it_is_dialled(typed, country, stored, shown):
    assert read_phone(typed, country=country) == stored
    assert phone_text(stored, country=country) == shown


@pytest.mark.parametrize("typed", ["1391234567", "hello", "", "+", "139123456789"])
def test_a_phone_that_cannot_exist_is_refused(typed):
    with pytest.raises(InvalidPhone):
        read_phone(typed)


@pytest.mark.parametrize(
    ("typed", "text", "kind"),
    [
        ("京A82K61", "京A82K61", PlateKind.ORDINARY),
        ("沪a·12345", "沪A12345", PlateKind.ORDINARY),
        ("京AD12345", "京AD12345", PlateKind.NEW_ENERGY),
        ("沪 AF1 2345", "沪AF12345", PlateKind.NEW_ENERGY),
        ("粤B12345D", "粤B12345D", PlateKind.NEW_ENERGY),
        ("苏E1234挂", "苏E1234挂", PlateKind.SPECIAL),
        ("粤Z1234港", "粤Z1234港", PlateKind.SPECIAL),
        ("浙A1234学", "浙A1234学", PlateKind.SPECIAL),
        ("沪A0023领", "沪A0023领", PlateKind.SPECIAL),
        ("224578使", "224578使", PlateKind.SPECIAL),
        ("WJ京1234X", "WJ京1234X", PlateKind.SPECIAL),
    ],
)
def test_chinese_plates(typed, text, kind):
    assert (read_plate(typed).text, read_plate(typed).kind) == (text, kind)


@pytest.mark.parametrize("typed", ["京A1234", "京A123456", "京I12345", "京AI2345O", "A12345", "啊A12345", "京AD1234X5", ""])
def test_plates_that_nobody_carries(typed):
    with pytest.raises(InvalidPlate):
        read_plate(typed)


def test_plates_abroad_are_letters_and_digits():
    assert read_plate("1A2 3456", country="CZ").text == "1A23456"
    with pytest.raises(InvalidPlate):
        read_plate("<b>", country="CZ")


def test_a_vin_is_strict_in_china_and_soft_elsewhere():
    assert not read_vin("1m8gdm9axkp042788").doubtful
    wrong = "1M8GDM9A1KP042788"
    assert vin_check_digit(wrong) == "X"
    with pytest.raises(InvalidVin):
        read_vin(wrong)
    assert read_vin(wrong, country="CZ").doubtful
    assert read_vin("TMB12345", country="CZ").doubtful
    with pytest.raises(InvalidVin):
        read_vin("??", country="CZ")


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("same_name", [True, False])
@pytest.mark.parametrize("active", [True, False])
def test_only_the_same_name_with_the_same_verified_document_merges(verified, same_name, active):
    verdict = same_document(verified=verified, name="王小明", other_name="王 小明" if same_name else "李四", other_is_active=active)
    assert verdict is (SameDocument.MERGE if verified and same_name and active else SameDocument.SUGGEST)
