"""Points and tier as every portal says them: what there is, what runs out first, what is missing for more."""

from dataclasses import dataclass
from datetime import timedelta

from loyalty.rewards.model_tiers import Meets
from loyalty.rewards.queries.points import PointsView
from loyalty.rewards.queries.tiers import Missing, TierProgress
from loyalty.web.formats import Formats
from loyalty.web.i18n import Language


@dataclass(frozen=True, slots=True)
class TierShown:
    """A tier and the way to the next one, in the reader's words."""

    name: str
    """Empty where there is none yet."""
    line: str
    """What is missing for the next tier and until when; empty at the top."""
    percent: int
    """How far the bar is."""
    other: str
    """The other ways to it, or what else it asks; empty where it asks one thing."""
    note: str
    """That the tier is about to be lost, or was granted; empty otherwise."""


@dataclass(frozen=True, slots=True)
class PointsShown:
    """Points in the reader's words."""

    available: str
    pending: str
    expiring: str
    owed: str


def tier_shown(words: Language, f: Formats, progress: TierProgress | None) -> TierShown | None:
    """Say a tier and what is missing for the next; None where tiers are not for this customer, or there are none."""
    if progress is None or (progress.tier is None and progress.next is None):
        return None
    line, percent, other = "", 0, ""
    name = "" if progress.tier is None else words.either(progress.tier.name_zh, progress.tier.name_en)
    if progress.next is not None and progress.nearest is not None:
        either = progress.next.meets is Meets.ANY
        left = [one for one in progress.missing if one.left] or list(progress.missing)
        said = [_missing(words, f, one, progress.currency) for one in left]
        following = words.either(progress.next.name_zh, progress.next.name_en)
        line = _line(words, f, said[0] if either else " + ".join(said), following, progress)
        percent = progress.nearest.percent
        other = words.gettext("or: %(others)s", others=" / ".join(said[1:])) if either and len(said) > 1 else ""
    return TierShown(name, line, percent, other, _note(words, f, progress))


def _line(words: Language, f: Formats, missing: str, tier: str, progress: TierProgress) -> str:
    if progress.ends is None:
        return words.gettext("%(missing)s until %(tier)s", missing=missing, tier=tier)
    return words.gettext("%(missing)s until %(tier)s, by %(day)s", missing=missing, tier=tier, day=f.day(progress.ends))


def _missing(words: Language, f: Formats, one: Missing, currency: str) -> str:
    if one.name == "spend_minor":
        return words.gettext("%(amount)s more spent", amount=f.money(one.left, currency))
    if one.name == "topup_minor":
        return words.gettext("%(amount)s more topped up", amount=f.money(one.left, currency))
    if one.name == "quantity_milli":
        return words.gettext("%(quantity)s more fuel", quantity=f.quantity(one.left))
    return words.ngettext("%(num)s more visit", "%(num)s more visits", one.left)


def _note(words: Language, f: Formats, progress: TierProgress) -> str:
    if progress.grace_until is not None:
        return words.gettext("Kept until %(day)s unless more is done", day=f.day(progress.grace_until - timedelta(days=1)))
    if progress.granted_until is not None:
        return words.gettext("Granted until %(day)s", day=f.full_day(progress.granted_until - timedelta(days=1)))
    return ""


def points_shown(words: Language, f: Formats, points: PointsView) -> PointsShown:
    """Say points: what can be spent, what is on its way, what runs out first."""
    pending = ""
    if points.pending and points.pending_from is not None:
        pending = words.gettext("%(points)s pending, from %(day)s", points=f.count(points.pending), day=f.day(points.pending_from))
    elif points.pending:
        pending = words.gettext("%(points)s pending until the station's day is closed", points=f.count(points.pending))
    soonest = points.soonest
    expiring = ""
    if soonest is not None and soonest.expires_at is not None:
        last = soonest.expires_at - timedelta(seconds=1)
        expiring = words.gettext("%(points)s run out on %(day)s", points=f.count(soonest.points), day=f.full_day(last))
    owed = words.gettext("%(points)s owed", points=f.count(points.owed)) if points.owed else ""
    return PointsShown(f.count(points.available), pending, expiring, owed)
