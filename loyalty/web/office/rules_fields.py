"""The rule's form, section by section: only the fields of the chosen effect, filled with what was typed, faults beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loyalty.web.office.parts import Field
from loyalty.web.office.rules_reading import ROWS_MAX
from loyalty.web.office.rules_typed import Typed, counts_pieces
from loyalty.web.office.rules_words import ACCOUNTS, EFFECT, EFFECT_HELP, OF, PAYMENTS, PER, WAYS, WEEKDAYS, Choices, Options

BLANK_ROWS: Final = 1
MORE_ROWS: Final = 3


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the form; a closed one opens where it has something to say."""

    title: str
    help: str
    fields: Sequence[Field]
    open: bool = True


class RuleFields:
    """Draws a rule's form from what was typed."""

    def __init__(self, choices: Choices, typed: Typed, faults: Mapping[str, str], *, new: bool, sign: str) -> None:
        self.choices = choices
        self.typed = typed
        self.faults = faults
        self.new = new
        self.sign = sign
        """What stands before an amount: ¥."""
        self._ = choices.desk.gettext
        self.more_rows = MORE_ROWS if self.value("show") == "rows" else 0

    def sections(self) -> list[Section]:
        """Return the form."""
        _ = self._
        return [
            Section(_("What it gives"), _(EFFECT_HELP.get(self.value("effect"), "")), self._effect()),
            Section(_("For which goods, where"), _("Nothing chosen means all."), self._goods()),
            Section(_("For whom"), _("Nothing chosen means everybody."), self._who(), open=self._any(*_WHO)),
            Section(_("When"), _("Times are the station's own."), self._when(), open=self._any(*_WHEN)),
            Section(_("From how much"), "", self._thresholds(), open=self._any(*_MUCH)),
            Section(
                _("Limits and budget"),
                _("Whatever is reached first."),
                self._limits(),
                open=self._any("budget", "campaign", "cap-0-amount", "cap-0-count"),
            ),
            Section(_("Who pays"), _("Shares as parts: 80 and 20, or 4 and 1."), self._funders()),
            Section(_("Name and place"), "", self._names()),
        ]

    def value(self, name: str) -> str:
        """Return what stands in a field."""
        return (self.typed.get(name) or [""])[-1]

    def values(self, name: str) -> list[str]:
        """Return what is chosen of many."""
        return [value for value in self.typed.get(name, []) if value]

    def _any(self, *names: str) -> bool:
        return any(self.value(name) or name in self.faults for name in names)

    def _line(self, name: str, label: str, **more: Any) -> Field:
        return Field(
            kind="field",
            name=name,
            label=label,
            more={"value": self.value(name), "required": False, "fault": self.faults.get(name, "")} | more,
        )

    def _money(self, name: str, label: str, **more: Any) -> Field:
        return self._line(name, label, num=True, before=self.sign, **more)

    def _select(self, name: str, label: str, options: Options, **more: Any) -> Field:
        return Field(
            kind="select",
            name=name,
            label=label,
            more={"options": options, "value": self.value(name), "required": False, "fault": self.faults.get(name, "")} | more,
        )

    def _chips(self, name: str, label: str, options: Options, *, many: bool = False, **more: Any) -> Field:
        value: Any = self.values(name) if many else self.value(name)
        return Field(
            kind="chips",
            name=name,
            label=label,
            more={"options": options, "value": value, "many": many, "fault": self.faults.get(name, "")} | more,
        )

    def _check(self, name: str, label: str, note: str = "") -> Field:
        return Field(kind="check", name=name, label=label, more={"checked": bool(self.value(name)), "note": note})

    def _picker(self, name: str, label: str, options: Options, **more: Any) -> Field:
        chosen = self.values(name)
        known = {code for code, _label in options}
        there = [*((code, f"{code} · ?") for code in chosen if code not in known), *options]
        labels = [label_ for code, label_ in there if code in chosen]
        return Field(
            kind="picker",
            name=name,
            label=label,
            more={"options": there, "value": chosen, "labels": labels, "fault": self.faults.get(name, "")} | more,
        )

    def _rows(
        self, name: str, label: str, parts: Sequence[str], make: Callable[[str], list[Field]], *, least: int = 1, note: str = ""
    ) -> Field:
        filled = [index for index in range(ROWS_MAX) if any(self.values(f"{name}-{index}-{part}") for part in parts)]
        count = min(max(least, (filled[-1] + 1 if filled else 0) + BLANK_ROWS) + self.more_rows, ROWS_MAX)
        lines = [(make(f"{name}-{index}-"), self._row_fault(name, index)) for index in range(count)]
        return Field(kind="rows", name=name, label=label, more={"rows": lines, "help": note})

    def _row_fault(self, name: str, index: int) -> str:
        said = [fault for field, fault in self.faults.items() if field.startswith(f"{name}-{index}-")]
        return "; ".join(said)

    def _effect(self) -> list[Field]:
        _ = self._
        kinds = [(kind, _(label)) for kind, label in EFFECT.items()]
        first = self._select("effect", _("Effect"), kinds, required=True, attrs={"data-reload": "1"})
        drawn: Mapping[str, Callable[[], list[Field]]] = {
            "per_unit": lambda: [
                self._line("rate", _("Off a unit"), num=True, before=self.sign, required=True, help=_("Up to four decimals."))
            ],
            "unit_price": lambda: [
                self._line("unit_price", _("Price of one unit"), num=True, before=self.sign, required=True, help=_("Up to four decimals."))
            ],
            "percent": lambda: [
                self._line("percent", _("Percent off"), num=True, after="%", required=True),
                self._chips("percent_basis", _("Of what"), self._bases(after=False)),
            ],
            "fixed": lambda: [self._money("amount", _("Amount off"), required=True)],
            "tiered": self._tiered,
            "bundle": self._bundle,
            "bonus": self._bonus,
            "points": self._points,
            "points_times": lambda: [self._line("points_times", _("Multiplied by"), num=True, before="×", required=True)],
            "give": lambda: [
                self._select("thing", _("What is given"), self.choices.things(), blank=_("Choose"), required=True),
                self._line("count", _("How many"), num=True, inputmode="numeric"),
            ],
        }
        kind = self.value("effect")
        return [first, *drawn[kind]()] if kind in drawn else [first]

    def _bases(self, *, after: bool) -> Options:
        _ = self._
        found = [("initial", _("the initial amount")), ("before", _("what earlier rules left"))]
        return [*found, ("after", _("what would be left after it"))] if after else found

    def _worths(self, *, rate: bool) -> Options:
        _ = self._
        rates = [("rate", _("off a unit"))] if rate else []
        return [*rates, ("percent", _("percent")), ("amount", _("amount"))]

    def _bands(self, *, rate: bool, money: bool) -> Field:
        _ = self._
        mark = {"before": self.sign} if money else {}

        def row(prefix: str) -> list[Field]:
            return [
                self._line(f"{prefix}starts", _("From"), num=True, **mark),
                self._select(f"{prefix}kind", _("Worth as"), self._worths(rate=rate)),
                self._line(f"{prefix}worth", _("Worth"), num=True),
            ]

        return self._rows("band", _("Bands"), ("starts", "worth"), row, least=2, note=_("Empty rows are left out."))

    def _tiered(self) -> list[Field]:
        _ = self._
        return [
            self._chips("by", _("Bands by"), [("quantity", _("quantity")), ("amount", _("amount"))], attrs={"data-reload": "1"}),
            self._chips("ladder", _("The band reached counts"), [("whole", _("for everything")), ("marginal", _("for its own part only"))]),
            self._bands(rate=True, money=self.value("by") == "amount"),
        ]

    def _bundle(self) -> list[Field]:
        _ = self._
        goods = self.choices.goods()

        def row(prefix: str) -> list[Field]:
            return [
                self._picker(f"{prefix}goods", _("Any of these"), goods),
                self._line(f"{prefix}quantity", _("How much"), num=True),
            ]

        return [
            self._rows("part", _("Parts"), ("quantity", "goods"), row, least=2, note=_("The last part is the one that becomes cheaper.")),
            self._select("worth_kind", _("Off as"), self._worths(rate=False)),
            self._line("worth", _("Off the last part"), num=True, required=True),
            self._line("times", _("Sets at most"), num=True, inputmode="numeric"),
        ]

    def _bonus(self) -> list[Field]:
        _ = self._
        kinds = [("bands", _("by bands of the amount")), ("percent", _("percent")), ("amount", _("amount"))]
        first = self._chips("bonus_kind", _("Bonus by"), kinds, attrs={"data-reload": "1"})
        last = [
            self._line("expires_days", _("Good for days"), num=True, inputmode="numeric", help=_("Empty: it does not end.")),
            *self._spend(),
        ]
        if self.value("bonus_kind") != "bands":
            mark: dict[str, Any] = {"after": "%"} if self.value("bonus_kind") == "percent" else {"before": self.sign}
            return [first, self._line("worth", _("Bonus"), num=True, required=True, **mark), *last]
        several = [("highest", _("the highest only")), ("every", _("all of them, added up")), ("repeat", _("as often as it fits"))]
        return [first, self._chips("several", _("Where several bands are reached"), several), self._bands(rate=False, money=True), *last]

    def _spend(self) -> list[Field]:
        """What the bonus money may be spent on."""
        _, choices = self._, self.choices
        return [
            self._picker("spend-goods", _("May be spent on"), choices.goods()),
            self._picker("spend-stations", _("Only at stations"), choices.coded("stations")),
            self._picker("spend-districts", _("Only in districts"), choices.coded("districts")),
            self._picker("spend-regions", _("Only in regions"), choices.coded("regions")),
            self._money("spend-least", _("In purchases from"), help=_("The whole purchase, before discounts.")),
        ]

    def _points(self) -> list[Field]:
        _ = self._
        by = [("quantity", _("quantity")), ("amount", _("amount paid")), ("once", _("once a transaction"))]
        steps = []
        if self.value("points_by") != "once":
            mark = {"before": self.sign} if self.value("points_by") == "amount" else {}
            steps = [
                self._line("points_step", _("For each"), num=True, required=True, **mark),
                self._check("whole", _("Full steps only"), _("Whole litres; else rounded half-up.")),
            ]
        roundings = [("day", _("its day")), ("month", _("its month")), ("quarter", _("its quarter")), ("year", _("its year"))]
        return [
            self._line("points", _("Points"), num=True, inputmode="numeric", required=True),
            self._chips("points_by", _("By"), by, attrs={"data-reload": "1"}),
            *steps,
            self._line(
                "pending_days", _("Wait days"), num=True, inputmode="numeric", help=_("How long they wait before they can be spent.")
            ),
            self._check("when_settled", _("Wait for the day close"), _("Until the station has closed the day on which they were earned.")),
            self._line("expires_months", _("Lapse after months"), num=True, inputmode="numeric", help=_("Empty: they do not lapse.")),
            self._select("rounding", _("They lapse at the end of"), roundings),
        ]

    def _goods(self) -> list[Field]:
        _, choices = self._, self.choices
        goods = choices.goods()
        return [
            self._picker("goods", _("Goods"), goods),
            self._picker("excluded", _("But not"), goods),
            self._picker("stations", _("Stations"), choices.coded("stations")),
            self._picker("districts", _("Districts"), choices.coded("districts")),
            self._picker("regions", _("Regions"), choices.coded("regions")),
            self._chips(
                "channels", _("How the customer comes"), choices.known(WAYS), many=True, help=_("Nothing chosen: every way but top-ups.")
            ),
            self._chips("tenders", _("Paid only with"), choices.known(PAYMENTS), many=True),
        ]

    def _who(self) -> list[Field]:
        _, choices = self._, self.choices
        birthdays = [("", _("does not matter")), ("month", _("the month of birth")), ("around", _("days around it"))]
        around = [
            self._line("days_before", _("Days before"), num=True, inputmode="numeric"),
            self._line("days_after", _("Days after"), num=True, inputmode="numeric"),
        ]
        return [
            self._picker("card_products", _("Card products"), choices.coded("card_products")),
            self._picker("tiers", _("Tiers"), choices.coded("tiers")),
            self._chips("account_kinds", _("Kinds of account"), choices.known(ACCOUNTS), many=True),
            self._line("segments", _("Segments"), help=_("Several with commas between.")),
            self._line("flyers", _("Flyer codes"), help=_("Several with commas between.")),
            self._select("birthday", _("Birthday"), birthdays, attrs={"data-reload": "1"}),
            *(around if self.value("birthday") == "around" else ()),
            self._line("joined_within_days", _("Days since the card was opened"), num=True, inputmode="numeric"),
            self._line(
                "converted_within_days",
                _("Days since it was registered"),
                num=True,
                inputmode="numeric",
                help=_("An anonymous card that became registered."),
            ),
            Field(
                kind="textarea",
                name="customers",
                label=_("Named customers"),
                more={
                    "value": self.value("customers"),
                    "required": False,
                    "rows": 2,
                    "fault": self.faults.get("customers", ""),
                    "help": _("One id a line, as it stands in the customer's address."),
                },
            ),
        ]

    def _when(self) -> list[Field]:
        _ = self._
        days = [(str(number), _(name)) for number, name in enumerate(WEEKDAYS, 1)]
        per = [(value, _(label)) for value, label in PER if value != "transaction"]

        def hours(prefix: str) -> list[Field]:
            return [
                self._line(f"{prefix}starts", _("From"), placeholder="08:00"),
                self._line(f"{prefix}ends", _("To"), placeholder="24:00"),
            ]

        return [
            self._line("starts_at", _("From"), type="datetime-local", help=_("Empty: at once.")),
            self._line("ends_at", _("To"), type="datetime-local", help=_("Empty: until it is changed.")),
            self._chips("weekdays", _("Weekdays"), days, many=True),
            self._line("month_days", _("Days of the month"), help=_("1, 15")),
            self._rows("hours", _("Parts of the day"), ("starts", "ends"), hours, note=_("Past midnight where the end is not later.")),
            self._line("nth_count", _("Which time"), num=True, inputmode="numeric", help=_("1 is the first. Empty: every time.")),
            self._check("nth_every", _("And each multiple of it"), _("Every fifth time, not only the fifth.")),
            self._select("nth_per", _("Counted within"), per),
            self._select("nth_of", _("Counted for"), [(value, _(label)) for value, label in OF]),
        ]

    def _thresholds(self) -> list[Field]:
        _ = self._
        return [
            self._line("least_quantity", _("From this quantity"), num=True, help=_("Litres, kilograms, pieces: as the goods are sold.")),
            self._line("most_quantity", _("Up to this quantity"), num=True),
            self._money("least_amount", _("From this amount")),
            self._money("most_amount", _("Up to this amount")),
            self._chips("basis", _("Which amount is compared"), self._bases(after=True)),
        ]

    def _limits(self) -> list[Field]:
        _ = self._
        pieces = counts_pieces(self.value("effect"))
        per, of = [(value, _(label)) for value, label in PER], [(value, _(label)) for value, label in OF]
        mark = {} if pieces else {"before": self.sign}

        def row(prefix: str) -> list[Field]:
            return [
                self._select(f"{prefix}per", _("Within"), per),
                self._select(f"{prefix}of", _("Whose"), of),
                self._line(f"{prefix}amount", _("At most"), num=True, **mark),
                self._line(f"{prefix}count", _("Times at most"), num=True, inputmode="numeric"),
            ]

        return [
            self._rows("cap", _("Limits"), ("amount", "count"), row, note=_("Empty rows are left out.")),
            self._select("budget", _("Budget"), self.choices.budgets(), blank=_("none")),
            self._select("campaign", _("Campaign"), self.choices.campaigns(), blank=_("none")),
        ]

    def _funders(self) -> list[Field]:
        _ = self._
        known = self.choices.funders()

        def row(prefix: str) -> list[Field]:
            return [
                self._line(f"{prefix}name", _("Funder"), attrs={"list": "funders"}),
                self._line(f"{prefix}parts", _("Parts"), num=True, inputmode="numeric"),
            ]

        more = {"options": known}
        return [
            self._rows("funder", _("Funders"), ("name",), row, note=_("head-office, station, or a partner's code.")),
            Field(kind="datalist", name="funders", more=more),
        ]

    def _names(self) -> list[Field]:
        _ = self._
        code = (
            [self._line("code", _("Code"), required=True, help=_("Names it for ever: a-z, 0-9, dot, hyphen, underscore."))]
            if self.new
            else []
        )
        return [
            *code,
            self._line("name_zh", _("Chinese name"), required=True),
            self._line("name_en", _("English name"), required=True),
            self._line("say_zh", _("What the cashier may say, Chinese")),
            self._line("say_en", _("What the cashier may say, English")),
            self._select("group", _("Group"), self.choices.groups(), blank=_("the outermost")),
            self._line("priority", _("Place in its group"), num=True, inputmode="numeric", help=_("Lower comes first.")),
            self._line("currency", _("Currency"), help=_("Empty: the rulebook's, %(currency)s.", currency=self.choices.document.currency)),
            self._check("enabled", _("Switched on")),
            self._check("exclusive", _("Exclusive"), _("Only where nothing before it in its group applied; then nothing after it does.")),
        ]


_WHO: Final = (
    "card_products",
    "tiers",
    "account_kinds",
    "segments",
    "flyers",
    "birthday",
    "joined_within_days",
    "converted_within_days",
    "customers",
)
_WHEN: Final = ("starts_at", "ends_at", "weekdays", "month_days", "hours-0-starts", "nth_count")
_MUCH: Final = ("least_quantity", "most_quantity", "least_amount", "most_amount")
