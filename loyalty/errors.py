"""Refusals: answers that the rules turn down, rendered as problem+json (RFC 9457).

A refusal lives beside what raises it, carries an HTTP status, a stable code made from its class name, and a sentence in Chinese and in
English that says what, why and what to do next. A *decline* at the pump is never a refusal: it is a recorded result.
"""

import re
from typing import Any, ClassVar

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A request that the rules turn down.

    `facts` fill the sentences (`str.format` fields) and are sent as members of the problem document, so they never hold a secret or a
    personal datum.
    """

    status: ClassVar[int] = 409
    zh: ClassVar[str] = "请求被拒绝。"
    en: ClassVar[str] = "The request was refused."
    next_zh: ClassVar[str] = ""
    next_en: ClassVar[str] = ""

    def __init__(self, **facts: object) -> None:
        super().__init__(*facts.values())
        self.facts = facts

    @property
    def code(self) -> str:
        """The stable code: `CardNotFound` → `card_not_found`."""
        return _BOUNDARY.sub("_", type(self).__name__).lower()

    def sentence(self, language: str) -> str:
        """Say it to a reader of `language` ("zh…" or anything else for English), with what to do next."""
        said, then = self.parts(language)
        return f"{said}{then}" if language.startswith("zh") else f"{said} {then}".strip()

    def parts(self, language: str) -> tuple[str, str]:
        """Say it in two parts, as pages show it: what and why; what to do next (may be empty)."""
        said, then = (self.zh, self.next_zh) if language.startswith("zh") else (self.en, self.next_en)
        return _filled(said, self.facts), _filled(then, self.facts)


class _Blank(dict[str, object]):
    """A missing fact must not turn a clear refusal into a crash."""

    def __missing__(self, key: str) -> str:
        return "…"


def _filled(sentence: str, facts: dict[str, object]) -> str:
    return sentence.format_map(_Blank(facts))


def problem(refusal: Refusal) -> dict[str, Any]:
    """Return the problem document of a refusal: `type, title, status, code, detail (both languages), facts`."""
    return {
        "type": f"urn:loyalty:problem:{refusal.code}",
        "title": refusal.sentence("en"),
        "title_zh": refusal.sentence("zh"),
        "status": refusal.status,
        "code": refusal.code,
        "facts": {name: value if isinstance(value, int | str | bool | None) else str(value) for name, value in refusal.facts.items()},
    }


class NotFound(Refusal):
    """Unknown, or another tenant's: the answer is the same."""

    status = 404
    zh = "没有找到。"
    en = "Not found."
    next_zh = "请核对后再试。"
    next_en = "Check it and try again."


class NotAllowed(Refusal):
    """Signed in, but this role may not do it."""

    status = 403
    zh = "当前角色无权进行此操作。"
    en = "Your role may not do this."
    next_zh = "请联系站长或总部。"
    next_en = "Ask the station manager or the office."


class OutcomeUnknown(Refusal):
    """The deadline passed inside COMMIT: it may or may not have happened."""

    status = 503
    zh = "结果未知，尚未确认是否入账。"
    en = "The outcome is not known yet."
    next_zh = "请用同一幂等键重试，不会重复入账。"
    next_en = "Retry with the same idempotency key; it has one effect."
