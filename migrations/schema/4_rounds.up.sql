-- What writes too much for a handoff is stopped for as long as its copy takes.
ALTER TABLE migration
    DROP CONSTRAINT migration_requested_mode_check,
    DROP CONSTRAINT migration_mode_check,
    ADD CONSTRAINT migration_requested_mode_check
        CHECK (requested_mode IN ('asleep', 'overlap', 'handoff', 'stop-copy')),
    ADD CONSTRAINT migration_mode_check
        CHECK (mode IN ('asleep', 'overlap', 'handoff', 'stop-copy')),
    -- How long its freeze may last; null for the deadline of all others.
    ADD COLUMN freeze_ms double precision,
    -- Sockets, pipes and devices, which stay behind.
    ADD COLUMN left_out text[] NOT NULL DEFAULT '{}';
