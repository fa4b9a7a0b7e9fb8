"""The office's pictures of rules and rewards: agreements, rulebooks, backtests, campaigns, tiers, points, vouchers, gifts, referral."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from loyalty.web.pictures import Picture

if TYPE_CHECKING:
    from playwright.sync_api import Page


_GOLD: Final = "/office/cards?status=2&text=浙A01K16"
"""The demo's gold card, by its plate."""


def first(onward: str = "", *, link: str = "main tbody a") -> Callable[["Page"], None]:
    """Return how the list's first row is opened, and which of its pages then."""

    def then(page: "Page") -> None:
        page.goto(page.url.partition("/office")[0] + str(page.locator(link).first.get_attribute("href")), wait_until="networkidle")
        if onward:
            page.goto(page.url.partition("?")[0] + onward, wait_until="networkidle")

    return then


def through(*links: str) -> Callable[["Page"], None]:
    """Return how one link after another is followed."""

    def then(page: "Page") -> None:
        for link in links:
            first(link=link)(page)

    return then


def _partner(code: str, onward: str = "", *, link: str = "") -> Callable[["Page"], None]:
    """Return how a partner's page, one of its own or one that a link of it leads to is opened."""

    def then(page: "Page") -> None:
        page.goto(page.url.partition("/office")[0] + f"/office/partners?text={code}", wait_until="networkidle")
        first(onward)(page)
        if link:
            first(link=link)(page)

    return then


def _partner_further(code: str, onward: str, link: str) -> Callable[["Page"], None]:
    """Return how a page is opened that a list of a partner's leads to; the list itself where it leads nowhere."""

    def then(page: "Page") -> None:
        _partner(code, onward)(page)
        if page.locator(link).count():
            page.locator(link).first.click()
            page.wait_for_load_state("networkidle")

    return then


def _terms_faulty(page: "Page") -> None:
    """Open a draft that says less than it must."""
    _partner("LUAN", link="#agreements a")(page)
    page.goto(f"{page.url}/edit", wait_until="networkidle")


ALLIANCES: Final = (
    Picture("partners", "/office/partners"),
    Picture("partner", "/office/partners", then=_partner("YUEXI")),
    Picture("partner-new", "/office/partners/new"),
    Picture("partner-edit", "/office/partners", then=_partner("YUEXI", "/edit")),
    Picture("partner-suspend", "/office/partners", then=_partner("YUEXI", "/suspend")),
    Picture("partner-outlet-new", "/office/partners", then=_partner("YUEXI", "/outlets/new")),
    Picture("partner-outlet-pause", "/office/partners", then=_partner("YUEXI", link="main a[href$='/pause']")),
    Picture("partner-notice-new", "/office/partners", then=_partner("YUEXI", "/notices/new")),
    Picture("partner-document-new", "/office/partners", then=_partner("YUEXI", "/documents/new")),
    Picture("partner-lines", "/office/partners", then=_partner("YUEXI", "/lines?month=all")),
    Picture("partner-terms-new", "/office/partners", then=_partner("DONGHAI", "/agreements/new")),
    Picture("partner-terms-faulty", "/office/partners", then=_terms_faulty),
    Picture("partner-terms-held", "/office/partners", then=_partner("DONGHAI", link="#agreements a")),
    Picture("partner-terms-waiting", "/office/partners", then=_partner("YUJIA", link="#agreements a")),
    Picture("partner-feeds", "/office/partners", then=_partner("DONGHAI", "/feeds")),
    Picture("partner-feed", "/office/partners", then=_partner_further("DONGHAI", "/feeds", "main tbody a")),
    Picture("partner-feed-new", "/office/partners", then=_partner("DONGHAI", "/feeds/new")),
    Picture("partner-feed-file", "/office/partners", then=_partner_further("DONGHAI", "/feeds", "#files tbody a")),
    Picture("partner-feed-log", "/office/partners", then=_partner("DONGHAI", "/feeds/log")),
    Picture("partner-wording", "/office/partners", then=_partner("DONGHAI", "/feeds/wording?benefit=claim-slip")),
    Picture("partner-registrations", "/office/partners", then=_partner("DONGHAI", "/registrations")),
    Picture("partner-lapses", "/office/partners", then=_partner("DONGHAI", "/lapses")),
    Picture("partner-inbound", "/office/partners", then=_partner("YUEXI", "/inbound")),
    Picture("partner-inbound-new", "/office/partners", then=_partner("YUEXI", "/inbound/new")),
    Picture("partner-inbound-file", "/office/partners", then=_partner_further("YUEXI", "/inbound", "main tbody a")),
    Picture("partner-in-talks", "/office/partners", then=_partner("LUAN")),
)


