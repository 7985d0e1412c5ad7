-- What the code does anyway, held by the database too: a writer with a fault fails here, and not at a reader.

-- An entry of the log is never changed, since readers have it already.
CREATE FUNCTION placement_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entry % of the placement log cannot be changed', OLD.seq;
END $$;
CREATE TRIGGER placement_log_only_grows BEFORE UPDATE OR DELETE ON placement_log
    FOR EACH ROW EXECUTE FUNCTION placement_log_only_grows();

-- In the order of commits: whoever has not taken the writers' lock waits for it here, and then has a
-- `seq` that readers may have passed. A repl's generations rise, and a move is one that was opened.
CREATE FUNCTION placement_log_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('placement_log'));
    IF NEW.seq <= (SELECT max(seq) FROM placement_log) THEN
        RAISE EXCEPTION 'entry % of the placement log would be passed by its readers', NEW.seq;
    END IF;
    IF NEW.generation <= (SELECT max(generation) FROM placement_log
            WHERE repl_id = NEW.repl_id AND generation IS NOT NULL) THEN
        RAISE EXCEPTION 'generation % of repl % is not above that of its last entry',
            NEW.generation, NEW.repl_id;
    END IF;
    IF NEW.kind = 'moved' AND NOT EXISTS (
            SELECT FROM migration_decision AS d JOIN placement AS p ON p.repl_id = d.repl_id
            WHERE d.migration_id = NEW.migration_id AND d.status = 'open'
                AND d.repl_id = NEW.repl_id AND d.generation = NEW.generation
                AND d.from_cluster = NEW.from_cluster_id AND d.to_cluster = NEW.cluster_id
                AND p.cluster_id = NEW.cluster_id AND p.generation = NEW.generation) THEN
        RAISE EXCEPTION 'migration % does not move repl % to % at generation %',
            NEW.migration_id, NEW.repl_id, NEW.cluster_id, NEW.generation;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER placement_log_in_order BEFORE INSERT ON placement_log
    FOR EACH ROW EXECUTE FUNCTION placement_log_in_order();

-- A generation is given once, and above all that were given before.
CREATE FUNCTION migration_decision_opens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.generation <= (SELECT max(generation) FROM migration_decision
            WHERE repl_id = NEW.repl_id) THEN
        RAISE EXCEPTION 'generation % of repl % was given already', NEW.generation, NEW.repl_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER migration_decision_opens BEFORE INSERT ON migration_decision
    FOR EACH ROW EXECUTE FUNCTION migration_decision_opens();

-- Decided once; what was opened is what is decided; committed is what the log says.
CREATE OR REPLACE FUNCTION migration_decision_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'migration % cannot be forgotten', OLD.migration_id;
    END IF;
    IF OLD.status <> 'open' AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'migration % is %, it cannot become %',
            OLD.migration_id, OLD.status, NEW.status;
    END IF;
    IF (NEW.migration_id, NEW.repl_id, NEW.from_cluster, NEW.to_cluster, NEW.from_generation,
            NEW.generation) IS DISTINCT FROM
        (OLD.migration_id, OLD.repl_id, OLD.from_cluster, OLD.to_cluster, OLD.from_generation,
            OLD.generation) THEN
        RAISE EXCEPTION 'migration % cannot become one of something else', OLD.migration_id;
    END IF;
    IF NEW.status = 'committed' AND NOT EXISTS (SELECT FROM placement_log
            WHERE seq = NEW.seq AND migration_id = NEW.migration_id) THEN
        RAISE EXCEPTION 'migration % is not in the placement log', NEW.migration_id;
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER migration_decision_is_final ON migration_decision;
CREATE TRIGGER migration_decision_is_final BEFORE UPDATE OR DELETE ON migration_decision
    FOR EACH ROW EXECUTE FUNCTION migration_decision_is_final();
