-- Times are nanoseconds since 1970 (UTC) unless the name says otherwise; ids are 16-byte UUIDs.

CREATE TABLE events (
    position       bigint PRIMARY KEY,
    event_id       bytea  NOT NULL UNIQUE,
    event_type     text   NOT NULL,
    source_service text   NOT NULL,
    time_ns        bigint NOT NULL,
    schema_version bigint NOT NULL,
    correlation_id bytea  NOT NULL,
    causation_id   bytea,
    data           text   NOT NULL
);
CREATE INDEX events_by_correlation ON events (correlation_id, position);
CREATE INDEX events_by_type ON events (event_type, position);
CREATE INDEX events_by_time ON events (time_ns);

-- Appends events, each id once and for ever; returns the position of the last event before them, then
-- theirs in order. The lock is held to the end of the transaction: positions have no gap and become
-- visible in their order, so that nobody who reads by position misses one. Each statement in here sees
-- what was committed before the lock was given (READ COMMITTED).
CREATE FUNCTION append_events(
    ids bytea[], types text[], sources text[], times bigint[], versions bigint[],
    correlations bytea[], causations bytea[], datas text[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    added  bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7021530001);
    SELECT coalesce(max(position), 0) INTO before FROM events;
    WITH given AS (
        SELECT * FROM unnest(ids, types, sources, times, versions, correlations, causations, datas)
            WITH ORDINALITY AS g (id, kind, source, at, version, correlation, causation, data, place)
    ), once AS (
        SELECT DISTINCT ON (id) * FROM given ORDER BY id, place
    ), fresh AS (
        SELECT once.*, row_number() OVER (ORDER BY place) AS number FROM once
        WHERE NOT EXISTS (SELECT 1 FROM events WHERE events.event_id = once.id)
    )
    INSERT INTO events (position, event_id, event_type, source_service, time_ns, schema_version,
                        correlation_id, causation_id, data)
        SELECT before + number, id, kind, source, at, version, correlation, causation, data FROM fresh;
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

CREATE TABLE consumer_offsets (
    consumer text   PRIMARY KEY,
    position bigint NOT NULL
);

CREATE TABLE parked_events (
    consumer  text   NOT NULL,
    position  bigint NOT NULL,
    event_id  bytea  NOT NULL,
    attempts  bigint NOT NULL,
    error     text   NOT NULL,
    parked_ns bigint NOT NULL,
    PRIMARY KEY (consumer, position)
);

CREATE TABLE ledger_entries (
    sequence bigint PRIMARY KEY,
    kind     text   NOT NULL,
    time_ns  bigint NOT NULL,
    actor    text   NOT NULL,
    payload  text   NOT NULL,
    previous bytea  NOT NULL,
    hash     bytea  NOT NULL
);
CREATE INDEX ledger_by_kind ON ledger_entries (kind, sequence);

-- Roots of perfect subtrees from level 8 (256 leaves) up; lower ones are hashed anew from entries.
CREATE TABLE ledger_nodes (
    level bigint NOT NULL,
    idx   bigint NOT NULL,
    hash  bytea  NOT NULL,
    PRIMARY KEY (level, idx)
);

-- One row, locked by whoever enters something: the chain has one end.
CREATE TABLE ledger_state (
    id        integer PRIMARY KEY CHECK (id = 1),
    tree      bytea   NOT NULL,
    last_hash bytea   NOT NULL
);
-- Of the ledger without entries.
INSERT INTO ledger_state VALUES (1, '', decode(repeat('00', 32), 'hex'));
