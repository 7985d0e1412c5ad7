-- Whose signature a cluster with an API of its own answers with; the other clusters check it too.
ALTER TABLE cluster ADD COLUMN public_key text;
