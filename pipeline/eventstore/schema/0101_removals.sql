-- What was removed, counted before it went: stored = live + removed. A sweep
-- is one removal from one tenant; writing its counts again replaces them. Read
-- it with FINAL.
CREATE TABLE IF NOT EXISTS removals
(
    tenant_id   LowCardinality(String),
    hour        DateTime('UTC'),
    source      LowCardinality(String),
    kind        LowCardinality(String),
    cause       LowCardinality(String),
    cutoff      Int64,
    holds       String,
    done        UInt8,
    n           UInt64,
    occurrences UInt64,
    noted_at    DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (tenant_id, hour, source, kind, cause, cutoff)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
