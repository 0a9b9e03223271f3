-- The place that comes next in the order of the store. Places have no holes but for what damage took.
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_place INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 1);

-- The lives of streams. What one holds stands at `opened` or behind.
CREATE TABLE epochs (
    id INTEGER PRIMARY KEY,
    epoch BLOB NOT NULL UNIQUE,
    owner BLOB NOT NULL,
    is_closed INTEGER NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    next_offset INTEGER NOT NULL
) STRICT;

-- The events, in the order in which they were stored; the body is the JSON of the event, the checksum is of all else.
CREATE TABLE events (
    place INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- Some hundred events of one epoch and batch each: by their first place, what is in them. Times are in nanoseconds.
CREATE TABLE blocks (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    epoch BLOB NOT NULL,
    first_offset INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL
) STRICT;
CREATE INDEX blocks_by_offset ON blocks (epoch, first_offset);
CREATE INDEX blocks_by_time ON blocks (latest);

-- Which blocks have something of a workflow (kind 'w', also the one around it) or of a component (kind 'c').
CREATE TABLE marks (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    first INTEGER NOT NULL,
    PRIMARY KEY (kind, name, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX marks_by_block ON marks (first);

-- Offsets that are missing and stay so: from `first` up to, but without, `behind`.
CREATE TABLE gaps (
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    behind INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (epoch, first, behind, reason)
) STRICT, WITHOUT ROWID;
