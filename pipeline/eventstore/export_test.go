package eventstore

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// InsertByDriver stores a block the way it goes over the native protocol.
func (s *Store) InsertByDriver(ctx context.Context, b *Block, token string) error {
	return s.insert(ctx, string(b.table), driverColumns(b.columns(), b.rows), clickhouse.Settings{"insert_deduplicate": 1, "insert_deduplication_token": token})
}

// Without gives a store that lacks one or both guards, to show that each holds
// alone and that a read without any would be seen.
func (s *Store) Without(binding, filter bool) *Store {
	c := *s
	c.withoutBinding, c.withoutFilter = binding, filter
	return &c
}

// SetChunkBytes makes small states take several chunks.
func SetChunkBytes(n int) (restore func()) {
	old := chunkBytes
	chunkBytes = n
	return func() { chunkBytes = old }
}

// ErrForeignRow is the last check, on the rows themselves.
var ErrForeignRow = errForeignRow
