package process

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

const (
	tailLines   = 20
	maxLineSize = 8 << 10
)

// tail is the writer behind a child's output: it passes whole lines to the
// logger and keeps the last of them for error messages.
type tail struct {
	log   *slog.Logger
	level func(line string) slog.Level

	mu      sync.Mutex
	partial []byte
	lines   []string
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			t.partial = append(t.partial, p...)
			if len(t.partial) > maxLineSize {
				t.flush()
			}
			break
		}
		t.partial = append(t.partial, p[:i]...)
		t.flush()
		p = p[i+1:]
	}
	return n, nil
}

func (t *tail) flush() {
	line := strings.TrimRight(string(t.partial), "\r \t")
	t.partial = t.partial[:0]
	if line == "" {
		return
	}
	if len(line) > maxLineSize {
		line = line[:maxLineSize]
	}
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
	t.log.Log(context.Background(), t.level(line), line)
}

// last returns the kept lines, oldest first, as one string.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.partial) > 0 {
		t.flush()
	}
	return strings.Join(t.lines, "\n")
}
