-- The tenant that an event belongs to; a single station's belong to none, and cost no index.
ALTER TABLE events ADD COLUMN site TEXT;
CREATE INDEX events_by_site ON events (site, position) WHERE site IS NOT NULL;
