-- One database per cluster in production, one for all local clusters on a laptop:
-- every key starts with cluster_id, and nothing ever joins two clusters.

-- Every change that a proxy must hear of takes the next version of its cluster, in its own
-- transaction. The row's lock serialises them, so that a reader of `version > last` misses none.
CREATE TABLE route_clock (
  cluster_id text PRIMARY KEY,
  version bigint NOT NULL
);

CREATE TABLE route (
  cluster_id text NOT NULL,
  repl_id text NOT NULL,
  name text NOT NULL,
  owner text NOT NULL,
  state text NOT NULL CHECK (state IN ('none', 'staged', 'active', 'frozen', 'tombstone')),
  generation bigint NOT NULL CHECK (generation >= 0),
  fence bigint NOT NULL DEFAULT 0 CHECK (fence >= 0),
  frozen_by bigint,
  peer_cluster text,
  deleted boolean NOT NULL DEFAULT false,
  -- Set while a container of this very generation runs and may get traffic.
  upstream_host text,
  upstream_port integer CHECK (upstream_port BETWEEN 1 AND 65535),
  version bigint NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  -- What is still in flight on an older container must end now.
  cut_at timestamptz,
  -- The move that staged or froze it.
  migration_id text,
  -- Frozen: when the authority is asked to abort.
  freeze_deadline timestamptz,
  -- Staged and booted: when the generation is fenced, unless verified again.
  lease_until timestamptz,
  PRIMARY KEY (cluster_id, repl_id),
  CHECK ((state = 'frozen') = (frozen_by IS NOT NULL)),
  CHECK (frozen_by > generation),
  CHECK ((upstream_host IS NULL) = (upstream_port IS NULL)),
  CHECK (upstream_host IS NULL OR state = 'active'),
  CHECK (state <> 'tombstone' OR peer_cluster IS NOT NULL),
  CHECK (NOT deleted OR state = 'none')
);
CREATE INDEX route_by_version ON route (cluster_id, version);
CREATE INDEX route_under_way ON route (cluster_id) WHERE state IN ('staged', 'frozen');

-- The fence of every late command: a generation that falls would let one in.
CREATE FUNCTION route_never_falls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.generation < OLD.generation OR NEW.fence < OLD.fence OR NEW.version < OLD.version
     OR (OLD.deleted AND NOT NEW.deleted) THEN
    RAISE EXCEPTION 'route of "%" would fall from generation %, fence %, version % to %, %, %',
      OLD.repl_id, OLD.generation, OLD.fence, OLD.version,
      NEW.generation, NEW.fence, NEW.version;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER route_never_falls BEFORE UPDATE ON route
  FOR EACH ROW EXECUTE FUNCTION route_never_falls();

CREATE TABLE container (
  cluster_id text NOT NULL,
  repl_id text NOT NULL,
  generation bigint NOT NULL CHECK (generation >= 1),
  state text NOT NULL CHECK (state IN ('starting', 'running', 'stopping', 'stopped', 'failed')),
  -- The process and what proves, after a crash of the platform, that it is still that process.
  pid bigint,
  identity text,
  -- The $PORT it was given; where it was found listening may be elsewhere.
  port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
  upstream_host text,
  upstream_port integer CHECK (upstream_port BETWEEN 1 AND 65535),
  reason text,
  crashes integer NOT NULL DEFAULT 0,
  -- Ended by itself: not started before; and then by the sweep, or only by a request.
  restart_at timestamptz,
  auto_restart boolean NOT NULL DEFAULT false,
  started_at timestamptz,
  -- Since when a newer generation has its place; it drains from then on.
  retired_at timestamptz,
  PRIMARY KEY (cluster_id, repl_id, generation),
  CHECK (state <> 'running' OR (upstream_host IS NOT NULL AND upstream_port IS NOT NULL))
);
CREATE UNIQUE INDEX container_one_port ON container (cluster_id, port)
  WHERE state IN ('starting', 'running', 'stopping');
-- One serves; older ones may only be draining.
CREATE UNIQUE INDEX container_one_not_retired ON container (cluster_id, repl_id)
  WHERE state IN ('starting', 'running', 'stopping') AND retired_at IS NULL;
CREATE INDEX container_live ON container (cluster_id)
  WHERE state IN ('starting', 'running', 'stopping');

-- What the folder of a generation holds and how it starts; the manifest lies beside the folder.
CREATE TABLE release (
  cluster_id text NOT NULL,
  repl_id text NOT NULL,
  generation bigint NOT NULL,
  release bigint NOT NULL CHECK (release >= 1),
  command text NOT NULL,
  framework text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (cluster_id, repl_id, generation)
);

-- Custom domains; repl_id '' when the name was taken away.
CREATE TABLE hostname (
  cluster_id text NOT NULL,
  hostname text NOT NULL,
  repl_id text NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (cluster_id, hostname)
);
CREATE INDEX hostname_by_version ON hostname (cluster_id, version);

-- The clusters that this cluster knows, itself among them.
CREATE TABLE peer (
  cluster_id text NOT NULL,
  peer_id text NOT NULL,
  ingress text[] NOT NULL,
  http_port integer NOT NULL,
  listen text[] NOT NULL,
  api_url text,
  removed boolean NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (cluster_id, peer_id)
);
CREATE INDEX peer_by_version ON peer (cluster_id, version);

-- Every registered cluster in the order of registration: which are local, and whose ports are whose.
CREATE TABLE known_cluster (
  cluster_id text PRIMARY KEY,
  ordinal integer NOT NULL UNIQUE,
  api_url text,
  removed boolean NOT NULL
);

-- How far the placement log was applied; '*' is known_cluster's.
CREATE TABLE log_cursor (
  cluster_id text PRIMARY KEY,
  seq bigint NOT NULL
);

-- Each repl's operating-system user, where apps run under one of their own.
CREATE TABLE app_user (
  cluster_id text NOT NULL,
  repl_id text NOT NULL,
  number integer NOT NULL CHECK (number >= 0),
  PRIMARY KEY (cluster_id, repl_id),
  UNIQUE (cluster_id, number)
);

-- Written by the proxies. One whose lease has ended dials nobody.
CREATE TABLE proxy_instance (
  cluster_id text NOT NULL,
  instance_id text NOT NULL,
  acked_version bigint NOT NULL,
  -- Repls with something in flight that the route as acknowledged would not dial.
  busy text[] NOT NULL DEFAULT '{}',
  lease_until timestamptz NOT NULL,
  PRIMARY KEY (cluster_id, instance_id)
);

CREATE TABLE hit (
  cluster_id text NOT NULL,
  repl_id text NOT NULL,
  instance_id text NOT NULL,
  last_hit timestamptz NOT NULL,
  in_flight integer NOT NULL DEFAULT 0,
  PRIMARY KEY (cluster_id, repl_id, instance_id)
);
