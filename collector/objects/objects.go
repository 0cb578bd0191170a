// Package objects is the source that reads whole objects once each: the
// .json.gz files that AWS CloudTrail writes, in a local folder or in a bucket
// of any S3-compatible store.
//
// Invariant: an object is noted as read after the sink acknowledged all of it.
// One that cannot be read holds up no other; after some attempts it is given
// up, logged and counted. What is remembered is bounded: the objects of the
// last two days before the newest in a bucket, those that are there in a
// folder.
package objects

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/file"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// object is one that may be read.
type object struct {
	key, version string // version changes when the object does
	written      time.Time
}

// store is where objects are.
type store interface {
	// list calls fn for every object, in any order.
	list(ctx context.Context, fn func(object)) error
	open(ctx context.Context, key string) (io.ReadCloser, error)
	// place names the store for ever.
	place() string
}

const (
	attempts  = 5
	keep      = 48 * time.Hour
	stateFile = "objects.json"
)

// memory is what is kept between runs.
type memory struct {
	// Newest is when the newest object that was read was written. What was
	// written more than the window before is not read any more.
	Newest time.Time         `json:"newest"`
	Seen   map[string]string `json:"seen"` // version by key
}

type reader struct {
	env    source.Env
	store  store
	match  string
	poll   time.Duration
	window time.Duration // 0: remember what is listed
	mem    memory
	failed map[string]int
	count  int // objects read
	saved  time.Time
}

func matches(pattern, key string) bool {
	if strings.Contains(key, "/CloudTrail-Digest/") {
		return false // hashes of the others, no events
	}
	ok, _ := path.Match(pattern, path.Base(key)) //nolint:errcheck // checked before
	return ok
}

// Run reads what comes until ctx is done.
func (r *reader) Run(ctx context.Context) error {
	r.mem, r.failed = memory{Seen: map[string]string{}}, map[string]int{}
	if err := r.env.Load(stateFile, func(b []byte) error { return json.Unmarshal(b, &r.mem) }); err != nil {
		return err
	}
	pause := r.poll
	for {
		before := r.count
		err := r.pass(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil || r.count > before {
			pause = r.poll
		}
		if err != nil {
			r.env.Logger.Warn("objects could not be read or handed on, trying again", "err", err, "in", pause)
			pause = min(2*pause, max(r.poll, 10*time.Second))
		}
		if !source.Sleep(ctx, pause) {
			return nil
		}
	}
}

func (r *reader) pass(ctx context.Context) error {
	var todo []object
	there := map[string]bool{}
	err := r.store.list(ctx, func(o object) {
		if !matches(r.match, o.key) {
			return
		}
		if r.window == 0 {
			there[o.key] = true
		} else if o.written.Before(r.mem.Newest.Add(-r.window)) {
			return
		}
		if v, seen := r.mem.Seen[o.key]; !seen || v != o.version {
			todo = append(todo, o)
		}
	})
	if err != nil {
		r.env.Meter.Errors.Inc()
		return fmt.Errorf("list %s: %w", r.store.place(), err)
	}
	slices.SortFunc(todo, func(a, b object) int {
		if c := a.written.Compare(b.written); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
	var errs []error
	for _, o := range todo {
		damaged, err := r.read(ctx, o)
		if err == nil {
			r.count++
		} else {
			if ctx.Err() != nil {
				break
			}
			errs = append(errs, fmt.Errorf("%s: %w", o.key, err))
			if errors.Is(err, collector.ErrUnavailable) {
				break // it would be the same with the others
			}
			if !damaged {
				continue // the sink's or the store's fault, not the object's
			}
			if r.failed[o.key]++; r.failed[o.key] < attempts {
				continue
			}
			r.env.Meter.Lost.Inc()
			r.env.Logger.Error("an object cannot be read and is given up", "key", o.key, "err", err)
		}
		delete(r.failed, o.key)
		r.mem.Seen[o.key] = o.version
		if o.written.After(r.mem.Newest) {
			r.mem.Newest = o.written
		}
		if time.Since(r.saved) > time.Second {
			errs = append(errs, r.save())
		}
	}
	if r.window == 0 {
		for k := range r.mem.Seen {
			if !there[k] {
				delete(r.mem.Seen, k)
			}
		}
	}
	if len(todo) > 0 {
		errs = append(errs, r.save())
	}
	return errors.Join(errs...)
}

func (r *reader) save() error {
	b, err := json.Marshal(r.mem)
	if err != nil {
		return err
	}
	r.saved = time.Now()
	return r.env.Save(stateFile, b)
}

// read hands one object on; damaged says that its bytes came and cannot be
// read, rather than that they did not come or could not be handed on.
func (r *reader) read(ctx context.Context, o object) (damaged bool, err error) {
	in, err := r.store.open(ctx, o.key)
	if err != nil {
		return false, err
	}
	raw := &watched{Reader: in}
	plain, err := file.Decompress(struct {
		io.Reader
		io.Closer
	}{raw, in})
	if err != nil {
		return !raw.failed, errors.Join(err, in.Close())
	}
	w := &watched{Reader: plain}
	_, err = r.env.Process(ctx, source.Piece{Reader: w, Place: r.store.place() + "/" + o.key})
	return w.failed && !raw.failed, errors.Join(err, plain.Close())
}

// watched remembers that reading failed.
type watched struct {
	io.Reader
	failed bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.failed = w.failed || err != nil && err != io.EOF
	return n, err
}

// common are the checks both kinds share.
func common(match *string, poll *time.Duration) error {
	if *match == "" {
		*match = "*.json.gz"
	}
	if _, err := path.Match(*match, "x"); err != nil {
		return fmt.Errorf("match %q: %w", *match, err)
	}
	if *poll == 0 {
		*poll = time.Minute
	}
	if *poll < 0 {
		return errors.New("poll must not be negative")
	}
	return nil
}
