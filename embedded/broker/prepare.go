package broker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	minFree  = 64 << 20 // below this a start is refused
	warnFree = 1 << 30
)

// makeDataDir makes the directory and proves that it can be written to, so that
// a read-only or full disk is said in plain words before kfake meets it.
func makeDataDir(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w: choose another with --data-dir", err)
	}
	probe := filepath.Join(dir, "write.probe")
	f, err := os.OpenFile(probe, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, werr := f.Write([]byte("probe"))
		err = errors.Join(werr, f.Sync(), f.Close(), os.Remove(probe))
	}
	if err != nil {
		return fmt.Errorf("data directory %s cannot be written to: %w: free space, change its permissions, or choose another with --data-dir", dir, err)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	switch free := uint64(st.Bavail) * uint64(st.Bsize); {
	case free < minFree:
		return fmt.Errorf("only %d MiB are free at %s, at least %d are needed: free space, or choose another directory with --data-dir", free>>20, dir, minFree>>20)
	case free < warnFree:
		log.Warn("the broker's disk is nearly full", "free_mib", free>>20, "dir", dir)
	}
	return nil
}

// prepare readies what an earlier run left in dir for kfake, which trusts it
// too much. The caller holds the lock.
func prepare(dir string, log *slog.Logger) error {
	// Members that were in a group at the last stop: they are gone with their
	// process, and kfake would make new ones wait for them to time out.
	if err := os.Remove(filepath.Join(dir, "session_state.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{"groups.log", "pids.log"} {
		if err := repairLog(filepath.Join(dir, name), log); err != nil {
			return fmt.Errorf("repair %s: %w", name, err)
		}
	}
	return checkPartitions(dir, log)
}

// repairLog cuts a torn entry off the end of a log. kfake ignores it when it
// reads, but appends behind it, where the next start stops reading.
func repairLog(path string, log *slog.Logger) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	good := validPrefix(raw)
	if good == len(raw) {
		return nil
	}
	log.Warn("cutting an unfinished entry off the end of a log", "file", path, "bytes", len(raw)-good, "kept", good)
	if err := os.WriteFile(path+".cut-"+time.Now().UTC().Format("20060102T150405"), raw[good:], 0o600); err != nil { // #nosec G703 -- a name of our own beside a file of our own
		return err
	}
	if err := os.Truncate(path, int64(good)); err != nil {
		return err
	}
	return syncFile(path)
}

// validPrefix is the length of the whole entries at the start of a log. An
// entry is its length and CRC-32C, little endian, then a version and data,
// which both of them cover.
func validPrefix(raw []byte) int {
	table := crc32.MakeTable(crc32.Castagnoli)
	pos := 0
	for pos+10 <= len(raw) {
		n := int64(binary.LittleEndian.Uint32(raw[pos:]))
		if n < 2 || int64(pos)+8+n > int64(len(raw)) {
			break
		}
		body := raw[pos+8 : pos+8+int(n)]
		if crc32.Checksum(body, table) != binary.LittleEndian.Uint32(raw[pos+4:]) {
			break
		}
		pos += 8 + int(n)
	}
	return pos
}

// checkPartitions compares the partitions on disk with the list of topics.
// Without the list kfake would start empty and write an empty one over it; to a
// partition of no topic it would append, under a new topic of that name, as if
// the old bytes were not there.
func checkPartitions(dir string, log *slog.Logger) error {
	entries, err := os.ReadDir(filepath.Join(dir, "partitions"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var topics struct {
		Topics []struct {
			Name       string `json:"name"`
			Partitions int    `json:"partitions"`
		} `json:"topics"`
	}
	var problem error
	if _, err := os.Stat(filepath.Join(dir, "meta.json")); err != nil {
		problem = err
	} else if raw, err := os.ReadFile(filepath.Join(dir, "topics.json")); err != nil {
		problem = err
	} else if err := json.Unmarshal(raw, &topics); err != nil {
		problem = err
	}
	known := make(map[string]bool)
	for _, t := range topics.Topics {
		for p := range t.Partitions {
			known[partitionDir(t.Name, int32(p))] = true
		}
	}
	for _, e := range entries {
		if !e.IsDir() || known[e.Name()] {
			continue
		}
		if problem != nil {
			return fmt.Errorf("data directory %s holds partitions, but its list of topics cannot be read: %w: restore meta.json and topics.json from a backup, or move the directory away to start empty", dir, problem)
		}
		aside := filepath.Join(dir, "orphaned", e.Name()+"."+time.Now().UTC().Format("20060102T150405"))
		log.Error("putting aside a partition that belongs to no topic", "partition", e.Name(), "to", aside)
		if err := os.MkdirAll(filepath.Dir(aside), 0o700); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(dir, "partitions", e.Name()), aside); err != nil {
			return err
		}
	}
	return nil
}

// diskBytes is the size of all regular files below dir.
func diskBytes(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(d.Name(), ".tmp") {
			return nil // files come and go while we look
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
