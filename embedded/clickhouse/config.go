package clickhouse

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of the settings a child accepts.
const (
	DefaultMemoryLimit = 1 << 30 // bytes
	minMemoryLimit     = 512 << 20
	// What the process holds that the engine does not count: the library's own
	// pages and the front's buffers; 210 MiB measured when idle.
	uncountedMemory   = 224 << 20
	DefaultMaxQueries = 12
	maxMaxQueries     = 256
)

// layout is where things lie below the data directory.
type layout struct{ dir string }

func (l layout) lock() string   { return filepath.Join(l.dir, "engine.lock") }
func (l layout) config() string { return filepath.Join(l.dir, "engine.xml") }
func (l layout) log() string    { return filepath.Join(l.dir, "engine.log") }
func (l layout) store() string  { return filepath.Join(l.dir, "store") }

// writeConfig writes the engine's server configuration for a small machine
// that it shares with the rest of the product: few background threads, small
// caches, nothing that phones home, no system logs, times in UTC.
func writeConfig(l layout, o ChildOptions) error {
	mb := func(n int64) int64 { return n << 20 }
	var b strings.Builder
	b.WriteString("<clickhouse>\n")
	put := func(name string, value any) {
		b.WriteString("  <" + name + ">")
		_ = xml.EscapeText(&b, []byte(fmt.Sprint(value)))
		b.WriteString("</" + name + ">\n")
	}
	section := func(name string, fn func()) {
		b.WriteString("<" + name + ">\n")
		fn()
		b.WriteString("</" + name + ">\n")
	}
	section("logger", func() {
		put("level", engineLogLevel(o.LogLevel))
		put("log", l.log())
		put("size", "8M")
		put("count", 2)
		// A failed statement is the client's to hear of; its text, which may hold
		// values of events, is not to be kept here.
		section("levels", func() { put("executeQuery", "none") })
	})
	put("timezone", "UTC")
	put("max_server_memory_usage", o.MemoryLimit-uncountedMemory)
	put("mark_cache_size", mb(32))
	put("uncompressed_cache_size", 0)
	put("index_mark_cache_size", mb(8))
	put("index_uncompressed_cache_size", 0)
	put("primary_index_cache_size", mb(32))
	put("mmap_cache_size", 16)
	put("compiled_expression_cache_size", mb(8))
	put("query_condition_cache_size", mb(8))
	section("query_cache", func() { put("max_size_in_bytes", mb(8)) })
	put("max_concurrent_queries", 4*o.MaxQueries+8)
	put("background_pool_size", 2)
	put("background_merges_mutations_concurrency_ratio", 2)
	put("background_move_pool_size", 1)
	put("background_fetches_pool_size", 1)
	put("background_common_pool_size", 2)
	put("background_buffer_flush_schedule_pool_size", 1)
	put("background_schedule_pool_size", 4)
	put("background_message_broker_schedule_pool_size", 1)
	put("background_distributed_schedule_pool_size", 1)
	section("send_crash_reports", func() { put("enabled", "false") })
	section("merge_tree", func() {
		// The defaults of these exceed the small pools above, which the engine refuses.
		put("number_of_free_entries_in_pool_to_lower_max_size_of_merge", 2)
		put("number_of_free_entries_in_pool_to_execute_mutation", 2)
		put("number_of_free_entries_in_pool_to_execute_optimize_entire_partition", 2)
		// A merge of wide rows must fit beside the queries.
		put("max_bytes_to_merge_at_max_space_in_pool", 8<<30)
		put("merge_max_block_size_bytes", mb(8))
	})
	b.WriteString("</clickhouse>\n")
	if err := os.WriteFile(l.config(), []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write the engine's configuration: %w", err)
	}
	return nil
}

// sessionArgs is the command line that every session of the engine is opened
// with: where the store is, and the settings a statement starts from.
func sessionArgs(l layout, o ChildOptions) []string {
	counted := o.MemoryLimit - uncountedMemory
	return []string{
		"clickhouse",
		"--path=" + l.store() + "/",
		"--config-file=" + l.config(),
		// The level in the file alone is not heeded: without this, all is logged.
		"--log-level=" + engineLogLevel(o.LogLevel),
		// One statement must not take all: what is larger goes to disk.
		fmt.Sprintf("--max_memory_usage=%d", counted/10*7),
		fmt.Sprintf("--max_bytes_before_external_group_by=%d", counted/4),
		fmt.Sprintf("--max_bytes_before_external_sort=%d", counted/4),
		"--async_insert=0",
		"--fsync_metadata=1",
		"--log_queries=0",
		"--query_profiler_real_time_period_ns=0",
		"--query_profiler_cpu_time_period_ns=0",
		"--memory_profiler_step=0",
	}
}

// engineLogLevel maps slog's names to the engine's.
func engineLogLevel(level string) string {
	switch strings.ToLower(level) {
	case "debug":
		return "debug"
	case "info":
		return "information"
	case "error":
		return "error"
	case "off", "none":
		return "none"
	}
	return "warning"
}