def _rules_drafted(page: "Page") -> None:
    """Start a draft of the rules, or open the one that is there."""
    if not _open_draft(page):
        page.fill("form[action$='/rules/new'] #f-note", "国庆 / National Day")
        page.locator("form[action$='/rules/new'] button").last.click()
        page.wait_for_url("**/office/rules/*")
    page.wait_for_load_state("networkidle")


def _open_draft(page: "Page") -> bool:
    drafts = page.locator("section.card:has(h2:text-is('Drafts')) tbody a, section.card:has(h2:text-is('草稿')) tbody a")
    if drafts.count() == 0:
        return False
    page.goto(page.url.partition("/office")[0] + str(drafts.first.get_attribute("href")), wait_until="networkidle")
    return True


def _rule_new(page: "Page") -> None:
    """Open the editor of a new rule."""
    _rules_drafted(page)
    page.goto(page.url.partition("?")[0].partition("#")[0] + "/rules/new", wait_until="networkidle")


def _rule_faulty(page: "Page") -> None:
    """Save a rule with faults: each stands at its field."""
    _rule_new(page)
    page.evaluate("document.querySelectorAll('[required]').forEach(each => each.removeAttribute('required'))")
    page.fill("#f-rate", "0.3x")
    page.locator("#rule-form .foot button").first.click()
    page.wait_for_selector("#editor .fault")


def _rule_bands(page: "Page") -> None:
    """Choose another effect: its own fields come."""
    _rule_new(page)
    page.select_option("#f-effect", "tiered")
    page.wait_for_selector("[name=band-0-starts]")


def _rules_given_up(page: "Page") -> None:
    """Give the draft up."""
    page.goto("/".join(page.url.partition("?")[0].split("/")[:6]), wait_until="networkidle")
    page.locator("form[action$='/discard'] button").click()
    page.wait_for_url("**/office/rules")


def _agreement_typed(page: "Page") -> None:
    """Type a price of a company's new agreement: what a fill costs under it stands below."""
    first()(page)
    page.fill("#f-line-0-value", "0.35")
    page.press("#f-line-0-value", "Tab")
    page.wait_for_selector("#examples table")
    page.wait_for_load_state("networkidle")


def _agreement_faulty(page: "Page") -> None:
    """Send an agreement with a price of five decimals and a code with a space."""
    first()(page)
    page.evaluate("document.querySelectorAll('[required]').forEach(each => each.removeAttribute('required'))")
    page.fill("#f-line-0-value", "0.12345")
    page.fill("#f-code", "Shunda 2026")
    page.press("#f-code", "Enter")
    page.wait_for_selector("#editor .notice.bad")


def _reckoned(page: "Page") -> None:
    """Wait until what is reckoned afterwards stands there."""
    while page.locator("main .skeleton").count():
        page.locator("main .skeleton").first.wait_for(state="detached")
    page.wait_for_load_state("networkidle")


def _drafted(onward: str) -> Callable[["Page"], None]:
    """Return how one of a draft's pages is opened."""

    def then(page: "Page") -> None:
        _rules_drafted(page)
        page.goto(page.url.partition("?")[0].partition("#")[0] + onward, wait_until="networkidle")

    return then


def _of_gold(onward: str = "", *, link: str = "") -> Callable[["Page"], None]:
    """Return how one of a good customer's pages is opened: the holder of a gold card has a bit of everything."""

    def then(page: "Page") -> None:
        first()(page)
        through("main a[href^='/office/customers/']")(page)
        if onward:
            page.goto(page.url.partition("?")[0] + onward, wait_until="networkidle")
        if link:
            through(link)(page)

    return then


def _refund_of_topup(page: "Page") -> None:
    """Ask for the refund of a load that is used already: the profile says no."""
    through("main tbody a", "main a[href^='/office/top-ups/']")(page)
    page.goto(page.url + "/refund", wait_until="networkidle")


def _refund_unused(page: "Page") -> None:
    """Ask for the refund of a card's load of which nothing is used, if the demo has one."""
    page.goto(page.url.partition("/office")[0] + "/office/cards?status=2", wait_until="networkidle")
    cards = page.locator("main tbody a[href^='/office/cards/']").evaluate_all("all => all.map(each => each.href)")
    for card in cards[:12]:
        page.goto(card, wait_until="networkidle")
        if page.locator("main a[href^='/office/sales/']").count() == 0 and page.locator("main a[href^='/office/top-ups/']").count():
            break
    if page.locator("main a[href^='/office/top-ups/']").count():
        through("main a[href^='/office/top-ups/']")(page)
        page.goto(page.url + "/refund", wait_until="networkidle")


