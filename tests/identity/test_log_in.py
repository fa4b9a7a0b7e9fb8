"""Logging in to the office: what a thief of names, cookies or codes meets."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from loyalty.crypto import totp_code
from loyalty.errors import NotAllowed
from loyalty.identity import operations, queries
from loyalty.identity.model import Portal, Role, ScopeKind, Stage, UserSession
from loyalty.identity.operations import LogIn, NotOneself, NotSignedIn, PasswordUnchanged, SessionNotFound
from loyalty.identity.rules import PasswordTooWeak, Permission, StepUpNeeded, require
from loyalty.ids import uuid7

from .conftest import NOW, PASSWORD, TOTP_SECRET, actions, later

STEP = timedelta(seconds=30)


async def sign_in(session, name="wang.li", password=PASSWORD, now=NOW, **more) -> LogIn:
    return await operations.start_log_in(session, name=name, password=password, now=now, **more)


async def test_name_password_and_code_open_the_office_with_a_new_token_at_each_step(session, people):
    staff_id = await people.in_office(Role.OFFICE)
    begun = await sign_in(session, name=" Wang.Li ")
    assert begun.stage is Stage.SECOND_FACTOR
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=begun.token, portal=Portal.OFFICE, now=NOW)
    done = await operations.verify_totp(session, token=begun.token, code=totp_code(TOTP_SECRET, now=NOW), now=NOW)
    assert done.stage is Stage.OPEN
    assert done.token != begun.token
    principal = await operations.resume(session, token=done.token, portal=Portal.OFFICE, now=NOW)
    assert (principal.staff_id, principal.roles, principal.fresh) == (staff_id, {Role.OFFICE}, True)
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=begun.token, portal=Portal.OFFICE, now=NOW)


async def test_a_token_the_browser_brings_is_never_adopted(session, people):
    await people.in_office(Role.OFFICE)
    planted = "A" * 43
    begun = await sign_in(session, previous_token=planted)
    assert begun.token != planted
    before = (await people.log_in(now=later(minutes=1))).token
    begun = await sign_in(session, previous_token=before, now=later(minutes=2))
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=before, portal=Portal.OFFICE, now=later(minutes=2))
    assert await session.scalar(select(UserSession.session_id).where(UserSession.token_hash == planted.encode())) is None


async def test_the_database_holds_no_token_no_password_and_no_secret(session, people):
    await people.in_office(Role.OFFICE)
    done = await people.log_in()
    for table in ("users", "user_sessions", "attempts", "audit_entries"):
        rows = str((await session.execute(text(f"SELECT row_to_json({table})::text FROM {table}"))).all())
        assert done.token not in rows
        assert PASSWORD not in rows
        assert TOTP_SECRET.hex() not in rows


async def test_unknown_name_wrong_password_and_closed_log_in_answer_alike(session, people):
    staff_id = await people.in_office(Role.OFFICE)
    wrong = await sign_in(session, password="wrong horse battery staple")
    unknown = await sign_in(session, name="nobody")
    await operations.disable_user(session, staff_id=staff_id, by=None, now=NOW)
    closed = await sign_in(session)
    assert wrong == unknown == closed == LogIn()


async def test_a_name_with_a_null_byte_is_just_unknown(session, people):
    assert (await sign_in(session, name="wang\0li", password="\0" * 20)).refused


async def test_both_a_known_and_an_unknown_name_wait_after_five_failures(session, people):
    await people.in_office(Role.OFFICE)
    for name in ("wang.li", "nobody"):
        for _ in range(5):
            assert (await sign_in(session, name=name, password="wrong horse battery staple")).refused
        assert (await sign_in(session, name=name)).refused
    # The right password is not even looked at within the minute, and works after it.
    assert (await sign_in(session, now=later(seconds=59))).refused
    assert not (await sign_in(session, now=later(seconds=61))).refused


async def test_a_right_password_forgets_the_failures_before_it(session, people):
    await people.in_office(Role.OFFICE)
    for _ in range(3):
        for _ in range(4):
            assert (await sign_in(session, password="wrong horse battery staple")).refused
        assert not (await sign_in(session)).refused


async def test_one_address_cannot_try_many_names(session, people):
    await people.in_office(Role.OFFICE)
    for number in range(50):
        # Not hashed 50 times: an unknown name costs what a known one does, so the budget row is filled directly.
        await operations.attempts.take_attempt(
            session, kind=operations.attempts.AttemptKind.LOG_IN_ADDRESS, subject="203.0.113.7", now=NOW + timedelta(milliseconds=number)
        )
    assert (await sign_in(session, address="203.0.113.7", now=later(seconds=1))).refused
    assert not (await sign_in(session, address="203.0.113.8", now=later(seconds=1))).refused


async def test_a_code_is_good_once(session, people):
    await people.in_office(Role.OFFICE)
    code = totp_code(TOTP_SECRET, now=NOW)
    first, second = await sign_in(session), await sign_in(session)
    assert not (await operations.verify_totp(session, token=first.token, code=code, now=NOW)).refused
    assert (await operations.verify_totp(session, token=second.token, code=code, now=NOW)).refused
    # Nor one from before it, still inside the window of drift.
    assert (await operations.verify_totp(session, token=second.token, code=totp_code(TOTP_SECRET, now=NOW - STEP), now=NOW)).refused
    following = totp_code(TOTP_SECRET, now=NOW + STEP)
    assert not (await operations.verify_totp(session, token=second.token, code=following, now=NOW + STEP)).refused


async def test_codes_cannot_be_guessed(session, people):
    await people.in_office(Role.OFFICE)
    begun = await sign_in(session)
    right = totp_code(TOTP_SECRET, now=NOW)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for _ in range(5):
        assert (await operations.verify_totp(session, token=begun.token, code=wrong, now=NOW)).refused
    assert (await operations.verify_totp(session, token=begun.token, code=right, now=NOW)).refused
    late = later(seconds=90)
    assert not (await operations.verify_totp(session, token=begun.token, code=totp_code(TOTP_SECRET, now=late), now=late)).refused


async def test_a_log_in_waits_five_minutes_for_its_second_factor(session, people):
    await people.in_office(Role.OFFICE)
    begun = await sign_in(session)
    late = later(minutes=5, seconds=1)
    assert (await operations.verify_totp(session, token=begun.token, code=totp_code(TOTP_SECRET, now=late), now=late)).refused


async def test_the_first_log_in_sets_up_a_second_factor_and_a_new_password(session, people):
    staff_id = await people.hire((Role.OFFICE, ScopeKind.ALL, None))
    await operations.create_user(session, staff_id=staff_id, log_in_name="chen", password=PASSWORD, now=NOW)
    begun = await sign_in(session, name="chen")
    assert begun.stage is Stage.ENROL_TOTP
    setup = await operations.begin_totp(session, token=begun.token, now=NOW)
    again = await operations.begin_totp(session, token=begun.token, now=NOW)
    assert setup == again
    assert setup.uri.startswith("otpauth://totp/")
    secret = await _secret(session, staff_id)
    confirmed = await operations.confirm_totp(session, token=begun.token, code=totp_code(secret, now=NOW), now=NOW)
    assert (confirmed.stage, len(set(confirmed.recovery_codes))) == (Stage.CHANGE_PASSWORD, 10)
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=confirmed.token, portal=Portal.OFFICE, now=NOW)
    with pytest.raises(PasswordUnchanged):
        await operations.choose_password(session, token=confirmed.token, password=PASSWORD, now=NOW)
    with pytest.raises(PasswordTooWeak):
        await operations.choose_password(session, token=confirmed.token, password="short", now=NOW)
    done = await operations.choose_password(session, token=confirmed.token, password="another horse entirely", now=NOW)
    assert (await operations.resume(session, token=done.token, portal=Portal.OFFICE, now=NOW)).staff_id == staff_id
    assert len({begun.token, confirmed.token, done.token}) == 3
    assert (await sign_in(session, name="chen")).refused
    assert (await sign_in(session, name="chen", password="another horse entirely")).stage is Stage.SECOND_FACTOR


async def _secret(session, staff_id) -> bytes:
    user = await operations.users.get_user(session, staff_id=staff_id)
    return operations.users._opened(user)


async def test_a_recovery_code_stands_in_once(session, people):
    staff_id = await people.in_office(Role.OFFICE)
    codes = await operations.users.new_recovery_codes(session, await operations.users.get_user(session, staff_id=staff_id), now=NOW)
    begun = await sign_in(session)
    typed = codes[3].lower().replace("-", " ")
    assert not (await operations.use_recovery_code(session, token=begun.token, code=typed, now=NOW)).refused
    begun = await sign_in(session)
    assert (await operations.use_recovery_code(session, token=begun.token, code=codes[3], now=NOW)).refused
    assert (await operations.use_recovery_code(session, token=begun.token, code="no code", now=NOW)).refused
    assert not (await operations.use_recovery_code(session, token=begun.token, code=codes[4], now=NOW)).refused
    assert (await actions(session)).count("identity.recovery_code_used") == 2


async def test_sessions_idle_out_and_end_after_twelve_hours(session, people):
    await people.in_office(Role.OFFICE)
    token = (await people.log_in()).token
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=later(minutes=30))
    for minutes in range(25, 12 * 60, 25):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=later(minutes=minutes))
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=later(hours=12))


@pytest.mark.parametrize("portal", [portal for portal in Portal if portal is not Portal.OFFICE])
async def test_a_session_opens_its_own_portal_only(session, people, portal):
    await people.in_office(Role.OFFICE)
    token = (await people.log_in()).token
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=portal, now=NOW)


async def test_logging_out_ends_the_session(session, people):
    await people.in_office(Role.OFFICE)
    token = (await people.log_in()).token
    await operations.log_out(session, token=token, now=NOW)
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=NOW)
    await operations.log_out(session, token="unknown", now=NOW)


async def test_a_role_that_ends_is_gone_with_the_next_request(session, people):
    staff_id = await people.in_office(Role.OFFICE, Role.FINANCE)
    token = (await people.log_in()).token
    view = await queries.staff_view(session, staff_id=staff_id, now=NOW)
    finance = next(role for role in view.roles if role.role is Role.FINANCE)
    await operations.end_role(session, grant_id=finance.grant_id, now=later(minutes=1))
    principal = await operations.resume(session, token=token, portal=Portal.OFFICE, now=later(minutes=1))
    assert principal.roles == {Role.OFFICE}


async def test_whoever_leaves_is_out_at_once(session, people):
    staff_id = await people.in_office(Role.OFFICE)
    token = (await people.log_in()).token
    await operations.let_go(session, staff_id=staff_id, by=None, now=later(minutes=1))
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=later(minutes=1))
    assert (await sign_in(session, now=later(minutes=1))).refused


async def test_step_up_lasts_five_minutes_and_rotates_the_token(session, people):
    await people.in_office(Role.FINANCE)
    token = (await people.log_in()).token
    stale = await operations.resume(session, token=token, portal=Portal.OFFICE, now=later(minutes=5))
    with pytest.raises(StepUpNeeded):
        require(stale, Permission.CONFIRM_TRANSFERS)
    at = later(minutes=6)
    assert (await operations.step_up(session, token=token, code="000000", now=at)).refused
    stepped = await operations.step_up(session, token=token, code=totp_code(TOTP_SECRET, now=at), now=at)
    fresh = await operations.resume(session, token=stepped.token, portal=Portal.OFFICE, now=at)
    require(fresh, Permission.CONFIRM_TRANSFERS)
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=at)


async def test_changing_ones_password_ends_ones_other_sessions(session, people):
    await people.in_office(Role.OFFICE)
    first = (await people.log_in()).token
    second = (await people.log_in(now=later(minutes=1))).token
    at = later(minutes=2)
    principal = await operations.resume(session, token=second, portal=Portal.OFFICE, now=at)
    assert len(await queries.sessions_of(session, staff_id=principal.staff_id, now=at)) == 2
    assert not await operations.change_password(session, by=principal, present="wrong horse", password="a new one entirely", now=at)
    assert await operations.change_password(session, by=principal, present=PASSWORD, password="a new one entirely", now=at)
    await operations.resume(session, token=second, portal=Portal.OFFICE, now=at)
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=first, portal=Portal.OFFICE, now=at)


async def test_one_revokes_ones_own_session_and_nobody_elses(session, people):
    await people.in_office(Role.OFFICE)
    token = (await people.log_in()).token
    mine = await operations.resume(session, token=token, portal=Portal.OFFICE, now=NOW)
    other = await people.principal(Role.OFFICE)
    with pytest.raises(SessionNotFound):
        await operations.revoke_session(session, session_id=mine.session_id, by=other, now=NOW)
    await operations.revoke_session(session, session_id=mine.session_id, by=mine, now=NOW)
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=NOW)


async def test_the_office_resets_others_but_never_itself(session, people):
    staff_id = await people.in_office(Role.FINANCE)
    token = (await people.log_in()).token
    office = await people.principal(Role.OFFICE)
    await operations.reset_password(session, staff_id=staff_id, password="set by the office", by=office, now=NOW)
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.OFFICE, now=NOW)
    begun = await sign_in(session, password="set by the office")
    at = later(seconds=60)
    done = await operations.verify_totp(session, token=begun.token, code=totp_code(TOTP_SECRET, now=at), now=at)
    assert done.stage is Stage.CHANGE_PASSWORD
    await operations.reset_second_factor(session, staff_id=staff_id, by=office, now=NOW)
    assert (await sign_in(session, password="set by the office")).stage is Stage.ENROL_TOTP
    for reset in (operations.reset_second_factor, operations.disable_user):
        with pytest.raises(NotOneself):
            await reset(session, staff_id=office.staff_id, by=office, now=NOW)
    with pytest.raises(NotAllowed):
        await operations.disable_user(session, staff_id=office.staff_id, by=await people.principal(Role.AUDITOR, name="qian"), now=NOW)


async def test_a_refused_name_is_recorded_by_its_hash_only(session, people):
    await people.in_office(Role.OFFICE)
    await sign_in(session, name=PASSWORD, password="x", address="203.0.113.9", user_agent="Firefox")
    row = (await session.execute(text("SELECT * FROM audit_entries WHERE action = 'identity.log_in_refused'"))).mappings().one()
    assert (row["actor_kind"], row["address"], row["user_agent"]) == ("unknown", "203.0.113.9", "Firefox")
    assert PASSWORD not in str(dict(row))


async def test_a_customers_session_is_theirs(session):
    customer_id = uuid7(NOW)
    await session.execute(
        text(
            "INSERT INTO customers (customer_id, kind, status, name, name_key, locale, country, created_at) "
            "VALUES (:id, 'person', 'active', '王', '王', 'zh_CN', 'CN', :now)"
        ),
        {"id": customer_id, "now": NOW},
    )
    token = await operations.open_holder_session(session, customer_id=customer_id, portal=Portal.ME, now=NOW)
    holder = await operations.resume_holder(session, token=token, portal=Portal.ME, now=later(minutes=29))
    assert holder.customer_id == customer_id
    for portal in (Portal.FLEET, Portal.PARTNER):
        with pytest.raises(NotSignedIn):
            await operations.resume_holder(session, token=token, portal=portal, now=later(minutes=29))
    with pytest.raises(NotSignedIn):
        await operations.resume(session, token=token, portal=Portal.ME, now=later(minutes=29))
    with pytest.raises(NotSignedIn):
        await operations.resume_holder(session, token=token, portal=Portal.ME, now=later(hours=1))
