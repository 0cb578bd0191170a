-- One row an event, in the order in which a tenant's audit view reads it.
-- The kafka_ columns say where the row came from: topic, partition, offset of
-- the record and index within it. They make the recipe of exactly-once
-- checkable. A part is on disk before an insert is answered.
CREATE TABLE IF NOT EXISTS events
(
    tenant_id       LowCardinality(String),
    id              String CODEC(ZSTD(1)),
    time            DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    ingested_at     DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    class_uid       UInt32 CODEC(ZSTD(1)),
    activity        UInt8 CODEC(ZSTD(1)),
    action          LowCardinality(String),
    outcome         LowCardinality(String),
    severity        UInt8 CODEC(ZSTD(1)),
    actor           String CODEC(ZSTD(1)),
    actor_type      LowCardinality(String),
    cohort          LowCardinality(String),
    session         String CODEC(ZSTD(1)),
    src_ip          String CODEC(ZSTD(1)),
    country         LowCardinality(String),
    city            LowCardinality(String),
    latitude        Float64 CODEC(ZSTD(1)),
    longitude       Float64 CODEC(ZSTD(1)),
    has_position    UInt8 CODEC(ZSTD(1)),
    asn             UInt32 CODEC(ZSTD(1)),
    user_agent      LowCardinality(String),
    device          String CODEC(ZSTD(1)),
    resource        String CODEC(ZSTD(1)),
    resource_type   LowCardinality(String),
    http_method     LowCardinality(String),
    status          UInt16 CODEC(ZSTD(1)),
    bytes_in        UInt64 CODEC(ZSTD(1)),
    bytes_out       UInt64 CODEC(ZSTD(1)),
    duration        Float64 CODEC(ZSTD(1)),
    count           UInt32 CODEC(ZSTD(1)),
    source          LowCardinality(String),
    format          LowCardinality(String),
    labels          Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    raw             String CODEC(ZSTD(1)),
    flags           UInt32 CODEC(ZSTD(1)),
    kafka_topic_id  LowCardinality(String),
    kafka_partition UInt32 CODEC(ZSTD(1)),
    kafka_offset    Int64 CODEC(Delta, ZSTD(1)),
    kafka_index     UInt32 CODEC(Delta, ZSTD(1)),
    INDEX by_id id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_actor actor TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_src_ip src_ip TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_resource resource TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_session session TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (tenant_id, time, id)
TTL toDateTime(ingested_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 20000, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;
