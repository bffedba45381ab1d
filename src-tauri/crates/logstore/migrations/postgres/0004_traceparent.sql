-- The trace that an event was published in (W3C Trace Context).
ALTER TABLE events ADD COLUMN traceparent text;

-- As before, and the trace. The function without it stays: replicas of the version before go on calling it until
-- they are replaced.
CREATE FUNCTION append_events(
    ids bytea[], types text[], sources text[], times bigint[], versions bigint[],
    correlations bytea[], causations bytea[], datas text[], sites text[], traces text[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    added  bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7021530001);
    SELECT coalesce(max(position), 0) INTO before FROM events;
    WITH given AS (
        SELECT * FROM unnest(ids, types, sources, times, versions, correlations, causations, datas, sites,
                             traces)
            WITH ORDINALITY AS g (id, kind, source, at, version, correlation, causation, data, site,
                                      trace, place)
    ), once AS (
        SELECT DISTINCT ON (id) * FROM given ORDER BY id, place
    ), fresh AS (
        SELECT once.*, row_number() OVER (ORDER BY place) AS number FROM once
        WHERE NOT EXISTS (SELECT 1 FROM events WHERE events.event_id = once.id)
    )
    INSERT INTO events (position, event_id, event_type, source_service, time_ns, schema_version,
                        correlation_id, causation_id, data, site, traceparent)
        SELECT before + number, id, kind, source, at, version, correlation, causation, data, site,
               trace
        FROM fresh;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added > 0 THEN
        PERFORM pg_notify('neurascale_events', (before + added)::text);
    END IF;
    IF added = cardinality(ids) THEN
        RETURN ARRAY(SELECT generate_series(before, before + added));
    END IF;
    RETURN before || ARRAY(
        SELECT events.position FROM unnest(ids) WITH ORDINALITY AS g (id, place)
            JOIN events ON events.event_id = g.id ORDER BY place);
END
$$;
