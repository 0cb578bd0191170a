-- Lines that a collector read and refused, by the process that counted them:
-- its count of an hour only grows, and the greatest one stays. Read it with
-- FINAL.
CREATE TABLE IF NOT EXISTS refusals
(
    tenant_id LowCardinality(String),
    hour      DateTime('UTC'),
    source    LowCardinality(String),
    process   String,
    requests  UInt64,
    n         UInt64,
    version   UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, hour, source, process)
TTL hour + INTERVAL 400 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
