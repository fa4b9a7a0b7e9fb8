"""The references that no foreign key holds: hot tables carry none, because they cost a third of the speed."""

from loyalty.checks.model import Check

from .asking import proved_by

_NOBODY = "'00000000-0000-0000-0000-000000000000'"

SUBJECTS = """(
    SELECT card_id AS subject_id FROM cards UNION ALL SELECT company_id FROM companies UNION ALL SELECT department_id FROM departments
    UNION ALL SELECT vehicle_id FROM vehicles UNION ALL SELECT driver_id FROM drivers UNION ALL SELECT profile_id FROM limit_profiles
)"""
"""Whom limits may bind."""

# table, its key, referring columns, the table referred to, its columns; the zero account stands for nobody.
_REFERENCES = (
    ("accounts", ("account_id",), ("customer_id",), "customers", ("customer_id",)),
    ("accounts", ("account_id",), ("card_product_id",), "card_products", ("product_id",)),
    ("purses", ("account_id", "purse_id"), ("account_id",), "accounts", ("account_id",)),
    ("purses", ("account_id", "purse_id"), ("card_id",), "cards", ("card_id",)),
    ("transfers", ("account_id", "transfer_id"), ("account_id",), "accounts", ("account_id",)),
    ("transfers", ("account_id", "transfer_id"), ("card_id",), "cards", ("card_id",)),
    ("transfers", ("account_id", "transfer_id"), ("station_id",), "stations", ("station_id",)),
    ("daily_balances", ("account_id", "purse_id", "day"), ("account_id", "purse_id"), "purses", ("account_id", "purse_id")),
    ("cards", ("card_id",), ("account_id",), "accounts", ("account_id",)),
    ("cards", ("card_id",), ("chain_id",), "cards", ("card_id",)),
    ("card_issues", ("card_id",), ("account_id",), "accounts", ("account_id",)),
    ("authorizations", ("account_id", "authorization_id"), ("account_id",), "accounts", ("account_id",)),
    ("authorizations", ("account_id", "authorization_id"), ("card_id",), "cards", ("card_id",)),
    ("authorizations", ("account_id", "authorization_id"), ("chain_id",), "cards", ("card_id",)),
    ("authorizations", ("account_id", "authorization_id"), ("terminal_id",), "terminals", ("terminal_id",)),
    ("authorizations", ("account_id", "authorization_id"), ("station_id",), "stations", ("station_id",)),
    ("authorizations", ("account_id", "authorization_id"), ("product_id",), "products", ("product_id",)),
    ("sales", ("account_id", "sale_id"), ("account_id",), "accounts", ("account_id",)),
    ("sales", ("account_id", "sale_id"), ("account_id", "authorization_id"), "authorizations", ("account_id", "authorization_id")),
    ("sales", ("account_id", "sale_id"), ("card_id",), "cards", ("card_id",)),
    ("sales", ("account_id", "sale_id"), ("chain_id",), "cards", ("card_id",)),
    ("sales", ("account_id", "sale_id"), ("terminal_id",), "terminals", ("terminal_id",)),
    ("sales", ("account_id", "sale_id"), ("station_id",), "stations", ("station_id",)),
    ("sales", ("account_id", "sale_id"), ("product_id",), "products", ("product_id",)),
    ("sales", ("account_id", "sale_id"), ("staff_id",), "staff", ("staff_id",)),
    ("sales", ("account_id", "sale_id"), ("fill_id",), "fills", ("fill_id",)),
    ("refunds", ("account_id", "refund_id"), ("account_id",), "accounts", ("account_id",)),
    ("refunds", ("account_id", "refund_id"), ("terminal_id",), "terminals", ("terminal_id",)),
    ("refunds", ("account_id", "refund_id"), ("station_id",), "stations", ("station_id",)),
    ("refunds", ("account_id", "refund_id"), ("staff_id",), "staff", ("staff_id",)),
    ("requests", ("terminal_id", "key"), ("terminal_id",), "terminals", ("terminal_id",)),
    ("requests", ("terminal_id", "key"), ("account_id",), "accounts", ("account_id",)),
    ("limit_counters", ("account_id", "subject_id", "start"), ("account_id",), "accounts", ("account_id",)),
    ("limit_counters", ("account_id", "subject_id", "start"), ("subject_id",), "cards", ("card_id",)),
    ("limit_sets", ("subject_id",), ("subject_id",), SUBJECTS, ("subject_id",)),
    ("card_limits", ("limit_id",), ("subject_id",), SUBJECTS, ("subject_id",)),
    ("level_counters", ("account_id", "subject_id", "window", "start"), ("account_id",), "accounts", ("account_id",)),
    ("limit_chains", ("chain_id",), ("chain_id",), "cards", ("card_id",)),
    ("limit_chains", ("chain_id",), ("account_id",), "accounts", ("account_id",)),
    ("limit_chains", ("chain_id",), ("company_id",), "companies", ("company_id",)),
    ("limit_profiles", ("profile_id",), ("company_id",), "companies", ("company_id",)),
    ("limit_releases", ("release_id",), ("company_id",), "companies", ("company_id",)),
    ("limit_releases", ("release_id",), ("chain_id",), "limit_chains", ("chain_id",)),
    (
        "unresolved_dispenses",
        ("account_id", "authorization_id"),
        ("account_id", "authorization_id"),
        "authorizations",
        ("account_id", "authorization_id"),
    ),
    ("reversals", ("terminal_id", "original_key"), ("account_id",), "accounts", ("account_id",)),
    ("payment_requests", ("request_id",), ("account_id", "sale_id"), "sales", ("account_id", "sale_id")),
    ("payment_requests", ("request_id",), ("card_id",), "cards", ("card_id",)),
)


def _reference(table: str, key: tuple[str, ...], columns: tuple[str, ...], to: str, to_columns: tuple[str, ...]) -> Check:
    joined = " AND ".join(f"found.{there} = own.{here}" for here, there in zip(columns, to_columns, strict=True))
    given = " AND ".join(f"own.{column} IS NOT NULL" for column in columns)
    nobody = f" AND own.account_id <> {_NOBODY}" if "account_id" in columns else ""
    shown = ", ".join(f"own.{column}" for column in dict.fromkeys((*key, *columns)))
    statement = f"SELECT {shown} FROM {table} own LEFT JOIN {to} found ON {joined} WHERE {given}{nobody} AND found.{to_columns[0]} IS NULL"  # noqa: S608 - names of this file
    named, whose = ", ".join(columns), "whom limits may bind" if to == SUBJECTS else f"a row of {to}"
    return proved_by(statement, code=f"{table}-{'-'.join(columns)}", invariant=1, says=f"{table} ({named}) refers to {whose}")


CHECKS = tuple(_reference(*each) for each in _REFERENCES)
