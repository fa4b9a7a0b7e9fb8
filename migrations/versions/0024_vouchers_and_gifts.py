"""Vouchers, gifts, referral: kinds, counters, what was issued and redeemed; catalogue, stock, rights; who brought whom, and its pay."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE voucher_kinds (
    kind_id UUID NOT NULL,
    code TEXT NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    value_type TEXT NOT NULL,
    item TEXT,
    face_minor BIGINT,
    currency TEXT,
    zone TEXT NOT NULL,
    validity_days INTEGER,
    ends_at timestamptz,
    plate_bound BOOLEAN NOT NULL,
    partial BOOLEAN NOT NULL,
    online_only BOOLEAN NOT NULL,
    limit_total INTEGER,
    limit_each INTEGER,
    outlets TEXT[] NOT NULL,
    terms_zh TEXT NOT NULL,
    terms_en TEXT NOT NULL,
    funders JSONB NOT NULL,
    rollback_minutes INTEGER NOT NULL,
    active BOOLEAN NOT NULL,
    made_by UUID,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_voucher_kinds PRIMARY KEY (kind_id),
    CONSTRAINT ck_voucher_kinds_value_type CHECK (value_type IN ('money', 'service', 'goods', 'partner')),
    CONSTRAINT ck_voucher_kinds_face CHECK ((value_type = 'money') = (face_minor IS NOT NULL) AND face_minor > 0),
    CONSTRAINT ck_voucher_kinds_currency CHECK ((face_minor IS NULL) = (currency IS NULL)),
    CONSTRAINT ck_voucher_kinds_partial CHECK (NOT partial OR value_type = 'money'),
    CONSTRAINT ck_voucher_kinds_validity CHECK (validity_days > 0 AND (validity_days IS NULL OR ends_at IS NULL)),
    CONSTRAINT ck_voucher_kinds_limits CHECK (limit_total > 0 AND limit_each > 0),
    CONSTRAINT ck_voucher_kinds_rollback CHECK (rollback_minutes >= 0),
    CONSTRAINT uq_voucher_kinds_code UNIQUE (code),
    CONSTRAINT fk_voucher_kinds_made_by FOREIGN KEY(made_by) REFERENCES staff (staff_id)
);

CREATE TABLE voucher_counters (
    kind_id UUID NOT NULL,
    subject_id UUID NOT NULL,
    at_most INTEGER,
    issued INTEGER NOT NULL,
    CONSTRAINT pk_voucher_counters PRIMARY KEY (kind_id, subject_id),
    CONSTRAINT ck_voucher_counters_never_over CHECK (issued >= 0 AND (at_most IS NULL OR issued <= at_most)),
    CONSTRAINT fk_voucher_counters_kind_id FOREIGN KEY(kind_id) REFERENCES voucher_kinds (kind_id)
)
 WITH (fillfactor = 50);

CREATE TABLE voucher_issues (
    source_kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    kind_id UUID NOT NULL,
    customer_id UUID,
    wanted INTEGER NOT NULL,
    given INTEGER NOT NULL,
    short TEXT,
    issued_at timestamptz NOT NULL,
    CONSTRAINT pk_voucher_issues PRIMARY KEY (source_kind, source_id, ordinal),
    CONSTRAINT ck_voucher_issues_given CHECK (wanted > 0 AND given BETWEEN 0 AND wanted),
    CONSTRAINT fk_voucher_issues_kind_id FOREIGN KEY(kind_id) REFERENCES voucher_kinds (kind_id),
    CONSTRAINT fk_voucher_issues_customer_id FOREIGN KEY(customer_id) REFERENCES customers (customer_id)
);

CREATE TABLE vouchers (
    voucher_id UUID NOT NULL,
    kind_id UUID NOT NULL,
    customer_id UUID,
    account_id UUID,
    counted_for UUID,
    plate TEXT,
    code_index BYTEA NOT NULL,
    code_sealed BYTEA NOT NULL,
    code_tail TEXT NOT NULL,
    status TEXT NOT NULL,
    partial BOOLEAN NOT NULL,
    face_minor BIGINT,
    left_minor BIGINT,
    currency TEXT,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz,
    source_kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    piece INTEGER NOT NULL,
    CONSTRAINT pk_vouchers PRIMARY KEY (voucher_id),
    CONSTRAINT ck_vouchers_status CHECK (status IN ('issued', 'reserved', 'redeemed', 'expired', 'cancelled')),
    CONSTRAINT ck_vouchers_value CHECK ((face_minor IS NULL) = (left_minor IS NULL) AND left_minor BETWEEN 0 AND face_minor),
    CONSTRAINT fk_vouchers_kind_id FOREIGN KEY(kind_id) REFERENCES voucher_kinds (kind_id),
    CONSTRAINT fk_vouchers_customer_id FOREIGN KEY(customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_vouchers_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id)
)
 WITH (fillfactor = 80);
CREATE INDEX ix_vouchers_account_id ON vouchers (account_id, voucher_id) WHERE account_id IS NOT NULL;
CREATE INDEX ix_vouchers_customer_id ON vouchers (customer_id, voucher_id) WHERE customer_id IS NOT NULL;
CREATE INDEX ix_vouchers_due ON vouchers (expires_at) WHERE status = 'issued';
CREATE INDEX ix_vouchers_kind_id ON vouchers (kind_id, voucher_id);
CREATE UNIQUE INDEX ux_vouchers_code_index ON vouchers (code_index);
CREATE UNIQUE INDEX ux_vouchers_source ON vouchers (source_kind, source_id, ordinal, piece);

CREATE TABLE voucher_redemptions (
    redemption_id UUID NOT NULL,
    caller TEXT NOT NULL,
    key UUID NOT NULL,
    voucher_id UUID,
    status TEXT NOT NULL,
    in_parts BOOLEAN NOT NULL,
    asked_minor BIGINT,
    taken_minor BIGINT,
    honoured_minor BIGINT,
    outlet TEXT NOT NULL,
    station_id UUID,
    terminal_id UUID,
    staff_id UUID,
    reserved_at timestamptz NOT NULL,
    reserved_until timestamptz,
    redeemed_at timestamptz,
    rolled_back_at timestamptz,
    reason TEXT NOT NULL,
    CONSTRAINT pk_voucher_redemptions PRIMARY KEY (redemption_id),
    CONSTRAINT ck_voucher_redemptions_status CHECK (status IN ('reserved', 'redeemed', 'rolled_back', 'tombstone')),
    CONSTRAINT ck_voucher_redemptions_tombstone CHECK ((status = 'tombstone') = (voucher_id IS NULL)),
    CONSTRAINT ck_voucher_redemptions_amounts CHECK (honoured_minor BETWEEN 0 AND taken_minor),
    CONSTRAINT ck_voucher_redemptions_times CHECK ((status = 'reserved') = (reserved_until IS NOT NULL)
        AND (status <> 'redeemed' OR redeemed_at IS NOT NULL)),
    CONSTRAINT fk_voucher_redemptions_voucher_id FOREIGN KEY(voucher_id) REFERENCES vouchers (voucher_id),
    CONSTRAINT fk_voucher_redemptions_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_voucher_redemptions_terminal_id FOREIGN KEY(terminal_id) REFERENCES terminals (terminal_id),
    CONSTRAINT fk_voucher_redemptions_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id)
);
CREATE INDEX ix_voucher_redemptions_lapsing ON voucher_redemptions (reserved_until) WHERE status = 'reserved';
CREATE INDEX ix_voucher_redemptions_outlet ON voucher_redemptions (outlet, redemption_id);
CREATE INDEX ix_voucher_redemptions_voucher_id ON voucher_redemptions (voucher_id, redemption_id) WHERE voucher_id IS NOT NULL;
CREATE UNIQUE INDEX ux_voucher_redemptions_key ON voucher_redemptions (caller, key);
CREATE UNIQUE INDEX ux_voucher_redemptions_open ON voucher_redemptions (voucher_id) WHERE status = 'reserved';
CREATE UNIQUE INDEX ux_voucher_redemptions_whole ON voucher_redemptions (voucher_id)
    WHERE status IN ('reserved', 'redeemed') AND NOT in_parts;

CREATE TABLE voucher_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY,
    voucher_id UUID NOT NULL,
    moved_to TEXT NOT NULL,
    happened_at timestamptz NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    redemption_id UUID,
    change_minor BIGINT,
    reason TEXT NOT NULL,
    CONSTRAINT pk_voucher_events PRIMARY KEY (event_id),
    CONSTRAINT ck_voucher_events_moved_to CHECK (moved_to IN ('issued', 'reserved', 'redeemed', 'expired', 'cancelled')),
    CONSTRAINT fk_voucher_events_voucher_id FOREIGN KEY(voucher_id) REFERENCES vouchers (voucher_id),
    CONSTRAINT fk_voucher_events_redemption_id FOREIGN KEY(redemption_id) REFERENCES voucher_redemptions (redemption_id)
);
CREATE INDEX ix_voucher_events_voucher_id ON voucher_events (voucher_id, event_id);

CREATE TABLE gifts (
    gift_id UUID NOT NULL,
    code TEXT NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    about_zh TEXT NOT NULL,
    about_en TEXT NOT NULL,
    points_steps JSONB NOT NULL,
    threshold_minor BIGINT,
    currency TEXT,
    instead TEXT[] NOT NULL,
    zone TEXT NOT NULL,
    validity_days INTEGER,
    active BOOLEAN NOT NULL,
    made_by UUID,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_gifts PRIMARY KEY (gift_id),
    CONSTRAINT ck_gifts_threshold CHECK (threshold_minor > 0 AND (threshold_minor IS NULL) = (currency IS NULL)),
    CONSTRAINT ck_gifts_validity CHECK (validity_days > 0),
    CONSTRAINT uq_gifts_code UNIQUE (code),
    CONSTRAINT fk_gifts_made_by FOREIGN KEY(made_by) REFERENCES staff (staff_id)
);

CREATE TABLE gift_stocks (
    gift_id UUID NOT NULL,
    place_id UUID NOT NULL,
    on_hand INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    CONSTRAINT pk_gift_stocks PRIMARY KEY (gift_id, place_id),
    CONSTRAINT ck_gift_stocks_never_short CHECK (reserved >= 0 AND reserved <= on_hand),
    CONSTRAINT fk_gift_stocks_gift_id FOREIGN KEY(gift_id) REFERENCES gifts (gift_id)
)
 WITH (fillfactor = 80);

CREATE TABLE gift_entitlements (
    entitlement_id UUID NOT NULL,
    gift_id UUID NOT NULL,
    granted_gift_id UUID NOT NULL,
    customer_id UUID,
    account_id UUID,
    pieces INTEGER NOT NULL,
    points_paid BIGINT NOT NULL,
    status TEXT NOT NULL,
    place_id UUID,
    reserved_until timestamptz,
    granted_at timestamptz NOT NULL,
    expires_at timestamptz,
    source_kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    CONSTRAINT pk_gift_entitlements PRIMARY KEY (entitlement_id),
    CONSTRAINT ck_gift_entitlements_status CHECK (status IN ('granted', 'reserved', 'handed_out', 'returned', 'expired', 'cancelled')),
    CONSTRAINT ck_gift_entitlements_amounts CHECK (pieces > 0 AND points_paid >= 0),
    CONSTRAINT ck_gift_entitlements_reserved CHECK ((status = 'reserved') = (reserved_until IS NOT NULL)),
    CONSTRAINT ck_gift_entitlements_place CHECK (status NOT IN ('reserved', 'handed_out', 'returned') OR place_id IS NOT NULL),
    CONSTRAINT fk_gift_entitlements_gift_id FOREIGN KEY(gift_id) REFERENCES gifts (gift_id),
    CONSTRAINT fk_gift_entitlements_granted_gift_id FOREIGN KEY(granted_gift_id) REFERENCES gifts (gift_id),
    CONSTRAINT fk_gift_entitlements_customer_id FOREIGN KEY(customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_gift_entitlements_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_gift_entitlements_place_id FOREIGN KEY(place_id) REFERENCES stations (station_id)
);
CREATE INDEX ix_gift_entitlements_account_id ON gift_entitlements (account_id, entitlement_id) WHERE account_id IS NOT NULL;
CREATE INDEX ix_gift_entitlements_customer_id ON gift_entitlements (customer_id, entitlement_id) WHERE customer_id IS NOT NULL;
CREATE INDEX ix_gift_entitlements_due ON gift_entitlements (expires_at) WHERE status = 'granted';
CREATE INDEX ix_gift_entitlements_lapsing ON gift_entitlements (reserved_until) WHERE status = 'reserved';
CREATE UNIQUE INDEX ux_gift_entitlements_source ON gift_entitlements (source_kind, source_id, ordinal);

CREATE TABLE gift_moves (
    move_id BIGINT GENERATED ALWAYS AS IDENTITY,
    gift_id UUID NOT NULL,
    place_id UUID NOT NULL,
    kind TEXT NOT NULL,
    on_hand_change INTEGER NOT NULL,
    reserved_change INTEGER NOT NULL,
    expected INTEGER,
    to_place_id UUID,
    of_move_id BIGINT,
    entitlement_id UUID,
    happened_at timestamptz NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    note TEXT NOT NULL,
    CONSTRAINT pk_gift_moves PRIMARY KEY (move_id),
    CONSTRAINT ck_gift_moves_kind
        CHECK (kind IN ('received', 'sent', 'arrived', 'counted', 'reserved', 'released', 'handed_out', 'returned', 'spoilt')),
    CONSTRAINT ck_gift_moves_expected CHECK ((kind = 'counted') = (expected IS NOT NULL)),
    CONSTRAINT ck_gift_moves_transport CHECK ((kind = 'sent') = (to_place_id IS NOT NULL)
        AND (kind = 'arrived') = (of_move_id IS NOT NULL)),
    CONSTRAINT fk_gift_moves_gift_id FOREIGN KEY(gift_id) REFERENCES gifts (gift_id),
    CONSTRAINT fk_gift_moves_of_move_id FOREIGN KEY(of_move_id) REFERENCES gift_moves (move_id),
    CONSTRAINT fk_gift_moves_entitlement_id FOREIGN KEY(entitlement_id) REFERENCES gift_entitlements (entitlement_id)
);
CREATE INDEX ix_gift_moves_entitlement_id ON gift_moves (entitlement_id, move_id) WHERE entitlement_id IS NOT NULL;
CREATE INDEX ix_gift_moves_place ON gift_moves (gift_id, place_id, move_id);
CREATE INDEX ix_gift_moves_to_place_id ON gift_moves (to_place_id, move_id) WHERE to_place_id IS NOT NULL;
CREATE UNIQUE INDEX ux_gift_moves_of_move_id ON gift_moves (of_move_id) WHERE of_move_id IS NOT NULL;

CREATE TABLE gift_hand_outs (
    entitlement_id UUID NOT NULL,
    gift_id UUID NOT NULL,
    station_id UUID NOT NULL,
    terminal_id UUID,
    staff_id UUID NOT NULL,
    handed_at timestamptz NOT NULL,
    signature_form TEXT NOT NULL,
    signature_sealed BYTEA NOT NULL,
    returned_at timestamptz,
    returned_by UUID,
    return_reason TEXT,
    restocked BOOLEAN,
    CONSTRAINT pk_gift_hand_outs PRIMARY KEY (entitlement_id),
    CONSTRAINT ck_gift_hand_outs_signature_form CHECK (signature_form IN ('svg_path', 'png')),
    CONSTRAINT ck_gift_hand_outs_returned CHECK ((returned_at IS NULL) = (return_reason IS NULL)),
    CONSTRAINT fk_gift_hand_outs_entitlement_id FOREIGN KEY(entitlement_id) REFERENCES gift_entitlements (entitlement_id),
    CONSTRAINT fk_gift_hand_outs_gift_id FOREIGN KEY(gift_id) REFERENCES gifts (gift_id),
    CONSTRAINT fk_gift_hand_outs_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_gift_hand_outs_terminal_id FOREIGN KEY(terminal_id) REFERENCES terminals (terminal_id),
    CONSTRAINT fk_gift_hand_outs_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id),
    CONSTRAINT fk_gift_hand_outs_returned_by FOREIGN KEY(returned_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_gift_hand_outs_station_id ON gift_hand_outs (station_id, entitlement_id);

CREATE TABLE gift_entitlement_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY,
    entitlement_id UUID NOT NULL,
    moved_to TEXT NOT NULL,
    happened_at timestamptz NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    facts JSONB NOT NULL,
    CONSTRAINT pk_gift_entitlement_events PRIMARY KEY (event_id),
    CONSTRAINT ck_gift_entitlement_events_moved_to
        CHECK (moved_to IN ('granted', 'reserved', 'handed_out', 'returned', 'expired', 'cancelled')),
    CONSTRAINT fk_gift_entitlement_events_entitlement_id FOREIGN KEY(entitlement_id) REFERENCES gift_entitlements (entitlement_id)
);
CREATE INDEX ix_gift_entitlement_events_entitlement_id ON gift_entitlement_events (entitlement_id, event_id);

CREATE TABLE referral_programmes (
    programme_id UUID NOT NULL,
    code TEXT NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    currency TEXT NOT NULL,
    zone TEXT NOT NULL,
    milestones JSONB NOT NULL,
    funders JSONB NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    within_days INTEGER,
    wait_days INTEGER NOT NULL,
    most_each INTEGER,
    active BOOLEAN NOT NULL,
    made_by UUID,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_referral_programmes PRIMARY KEY (programme_id),
    CONSTRAINT ck_referral_programmes_validity CHECK (ends_at IS NULL OR ends_at > starts_at),
    CONSTRAINT ck_referral_programmes_figures CHECK (within_days > 0 AND wait_days >= 0 AND most_each > 0),
    CONSTRAINT uq_referral_programmes_code UNIQUE (code),
    CONSTRAINT fk_referral_programmes_made_by FOREIGN KEY(made_by) REFERENCES staff (staff_id)
);

CREATE TABLE referrals (
    referral_id UUID NOT NULL,
    programme_id UUID NOT NULL,
    referrer_id UUID NOT NULL,
    referee_id UUID NOT NULL,
    status TEXT NOT NULL,
    fault TEXT,
    joined_at timestamptz NOT NULL,
    looked_at timestamptz NOT NULL,
    decided_at timestamptz,
    decided_by UUID,
    decision TEXT,
    CONSTRAINT pk_referrals PRIMARY KEY (referral_id),
    CONSTRAINT ck_referrals_status CHECK (status IN ('open', 'held', 'admitted', 'refused', 'ended')),
    CONSTRAINT ck_referrals_fault CHECK (fault IN ('person', 'phone', 'device', 'not_new', 'organisation')),
    CONSTRAINT ck_referrals_two CHECK (referrer_id <> referee_id),
    CONSTRAINT ck_referrals_held CHECK (status <> 'held' OR fault IS NOT NULL),
    CONSTRAINT ck_referrals_decided CHECK ((decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT fk_referrals_programme_id FOREIGN KEY(programme_id) REFERENCES referral_programmes (programme_id),
    CONSTRAINT fk_referrals_referrer_id FOREIGN KEY(referrer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_referrals_referee_id FOREIGN KEY(referee_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_referrals_decided_by FOREIGN KEY(decided_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_referrals_looked_at ON referrals (programme_id, looked_at) WHERE status IN ('open', 'admitted');
CREATE INDEX ix_referrals_programme_id ON referrals (programme_id, referral_id);
CREATE INDEX ix_referrals_referrer_id ON referrals (referrer_id, referral_id);
CREATE UNIQUE INDEX ux_referrals_referee_id ON referrals (referee_id, programme_id);

CREATE TABLE referral_rewards (
    reward_id UUID NOT NULL,
    referral_id UUID NOT NULL,
    milestone TEXT NOT NULL,
    side TEXT NOT NULL,
    customer_id UUID NOT NULL,
    account_id UUID NOT NULL,
    given JSONB NOT NULL,
    paid_at timestamptz NOT NULL,
    CONSTRAINT pk_referral_rewards PRIMARY KEY (reward_id),
    CONSTRAINT ck_referral_rewards_side CHECK (side IN ('referrer', 'referee')),
    CONSTRAINT fk_referral_rewards_referral_id FOREIGN KEY(referral_id) REFERENCES referrals (referral_id),
    CONSTRAINT fk_referral_rewards_customer_id FOREIGN KEY(customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_referral_rewards_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id)
);
CREATE INDEX ix_referral_rewards_customer_id ON referral_rewards (customer_id, reward_id);
CREATE UNIQUE INDEX ux_referral_rewards_once ON referral_rewards (referral_id, milestone, side);

CREATE TABLE monthly_vouchers (
    monthly_id UUID NOT NULL,
    code TEXT NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    kind_id UUID NOT NULL,
    pieces INTEGER NOT NULL,
    tiers TEXT[] NOT NULL,
    zone TEXT NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    active BOOLEAN NOT NULL,
    made_by UUID,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_monthly_vouchers PRIMARY KEY (monthly_id),
    CONSTRAINT ck_monthly_vouchers_validity CHECK (ends_at IS NULL OR ends_at > starts_at),
    CONSTRAINT ck_monthly_vouchers_pieces CHECK (pieces > 0),
    CONSTRAINT uq_monthly_vouchers_code UNIQUE (code),
    CONSTRAINT fk_monthly_vouchers_kind_id FOREIGN KEY(kind_id) REFERENCES voucher_kinds (kind_id),
    CONSTRAINT fk_monthly_vouchers_made_by FOREIGN KEY(made_by) REFERENCES staff (staff_id)
);

-- What happened is written once.
REVOKE UPDATE, DELETE, TRUNCATE ON voucher_events, gift_moves, gift_entitlement_events FROM loyalty_hot, loyalty_jobs, loyalty_portal;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them."""
    for table in (
        "monthly_vouchers",
        "referral_rewards",
        "referrals",
        "referral_programmes",
        "gift_entitlement_events",
        "gift_hand_outs",
        "gift_moves",
        "gift_entitlements",
        "gift_stocks",
        "gifts",
        "voucher_events",
        "voucher_redemptions",
        "vouchers",
        "voucher_issues",
        "voucher_counters",
        "voucher_kinds",
    ):
        op.drop_table(table)
