"""A company's sums are those of its fills: what its pages show by day and by vehicle and period."""

from .asking import proved_by

DAYS = proved_by(
    """
    SELECT coalesce(d.company_id, f.company_id) AS company_id, coalesce(d.by, f.by) AS by, coalesce(d.day, f.day) AS day,
        d.fills AS said_fills, f.fills, d.milli AS said_milli, f.milli, d.card AS said_card, f.card
    FROM (
        SELECT company_id, by, day, sum(fills) AS fills, sum(quantity_milli) AS milli, sum(gross_minor) AS gross,
            sum(discount_minor) AS discount, sum(card_minor) AS card
        FROM fleet_days GROUP BY 1, 2, 3
    ) d
    FULL JOIN (
        SELECT f.company_id, u.by, f.day, count(*) AS fills, sum(f.quantity_milli - f.back_milli) AS milli,
            sum(f.gross_minor - f.back_gross_minor) AS gross, sum(f.discount_minor - f.back_discount_minor) AS discount,
            sum(f.card_minor - f.back_card_minor) AS card
        FROM fleet_fills f CROSS JOIN (VALUES ('department'), ('station')) u(by)
        WHERE EXISTS (SELECT FROM fleet_days x WHERE x.company_id = f.company_id) GROUP BY 1, 2, 3
    ) f ON f.company_id = d.company_id AND f.by = d.by AND f.day = d.day
    WHERE (d.fills, d.milli, d.gross, d.discount, d.card) IS DISTINCT FROM (f.fills, f.milli, f.gross, f.discount, f.card)
    """,
    code="fleet-days",
    invariant=4,
    says="what a company's days come to is what its fills come to, refunds taken off",
)

PERIODS = proved_by(
    """
    SELECT p.company_id, p.vehicle_id, p.first, p.fills AS said_fills, f.fills, p.quantity_milli AS said_milli, f.milli,
        p.card_minor AS said_card, f.card
    FROM vehicle_periods p LEFT JOIN LATERAL (
        SELECT count(*) AS fills, sum(f.quantity_milli - f.back_milli) AS milli, sum(f.gross_minor - f.back_gross_minor) AS gross,
            sum(f.discount_minor - f.back_discount_minor) AS discount, sum(f.card_minor - f.back_card_minor) AS card
        FROM fleet_fills f WHERE f.vehicle_id = p.vehicle_id AND f.company_id = p.company_id AND f.day >= p.first
            AND f.day < (p.first + interval '1 month')::date
    ) f ON true
    JOIN companies c ON c.company_id = p.company_id AND c.period_day = p.period_day
    WHERE (p.fills, p.quantity_milli, p.gross_minor, p.discount_minor, p.card_minor)
        IS DISTINCT FROM (f.fills, f.milli, f.gross, f.discount, f.card)
    """,
    code="vehicle-periods",
    invariant=4,
    says="what a vehicle's periods come to is what its fills come to, refunds taken off",
)

CHECKS = (DAYS, PERIODS)
