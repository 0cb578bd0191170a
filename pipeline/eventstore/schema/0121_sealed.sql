-- How many events of an hour of arrival and a source were stored, noted while
-- they were all there: what is gone later (expired, erased) is the difference.
-- The greatest count of an hour stays. Read it with FINAL.
CREATE TABLE IF NOT EXISTS sealed
(
    tenant_id LowCardinality(String),
    hour      DateTime('UTC'),
    source    LowCardinality(String),
    n         UInt64
)
ENGINE = ReplacingMergeTree(n)
ORDER BY (tenant_id, hour, source)
TTL hour + INTERVAL 8 YEAR
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
