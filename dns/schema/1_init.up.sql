-- Orders all changes of zones. A writer updates this row first and holds it to its commit, so that
-- whoever reads "revision > last" never skips one.
CREATE TABLE zone_clock (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  revision bigint NOT NULL DEFAULT 0,
  -- Tells a snapshot file of this database from one of another.
  system_id text NOT NULL DEFAULT gen_random_uuid()::text
);
INSERT INTO zone_clock DEFAULT VALUES;

-- Names are lower case, absolute, without a trailing dot.
CREATE TABLE zone (
  name text PRIMARY KEY,
  -- Added to the counters to make the serial; the seconds of its making, so that a zone made anew
  -- has a later serial than it had before.
  base bigint NOT NULL,
  revision bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- An empty set of values is an RRset that is gone: readers must hear of that too.
CREATE TABLE rrset (
  zone text NOT NULL REFERENCES zone (name),
  name text NOT NULL,
  type int NOT NULL CHECK (type BETWEEN 1 AND 65535),
  ttl int NOT NULL CHECK (ttl >= 0),
  record text[] NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (zone, name, type)
);
CREATE INDEX rrset_revision ON rrset (revision);

-- TXT values for DNS-01. One that is gone stays for a while, so that readers hear of it.
CREATE TABLE challenge (
  zone text NOT NULL REFERENCES zone (name),
  name text NOT NULL,
  value text NOT NULL,
  expires_at timestamptz NOT NULL,
  gone boolean NOT NULL DEFAULT false,
  revision bigint NOT NULL,
  PRIMARY KEY (name, value)
);
CREATE INDEX challenge_revision ON challenge (revision);
CREATE INDEX challenge_expiry ON challenge (expires_at);

-- Custom domains. `removing` asks for the hostname to be taken away from the proxies.
CREATE TYPE domain_status AS ENUM ('pending', 'verified', 'removing');
CREATE TABLE domain (
  hostname text PRIMARY KEY,
  repl_id text NOT NULL,
  status domain_status NOT NULL DEFAULT 'pending',
  -- The proxies have been told of the status.
  announced boolean NOT NULL DEFAULT false,
  attempts int NOT NULL DEFAULT 0,
  next_check_at timestamptz NOT NULL DEFAULT now(),
  -- Why the last check failed.
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (NOT announced OR status = 'verified')
);
CREATE INDEX domain_due ON domain (next_check_at) WHERE NOT announced;
CREATE INDEX domain_repl ON domain (repl_id);

-- What the placement log said, up to the cursor: names keep their answers without `clusters`.
CREATE TABLE placement_copy (
  repl_id text PRIMARY KEY,
  name text NOT NULL,
  owner text NOT NULL,
  cluster_id text NOT NULL,
  generation bigint NOT NULL CHECK (generation > 0)
);
CREATE TABLE cluster_copy (
  id text PRIMARY KEY,
  ingress text[] NOT NULL
);
CREATE TABLE log_cursor (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  seq bigint NOT NULL DEFAULT 0
);
INSERT INTO log_cursor DEFAULT VALUES;
