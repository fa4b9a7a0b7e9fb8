"""One form, one effect: the key is used up in the transaction that does what the form asks for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import Refusal
from loyalty.web.model import FormKey


class FormAlreadySent(Exception):  # noqa: N818 - not a fault: the sender is led where the first sending led
    """This form had its effect before; `led_to` is where its first sending led."""

    def __init__(self, led_to: str | None) -> None:
        super().__init__(led_to)
        self.led_to = led_to


class FormKeyMalformed(Refusal):
    """No key of ours."""

    status = 422
    zh = "表单标识无效。"
    en = "The form's key is not valid."
    next_zh = "请刷新页面后重试。"
    next_en = "Reload the page and try again."


class FormKeyElsewhere(Refusal):
    """One key stands for one form."""

    status = 422
    zh = "该表单标识已用于另一项操作。"
    en = "This form's key was used for something else."
    next_zh = "请刷新页面后重试。"
    next_en = "Reload the page and try again."


async def claim_form(session: AsyncSession, *, session_id: UUID, key: str, path: str, now: datetime) -> None:
    """Use a form's key up; a second sending waits for the first one's commit. A refusal gives the key back with everything else.

    :raises FormAlreadySent: if it had its effect before
    :raises FormKeyMalformed: if it is no key
    :raises FormKeyElsewhere: if another form used it
    """
    if not 8 <= len(key) <= 64 or not key.isascii() or not key.isprintable():
        raise FormKeyMalformed
    inserted = await session.scalar(
        insert(FormKey).values(session_id=session_id, key=key, path=path, sent_at=now).on_conflict_do_nothing().returning(FormKey.key)
    )
    if inserted is not None:
        return
    found = await session.execute(select(FormKey.path, FormKey.led_to).where(FormKey.session_id == session_id, FormKey.key == key))
    before = found.one()
    if before.path != path:
        raise FormKeyElsewhere
    raise FormAlreadySent(before.led_to)


async def led_to(session: AsyncSession, *, session_id: UUID, key: str, to: str) -> None:
    """Keep where a form's sender is led."""
    await session.execute(update(FormKey).where(FormKey.session_id == session_id, FormKey.key == key).values(led_to=to))
