package api

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

const (
	exportLease = time.Minute
	exportBeat  = 5 * time.Second // between writes of progress
	exportPoll  = 5 * time.Second
	exportKept  = 24 * time.Hour // file and link
	exportSweep = time.Minute
)

// exportFile is the name of a job's file; it says whose it is.
func exportFile(j ExportJob) string {
	return j.ID + "_" + j.Tenant.String() + "." + exportFormats[j.Format].suffix
}

// exportNode is the name under which this directory's files are found again
// after a restart.
func exportNode(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("api: directory of exports: %w", err)
	}
	path := filepath.Join(dir, "node")
	b, err := os.ReadFile(path) // #nosec G304 -- a fixed name in our own directory
	if err == nil && len(b) == 36 {
		return string(b), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("api: name of this node: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	return id.String(), os.WriteFile(path, []byte(id.String()), 0o600)
}

// runExports runs jobs one after another until ctx is done; what it leaves
// unfinished is begun again by whoever claims it next.
func (s *Server) runExports(ctx context.Context) error {
	node, err := exportNode(s.opts.ExportDir)
	if err != nil {
		return err
	}
	poll := time.NewTicker(exportPoll)
	defer poll.Stop()
	var swept time.Time
	for {
		if time.Since(swept) > exportSweep {
			swept = time.Now()
			s.sweepExports(ctx, node)
		}
		j, err := s.opts.Exports.Claim(ctx, node, exportLease)
		if err == nil && j != nil {
			s.runExport(ctx, node, *j)
			continue
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("no export could be claimed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.exportWake:
		case <-poll.C:
		}
	}
}

// runExport writes one job's file and says how it ended.
func (s *Server) runExport(ctx context.Context, node string, j ExportJob) {
	path := filepath.Join(s.opts.ExportDir, exportFile(j))
	err := s.writeExport(ctx, node, &j, path)
	if ctx.Err() != nil || errors.Is(err, ErrConflict) { // stopped, cancelled or another's: nothing to say
		_ = os.Remove(path) // the sweep finds what is left
		return
	}
	j.State, j.ExpiresAt = "done", s.now().Add(exportKept)
	if err != nil {
		s.log.Warn("export failed", "export", j.ID, "error", err)
		_ = os.Remove(path)
		j.State, j.ExpiresAt, j.Error = "failed", time.Time{}, "It could not be written whole. Try again, or a shorter range."
	}
	if err := s.opts.Exports.Finish(ctx, node, j); err != nil {
		_ = os.Remove(path)
		s.log.Warn("an export's end could not be noted", "export", j.ID, "error", err)
	}
}

func (s *Server) writeExport(ctx context.Context, node string, j *ExportJob, path string) (err error) {
	q, err := query.Parse(j.Query)
	if err != nil {
		return err
	}
	if j.Expected, err = s.opts.Events.Count(ctx, j.Tenant, EventScope{q, j.From, j.To}); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // #nosec G304 -- named by us
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum, size := sha256.New(), &counter{}
	buf := bufio.NewWriterSize(f, 256<<10)
	out, err := newExportWriter(j.Format, io.MultiWriter(buf, sum, size))
	if err != nil {
		return err
	}
	j.Rows = 0
	beat := time.Now()
	err = s.opts.Events.Each(ctx, j.Tenant, EventSearch{Query: q, From: j.From, To: j.To, Ascending: true}, func(e *event.Event) error {
		if j.Rows++; j.Rows%extendEvery == 0 {
			s.metrics.exported.Add(extendEvery)
			if time.Since(beat) > exportBeat {
				beat, j.Bytes = time.Now(), size.n
				if err := s.opts.Exports.Progress(ctx, node, *j, exportLease); err != nil {
					return err
				}
			}
		}
		return out.write(e)
	})
	if err == nil {
		err = out.end()
	}
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	j.Bytes, j.SHA256 = size.n, hex.EncodeToString(sum.Sum(nil))
	return err
}

// counter counts bytes.
type counter struct{ n uint64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += uint64(len(b))
	return len(b), nil
}

// sweepExports removes files that are of no use any more.
func (s *Server) sweepExports(ctx context.Context, node string) {
	entries, err := os.ReadDir(s.opts.ExportDir)
	if err != nil {
		s.log.Warn("the directory of exports cannot be read", "error", err)
		return
	}
	held, files := map[string]tenant.ID{}, map[string]string{}
	for _, e := range entries {
		id, rest, ok := strings.Cut(e.Name(), "_")
		slug, _, _ := strings.Cut(rest, ".")
		t, err := tenant.Parse(slug)
		if !ok || err != nil {
			continue
		}
		held[id], files[id] = t, e.Name()
	}
	stale, err := s.opts.Exports.Stale(ctx, node, held)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("old exports cannot be found", "error", err)
	}
	for _, id := range stale {
		if err := os.Remove(filepath.Join(s.opts.ExportDir, files[id])); err != nil {
			s.log.Warn("an old export cannot be removed", "export", id, "error", err)
		}
	}
}
