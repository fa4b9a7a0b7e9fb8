"""Reading limits."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.paging import all_as

from .levels import Above, LevelFacts, Relief
from .model import CardLimit, LevelCounter, LimitChange, LimitProfile, LimitRelease, LimitSetRow, Needs
from .presented import Odometer, OrderFacts, PumpDriver, PumpDriverCard
from .rules import Compiled, LimitSet, compiled

ABOVE: Final = """
LEFT JOIN LATERAL (
    SELECT h.needs, (
        SELECT array_agg(ROW(u.level, u.subject, s.compiled, d.amount_minor, d.quantity_milli, d.count, e.amount_minor, e.quantity_milli,
            e.count, m.amount_minor, m.quantity_milli, m.count,
            (SELECT w.last_at FROM level_counters w WHERE w.account_id = c.account_id AND w.subject_id = u.subject AND w."window" = 1
            ORDER BY w.start DESC LIMIT 1))::limit_level ORDER BY u.place)
        FROM unnest(
            CASE WHEN g.driver_id = ANY (h.subjects) IS NOT FALSE THEN h.subjects ELSE h.subjects || g.driver_id END,
            CASE WHEN g.driver_id = ANY (h.subjects) IS NOT FALSE THEN h.levels ELSE h.levels || 4::smallint END
        ) WITH ORDINALITY u(subject, level, place)
        LEFT JOIN limit_sets s ON s.subject_id = u.subject
        LEFT JOIN level_counters d ON d.account_id = c.account_id AND d.subject_id = u.subject AND d."window" = 1 AND d.start = r.day
        LEFT JOIN level_counters e ON e.account_id = c.account_id AND e.subject_id = u.subject AND e."window" = 2 AND e.start = r.week
        LEFT JOIN level_counters m ON m.account_id = c.account_id AND m.subject_id = u.subject AND m."window" = 3 AND m.start = r.month
    ) AS levels, (
        SELECT array_agg(ROW(x.release_id, x.limits, x.valid_from, x.valid_until, x.minor_max, x.milli_max, x.once, EXISTS (
            SELECT FROM level_counters w
            WHERE w.account_id = c.account_id AND w.subject_id = x.release_id AND w."window" = 0 AND w.count > 0
        ))::limit_relief)
        FROM limit_releases x WHERE x.chain_id = c.chain_id AND x.ended_at IS NULL
    ) AS reliefs,
    CASE WHEN g.driver_id IS NOT NULL
        THEN ROW(g.driver_id, g.status, g.pin_verifier, g.pin_generation, g.pin_tries, g.department_id,
            g.driver_id = ANY (h.subjects))::pump_driver END AS driver,
    CASE WHEN r.says_odometer THEN (
        SELECT ROW(o.odometer_km, o.odometer_at)::pump_odometer FROM vehicles o
        WHERE o.vehicle_id = h.subjects[array_position(h.levels, 3::smallint)] AND o.odometer_at IS NOT NULL
    ) END AS odometer,
    CASE WHEN r.order_number IS NOT NULL THEN (
        SELECT ROW(o.order_id, o.status, o.product_code, o.station_id, o.chain_id, o.vehicle_id, o.amount_minor, o.quantity_milli,
            o.keeps_rest,
            o.valid_from, o.valid_until, w.amount_minor, w.quantity_milli, w.count)::pump_order
        FROM fuel_orders o
        LEFT JOIN level_counters w ON w.account_id = o.account_id AND w.subject_id = o.order_id AND w."window" = 0
        WHERE o.company_id = h.company_id AND o.number = r.order_number
    ) END AS fuel_order,
    CASE WHEN r.driver_card IS NOT NULL THEN (
        SELECT ROW(n.card_id, n.status, n.version, n.expires_on, n.check_value_index, q.pin_required)::pump_driver_card
        FROM cards n JOIN card_products q ON q.product_id = n.product_id
        WHERE n.number_index = r.driver_card AND n.account_id = c.account_id
    ) END AS driver_card
    FROM limit_chains h LEFT JOIN drivers g ON g.company_id = h.company_id AND g.number = CASE
        WHEN r.driver_card IS NULL THEN r.driver_number
        ELSE (
            SELECT f.number
            FROM cards n
            JOIN limit_chains t ON t.chain_id = n.chain_id AND array_position(t.levels, 3::smallint) IS NULL
            JOIN drivers f ON f.driver_id = t.subjects[array_position(t.levels, 4::smallint)]
            WHERE n.number_index = r.driver_card AND n.account_id = c.account_id
        )
    END
    WHERE h.chain_id = c.chain_id AND a.kind = 'company'
) v ON true
"""
"""What stands over a company's card, `c` of account `a`, on the day, week and month of `r`, which also says which driver's number was
typed, or which card was shown beside (its blind index: a card of the same account that is bound to a driver and to no vehicle stands for
its driver's number), which order was named, and whether an odometer was read; the pump's read joins it. Of another's card nothing is
looked up: the account's kind is asked first."""

ABOVE_COLUMNS: Final = "v.levels, v.reliefs, v.driver, v.odometer, v.fuel_order, v.needs, v.driver_card"
"""Of `v` what `above_of` takes, in order."""


async def standing_limits(session: AsyncSession, *, subject_id: UUID) -> list[CardLimit]:
    """Return a subject's limits that nobody has ended, those still to begin too, in the order they were made."""
    statement = select(CardLimit).where(CardLimit.subject_id == subject_id, CardLimit.ended_at.is_(None)).order_by(CardLimit.limit_id)
    return list(await session.scalars(statement))


async def standing_changes(session: AsyncSession, *, subject_id: UUID, now: datetime) -> list[LimitChange]:
    """Return a subject's dated changes that nobody has ended and that have not passed, in the order they were made."""
    mine = (LimitChange.subject_id == subject_id, LimitChange.ended_at.is_(None), LimitChange.valid_to > now)
    return list(await session.scalars(select(LimitChange).where(*mine).order_by(LimitChange.change_id)))


async def standing_releases(session: AsyncSession, *, chain_id: UUID, now: datetime) -> list[LimitRelease]:
    """Return a chain's releases and permits that hold at an instant, those for one fill until it came."""
    used = exists().where(
        LevelCounter.account_id == LimitRelease.account_id,
        LevelCounter.subject_id == LimitRelease.release_id,
        LevelCounter.window == 0,
        LevelCounter.count > 0,
    )
    mine = (LimitRelease.chain_id == chain_id, LimitRelease.ended_at.is_(None), LimitRelease.valid_until > now)
    return list(await session.scalars(select(LimitRelease).where(*mine, ~(LimitRelease.once & used)).order_by(LimitRelease.release_id)))


async def needs_of(session: AsyncSession, *, subject_id: UUID) -> Needs:
    """Return what a subject itself asks for with its cards."""
    return Needs(await session.scalar(select(LimitSetRow.needs).where(LimitSetRow.subject_id == subject_id)) or 0)


async def limit_history(session: AsyncSession, *, subject_id: UUID, since: datetime | None = None) -> list[CardLimit]:
    """Return every limit a subject ever had, the latest first; `since`: made from then on."""
    statement = select(CardLimit).where(CardLimit.subject_id == subject_id).order_by(CardLimit.limit_id.desc())
    return list(await session.scalars(statement if since is None else statement.where(CardLimit.created_at >= since)))


async def limit_set_of(session: AsyncSession, *, subject_id: UUID) -> LimitSet:
    """Return the compiled document that binds a subject now; an empty one where it has none."""
    document = await session.scalar(select(LimitSetRow.compiled).where(LimitSetRow.subject_id == subject_id))
    return msgspec.convert(document or {}, LimitSet)


async def users_of_profile(session: AsyncSession, *, profile_id: UUID) -> list[UUID]:
    """Return the subjects that have a profile's limits besides their own, in id order."""
    statement = select(LimitSetRow.subject_id).where(LimitSetRow.profile_id == profile_id).order_by(LimitSetRow.subject_id)
    return list(await session.scalars(statement))


class ProfileView(msgspec.Struct, frozen=True):
    """A profile, how many limits it holds and how many subjects use it."""

    profile_id: UUID
    name: str
    limits: int
    users: int


async def list_profiles(session: AsyncSession, *, company_id: UUID, profile_id: UUID | None = None) -> list[ProfileView]:
    """Return a company's profiles that stand, by name; with `profile_id` only that one."""
    limits = select(func.count()).where(CardLimit.subject_id == LimitProfile.profile_id, CardLimit.ended_at.is_(None)).scalar_subquery()
    users = select(func.count()).where(LimitSetRow.profile_id == LimitProfile.profile_id).scalar_subquery()
    statement = select(LimitProfile.profile_id, LimitProfile.name, limits, users)
    statement = statement.where(LimitProfile.company_id == company_id, LimitProfile.closed_at.is_(None))
    if profile_id is not None:
        statement = statement.where(LimitProfile.profile_id == profile_id)
    return await all_as(session, ProfileView, statement.order_by(LimitProfile.name))


async def profile_used_by(session: AsyncSession, *, subject_id: UUID) -> UUID | None:
    """Return the profile whose limits hold for a subject besides its own."""
    found: UUID | None = await session.scalar(select(LimitSetRow.profile_id).where(LimitSetRow.subject_id == subject_id))
    return found


async def get_set_for_update(session: AsyncSession, *, subject_id: UUID) -> LimitSetRow:
    """Lock and return a subject's set, which must exist."""
    statement = select(LimitSetRow).where(LimitSetRow.subject_id == subject_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


def above_of(
    levels: Sequence[Any] | None,
    reliefs: Sequence[Any] | None,
    driver: Sequence[Any] | None,
    odometer: Sequence[Any] | None,
    fuel_order: Sequence[Any] | None,
    needs: int,
    driver_card: Sequence[Any] | None,
) -> Above:
    """Build what stands over a card from what `ABOVE` gives."""
    return Above(
        [LevelFacts(one[0], one[1], _limits_in(one[2]), [value or 0 for value in one[3:12]], one[12]) for one in levels or ()],
        [Relief(one[0], None if one[1] is None else frozenset(one[1]), *one[2:8]) for one in reliefs or ()],
        needs,
        None if driver is None else PumpDriver(*driver),
        None if odometer is None else Odometer(*odometer),
        None if fuel_order is None else OrderFacts(*fuel_order[:11], *(value or 0 for value in fuel_order[11:14])),
        None if driver_card is None else PumpDriverCard(*driver_card),
    )


def _limits_in(document: Any) -> Compiled | None:
    """Read a level's document: the pump's own connection gives its text, a session what the driver made of it."""
    if document is None:
        return None
    return compiled(document) if isinstance(document, str) else Compiled(msgspec.convert(document, LimitSet))


async def above_at(
    session: AsyncSession,
    *,
    account_id: UUID,
    chain_id: UUID,
    day: date,
    driver_number: str | None = None,
    driver_card: bytes | None = None,
    order_number: str | None = None,
) -> Above | None:
    """Return what stands over a company account's chain on a station's `day`, with whom and what was named; None where nothing does."""
    row = (
        await session.execute(
            text(
                f"""
                SELECT {ABOVE_COLUMNS}
                FROM (SELECT CAST(:account_id AS uuid) AS account_id, CAST(:chain_id AS uuid) AS chain_id) c
                CROSS JOIN (SELECT 'company' AS kind) a
                CROSS JOIN (
                    SELECT d.day, date_trunc('week', d.day::timestamp)::date AS week, date_trunc('month', d.day::timestamp)::date AS month,
                        CAST(:driver_number AS text) AS driver_number, CAST(:driver_card AS bytea) AS driver_card,
                        CAST(:order_number AS text) AS order_number,
                        false AS says_odometer
                    FROM (SELECT CAST(:day AS date) AS day) d
                ) r
                {ABOVE}
                """.replace("::", "\\:\\:")  # noqa: S608 - put together from this file's constants
            ),
            {
                "account_id": account_id,
                "chain_id": chain_id,
                "day": day,
                "driver_number": driver_number,
                "driver_card": driver_card,
                "order_number": order_number,
            },
        )
    ).one()
    return None if row.needs is None else above_of(*row)
