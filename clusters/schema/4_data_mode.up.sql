-- Whether an app keeps something in its files that must not be lost: found out at each move, or said.
ALTER TABLE repl ADD COLUMN data_mode text NOT NULL DEFAULT 'auto'
    CHECK (data_mode IN ('auto', 'none', 'files'));
