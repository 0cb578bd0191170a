-- What became of a quarantined line that was read again: at how many events it
-- came out. Writing an outcome again replaces it. Read it with FINAL.
CREATE TABLE IF NOT EXISTS quarantine_outcomes
(
    tenant_id LowCardinality(String),
    id        String,
    at        DateTime64(9, 'UTC'),
    events    UInt64
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (tenant_id, id)
TTL toDateTime(at) + INTERVAL 400 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
