-- The trace that an event was published in (W3C Trace Context).
ALTER TABLE events ADD COLUMN traceparent TEXT;
