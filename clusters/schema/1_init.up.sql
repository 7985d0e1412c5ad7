-- The authority: which clusters there are, where each repl lives, and how each migration was decided.

CREATE TABLE cluster (
    id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'cordoned')),
    ingress text[] NOT NULL CHECK (cardinality(ingress) > 0),
    http_port integer NOT NULL CHECK (http_port BETWEEN 1 AND 65535),
    listen text[] NOT NULL,
    api_url text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE repl (
    id text PRIMARY KEY,
    name text NOT NULL,
    owner text NOT NULL,
    policy text NOT NULL DEFAULT 'auto' CHECK (policy IN ('auto', 'overlap', 'handoff')),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner, name)
);

-- One row a repl: one placement at any time. next_generation is burned by every migration that opens.
CREATE TABLE placement (
    repl_id text PRIMARY KEY REFERENCES repl (id) ON DELETE CASCADE,
    cluster_id text NOT NULL REFERENCES cluster (id),
    generation bigint NOT NULL CHECK (generation >= 1),
    next_generation bigint NOT NULL CHECK (next_generation > generation),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX placement_by_cluster ON placement (cluster_id);

CREATE FUNCTION placement_generation_rises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.next_generation < OLD.next_generation
        OR NEW.generation < OLD.generation
        OR (NEW.cluster_id <> OLD.cluster_id AND NEW.generation = OLD.generation) THEN
        RAISE EXCEPTION 'placement of repl % may not go from generation % (next %) to % (next %)',
            OLD.repl_id, OLD.generation, OLD.next_generation, NEW.generation, NEW.next_generation;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER placement_generation_rises BEFORE UPDATE ON placement
    FOR EACH ROW EXECUTE FUNCTION placement_generation_rises();

-- Who wins the update from 'open' decides the migration; both ends are final.
-- A row without a repl is an abort that came before its migration opened: it keeps it from opening.
CREATE TABLE migration_decision (
    migration_id uuid PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('open', 'committed', 'aborted')),
    repl_id text,
    name text,
    owner text,
    policy text,
    from_cluster text,
    to_cluster text,
    from_generation bigint,
    generation bigint,
    seq bigint,
    opened_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    UNIQUE (repl_id, generation),
    CHECK ((status = 'open') = (decided_at IS NULL)),
    CHECK ((status = 'committed') = (seq IS NOT NULL)),
    CHECK (status = 'aborted' OR repl_id IS NOT NULL),
    CHECK (repl_id IS NULL OR (name IS NOT NULL AND owner IS NOT NULL AND policy IS NOT NULL
        AND from_cluster IS NOT NULL AND to_cluster IS NOT NULL AND from_cluster <> to_cluster
        AND from_generation IS NOT NULL AND generation > from_generation))
);
-- Two open migrations of one repl would be two candidates for its next home.
CREATE UNIQUE INDEX migration_decision_one_open ON migration_decision (repl_id)
    WHERE status = 'open';

CREATE FUNCTION migration_decision_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'open' AND NEW.status <> OLD.status THEN
        RAISE EXCEPTION 'migration % is %, it cannot become %',
            OLD.migration_id, OLD.status, NEW.status;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER migration_decision_is_final BEFORE UPDATE ON migration_decision
    FOR EACH ROW EXECUTE FUNCTION migration_decision_is_final();

-- Custom domains that were verified, as the proxies should know them.
CREATE TABLE hostname (
    hostname text PRIMARY KEY,
    repl_id text NOT NULL REFERENCES repl (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX hostname_by_repl ON hostname (repl_id);

-- Every change of a placement, a cluster or a hostname, in commit order: inserts hold an advisory
-- lock to the end of their transaction, so a reader of `seq > last` never passes by a row.
CREATE TABLE placement_log (
    seq bigserial PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('created', 'moved', 'deleted', 'cluster', 'hostname')),
    repl_id text,
    name text,
    owner text,
    cluster_id text,
    from_cluster_id text,
    generation bigint,
    migration_id uuid UNIQUE,
    cluster jsonb,
    hostname text,
    present boolean,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    traceparent text NOT NULL DEFAULT '',
    CHECK (kind <> 'moved' OR (repl_id IS NOT NULL AND cluster_id IS NOT NULL
        AND from_cluster_id IS NOT NULL AND generation IS NOT NULL AND migration_id IS NOT NULL)),
    CHECK (kind <> 'cluster' OR (cluster_id IS NOT NULL AND cluster IS NOT NULL)),
    CHECK (kind <> 'hostname' OR (hostname IS NOT NULL AND present IS NOT NULL))
);
CREATE UNIQUE INDEX placement_log_generation ON placement_log (repl_id, generation)
    WHERE generation IS NOT NULL;
