-- Events that no try can handle, such as those of a later version (docs/decisions/0012). Bounded.
CREATE TABLE dead_event (
  id text PRIMARY KEY,
  subscription text NOT NULL,
  -- JSON; '' when it was too long to be kept.
  payload text NOT NULL,
  error text NOT NULL,
  times integer NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_event_by_age ON dead_event (last_at);

CREATE TABLE dead_event_count (
  the_one boolean PRIMARY KEY DEFAULT true CHECK (the_one),
  dropped bigint NOT NULL DEFAULT 0
);
INSERT INTO dead_event_count DEFAULT VALUES;
