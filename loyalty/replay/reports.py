"""What a person reads after a replay: receipts booked, totals by currency beside the former system's, what was flagged."""

from collections import Counter
from collections.abc import Sequence

from loyalty.money import decimal_text

from .running import Answers, Played


def report_text(played: Sequence[Played], answers: Answers, *, seconds: float) -> str:
    """Return the report as text."""
    booked = [each for each in played if each.is_booked]
    parts: Counter[str] = sum((each.parts for each in played), Counter())
    flags: Counter[str] = sum((each.flags for each in played), Counter())
    requests = sum(each.requests for each in played)
    lines = [
        f"{len(booked):,} of {len(played):,} receipts booked, {requests:,} requests in {seconds:,.1f} s",
        "  " + ", ".join(f"{verb} {count:,}" for verb, count in sorted(parts.items())),
        f"{'':<6}{'receipts':>10}{'former system':>18}{'booked':>18}{'loaded':>18}",
        *(_currency_line(currency, played) for currency in sorted({each.planned.receipt.currency for each in played})),
    ]
    if flags:
        lines.append("flagged: " + ", ".join(f"{name} {count:,}" for name, count in flags.most_common()))
    if answers.before:
        same = answers.repeated - len(answers.differing)
        lines.append(f"{same:,} of {answers.repeated:,} answers are those of the replay before; {len(answers.differing):,} differ")
    failed = [each for each in played if not each.is_booked]
    lines += [f"not booked: {each.planned.receipt!r}: {'; '.join(each.problems) or 'other amount'}" for each in failed]
    return "\n".join(lines)


def _currency_line(currency: str, played: Sequence[Played]) -> str:
    of = [each for each in played if each.planned.receipt.currency == currency]
    former = sum(each.planned.receipt.amount_minor for each in of)
    booked, loaded = sum(each.booked_minor for each in of), sum(each.loaded_minor for each in of)
    amounts = "".join(f"{decimal_text(amount, currency):>18}" for amount in (former, booked, loaded))
    return f"{currency:<6}{len(of):>10,}{amounts}"
