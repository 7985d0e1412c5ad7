-- A move that is over stays over, one that is committed stays committed, and its generation is its own.
CREATE FUNCTION migration_goes_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.finished_at IS NOT NULL AND NEW.phase <> OLD.phase THEN
        RAISE EXCEPTION 'migration % is %, it cannot become %', OLD.id, OLD.phase, NEW.phase;
    END IF;
    IF OLD.committed_at IS NOT NULL AND NEW.committed_at IS NULL THEN
        RAISE EXCEPTION 'migration % is committed, it cannot go back to %', OLD.id, NEW.phase;
    END IF;
    IF NEW.generation IS DISTINCT FROM OLD.generation AND OLD.generation IS NOT NULL THEN
        RAISE EXCEPTION 'migration % has generation %, it cannot get %',
            OLD.id, OLD.generation, NEW.generation;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER migration_goes_forward BEFORE UPDATE ON migration
    FOR EACH ROW EXECUTE FUNCTION migration_goes_forward();

-- No two moves of a repl have the same generation.
CREATE UNIQUE INDEX migration_generation ON migration (repl_id, generation)
    WHERE generation IS NOT NULL;
