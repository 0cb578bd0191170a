package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// round is one pass of fsync over all that was dirty when it began.
type round struct {
	done chan struct{}
	err  error // read after done is closed
}

// syncer brings the log to disk in rounds. Whoever needs durability marks what
// was written and waits for the next round to end; all who wait meanwhile share
// it (group commit).
//
// After one failed fsync the kernel may have dropped the pages, so a later
// success proves nothing: the first error is final, and every wait returns it.
type syncer struct {
	dir     string // kfake's data directory
	metrics *metrics
	onError func(error)

	kick chan struct{} // capacity 1: a round is wanted
	quit chan struct{}
	end  chan struct{}

	mu       sync.Mutex
	next     *round              // not yet begun
	running  bool                // a round is under way
	dirty    map[string]struct{} // partition directories written since the last round began
	inflight map[string]int      // partition directories with unanswered produce requests
	state    bool                // state files may have been written
	all      bool                // anything may have been written
	failed   error

	// Of the goroutine that runs the rounds.
	sizes map[string]map[string]int64 // partition directory → file → size that is on disk
}

func newSyncer(dir string, m *metrics, onError func(error)) *syncer {
	return &syncer{
		dir: dir, metrics: m, onError: onError,
		kick: make(chan struct{}, 1), quit: make(chan struct{}), end: make(chan struct{}),
		next:  &round{done: make(chan struct{})},
		dirty: make(map[string]struct{}), inflight: make(map[string]int),
		sizes: make(map[string]map[string]int64),
		all:   true, // what an earlier run left unsynced
	}
}

// run makes rounds on demand, and every interval when something is dirty. It
// ends after close, with a last round over everything.
func (s *syncer) run(every time.Duration) {
	defer close(s.end)
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-s.quit:
			s.mu.Lock()
			s.all = true
			s.mu.Unlock()
			s.round()
			return
		case <-s.kick:
			s.round()
		case <-t.C:
			s.mu.Lock()
			idle := s.clean() && !s.state
			s.mu.Unlock()
			if !idle {
				s.round()
			}
		}
	}
}

// close runs the last round and returns its error.
func (s *syncer) close() error {
	close(s.quit)
	<-s.end
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// clean reports that all records written are on disk. s.mu is held.
func (s *syncer) clean() bool {
	return len(s.dirty) == 0 && len(s.inflight) == 0 && !s.all
}

// begin notes that a produce request is on its way to kfake: from now on its
// records may be visible at any time.
func (s *syncer) begin(rq *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range rq.dirs {
		s.inflight[d]++
	}
	if rq.all {
		s.all = true
	}
}

// finish notes that the request was answered (or never will be): its records
// are written, and nothing more will come of it.
func (s *syncer) finish(rq *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range rq.dirs {
		if s.inflight[d]--; s.inflight[d] <= 0 {
			delete(s.inflight, d)
		}
		s.dirty[d] = struct{}{}
	}
	if rq.all {
		s.all = true
	}
}

// touchState notes that topics or group offsets were written.
func (s *syncer) touchState() {
	s.mu.Lock()
	s.state = true
	s.mu.Unlock()
}

// await returns when all that was marked before the call is on disk.
func (s *syncer) await(cancel <-chan struct{}) error {
	s.mu.Lock()
	r, err := s.next, s.failed
	s.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
	select {
	case <-r.done:
		return r.err
	case <-cancel:
		return errors.New("closed while waiting for fsync")
	case <-s.end:
		return errors.New("broker has stopped")
	}
}

// settle returns when all that a consumer could have been given is on disk; at
// once when nothing is waiting to be written.
func (s *syncer) settle(cancel <-chan struct{}) error {
	s.mu.Lock()
	idle, err := s.clean() && !s.running, s.failed
	s.mu.Unlock()
	if idle || err != nil {
		return err
	}
	return s.await(cancel)
}

func (s *syncer) round() {
	s.mu.Lock()
	r := s.next
	s.next = &round{done: make(chan struct{})}
	dirs := s.dirty
	s.dirty = make(map[string]struct{})
	for d := range s.inflight {
		dirs[d] = struct{}{}
	}
	state, all := s.state, s.all
	s.state, s.all = false, false
	err := s.failed
	s.running = true
	s.mu.Unlock()

	if err == nil {
		begin := time.Now()
		err = s.sync(dirs, state || all, all)
		s.metrics.fsync.Observe(time.Since(begin).Seconds())
	}
	s.mu.Lock()
	first := err != nil && s.failed == nil
	if first {
		s.failed = err
	}
	s.running = false
	r.err = err
	close(r.done)
	s.mu.Unlock()
	if first {
		s.metrics.fsyncErrors.Inc()
		s.onError(err)
	}
}

// sync writes the given partition directories (all of them, when all) and the
// state files to disk.
func (s *syncer) sync(dirs map[string]struct{}, state, all bool) error {
	parts := filepath.Join(s.dir, "partitions")
	if all {
		entries, err := os.ReadDir(parts)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sync: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() {
				dirs[e.Name()] = struct{}{}
			}
		}
	}
	var fresh bool
	for d := range dirs {
		isNew, err := s.syncPartition(filepath.Join(parts, d), d)
		if err != nil {
			return fmt.Errorf("sync partition %s: %w", d, err)
		}
		fresh = fresh || isNew
	}
	if fresh {
		if err := errors.Join(syncFile(parts), syncFile(s.dir)); err != nil {
			return fmt.Errorf("sync directories: %w", err)
		}
	}
	if state {
		// The JSON files are written whole, synced and renamed by kfake; what
		// is left is the directory and the logs that are appended to.
		for _, name := range []string{"groups.log", "pids.log"} {
			if err := syncFile(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("sync %s: %w", name, err)
			}
		}
		if err := syncFile(s.dir); err != nil {
			return fmt.Errorf("sync %s: %w", s.dir, err)
		}
	}
	return nil
}

// syncPartition syncs every segment that grew since it was last synced: the
// active one, and one that was closed meanwhile, which kfake does not sync.
// Index files are left out: kfake rebuilds what matters of them.
func (s *syncer) syncPartition(path, name string) (isNew bool, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) { // a topic deleted, or nothing written yet
			delete(s.sizes, name)
			return false, nil
		}
		return false, err
	}
	old, seen := s.sizes[name]
	now := make(map[string]int64, len(entries))
	added := false
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".dat") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) { // trimmed meanwhile
				continue
			}
			return false, err
		}
		// The size is taken before the fsync, so it is on disk after it.
		was, known := old[e.Name()]
		added = added || !known
		if !known || was != info.Size() {
			if err := syncFile(filepath.Join(path, e.Name())); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				return false, err
			}
		}
		now[e.Name()] = info.Size()
	}
	if added {
		if err := syncFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	s.sizes[name] = now
	return !seen, nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
