"""Playing planned receipts at their tills, several at a time, an account's own in their order."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from loyalty.money import minor_digits
from loyalty.pos_client import Answer, ProblemError, Till, UnreachableError

from .rules import (
    Part,
    Planned,
    Verb,
    advice_record,
    authorisation_body,
    completion_body,
    due_after_s,
    request_key,
    sale_body,
    top_up_body,
)
from .tills import Tills

_AGREED = frozenset({"approved", "booked"})


@dataclass
class Played:
    """What became of one receipt."""

    planned: Planned
    booked_minor: int = 0
    """What the answers say was booked: to be what the receipt came to."""
    loaded_minor: int = 0
    requests: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def is_booked(self) -> bool:
        """Whether all of it stands in the books."""
        return self.booked_minor == self.planned.receipt.amount_minor and not self.problems


@dataclass
class Answers:
    """The fingerprints of answers by key: those of the replay before, and of this one."""

    before: dict[str, str]
    now: dict[str, str] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)

    def note(self, key: UUID, answer: Answer) -> None:
        """Compare an answer with the one the same key got before."""
        digest = hashlib.sha256(msgspec.json.encode(answer, order="sorted")).hexdigest()
        self.now[str(key)] = digest
        if self.before.get(str(key), digest) != digest:
            self.differing.append(str(key))

    @property
    def repeated(self) -> int:
        """How many requests were asked before, too."""
        return sum(1 for key in self.now if key in self.before)


CheckValue = Callable[[str], str]
"""A card's number → the check value on its chip."""


class Player:
    """Plays receipts; a till does one thing at a time, as a person at it would."""

    def __init__(self, tills: Tills, answers: Answers, *, check_value: CheckValue) -> None:
        self._tills = tills
        self._answers = answers
        self._check_value = check_value
        self._busy: dict[int, asyncio.Lock] = {}

    async def play(
        self,
        planned: Sequence[Planned],
        *,
        at_once: int,
        speed: float | None,
        progress: Callable[[Played], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> list[Played]:
        """Play receipts in the order they happened, `at_once` at a time, at `speed` times real time (None: as fast as it goes).

        Receipts of one account wait for each other, since each is loaded with what it needs alone.
        """
        places = asyncio.Semaphore(at_once)
        last: dict[UUID, asyncio.Task[Played]] = {}
        tasks: list[asyncio.Task[Played]] = []
        began = time.monotonic()
        try:
            for each, due_s in zip(planned, due_after_s(planned, speed), strict=True):
                if (wait_s := began + due_s - time.monotonic()) > 0:
                    await sleep(wait_s)
                await places.acquire()
                before = last.get(each.receipt.account_id)
                task = asyncio.create_task(self._after(before, each))
                task.add_done_callback(lambda done: self._left(done, places, progress))
                last[each.receipt.account_id] = task
                tasks.append(task)
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    @staticmethod
    def _left(done: asyncio.Task[Played], places: asyncio.Semaphore, progress: Callable[[Played], None]) -> None:
        places.release()
        if not done.cancelled() and done.exception() is None:
            progress(done.result())

    async def _after(self, before: asyncio.Task[Played] | None, planned: Planned) -> Played:
        if before is not None:
            await asyncio.wait({before})
        played = Played(planned)
        try:
            if planned.top_up_minor:
                await self._top_up(played)
            for part in planned.parts:
                played.parts[part.verb] += 1
                await self._part(played, part)
        except (ProblemError, UnreachableError) as error:
            facts = error.document.get("facts") if isinstance(error, ProblemError) else None
            played.problems.append(f"{error} {facts or ''}".strip())
        return played

    async def _part(self, played: Played, part: Part) -> None:
        if part.verb is Verb.SELL:
            answer = await self._ask(played, part, Verb.SELL, "/v1/sales", sale_body(played.planned.receipt, part, self._card(played)))
        elif part.verb is Verb.AUTHORISE:
            answer = await self._fill(played, part)
        else:
            answer = await self._advise(played, part)
        if answer.get("outcome") not in _AGREED:
            # The till was told no; but it happened, so it is told afterwards, and booked.
            played.flags[f"declined: {answer.get('reason')}"] += 1
            answer = await self._advise(played, part)
        played.booked_minor += int(answer.get("gross_minor", 0))
        played.flags.update(answer.get("flags") or ())

    async def _fill(self, played: Played, part: Part) -> Answer:
        """Authorise the line's money, then complete with what the pump delivered."""
        receipt, line = played.planned.receipt, part.lines[0]
        asked = await self._ask(played, part, Verb.AUTHORISE, "/v1/authorizations", authorisation_body(receipt, line, self._card(played)))
        if asked.get("outcome") != "approved":
            return asked
        path = f"/v1/authorizations/{asked['authorization']}/completions"
        return await self._ask(played, part, Verb.COMPLETE, path, completion_body(receipt, line, minor_digits(receipt.currency)))

    async def _advise(self, played: Played, part: Part) -> Answer:
        receipt = played.planned.receipt
        record = advice_record(receipt, part, minor_digits(receipt.currency))
        key = UUID(record["key"])
        said = await self._send(played, self._tills.by_station[receipt.station_id], "advice", "/v1/advices", {"records": [record]}, key)
        result: Mapping[str, Any] = said["results"][0]
        if result.get("problem") is not None:
            raise ProblemError(dict(result["problem"]))
        answer: Answer = result["answer"]
        self._answers.note(key, answer)
        return answer

    async def _top_up(self, played: Played) -> None:
        receipt = played.planned.receipt
        key = request_key(receipt.source, Verb.TOP_UP, receipt.lines[0].legacy_id)
        counter = self._tills.counters[receipt.currency]
        answer = await self._send(played, counter, "topup", "/v1/topups", top_up_body(played.planned), key)
        self._answers.note(key, answer)
        played.loaded_minor += int(answer["amount_minor"])

    async def _ask(self, played: Played, part: Part, verb: Verb, path: str, body: dict[str, Any]) -> Answer:
        receipt = played.planned.receipt
        key = request_key(receipt.source, verb, part.lines[0].legacy_id)
        answer = await self._send(played, self._tills.by_station[receipt.station_id], verb.value, path, body, key)
        self._answers.note(key, answer)
        return answer

    async def _send(self, played: Played, till: Till, operation: str, path: str, body: dict[str, Any], key: UUID) -> Answer:
        """Send without a place in the till's chain: the same bytes at every replay, whatever else the till has done."""
        async with self._busy.setdefault(id(till), asyncio.Lock()):
            played.requests += 1
            return await till.deliver(till.keep(operation, path, msgspec.json.encode(body), key=key, sequence=None))

    def _card(self, played: Played) -> dict[str, str]:
        """Return the card as its chip shows it: adopted cards have no PIN, and a number alone never spends."""
        number = played.planned.receipt.number
        return {"number": number, "check_value": self._check_value(number)}
