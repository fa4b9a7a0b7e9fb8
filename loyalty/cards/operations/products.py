"""Card products. Hot workers hold a snapshot of them, so every change bumps the reference revision."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import revisions
from loyalty.card_numbers import LENGTH_MAX, RANDOM_DIGITS_MIN
from loyalty.cards.model import CardProduct, ProductKind
from loyalty.cards.queries import get_product
from loyalty.cards.rules import NO_OFFLINE, OfflineProfile
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.ledger.rules import DEFAULT_ORDER, SpendStep
from loyalty.limits.rules import Compiled, LimitSet
from loyalty.money import minor_digits
from loyalty.policy import Policy


class CardProductExists(Refusal):
    """A code names one product for ever."""

    zh = "卡产品代码 {code} 已存在。"
    en = "There already is a card product {code}."
    next_zh = "请换一个代码。"
    next_en = "Choose another code."


class CardProductNotSound(Refusal):
    """A term of the product contradicts itself or another."""

    status = 422
    zh = "卡产品的 {field} 不正确：{value}。"
    en = "The card product's {field} is not right: {value}."
    next_zh = "请改正后再提交。"
    next_en = "Correct it and submit again."


class AnonymousValidityTooShort(Refusal):
    """Single-purpose card rules: anonymous cards are good for three years at least; the profile has the figure."""

    zh = "不记名卡有效期不得少于 {months_min} 个月，本产品为 {months} 个月（{rule}）。"
    en = "An anonymous card must be valid for {months_min} months at least; this product says {months} ({rule})."
    next_zh = "请延长有效期，或不设有效期。"
    next_en = "Lengthen it, or let the card not expire."


async def create_card_product(
    session: AsyncSession,
    *,
    code: str,
    name_zh: str,
    name_en: str,
    kind: ProductKind,
    currency: str,
    number_bin: str,
    policy: Policy,
    now: datetime,
    number_length: int = 19,
    pin_required: bool = True,
    spend_order: Sequence[SpendStep] = DEFAULT_ORDER,
    fuel_kinds: Sequence[str] | None = None,
    shop_categories: Sequence[str] | None = None,
    default_limits: LimitSet | None = None,
    offline: OfflineProfile = NO_OFFLINE,
    media_validity_months: int | None = None,
    issue_fee_minor: int = 0,
    replacement_fee_minor: int = 0,
    product_id: UUID | None = None,
) -> CardProduct:
    """Make a card product. Fees are minor units of `currency`; only anonymous products are bearer cards.

    :raises CardProductExists: if the code is taken
    :raises CardProductNotSound: if a term makes no sense
    :raises AnonymousValidityTooShort: if the profile asks for a longer validity
    """
    if await session.scalar(select(CardProduct.product_id).where(CardProduct.code == code)) is not None:
        raise CardProductExists(code=code)
    product = CardProduct(
        product_id=product_id or uuid7(now),
        code=code,
        name_zh=name_zh,
        name_en=name_en,
        kind=ProductKind(kind),
        currency=currency,
        bearer=kind == ProductKind.ANONYMOUS,
        pin_required=pin_required,
        number_bin=number_bin,
        number_length=number_length,
        spend_order=[SpendStep(step).value for step in spend_order],
        fuel_kinds=None if fuel_kinds is None else list(fuel_kinds),
        shop_categories=None if shop_categories is None else list(shop_categories),
        default_limits=_document(default_limits or LimitSet()),
        media_validity_months=media_validity_months,
        issue_fee_minor=issue_fee_minor,
        replacement_fee_minor=replacement_fee_minor,
        active=True,
        created_at=now,
        updated_at=now,
    )
    _set_offline(product, offline)
    _refuse_unsound(product, policy)
    session.add(product)
    await session.flush()
    await revisions.bump(session, revisions.Kind.REFERENCE)
    return product


async def change_card_product(
    session: AsyncSession,
    *,
    product_id: UUID,
    policy: Policy,
    now: datetime,
    name_zh: str | None = None,
    name_en: str | None = None,
    pin_required: bool | None = None,
    spend_order: Sequence[SpendStep] | None = None,
    default_limits: LimitSet | None = None,
    offline: OfflineProfile | None = None,
    media_validity_months: int | None = None,
    issue_fee_minor: int | None = None,
    replacement_fee_minor: int | None = None,
    active: bool | None = None,
) -> CardProduct:
    """Change a product's terms; None leaves one as it is. Kind, currency and number prefix never change.

    :raises CardProductNotFound: if there is none
    :raises CardProductNotSound: if a term makes no sense
    :raises AnonymousValidityTooShort: if the profile asks for a longer validity
    """
    product = await get_product(session, product_id=product_id)
    changes = {
        "name_zh": name_zh,
        "name_en": name_en,
        "pin_required": pin_required,
        "spend_order": None if spend_order is None else [SpendStep(step).value for step in spend_order],
        "default_limits": None if default_limits is None else _document(default_limits),
        "media_validity_months": media_validity_months,
        "issue_fee_minor": issue_fee_minor,
        "replacement_fee_minor": replacement_fee_minor,
        "active": active,
    }
    for field, value in changes.items():
        if value is not None:
            setattr(product, field, value)
    if offline is not None:
        _set_offline(product, offline)
    product.updated_at = now
    with session.no_autoflush:
        _refuse_unsound(product, policy)
    await session.flush()
    await revisions.bump(session, revisions.Kind.REFERENCE)
    return product


def _document(limits: LimitSet) -> dict[str, object]:
    """Return the document, once it is known to compile.

    :raises CardProductNotSound: if a time, weekday or value in it makes no sense
    """
    try:
        Compiled(limits)
    except ValueError as error:
        raise CardProductNotSound(field="default_limits", value=str(error)) from None
    return msgspec.convert(msgspec.to_builtins(limits), dict[str, object])


def _set_offline(product: CardProduct, offline: OfflineProfile) -> None:
    product.offline_allowed = offline.allowed
    product.offline_fill_amount_minor = offline.fill_amount_minor
    product.offline_fill_quantity_milli = offline.fill_quantity_milli
    product.offline_day_amount_minor = offline.day_amount_minor
    product.offline_day_quantity_milli = offline.day_quantity_milli
    product.offline_day_count = offline.day_count
    product.offline_station_amount_minor = offline.station_amount_minor
    product.offline_shrink_percent_per_hour = offline.shrink_percent_per_hour


def _refuse_unsound(product: CardProduct, policy: Policy) -> None:
    months = product.media_validity_months
    figures = {
        "replacement_fee_minor": product.replacement_fee_minor,
        "issue_fee_minor": product.issue_fee_minor,
        "offline_fill_amount_minor": product.offline_fill_amount_minor,
        "offline_fill_quantity_milli": product.offline_fill_quantity_milli,
        "offline_day_amount_minor": product.offline_day_amount_minor,
        "offline_day_quantity_milli": product.offline_day_quantity_milli,
        "offline_day_count": product.offline_day_count,
        "offline_station_amount_minor": product.offline_station_amount_minor,
        "offline_shrink_percent_per_hour": product.offline_shrink_percent_per_hour,
    }
    for field, value in figures.items():
        if value < 0:
            raise CardProductNotSound(field=field, value=value)
    if months is not None and months <= 0:
        raise CardProductNotSound(field="media_validity_months", value=months)
    prefix = product.number_bin
    if not (prefix.isascii() and prefix.isdecimal() and product.number_length <= LENGTH_MAX):
        raise CardProductNotSound(field="number_bin", value=prefix)
    if product.number_length - len(prefix) - 1 < RANDOM_DIGITS_MIN:
        raise CardProductNotSound(field="number_length", value=product.number_length)
    try:
        minor_digits(product.currency)
    except KeyError:
        raise CardProductNotSound(field="currency", value=product.currency) from None
    validity = policy.for_currency(product.currency).validity
    least = validity.anonymous_months_min
    if product.bearer and months is not None and least is not None and months < least:
        raise AnonymousValidityTooShort(months=months, months_min=least, rule=validity.rule)
