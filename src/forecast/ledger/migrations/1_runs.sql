-- One SQL for SQLite and PostgreSQL. Times are milliseconds since 1970 by the database's clock.

-- A row that every admission writes first: admissions follow each other, so that a limit is a limit.
CREATE TABLE admission (turn BIGINT NOT NULL);
INSERT INTO admission (turn) VALUES (0);

CREATE TABLE runs (
    run_key        TEXT PRIMARY KEY,
    model          TEXT NOT NULL,
    model_digest   TEXT NOT NULL,
    reference_time BIGINT NOT NULL, -- seconds since 1970
    steps_total    BIGINT NOT NULL, -- the analysis included
    request        TEXT NOT NULL,   -- JSON: what a worker needs to know
    client         TEXT NOT NULL,
    state          TEXT NOT NULL,
    fault          TEXT NOT NULL,   -- whose fault a failure is
    reason         TEXT NOT NULL,
    joined         BIGINT NOT NULL, -- requests beyond the first
    events         BIGINT NOT NULL, -- number of the last event
    created        BIGINT NOT NULL,
    changed        BIGINT NOT NULL,
    deadline       BIGINT NOT NULL  -- of the start; 0: none
);
CREATE INDEX runs_by_state ON runs (state, created);
CREATE INDEX runs_by_time ON runs (reference_time, model, run_key);

-- What a worker takes at once.
CREATE TABLE parts (
    run_key        TEXT NOT NULL REFERENCES runs (run_key) ON DELETE CASCADE,
    part           BIGINT NOT NULL,
    state          TEXT NOT NULL,   -- queued, leased, done, stopped
    token          BIGINT NOT NULL, -- fencing token: grows with every lease
    holder         TEXT NOT NULL,
    lease_until    BIGINT NOT NULL,
    not_before     BIGINT NOT NULL,
    fruitless      BIGINT NOT NULL, -- attempts since the last published step
    steps_complete BIGINT NOT NULL,
    PRIMARY KEY (run_key, part)
);
CREATE INDEX parts_by_state ON parts (state, not_before);

CREATE TABLE attempts (
    run_key    TEXT NOT NULL REFERENCES runs (run_key) ON DELETE CASCADE,
    part       BIGINT NOT NULL,
    token      BIGINT NOT NULL,
    holder     TEXT NOT NULL,
    first_step BIGINT NOT NULL, -- the first that it had to compute; -1: it did not get so far
    steps      BIGINT NOT NULL, -- published by it
    started    BIGINT NOT NULL,
    ended      BIGINT NOT NULL, -- 0: not yet
    outcome    TEXT NOT NULL,
    PRIMARY KEY (run_key, part, token)
);

-- What happened to a run, numbered from 1 without gaps: a watcher goes on after the last number that it has seen.
CREATE TABLE events (
    run_key TEXT NOT NULL REFERENCES runs (run_key) ON DELETE CASCADE,
    number  BIGINT NOT NULL,
    time    BIGINT NOT NULL,
    kind    TEXT NOT NULL,   -- state, step
    state   TEXT NOT NULL,
    steps   BIGINT NOT NULL, -- complete by then
    detail  TEXT NOT NULL,
    PRIMARY KEY (run_key, number)
);

-- Requests that named themselves: the same name again gets the same answer.
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    run_key    TEXT NOT NULL REFERENCES runs (run_key) ON DELETE CASCADE,
    created    BIGINT NOT NULL
);