def _backtested(page: "Page") -> None:
    """Ask a past week again under the draft, and wait for the report; the one there is is opened again."""
    if page.locator("main tbody a").count() == 0:
        page.goto(page.url.partition("/office")[0] + "/office/rules", wait_until="networkidle")
        _drafted("/trials")(page)
        page.locator("form[action$='/trials'] button").last.click()
        page.wait_for_url("**/office/backtests/*")
        page.wait_for_selector("main table", timeout=150_000)
    else:
        first()(page)
    page.wait_for_load_state("networkidle")


REWARDS: Final = (
    Picture("backtests-none", "/office/backtests"),
    Picture("trials", "/office/rules", then=_drafted("/trials")),
    Picture("backtest", "/office/backtests", then=_backtested),
    Picture("backtests", "/office/backtests"),
    Picture("rule-group", "/office/rules", then=_drafted("/groups/new")),
    Picture("rule-budget", "/office/rules", then=_drafted("/budgets/new")),
    Picture("rule-campaign", "/office/rules", then=_drafted("/campaigns/new"), after=_rules_given_up),
    Picture("tiers", "/office/tiers"),
    Picture("tier-edit", "/office/tiers/gold/edit"),
    Picture("tiers-settings", "/office/tiers/settings"),
    Picture("tier-moves", "/office/tier-moves"),
    Picture("customer-gold", _GOLD, then=_of_gold()),
    Picture("customer-tier", _GOLD, then=_of_gold("/tier")),
    Picture("customer-points", _GOLD, then=_of_gold("/points")),
    Picture("customer-rewards", _GOLD, then=_of_gold("/rewards")),
    Picture("voucher", _GOLD, then=_of_gold("/rewards", link="main a[href^='/office/vouchers/']")),
    Picture("company-points", "/office/customers?kind=organisation", then=first("/points-to-main-card")),
    Picture("vouchers", "/office/vouchers"),
    Picture("voucher-kind", "/office/vouchers", then=first()),
    Picture("voucher-kind-new", "/office/vouchers/kinds/new"),
    Picture("vouchers-monthly", "/office/vouchers/monthly"),
    Picture("voucher-monthly", "/office/vouchers/monthly", then=first()),
    Picture("gifts", "/office/gifts"),
    Picture("gift", "/office/gifts/thermos"),
    Picture("gift-edit", "/office/gifts/thermos/edit"),
    Picture("gift-receive", "/office/gifts/thermos/receive"),
    Picture("gift-send", "/office/gifts/thermos/send"),
    Picture("gift-count", "/office/gifts/thermos/count"),
    Picture("gift-spoil", "/office/gifts/thermos/spoil"),
    Picture("gift-arrival", "/office/gifts", then=first(link="main a[href*='/gifts/arrivals/']")),
    Picture("referrals", "/office/referrals"),
    Picture("referral", "/office/referrals/friends"),
    Picture("referral-edit", "/office/referrals/friends/edit"),
    Picture("referral-new", "/office/referrals/new"),
    Picture("sale-why", "/office/sales", then=first("?others=1")),
)
RULES: Final = (
    Picture("agreements", "/office/agreements"),
    Picture("agreements-none", "/office/agreements?text=zzzz"),
    Picture("agreement", "/office/agreements?state=running", then=first()),
    Picture("agreement-draft", "/office/agreements?state=draft", then=first()),
    Picture("agreement-edit", "/office/agreements?state=draft", then=first("/edit")),
    Picture("agreement-company", "/office/agreements/new"),
    Picture("agreement-new", "/office/agreements/new", then=_agreement_typed),
    Picture("agreement-faults", "/office/agreements/new", then=_agreement_faulty),
    Picture("campaigns", "/office/campaigns"),
    Picture("campaign", "/office/campaigns/thank-you", then=_reckoned),
    Picture("campaign-days", "/office/campaigns/flyer/days"),
    Picture("flyers", "/office/flyers"),
    Picture("rules", "/office/rules"),
    Picture("rules-calendar", "/office/rules/calendar"),
    Picture("rules-budgets", "/office/rules/budgets"),
    Picture("rules-history", "/office/rules/history"),
    Picture("rules-import", "/office/rules/import"),
    Picture("rulebook", "/office/rules/history", then=first()),
    Picture("rulebook-draft", "/office/rules", then=_rules_drafted),
    Picture("rule-new", "/office/rules", then=_rule_new),
    Picture("rule-faulty", "/office/rules", then=_rule_faulty),
    Picture("rule-bands", "/office/rules", then=_rule_bands, after=_rules_given_up),
    *REWARDS,
)
MONEY: Final = (
    Picture("points-all", "/office/points"),
    Picture("top-up", _GOLD, then=through("main tbody a", "main a[href^='/office/top-ups/']")),
    Picture("top-up-refused", _GOLD, then=_refund_of_topup),
    Picture("top-up-refund", _GOLD, then=_refund_unused),
)
"""For whoever reads the issuer's liability."""
