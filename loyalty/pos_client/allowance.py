"""May this card be sold to without the server? Pure: the last synchronised package, what was sold since, and the instant."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from loyalty.crypto import stop_list_entry

from .problems import OfflineRefusedError
from .state import Offline, Profile, Used

HOUR = timedelta(hours=1)


def shrunk(figure: int, profile: Profile, age: timedelta) -> int:
    """Return a figure of a profile after `age` without a sync: each full hour takes its percentage points, never below nothing."""
    return figure * max(0, 100 - profile.shrink_percent_per_hour * (age // HOUR)) // 100


def profile_of(profiles: Iterable[Profile], number: str) -> Profile | None:
    """Return what a card of this number may take: of the products with the longest fitting prefix, the least of each figure."""
    fitting = [profile for profile in profiles if number.startswith(profile.number_bin)]
    if not fitting:
        return None
    longest = max(len(profile.number_bin) for profile in fitting)
    same = [profile for profile in fitting if len(profile.number_bin) == longest]
    return Profile(
        code="/".join(profile.code for profile in same),
        number_bin=same[0].number_bin,
        allowed=all(profile.allowed for profile in same),
        fill_amount_minor=min(profile.fill_amount_minor for profile in same),
        fill_quantity_milli=min(profile.fill_quantity_milli for profile in same),
        day_amount_minor=min(profile.day_amount_minor for profile in same),
        day_quantity_milli=min(profile.day_quantity_milli for profile in same),
        day_count=min(profile.day_count for profile in same),
        station_amount_minor=min(profile.station_amount_minor for profile in same),
        shrink_percent_per_hour=max(profile.shrink_percent_per_hour for profile in same),
    )


def allow_offline(
    offline: Offline | None, used: Sequence[Used], *, number: str, amount_minor: int, quantity_milli: int, day: str, now: datetime
) -> Used:
    """Return what a sale uses of the allowance, to be remembered until it is reported.

    `day` is the station-local date; `used` everything sold offline and not reported yet.

    :raises OfflineRefusedError: if the card is stopped, its product is not sold offline, or a figure is used up
    """
    if offline is None:
        raise OfflineRefusedError("offline_never_synchronised")
    card = stop_list_entry(offline.day_key, number)
    if card in offline.stopped:
        raise OfflineRefusedError("offline_card_stopped")
    profile = profile_of(offline.profiles, number)
    if profile is None or not profile.allowed:
        raise OfflineRefusedError("offline_not_allowed")
    age = max(now - offline.synced_at, timedelta(0))
    today = [line for line in used if line.card == card and line.day == day]
    station = sum(line.amount_minor for line in used if line.profile == profile.code)
    least = min(
        shrunk(profile.fill_amount_minor, profile, age),
        shrunk(profile.day_amount_minor, profile, age) - sum(line.amount_minor for line in today),
        shrunk(profile.station_amount_minor, profile, age) - station,
    )
    if offline.terminal_max_minor is not None:
        least = min(least, offline.terminal_max_minor - sum(line.amount_minor for line in used))
    if amount_minor > least:
        raise OfflineRefusedError("offline_amount_limit", remaining_minor=max(0, least))
    litres = min(
        shrunk(profile.fill_quantity_milli, profile, age),
        shrunk(profile.day_quantity_milli, profile, age) - sum(line.quantity_milli for line in today),
    )
    if quantity_milli > litres:
        raise OfflineRefusedError("offline_quantity_limit")
    if len(today) >= shrunk(profile.day_count, profile, age):
        raise OfflineRefusedError("offline_count_limit")
    return Used(card=card, profile=profile.code, day=day, amount_minor=amount_minor, quantity_milli=quantity_milli)
