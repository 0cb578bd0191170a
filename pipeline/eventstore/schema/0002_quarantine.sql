-- Lines no parser took, and records of the log that are none. The latter have
-- no tenant, since nothing in them may be trusted: no tenant's read finds them.
CREATE TABLE IF NOT EXISTS quarantine
(
    tenant_id       LowCardinality(String),
    id              String CODEC(ZSTD(1)),
    received_at     DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    source          LowCardinality(String),
    format          LowCardinality(String),
    reason          String CODEC(ZSTD(1)),
    line            UInt64 CODEC(ZSTD(1)),
    byte_offset     UInt64 CODEC(ZSTD(1)),
    raw             String CODEC(ZSTD(3)),
    kafka_topic_id  LowCardinality(String),
    kafka_partition UInt32 CODEC(ZSTD(1)),
    kafka_offset    Int64 CODEC(Delta, ZSTD(1)),
    kafka_index     UInt32 CODEC(Delta, ZSTD(1)),
    INDEX by_id id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (tenant_id, received_at, id)
TTL toDateTime(received_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 20000, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;
