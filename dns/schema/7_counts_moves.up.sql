-- A zone with an ALIAS is answered by where an app lives, so its serial rises with the placement log too;
-- and it goes on so when the ALIAS is gone, since a serial never falls.
ALTER TABLE zone ADD counts_moves boolean NOT NULL DEFAULT false;
CREATE OR REPLACE VIEW served_zone AS
SELECT name, base, revision, counts_moves FROM zone
WHERE EXISTS (SELECT 1 FROM rrset
  WHERE rrset.zone = zone.name AND rrset.name = zone.name AND type = 6 AND cardinality(record) > 0);
