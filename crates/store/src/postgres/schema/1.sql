-- The version of these tables.
CREATE TABLE schema_version (
    id integer PRIMARY KEY CHECK (id = 1),
    version integer NOT NULL
);

-- The place that comes next in the order of the store. Whoever stores holds this row until the transaction has ended.
CREATE TABLE state (
    id integer PRIMARY KEY CHECK (id = 1),
    next_place bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO state VALUES (1, 1);

-- The lives of streams. What one holds stands at `opened` or behind. Its owner's sessions hold the advisory lock `owner_lock`.
CREATE TABLE epochs (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    epoch uuid NOT NULL UNIQUE,
    owner uuid NOT NULL,
    owner_lock bigint NOT NULL,
    is_closed boolean NOT NULL,
    opened_at_ms bigint NOT NULL,
    opened bigint NOT NULL,
    next_offset bigint NOT NULL
) WITH (fillfactor = 50);

-- The events, in the order in which they were stored; the body is the JSON of the event. The time is in nanoseconds.
CREATE TABLE events (
    place bigint PRIMARY KEY,
    epoch integer NOT NULL,
    "offset" bigint NOT NULL,
    event_id uuid NOT NULL,
    time_ns bigint NOT NULL,
    body text NOT NULL,
    UNIQUE (epoch, "offset")
);

-- Some hundred events of one epoch and batch each: what is in them. Marks are CRC-32 sums of the ids of workflows (also of
-- those around) and of components; two ids may share one, so a block that has a mark may have something of an id.
CREATE TABLE blocks (
    first bigint NOT NULL,
    last bigint PRIMARY KEY,
    epoch integer NOT NULL,
    earliest_ns bigint NOT NULL,
    latest_ns bigint NOT NULL,
    bytes bigint NOT NULL,
    workflows integer[] NOT NULL,
    components integer[] NOT NULL
);
CREATE INDEX blocks_by_epoch ON blocks (epoch, last);
CREATE INDEX blocks_by_mark ON blocks USING gin (workflows, components);

-- Offsets that are missing and stay so: from `first` up to, but without, `behind`.
CREATE TABLE gaps (
    epoch integer NOT NULL,
    first bigint NOT NULL,
    behind bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (epoch, first, behind, reason)
);
