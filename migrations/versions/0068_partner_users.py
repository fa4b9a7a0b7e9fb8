"""Users of partners with their invitations and sessions; a partner's session sees its own partner's rows only, and little else at all.

Its role has no default privileges: what it may touch is named here, table by table.
"""

from alembic import op

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

ROLE = """
-- A role belongs to the cluster, so another database may have made it already; two migrations at once may race.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'loyalty_partner') THEN
        BEGIN
            CREATE ROLE loyalty_partner NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'loyalty_partner', 'SET') THEN
        EXECUTE format('GRANT loyalty_partner TO %I', current_user);
    END IF;
    GRANT USAGE ON SCHEMA public TO loyalty_partner;
END $$;
"""

TABLES = """
CREATE TABLE partner_users (
    user_id uuid NOT NULL CONSTRAINT pk_partner_users PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_users_partner_id REFERENCES partners,
    name text NOT NULL,
    role text NOT NULL,
    outlet_id uuid CONSTRAINT fk_partner_users_outlet_id REFERENCES partner_outlets,
    phone_hash bytea,
    locale text NOT NULL,
    log_in_name text NOT NULL,
    password_hash text NOT NULL,
    must_change_password boolean NOT NULL,
    password_changed_at timestamptz NOT NULL,
    totp_secret bytea,
    totp_confirmed_at timestamptz,
    totp_last_step bigint DEFAULT 0 NOT NULL,
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    last_log_in_at timestamptz,
    CONSTRAINT ck_partner_users_role CHECK (role IN ('owner', 'finance', 'clerk')),
    CONSTRAINT ck_partner_users_clerk CHECK ((role = 'clerk') = (outlet_id IS NOT NULL) AND (phone_hash IS NULL OR role = 'clerk')),
    CONSTRAINT ck_partner_users_totp CHECK (totp_confirmed_at IS NULL OR (totp_secret IS NOT NULL AND role <> 'clerk')),
    CONSTRAINT ck_partner_users_log_in_name CHECK (log_in_name = lower(log_in_name))
);
CREATE UNIQUE INDEX ux_partner_users_log_in_name ON partner_users (log_in_name);
CREATE UNIQUE INDEX ux_partner_users_phone_hash ON partner_users (phone_hash);
CREATE INDEX ix_partner_users_partner_id ON partner_users (partner_id, user_id);

CREATE TABLE partner_recovery_codes (
    user_id uuid NOT NULL CONSTRAINT fk_partner_recovery_codes_user_id REFERENCES partner_users,
    code_hash bytea NOT NULL,
    made_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT pk_partner_recovery_codes PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE partner_invitations (
    invitation_id uuid NOT NULL CONSTRAINT pk_partner_invitations PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_invitations_partner_id REFERENCES partners,
    token_hash bytea NOT NULL,
    email text,
    name text,
    role text NOT NULL,
    outlet_id uuid CONSTRAINT fk_partner_invitations_outlet_id REFERENCES partner_outlets,
    invited_by text NOT NULL,
    invited_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    user_id uuid CONSTRAINT fk_partner_invitations_user_id REFERENCES partner_users,
    withdrawn_at timestamptz,
    CONSTRAINT ck_partner_invitations_role CHECK (role IN ('owner', 'finance', 'clerk')),
    CONSTRAINT ck_partner_invitations_clerk CHECK ((role = 'clerk') = (outlet_id IS NOT NULL)),
    CONSTRAINT ck_partner_invitations_named CHECK ((role = 'clerk') = (email IS NULL) AND (role = 'clerk') = (name IS NOT NULL)),
    CONSTRAINT ck_partner_invitations_email CHECK (email = lower(email)),
    CONSTRAINT ck_partner_invitations_end CHECK (accepted_at IS NULL OR (user_id IS NOT NULL AND withdrawn_at IS NULL))
);
CREATE UNIQUE INDEX ux_partner_invitations_token_hash ON partner_invitations (token_hash);
CREATE INDEX ix_partner_invitations_partner_id ON partner_invitations (partner_id, invitation_id);
CREATE UNIQUE INDEX ux_partner_invitations_open ON partner_invitations (partner_id, email)
    WHERE email IS NOT NULL AND accepted_at IS NULL AND withdrawn_at IS NULL;

ALTER TABLE user_sessions ADD COLUMN partner_user_id uuid CONSTRAINT fk_user_sessions_partner_user_id REFERENCES partner_users;
ALTER TABLE user_sessions DROP CONSTRAINT ck_user_sessions_person,
    ADD CONSTRAINT ck_user_sessions_person CHECK (num_nonnulls(staff_id, customer_id, portal_user_id, partner_user_id) = 1),
    ADD CONSTRAINT ck_user_sessions_partner_user CHECK ((partner_user_id IS NOT NULL) = (portal = 'partner'));
CREATE INDEX ix_user_sessions_partner_user_id ON user_sessions (partner_user_id)
    WHERE partner_user_id IS NOT NULL AND ended_at IS NULL;
"""

# What is a partner's has its id; a session says whose it is (`app.partner`), and said nothing, it sees nothing. The issuer's roles see all.
FENCE = """
CREATE FUNCTION fence_partner(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    EXECUTE format('CREATE POLICY partner ON %s TO loyalty_partner '
        'USING (partner_id = nullif(current_setting(''app.partner'', true), '''')::uuid)', p_table);
    EXECUTE format('CREATE POLICY issuer ON %s TO loyalty_hot, loyalty_jobs, %I USING (true)', p_table, current_user);
    -- A company's session has no business with a partner's book.
    EXECUTE format('REVOKE ALL ON %s FROM loyalty_portal', p_table);
END $$;
REVOKE EXECUTE ON FUNCTION fence_partner FROM PUBLIC;
"""
PARTNERS = (
    "partners",
    "partner_outlets",
    "partner_agreements",
    "partner_documents",
    "partner_notices",
    "partner_books",
    "partner_lines",
    "partner_counters",
    "partner_statements",
    "partner_disputes",
    "partner_feeds",
    "partner_registrations",
    "partner_feed_batches",
    "partner_inbound_files",
    "partner_inbound_rows",
    "partner_users",
    "partner_invitations",
)

