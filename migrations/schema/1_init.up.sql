-- The workflow of each move. What a migration decides is in the database "clusters"; this one
-- remembers how far it came, so that any process can go on with it.

CREATE TABLE migration (
    id uuid PRIMARY KEY,
    repl_id text NOT NULL,
    name text NOT NULL,
    owner text NOT NULL,
    from_cluster text NOT NULL,
    to_cluster text NOT NULL,
    -- What the caller asked for, and what was chosen.
    requested_mode text CHECK (requested_mode IN ('asleep', 'overlap', 'handoff')),
    mode text CHECK (mode IN ('asleep', 'overlap', 'handoff')),
    cut boolean NOT NULL DEFAULT false,
    phase text NOT NULL DEFAULT 'requested' CHECK (phase IN ('requested', 'reserving', 'preparing',
        'copying', 'freezing', 'delta', 'booting', 'verifying', 'switching', 'draining', 'cleaning',
        'completed', 'aborting', 'rolled_back')),
    phase_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How often the phase's work failed or the repl was busy; reset when the phase changes.
    attempts integer NOT NULL DEFAULT 0,
    -- Not before this is it worked on again.
    retry_at timestamptz,
    reason text,
    abort_requested boolean NOT NULL DEFAULT false,
    from_generation bigint,
    generation bigint,
    -- The freeze that is in force, and how long it held requests in the end.
    frozen_at timestamptz,
    hold_ms double precision,
    -- The log entry of the commit, and when repl.moved is known to have been published.
    seq bigint,
    published_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    traceparent text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    committed_at timestamptz,
    finished_at timestamptz,
    CHECK (from_cluster <> to_cluster),
    CHECK ((finished_at IS NOT NULL) = (phase IN ('completed', 'rolled_back'))),
    CHECK ((committed_at IS NOT NULL) = (phase IN ('switching', 'draining', 'cleaning',
        'completed'))),
    CHECK (committed_at IS NULL OR generation IS NOT NULL)
);

-- One move of a repl at a time. It may move again while its old container still drains.
CREATE UNIQUE INDEX migration_one_open ON migration (repl_id)
    WHERE phase NOT IN ('draining', 'cleaning', 'completed', 'rolled_back');

CREATE INDEX migration_unfinished ON migration (created_at) WHERE finished_at IS NULL;
CREATE INDEX migration_unpublished ON migration (committed_at)
    WHERE committed_at IS NOT NULL AND published_at IS NULL;
CREATE INDEX migration_by_repl ON migration (repl_id, created_at DESC);

-- The phases that a migration has been through, each with the time it took.
CREATE TABLE migration_step (
    migration_id uuid NOT NULL REFERENCES migration (id) ON DELETE CASCADE,
    n integer NOT NULL,
    phase text NOT NULL,
    at timestamptz NOT NULL,
    ms double precision NOT NULL,
    PRIMARY KEY (migration_id, n)
);
