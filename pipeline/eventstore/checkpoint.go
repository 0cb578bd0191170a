package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/cespare/xxhash/v2"
)

// chunkBytes is the size of one stored piece of a state; a variable for tests.
var chunkBytes = 4 << 20

// version is one state in the store, complete or not.
type version struct {
	slot     uint8
	number   uint64
	chunks   uint32
	have     uint64
	offset   int64
	size     uint64
	checksum uint64
}

// versions lists what is stored under a name, the newest first.
func (s *Store) versions(ctx context.Context, name string, partition int) ([]version, error) {
	ctx, cancel := s.work(ctx, nil)
	defer cancel()
	rows, err := s.conn.Query(ctx, `SELECT version, any(slot), any(chunks), uniqExact(chunk), any(log_offset), any(size), any(checksum)
		FROM checkpoints WHERE name = {name:String} AND partition_id = {partition:UInt32} GROUP BY version ORDER BY version DESC`,
		clickhouse.Named("name", name), clickhouse.Named("partition", strconv.Itoa(partition)))
	if err != nil {
		return nil, fmt.Errorf("list checkpoints of %s/%d: %w", name, partition, err)
	}
	defer rows.Close() //nolint:errcheck // Err is checked
	var out []version
	for rows.Next() {
		var v version
		if err := rows.Scan(&v.number, &v.slot, &v.chunks, &v.have, &v.offset, &v.size, &v.checksum); err != nil {
			return nil, fmt.Errorf("list checkpoints of %s/%d: %w", name, partition, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list checkpoints of %s/%d: %w", name, partition, err)
	}
	return out, nil
}

// SaveCheckpoint stores a state with the log offset it stands for (the next to
// read). It is durable when nil is returned; a crash before leaves the state
// saved before in place. One writer per name and partition at a time.
func (s *Store) SaveCheckpoint(ctx context.Context, name string, partition int, offset int64, state []byte) error {
	old, err := s.versions(ctx, name, partition)
	if err != nil {
		return err
	}
	next := version{number: 1}
	if len(old) > 0 {
		next.number = old[0].number + 1
	}
	if i := slices.IndexFunc(old, version.complete); i >= 0 {
		next.slot = 1 - old[i].slot&1 // never the slot of the newest complete one
	}
	chunks := max((len(state)+chunkBytes-1)/chunkBytes, 1)
	sum := xxhash.Sum64(state)
	now := time.Now()
	for i := range chunks {
		piece := state[min(i*chunkBytes, len(state)):min((i+1)*chunkBytes, len(state))]
		err := s.insert(ctx, "checkpoints", []column{
			col("name", "String", []string{name}), col("partition_id", "UInt32", []uint32{uint32(partition)}), col("slot", "UInt8", []uint8{next.slot}),
			col("chunk", "UInt32", []uint32{uint32(i)}), col("version", "UInt64", []uint64{next.number}), col("chunks", "UInt32", []uint32{uint32(chunks)}),
			col("log_offset", "Int64", []int64{offset}), col("size", "UInt64", []uint64{uint64(len(state))}), col("checksum", "UInt64", []uint64{sum}),
			col("saved_at", "DateTime64(3, 'UTC')", []time.Time{now}), col("data", "String", []string{string(piece)}),
		}, nil)
		if err != nil {
			return fmt.Errorf("save checkpoint %s/%d: %w", name, partition, err)
		}
	}
	return nil
}

func (v version) complete() bool { return v.have == uint64(v.chunks) }

// LoadCheckpoint reads the newest complete state. ok is false when there is
// none. A state that is complete but damaged is passed over for the one before
// and logged; if that one is gone too it is an error, never an empty start.
func (s *Store) LoadCheckpoint(ctx context.Context, name string, partition int) (offset int64, state []byte, ok bool, err error) {
	all, err := s.versions(ctx, name, partition)
	if err != nil {
		return 0, nil, false, err
	}
	var damaged error
	for _, v := range all {
		if !v.complete() {
			continue
		}
		state, err := s.state(ctx, name, partition, v)
		if err == nil {
			return v.offset, state, true, nil
		}
		if !errors.Is(err, errDamaged) {
			return 0, nil, false, err
		}
		damaged = errors.Join(damaged, err)
		s.log.Error("a checkpoint is damaged, trying the one before", "name", name, "partition", partition, "error", err)
	}
	return 0, nil, false, damaged
}

var (
	errDamaged    = errors.New("checkpoint does not match its checksum")
	errForeignRow = errors.New("isolation violated")
)

func (s *Store) state(ctx context.Context, name string, partition int, v version) ([]byte, error) {
	ctx, cancel := s.work(ctx, nil)
	defer cancel()
	rows, err := s.conn.Query(ctx, `SELECT chunk, any(data) FROM checkpoints WHERE name = {name:String} AND partition_id = {partition:UInt32} AND version = {version:UInt64}
		GROUP BY chunk ORDER BY chunk`,
		clickhouse.Named("name", name), clickhouse.Named("partition", strconv.Itoa(partition)), clickhouse.Named("version", strconv.FormatUint(v.number, 10)))
	if err != nil {
		return nil, fmt.Errorf("load checkpoint %s/%d: %w", name, partition, err)
	}
	defer rows.Close() //nolint:errcheck // Err is checked
	state := make([]byte, 0, min(v.size, 1<<30))
	for rows.Next() {
		var n uint32
		var piece []byte
		if err := rows.Scan(&n, &piece); err != nil {
			return nil, fmt.Errorf("load checkpoint %s/%d: %w", name, partition, err)
		}
		state = append(state, piece...)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("load checkpoint %s/%d: %w", name, partition, err)
	}
	if uint64(len(state)) != v.size || xxhash.Sum64(state) != v.checksum {
		return nil, fmt.Errorf("load checkpoint %s/%d version %d: %w", name, partition, v.number, errDamaged)
	}
	return state, nil
}

// hexList writes text as literals that hold nothing but hexadecimal digits.
func hexList(ids []string) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "x'%x'", id)
	}
	return b.String()
}
