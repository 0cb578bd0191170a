-- What was dropped because its id was stored before, counted by the range of
-- offsets it came in: writing a range again replaces its row, so a crash
-- between rows and commit counts nothing twice. Read it with FINAL.
CREATE TABLE IF NOT EXISTS duplicates
(
    tenant_id       LowCardinality(String),
    hour            DateTime('UTC'),
    source          LowCardinality(String),
    kind            LowCardinality(String),
    kafka_topic_id  LowCardinality(String),
    kafka_partition UInt32,
    first_offset    Int64,
    n               UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, hour, source, kind, kafka_topic_id, kafka_partition, first_offset)
TTL hour + INTERVAL 400 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
