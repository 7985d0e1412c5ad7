-- A zone that was deleted keeps its row and empty RRsets: its serial goes on should it be made anew.
CREATE VIEW served_zone AS
SELECT name, base, revision FROM zone
WHERE EXISTS (SELECT 1 FROM rrset
  WHERE rrset.zone = zone.name AND rrset.name = zone.name AND type = 6 AND cardinality(record) > 0);
