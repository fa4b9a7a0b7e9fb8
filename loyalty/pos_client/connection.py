"""A till's line to the server: enrolled once, a day session a day, every request signed, kept until answered, repeated under its key.

Each record names the hash of the one before, so that lost or deleted sales show; the shift close signs the whole chain.
"""

import asyncio
import hashlib
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID, uuid4

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty.crypto import (
    ChainRecord,
    SessionAnswer,
    SessionKeys,
    chain_genesis,
    chain_head,
    enrolment_public_key,
    new_enrolment_key,
    open_session_client,
    prove_enrolment_key,
    read_code,
    seal_pin,
)
from loyalty.signing import sign_request

from .parts import Body, Card, Driver, Staff, plain
from .problems import NotEnrolledError, ProblemError, TillError, UnreachableError
from .state import Answer, Entry, Pending, Store, TillState

SHIFT_CLOSE: Final = "shift_close"
_SPENDING: Final = frozenset({"sale", "complete"})
"""Operations whose line in the journal carries what the card gave."""
ATTEMPTS: Final = 4
BACKOFF_S: Final = 0.2
BACKOFF_MAX_S: Final = 3.0
"""A web process that died is back by then; who waited longer and longer would miss the moments in which it is there."""
TIMEOUT_S: Final = 25.0
"""Above the server's own deadline, after which it says that the outcome is unknown."""
RENEW_BEFORE: Final = timedelta(minutes=10)
_REOPEN: Final = frozenset({"signature_unknown_key", "signature_expired"})


def _real_now() -> datetime:
    return datetime.now(UTC)


