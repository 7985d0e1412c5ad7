-- What is retired serves no more, and nothing gives it its place back.
CREATE FUNCTION container_stays_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.retired_at IS NOT NULL AND NEW.retired_at IS NULL THEN
    RAISE EXCEPTION 'container of "%", generation %, is retired', OLD.repl_id, OLD.generation;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER container_stays_retired BEFORE UPDATE ON container
  FOR EACH ROW EXECUTE FUNCTION container_stays_retired();

-- A route says of one generation that it came or that it left, and not both. A row that was deleted
-- would forget its fence.
CREATE OR REPLACE FUNCTION route_never_falls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'route of "%" cannot be deleted: its fence would fall', OLD.repl_id;
  END IF;
  IF NEW.generation < OLD.generation OR NEW.fence < OLD.fence OR NEW.version < OLD.version
     OR (OLD.deleted AND NOT NEW.deleted) THEN
    RAISE EXCEPTION 'route of "%" would fall from generation %, fence %, version % to %, %, %',
      OLD.repl_id, OLD.generation, OLD.fence, OLD.version,
      NEW.generation, NEW.fence, NEW.version;
  END IF;
  IF NEW.generation = OLD.generation
     AND ((OLD.state = 'tombstone') <> (NEW.state = 'tombstone')) AND NEW.state <> 'none' THEN
    RAISE EXCEPTION 'route of "%" is % at generation %, it cannot become %',
      OLD.repl_id, OLD.state, OLD.generation, NEW.state;
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER route_never_falls ON route;
CREATE TRIGGER route_never_falls BEFORE UPDATE OR DELETE ON route
  FOR EACH ROW EXECUTE FUNCTION route_never_falls();

-- The log is read on from where it was applied.
CREATE FUNCTION log_cursor_never_falls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq < OLD.seq THEN
    RAISE EXCEPTION 'cursor of "%" would fall from % to %', OLD.cluster_id, OLD.seq, NEW.seq;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER log_cursor_never_falls BEFORE UPDATE ON log_cursor
  FOR EACH ROW EXECUTE FUNCTION log_cursor_never_falls();