# What stands on others' tables; their owner is not held to it (no FORCE). A partner sees the vouchers that its outlets honour or honoured:
# of every other one the code is as unknown to it as one that was never given out.
_OUTLET = "caller IN (SELECT 'outlet:' || outlet_id FROM partner_outlets)"
_HONOURED = (
    "EXISTS (SELECT FROM voucher_kinds k, unnest(k.outlets) AS o(place), partners p WHERE k.kind_id = vouchers.kind_id "
    "AND split_part(o.place, '/', 1) IN ('any', 'partner:' || p.code)) "
    "OR EXISTS (SELECT FROM voucher_redemptions r WHERE r.voucher_id = vouchers.voucher_id)"
)
OTHERS = {
    "user_sessions": "partner_user_id IN (SELECT user_id FROM partner_users)",
    "partner_recovery_codes": "user_id IN (SELECT user_id FROM partner_users)",
    "voucher_redemptions": _OUTLET,
    "vouchers": _HONOURED,
    "voucher_events": "voucher_id IN (SELECT voucher_id FROM vouchers)",
}
ALREADY_FENCED = frozenset({"user_sessions"})
COMPANYS = {
    "vouchers": "account_id = (SELECT account_id FROM companies)",
    "voucher_redemptions": "voucher_id IN (SELECT voucher_id FROM vouchers)",
    "voucher_events": "voucher_id IN (SELECT voucher_id FROM vouchers)",
}

GRANTS = """
GRANT SELECT ON partners, partner_outlets, partner_agreements, partner_notices, partner_books, partner_lines, partner_counters,
    partner_statements, partner_disputes, partner_users, partner_invitations, partner_recovery_codes, user_sessions,
    voucher_kinds, vouchers, voucher_redemptions, voucher_events, attempts, form_keys, calendar_years, calendar_days, revisions
    TO loyalty_partner;
GRANT INSERT ON partner_lines, partner_books, partner_counters, partner_disputes, partner_users, partner_invitations,
    partner_recovery_codes, voucher_redemptions, voucher_events, attempts, form_keys, audit_entries TO loyalty_partner;
GRANT UPDATE ON partner_outlets, partner_books, partner_counters, partner_disputes, partner_users, partner_invitations,
    partner_recovery_codes, user_sessions, vouchers, voucher_redemptions, attempts, form_keys TO loyalty_partner;
GRANT DELETE ON partner_recovery_codes TO loyalty_partner;
-- What it wrote to the trail it reads no more: the id alone comes back from the INSERT.
GRANT SELECT (entry_id) ON audit_entries TO loyalty_partner;
-- The one thing of cards that a partner may ask: whether this one lives, and how its number ends, which is printed on it.
CREATE FUNCTION living_card(p_index bytea) RETURNS TABLE (number_tail text) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
    SELECT c.number_tail FROM cards c WHERE c.number_index = p_index AND c.status = 2
$$;
REVOKE EXECUTE ON FUNCTION living_card FROM PUBLIC;
GRANT EXECUTE ON FUNCTION living_card TO loyalty_hot, loyalty_jobs, loyalty_partner;
"""


def upgrade() -> None:
    """Make the role, the users and the fences."""
    op.execute(ROLE)
    op.execute(TABLES)
    op.execute(FENCE)
    for table in PARTNERS:
        op.execute(f"SELECT fence_partner('{table}')")
    op.execute("REVOKE ALL ON partner_recovery_codes FROM loyalty_portal")
    for table, mine in OTHERS.items():
        if table not in ALREADY_FENCED:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY issuer ON {table} TO loyalty_hot, loyalty_jobs USING (true)")
        op.execute(f"CREATE POLICY partner ON {table} TO loyalty_partner USING ({mine})")
    for table, mine in COMPANYS.items():
        op.execute(f"CREATE POLICY tenant ON {table} TO loyalty_portal USING ({mine})")
    op.execute(GRANTS)


def downgrade() -> None:
    """Take the fences down and forget the users; the role stays, since it belongs to the cluster."""
    for table in COMPANYS:
        op.execute(f"DROP POLICY tenant ON {table}")
    for table in reversed(OTHERS):
        op.execute(f"DROP POLICY partner ON {table}")
        if table not in ALREADY_FENCED:
            op.execute(f"DROP POLICY issuer ON {table}")
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for table in PARTNERS:
        op.execute(f"DROP POLICY partner ON {table}")
        op.execute(f"DROP POLICY issuer ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    op.execute("DROP FUNCTION fence_partner")
    op.execute("DROP FUNCTION living_card")
    op.execute("DELETE FROM user_sessions WHERE partner_user_id IS NOT NULL")
    op.execute(
        "ALTER TABLE user_sessions DROP CONSTRAINT ck_user_sessions_partner_user, DROP CONSTRAINT ck_user_sessions_person, "
        "ADD CONSTRAINT ck_user_sessions_person CHECK (num_nonnulls(staff_id, customer_id, portal_user_id) = 1), "
        "DROP COLUMN partner_user_id"
    )
    op.execute("DROP TABLE partner_invitations, partner_recovery_codes, partner_users")
    op.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM loyalty_partner")
