"""One web process's share of the pump: its snapshot, its lanes, the day sessions it has met."""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from loyalty import clock
from loyalty.authorizations.facts import Place
from loyalty.cores import OwnCore
from loyalty.crypto import CryptoError
from loyalty.db import Sessions, transaction
from loyalty.identity.queries import DaySession, session_keys
from loyalty.pricing.queries import book_numbered

from .dedupe import quarantine_forked
from .hot import CardLane, CompletionLane, HotRequest
from .model import Operation
from .snapshot import Snapshot, load

_UNKNOWN_FOR: Final = timedelta(seconds=5)
"""How long an unknown session id is not asked for again: guessing must not cost a query each."""
_UNKNOWN_MAX: Final = 10_000


class Pump:
    """What a web process keeps for the hot routes. Who runs it in another time (a demo, a simulation) overrides `now`."""

    def __init__(
        self,
        dsn: str,
        sessions: Sessions,
        *,
        application_name: str = "loyalty-hot",
        core: OwnCore | None = None,
        anonymous_points: bool = False,
    ) -> None:
        self.anonymous_points = anonymous_points
        self.sessions = sessions
        self.snapshot = Snapshot()
        self.cards = CardLane(dsn, self, application_name=application_name, core=core)
        self.completions = CompletionLane(dsn, self, application_name=application_name, core=core)
        self._known: dict[str, DaySession] = {}
        self._unknown: dict[str, datetime] = {}
        self._meeting: dict[str, asyncio.Task[DaySession | None]] = {}
        self._reloading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the snapshot and open the lanes."""
        await self.reload()
        await self.cards.start()
        await self.completions.start()

    async def stop(self) -> None:
        """Finish what waits, then close."""
        await self.cards.stop()
        await self.completions.stop()

    def now(self) -> datetime:
        """Return business time."""
        return clock.business_now()

    async def reload(self) -> None:
        """Load a new snapshot, once for all who ask at the same time; sessions are met anew."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload())
        await asyncio.shield(self._reloading)

    async def _reload(self) -> None:
        async with transaction(self.sessions) as session:
            self.snapshot = await load(session, now=self.now(), anonymous_points=self.anonymous_points)
        self._known.clear()
        self._unknown.clear()

    def known_session(self, session_id: str) -> DaySession | None:
        """Return a day session this worker has met."""
        return self._known.get(session_id)

    async def meet_session(self, session_id: str, now: datetime) -> DaySession | None:
        """Return a day session from the table, asked once for all who wait for it; None where there is none, remembered for a moment."""
        missed = self._unknown.get(session_id)
        if missed is not None and now - missed < _UNKNOWN_FOR:
            return None
        meeting = self._meeting.get(session_id)
        if meeting is None:
            meeting = self._meeting[session_id] = asyncio.create_task(self._meet(session_id, now))
            meeting.add_done_callback(lambda _: self._meeting.pop(session_id, None))
        return await asyncio.shield(meeting)

    async def _meet(self, session_id: str, now: datetime) -> DaySession | None:
        found = None
        with contextlib.suppress(CryptoError):
            async with transaction(self.sessions) as session:
                found = await session_keys(session, session_id=session_id, now=now)
        if found is None:
            if len(self._unknown) > _UNKNOWN_MAX:
                self._unknown.clear()
            self._unknown[session_id] = now
        else:
            self._known[session_id] = found
        return found

    async def place_of(self, terminal_id: UUID) -> Place | None:
        """Return where a till stands; a till the snapshot does not know makes it load anew."""
        place = self.snapshot.places.get(terminal_id)
        if place is None:
            await self.reload()
            place = self.snapshot.places.get(terminal_id)
        return place

    async def fetch_book(self, number: int) -> None:
        """Put an older rulebook into the snapshot: an authorisation waited long for its completion."""
        async with transaction(self.sessions) as session:
            book = await book_numbered(session, number=number)
        assert book is not None, "a rulebook is never deleted"
        # Before the live ones: it is found by its number only.
        self.snapshot.books = {number: book, **self.snapshot.books}

    async def quarantine(self, request: HotRequest) -> None:
        """Stop a till whose sequence number came with two different records, in a transaction of its own."""
        assert request.sequence is not None, "only a sequence can be used twice"
        async with transaction(self.sessions) as session:
            await quarantine_forked(
                session,
                terminal_id=request.place.terminal_id,
                epoch=request.epoch,
                sequence=request.sequence,
                record_hash=request.record_hash,
                now=self.now(),
            )

    def submit(self, request: HotRequest) -> asyncio.Future[bytes]:
        """Queue a request in its lane."""
        return (self.completions if request.operation is Operation.COMPLETE else self.cards).submit(request)
