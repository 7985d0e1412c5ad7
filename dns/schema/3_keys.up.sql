-- Keys that sign transfers and updates (TSIG, RFC 8945), and what their holders may do. The secret is
-- sealed: whoever reads the database cannot sign.
CREATE TABLE tsig_key (
  name text PRIMARY KEY,
  algorithm text NOT NULL CHECK (algorithm IN ('hmac-sha256', 'hmac-sha384', 'hmac-sha512')),
  sealed text NOT NULL,
  may_transfer boolean NOT NULL,
  may_update boolean NOT NULL,
  -- '*' stands for all.
  zones text[] NOT NULL,
  names text[] NOT NULL,
  types text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Name servers that are told of each change (NOTIFY, RFC 1996), signed with their key.
CREATE TABLE secondary (
  zone text NOT NULL REFERENCES zone (name),
  -- `192.0.2.1:53`
  address text NOT NULL,
  key_name text NOT NULL REFERENCES tsig_key (name),
  PRIMARY KEY (zone, address)
);
