-- Who may command this cluster and draw files from it. Kept here, so that a restart needs nobody else.

-- Pinned when the cluster was added; null for one without an API of its own.
ALTER TABLE known_cluster ADD COLUMN public_key text;

-- The control plane's key, as the placement log's last answer said.
CREATE TABLE control_key (
  the_one boolean PRIMARY KEY DEFAULT true CHECK (the_one),
  public_key text NOT NULL,
  learned_at timestamptz NOT NULL DEFAULT now()
);
