-- States with the offset they stand for, in chunks. Two slots take turns: the
-- newest complete state is never the one overwritten.
CREATE TABLE IF NOT EXISTS checkpoints
(
    name         String,
    partition_id UInt32,
    slot         UInt8,
    chunk        UInt32,
    version      UInt64,
    chunks       UInt32,
    log_offset   Int64,
    size         UInt64,
    checksum     UInt64,
    saved_at     DateTime64(3, 'UTC'),
    data         String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (name, partition_id, slot, chunk)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
