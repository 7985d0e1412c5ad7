-- The move that serves on while it is about to commit: until it is decided no release comes in.
ALTER TABLE route ADD COLUMN sealed_by bigint;
ALTER TABLE route ADD CHECK (sealed_by IS NULL OR state = 'active');
ALTER TABLE route ADD CHECK (sealed_by > generation);
