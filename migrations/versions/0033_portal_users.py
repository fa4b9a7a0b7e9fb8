"""Users of companies with their invitations and sessions; a portal's session sees its own company's money and cards only.

The widened checks are added beside the rows that stand, which keep them already: expand first.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE portal_users (
    user_id uuid NOT NULL CONSTRAINT pk_portal_users PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_portal_users_company_id REFERENCES companies,
    name text NOT NULL,
    role text NOT NULL,
    department_id uuid CONSTRAINT fk_portal_users_department_id REFERENCES departments,
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
    CONSTRAINT ck_portal_users_role CHECK (role IN ('owner', 'fleet_manager', 'finance', 'department_head', 'viewer')),
    CONSTRAINT ck_portal_users_department CHECK ((role = 'department_head') = (department_id IS NOT NULL)),
    CONSTRAINT ck_portal_users_totp CHECK (totp_confirmed_at IS NULL OR totp_secret IS NOT NULL),
    CONSTRAINT ck_portal_users_log_in_name CHECK (log_in_name = lower(log_in_name))
);
CREATE UNIQUE INDEX ux_portal_users_log_in_name ON portal_users (log_in_name);
CREATE INDEX ix_portal_users_company_id ON portal_users (company_id, user_id);

CREATE TABLE portal_recovery_codes (
    user_id uuid NOT NULL CONSTRAINT fk_portal_recovery_codes_user_id REFERENCES portal_users,
    code_hash bytea NOT NULL,
    made_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT pk_portal_recovery_codes PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE portal_invitations (
    invitation_id uuid NOT NULL CONSTRAINT pk_portal_invitations PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_portal_invitations_company_id REFERENCES companies,
    token_hash bytea NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    department_id uuid CONSTRAINT fk_portal_invitations_department_id REFERENCES departments,
    invited_by text NOT NULL,
    invited_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    user_id uuid CONSTRAINT fk_portal_invitations_user_id REFERENCES portal_users,
    withdrawn_at timestamptz,
    CONSTRAINT ck_portal_invitations_role CHECK (role IN ('owner', 'fleet_manager', 'finance', 'department_head', 'viewer')),
    CONSTRAINT ck_portal_invitations_department CHECK ((role = 'department_head') = (department_id IS NOT NULL)),
    CONSTRAINT ck_portal_invitations_email CHECK (email = lower(email)),
    CONSTRAINT ck_portal_invitations_accepted CHECK ((accepted_at IS NULL) = (user_id IS NULL)),
    CONSTRAINT ck_portal_invitations_end CHECK (accepted_at IS NULL OR withdrawn_at IS NULL)
);
CREATE UNIQUE INDEX ux_portal_invitations_token_hash ON portal_invitations (token_hash);
CREATE INDEX ix_portal_invitations_company_id ON portal_invitations (company_id, invitation_id);
CREATE UNIQUE INDEX ux_portal_invitations_open ON portal_invitations (company_id, email)
    WHERE accepted_at IS NULL AND withdrawn_at IS NULL;
SELECT fence_tenant(t) FROM unnest(ARRAY['portal_users', 'portal_invitations']::regclass[]) t;
"""

SESSIONS = """
ALTER TABLE user_sessions ADD COLUMN portal_user_id uuid CONSTRAINT fk_user_sessions_portal_user_id REFERENCES portal_users;
ALTER TABLE user_sessions DROP CONSTRAINT ck_user_sessions_person,
    ADD CONSTRAINT ck_user_sessions_person CHECK (num_nonnulls(staff_id, customer_id, portal_user_id) = 1),
    ADD CONSTRAINT ck_user_sessions_company_user CHECK (portal_user_id IS NULL OR portal = 'fleet');
CREATE INDEX ix_user_sessions_portal_user_id ON user_sessions (portal_user_id)
    WHERE portal_user_id IS NOT NULL AND ended_at IS NULL;
ALTER TABLE audit_entries DROP CONSTRAINT ck_audit_entries_actor_kind,
    ADD CONSTRAINT ck_audit_entries_actor_kind
        CHECK (actor_kind IN ('staff', 'customer', 'company_user', 'terminal', 'partner', 'system', 'unknown'));
"""

# What stands on others' tables. Their owner is not held to it (no FORCE), the issuer's roles see every row, and a portal's session those
# of its own company. A company has one account, and `companies` shows a session its own row only: all that hangs on an account hangs on it.
_MINE = "account_id = (SELECT account_id FROM companies)"
FENCES = {
    "accounts": _MINE,
    "cards": _MINE,
    "purses": _MINE,
    "sales": _MINE,
    "authorizations": _MINE,
    "transfers": _MINE,
    "refunds": _MINE,
    "user_sessions": "portal_user_id IN (SELECT user_id FROM portal_users)",
    "portal_recovery_codes": "user_id IN (SELECT user_id FROM portal_users)",
}
# Staff and what opens their doors is none of a company's matter.
CLOSED = "staff, staff_roles, users, recovery_codes, attempts, audit_seals"


def upgrade() -> None:
    """Make the users and put up the fences."""
    op.execute(TABLES)
    op.execute(SESSIONS)
    for table, mine in FENCES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY issuer ON {table} TO loyalty_hot, loyalty_jobs USING (true)")
        op.execute(f"CREATE POLICY tenant ON {table} TO loyalty_portal USING ({mine})")
    op.execute(f"REVOKE ALL ON {CLOSED} FROM loyalty_portal")


def downgrade() -> None:
    """Take the fences down and forget the users."""
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {CLOSED} TO loyalty_portal")
    op.execute("REVOKE UPDATE, DELETE ON audit_seals FROM loyalty_portal")
    for table in reversed(FENCES):
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"DROP POLICY issuer ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("DELETE FROM user_sessions WHERE portal_user_id IS NOT NULL")
    op.execute(
        "ALTER TABLE user_sessions DROP CONSTRAINT ck_user_sessions_company_user, DROP CONSTRAINT ck_user_sessions_person, "
        "DROP COLUMN portal_user_id, ADD CONSTRAINT ck_user_sessions_person CHECK (num_nonnulls(staff_id, customer_id) = 1)"
    )
    # Entries of companies' users stay: the trail loses nothing, and whoever went back reads them as text.
    op.execute(
        "ALTER TABLE audit_entries DROP CONSTRAINT ck_audit_entries_actor_kind, ADD CONSTRAINT ck_audit_entries_actor_kind "
        "CHECK (actor_kind IN ('staff', 'customer', 'terminal', 'partner', 'system', 'unknown')) NOT VALID"
    )
    op.execute("DROP TABLE portal_invitations, portal_recovery_codes, portal_users")
