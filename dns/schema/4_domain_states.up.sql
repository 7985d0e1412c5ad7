-- A domain is active while its proof stands and its name leads here, and lapses when that has ended.
-- One that was removed stays for a while, so that nobody else takes what still leads here.
ALTER TABLE domain DROP CONSTRAINT domain_check;
DROP INDEX domain_due;
ALTER TABLE domain ALTER COLUMN status DROP DEFAULT;
ALTER TABLE domain ALTER COLUMN status TYPE text;
ALTER TABLE domain ALTER COLUMN status SET DEFAULT 'pending';
DROP TYPE domain_status;
UPDATE domain SET status = 'active' WHERE status = 'verified' AND announced;
ALTER TABLE domain
  ADD COLUMN owner text NOT NULL DEFAULT '',
  -- What a TXT record must say where no CNAME can stand.
  ADD COLUMN token text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
  -- Since when an active domain leads elsewhere.
  ADD COLUMN failing_since timestamptz,
  ADD COLUMN removed_at timestamptz,
  ADD CHECK (status IN ('pending', 'verified', 'active', 'lapsed', 'removing', 'removed')),
  ADD CHECK (status <> 'removed' OR NOT announced);
CREATE INDEX domain_due ON domain (next_check_at);
