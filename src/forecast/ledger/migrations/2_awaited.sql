-- Analyses that schedules wait for.
CREATE TABLE awaited (
    schedule       TEXT NOT NULL,
    model          TEXT NOT NULL,
    reference_time BIGINT NOT NULL, -- seconds since 1970
    state          TEXT NOT NULL,   -- waiting, late, requested, refused, missing
    run_key        TEXT NOT NULL,   -- of the newest run; empty: none
    fingerprint    TEXT NOT NULL,   -- of the files that it was asked for with
    replaced       BIGINT NOT NULL, -- how often the files were replaced after that
    detail         TEXT NOT NULL,
    requested      BIGINT NOT NULL, -- when it was first asked for; 0: not yet
    changed        BIGINT NOT NULL,
    PRIMARY KEY (schedule, reference_time)
);
CREATE INDEX awaited_by_time ON awaited (reference_time, schedule);
CREATE INDEX runs_by_client ON runs (client, model, reference_time);