class Connection:
    """Connection of a till: state, day session, signatures, retries. `Till` adds the operations."""

    def __init__(
        self,
        store: Store,
        *,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], datetime] = _real_now,
        business_clock: Callable[[], datetime] | None = None,
        attempts: int = ATTEMPTS,
        backoff_s: float = BACKOFF_S,
    ) -> None:
        """Take up where `store` left off.

        `clock` is real time, for signatures; `business_clock` says when a sale happened, the same unless a demonstration moves it.

        :raises NotEnrolledError: if the store is empty
        """
        state = store.load()
        if state is None:
            raise NotEnrolledError("this till is not enrolled: ask the office or the station manager for a code")
        self.state = state
        self.clock = clock
        self.business_clock = business_clock or clock
        self._store = store
        self._key = Ed25519PrivateKey.from_private_bytes(state.private_key)
        self._http = http or httpx.AsyncClient(base_url=state.base_url, timeout=TIMEOUT_S)
        self._owns_http = http is None
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._session: SessionKeys | None = None
        self._session_id = ""
        self._opening = asyncio.Lock()

    @classmethod
    async def enrol(cls, base_url: str, *, code: str, store: Store, http: httpx.AsyncClient | None = None, **options: Any) -> Self:
        """Make a key on this device, hand its public half in with the code, and keep what the server says.

        A till that was enrolled before keeps its identity and gets the next epoch; its chain begins anew.

        :raises ProblemError: `enrolment_refused` for any code that is not good
        :raises TillError: if the code has a typing error
        """
        spelled = read_code(code)
        if spelled is None:
            raise TillError("the enrolment code has a typing error")
        key = new_enrolment_key()
        body = {"code": spelled, "public_key": enrolment_public_key(key), "proof": prove_enrolment_key(key, spelled)}
        client = http or httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_S)
        try:
            reply = await client.post("/v1/terminals/enrolment", content=msgspec.json.encode(body), headers=_JSON)
        finally:
            if http is None:
                await client.aclose()
        said = _read(reply)
        terminal_id, epoch = UUID(said["terminal_id"]), int(said["epoch"])
        genesis = chain_genesis(terminal_id, epoch)
        store.save(
            TillState(
                base_url=base_url,
                terminal_id=terminal_id,
                station_id=UUID(said["station_id"]),
                epoch=epoch,
                private_key=key.private_bytes_raw(),
                issuer_keys={number: msgspec.convert(value, bytes) for number, value in said["issuer_keys"].items()},
                previous=genesis,
                head=genesis,
            )
        )
        return cls(store, http=http, **options)

    async def aclose(self) -> None:
        """Let the connection go; the day session stays until it runs out."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def open_session(self) -> SessionKeys:
        """Open a day session: X25519 both ways, ours signed by the enrolled key, the server's by the issuer.

        :raises ProblemError: `session_not_opened` if the key was revoked or the clocks differ by more than five minutes
        :raises SessionRefusedError: if the answer is not the issuer's
        """
        pending = open_session_client(terminal_id=self.state.terminal_id, epoch=self.state.epoch, enrolment_key=self._key, now=self.clock())
        try:
            reply = await self._request("POST", "/v1/terminals/sessions", msgspec.json.encode(pending.opening), _JSON)
        except httpx.TransportError as error:
            raise UnreachableError(self.state.terminal_id, sent=False) from error
        answer = msgspec.convert(_read(reply), SessionAnswer)
        issuer_keys = {int(number): key for number, key in self.state.issuer_keys.items()}
        self._session = pending.finish(answer, issuer_keys=issuer_keys)
        self._session_id = answer.session_id
        return self._session

    async def session(self) -> SessionKeys:
        """Return the day session, opened anew shortly before it runs out."""
        async with self._opening:
            if self._session is None or self.clock() > self._session.expires_at - RENEW_BEFORE:
                await self.open_session()
            assert self._session is not None, "opened above"
            return self._session

    def save(self) -> None:
        """Save the state."""
        self._store.save(self.state)

    async def get(self, path: str, **query: Any) -> Answer:
        """Ask a signed question; nothing is kept, since nothing changes.

        :raises ProblemError: if the server refuses
        :raises UnreachableError: if no answer came
        """
        params = str(httpx.QueryParams({name: value for name, value in query.items() if value is not None}))
        return await self._exchange("GET", path, params, b"", uuid4())

    async def ask(self, path: str, body: Body, *, card: Card | None = None) -> Answer:
        """POST a question that changes nothing (a quote, a balance): neither recorded nor kept."""
        key = uuid4()
        return await self._exchange("POST", path, "", msgspec.json.encode(await self._sealed(body, key, card, ())), key)

    async def as_curl(self, path: str, body: Body, *, card: Card | None = None, driver: Driver | None = None) -> str:
        """Return a signed POST as a command line for curl, for those who want to see the wire. It stands outside the chain of records."""
        key = uuid4()
        content = msgspec.json.encode(await self._sealed(body, key, card, (), driver))
        session = await self.session()
        signed = sign_request(
            method="POST",
            path=path,
            body=content,
            idempotency_key=str(key),
            key_id=self._session_id,
            mac_key=session.mac_key,
            now=self.clock(),
        )
        words = ["curl", "-sS", "-X", "POST", f"{self.state.base_url}{path}", "-H", "Content-Type: application/json"]
        for name, value in signed.items():
            words += ["-H", f"{name}: {value}"]
        return shlex.join([*words, "--data-raw", content.decode()])

    async def perform(
        self,
        operation: str,
        path: str,
        body: Body,
        *,
        card: Card | None = None,
        staff: tuple[tuple[str, Staff | None], ...] = (),
        driver: Driver | None = None,
        key: UUID | None = None,
        amount_minor: int = 0,
    ) -> Answer:
        """POST something that happens once: put it into the chain, keep it, send it until it is answered.

        :raises ProblemError: if the server refuses; nothing happened
        :raises UnreachableError: if no answer came; the request is kept, `resume` asks again
        """
        key = key or uuid4()
        try:
            content = await self._sealed(body, key, card, staff, driver)
        except UnreachableError as error:
            raise UnreachableError(key, sent=False) from error
        pending = self.record(operation, path, content, key=key, amount_minor=amount_minor)
        return await self.deliver(pending)

    def record(self, operation: str, path: str, body: Body, *, key: UUID, amount_minor: int = 0) -> Pending:
        """Give a request its place in the chain and save it; from here on its bytes never change."""
        before = (self.state.previous, self.state.head)
        encoded, entry = self.chained(operation, body, key=key, amount_minor=amount_minor)
        return self.keep(operation, path, encoded, key=key, sequence=entry.sequence, before=before)

    def keep(
        self, operation: str, path: str, content: bytes, *, key: UUID, sequence: int | None, before: tuple[bytes, bytes] | None = None
    ) -> Pending:
        """Save a request before it leaves."""
        pending = Pending(operation=operation, path=path, key=key, body=content, sequence=sequence, before=before)
        self.state.pending.append(pending)
        self.save()
        return pending

    def chained(self, operation: str, body: Body, *, key: UUID, amount_minor: int = 0) -> tuple[bytes, Entry]:
        """Add `record` to a body and the body to the chain; return its bytes and its line of the journal."""
        state = self.state
        state.sequence += 1
        encoded = msgspec.json.encode(body | {"record": {"sequence": state.sequence, "previous": state.previous}})
        digest = hashlib.sha256(encoded).digest()
        place = ChainRecord(state.epoch, state.sequence, state.previous, digest)
        state.head = chain_head(state.head, [place])
        state.previous = digest
        entry = Entry(sequence=state.sequence, key=key, hash=digest, operation=operation, amount_minor=amount_minor)
        state.journal.append(entry)
        return encoded, entry

    async def deliver(self, pending: Pending) -> Answer:
        """Send a kept request until it is answered, and write the answer into the journal."""
        try:
            answer = await self._exchange("POST", pending.path, "", pending.body, pending.key)
        except ProblemError as problem:
            self.settle(pending, booked=False, outcome=None, note=problem.code)
            raise
        if pending.operation == SHIFT_CLOSE and answer.get("status") == "closed":
            self.state.journal = [entry for entry in self.state.journal if entry.sequence > (pending.sequence or 0)]
        amount = answer.get("card_minor", 0) if pending.operation in _SPENDING else None
        self.settle(pending, booked=True, outcome=answer.get("outcome"), amount_minor=amount)
        return answer

    def settle(
        self, pending: Pending, *, booked: bool, outcome: str | None, note: str | None = None, amount_minor: int | None = None
    ) -> None:
        """Note what became of a kept request."""
        if pending in self.state.pending:
            self.state.pending.remove(pending)
        self.note(pending.key, booked=booked, outcome=outcome, note=note, amount_minor=amount_minor)
        self.save()

    def note(self, key: UUID, *, booked: bool, outcome: str | None, note: str | None = None, amount_minor: int | None = None) -> None:
        """Write what became of a record into its line of the journal."""
        for entry in reversed(self.state.journal):
            if entry.key == key:
                entry.booked, entry.outcome, entry.note = booked, outcome, note
                if amount_minor is not None:
                    entry.amount_minor = amount_minor
                return

    def drop_unsent(self, key: UUID) -> None:
        """Forget a request that certainly never left; where nothing followed it in the chain, it leaves no gap there."""
        pending = next((pending for pending in self.state.pending if pending.key == key), None)
        if pending is None:
            return
        state = self.state
        if pending.before is not None and pending.sequence == state.sequence:
            state.sequence -= 1
            state.previous, state.head = pending.before
            state.journal = [entry for entry in state.journal if entry.key != key]
            state.pending.remove(pending)
            self.save()
        else:
            self.settle(pending, booked=False, outcome=None, note="never left")

    async def resume(self) -> dict[UUID, Answer | TillError]:
        """Ask again for everything that has no answer yet, oldest first; stop at the first that still gets none."""
        answers: dict[UUID, Answer | TillError] = {}
        for pending in list(self.state.pending):
            try:
                answers[pending.key] = await self.deliver(pending)
            except UnreachableError as error:
                answers[pending.key] = error
                break
            except ProblemError as problem:
                answers[pending.key] = problem
        return answers

    async def _sealed(
        self, body: Body, key: UUID, card: Card | None, staff: tuple[tuple[str, Staff | None], ...], driver: Driver | None = None
    ) -> Body:
        """Return the body with card, driver and staff members in it, their PINs sealed for this request alone."""
        whole: Body = plain(body)
        if card is not None:
            whole["card"] = plain(card)
            if card.pin is not None:
                whole["card"]["pin"] = seal_pin(await self.session(), card=card.reference, request_key=str(key), pin=card.pin)
        if driver is not None:
            whole |= driver.told
            if driver.card is not None:
                whole["driver_card"] = plain(msgspec.structs.replace(driver.card, pin=None))
            if driver.pin is not None:
                whole["driver_pin"] = seal_pin(await self.session(), card=driver.reference, request_key=str(key), pin=driver.pin)
        for name, person in staff:
            if person is not None:
                sealed = seal_pin(await self.session(), card=person.card, request_key=str(key), pin=person.pin)
                whole[name] = {"card": person.card, "pin": sealed}
        return whole

    async def _exchange(self, method: str, path: str, query: str, body: bytes, key: UUID) -> Answer:
        """Sign and send, again with the same key and bytes where no answer came; the signature is fresh each time."""
        sent = False
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(min(BACKOFF_MAX_S, self._backoff_s * 2 ** (attempt - 1)))
            try:
                reply = await self._send(method, path, query, body, key)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
                continue
            except httpx.TransportError:
                sent = True
                continue
            except UnreachableError:
                continue
            sent = True
            if reply.status_code < 500 and not self._session_is_over(reply):
                return _read(reply)
        raise UnreachableError(key, sent=sent)

    async def _send(self, method: str, path: str, query: str, body: bytes, key: UUID) -> httpx.Response:
        session = await self.session()
        headers = sign_request(
            method=method,
            path=path,
            query=query,
            body=body,
            idempotency_key=str(key),
            key_id=self._session_id,
            mac_key=session.mac_key,
            now=self.clock(),
        )
        url = f"{path}?{query}" if query else path
        return await self._request(method, url, body, headers | _JSON)

    async def _request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        try:
            return await self._http.request(method, url, content=body or None, headers=headers)
        except AttributeError as error:
            # The HTTP library asks a connection for its peer that was reset the moment it stood: nothing went over it.
            raise httpx.ConnectError("the connection was gone at once") from error

    def _session_is_over(self, reply: httpx.Response) -> bool:
        """Say whether the server no longer knows this session: a fresh one is opened, and the request goes again."""
        if reply.status_code != 401 or msgspec.json.decode(reply.content).get("facts", {}).get("fault") not in _REOPEN:
            return False
        self._session = None
        return True


_JSON: Final = {"Content-Type": "application/json"}


def _read(reply: httpx.Response) -> Answer:
    if reply.status_code >= 500:
        raise UnreachableError(uuid4(), sent=True)
    if reply.status_code >= 400:
        raise ProblemError(msgspec.json.decode(reply.content))
    answer: Answer = msgspec.json.decode(reply.content) if reply.content else {}
    return answer
