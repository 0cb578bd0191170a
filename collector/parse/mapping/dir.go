package mapping

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Bounds of a directory.
const (
	maxFiles   = 1000
	lookEvery  = 2 * time.Second
	perTenant  = 64
	suffixYAML = ".yaml"
)

// Dir is a directory of mappings: those in it are for all tenants, those in
// its subdirectory TENANT for that tenant alone. It is read again when a file
// was added, replaced or removed; a file with an error keeps what it was.
type Dir struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu     sync.Mutex
	looked time.Time
	files  map[string]*loaded // by path relative to the directory
}

type loaded struct {
	at   time.Time
	size int64
	m    *Mapping // nil: never could be read
	err  error
}

// OpenDir reads a directory. It fails when a file has an error: a collector
// should not start with half of what it was told.
func OpenDir(path string, log *slog.Logger) (*Dir, error) {
	d := &Dir{path: path, log: log, now: time.Now, files: map[string]*loaded{}}
	if _, err := os.ReadDir(path); err != nil {
		return nil, fmt.Errorf("mappings: %w", err)
	}
	d.read()
	for _, name := range d.names() {
		if f := d.files[name]; f.err != nil {
			return nil, f.err
		}
	}
	d.looked = d.now()
	return d, nil
}

func (d *Dir) names() []string {
	out := make([]string, 0, len(d.files))
	for n := range d.files {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// read brings files up to date.
func (d *Dir) read() {
	seen := map[string]bool{}
	one := func(name string) {
		if !strings.HasSuffix(name, suffixYAML) || len(seen) >= maxFiles {
			return
		}
		st, err := os.Stat(filepath.Join(d.path, name))
		if err != nil || !st.Mode().IsRegular() {
			return
		}
		seen[name] = true
		f := d.files[name]
		if f == nil {
			f = &loaded{}
			d.files[name] = f
		} else if f.at.Equal(st.ModTime()) && f.size == st.Size() {
			return
		}
		f.at, f.size = st.ModTime(), st.Size()
		m, err := Load(filepath.Join(d.path, name))
		if f.err = err; err == nil {
			f.m = m
		} else {
			d.log.Warn("a mapping cannot be read, what it was stays in use", "err", err)
		}
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		d.log.Warn("the directory of mappings cannot be read", "err", err)
		return
	}
	for _, e := range entries {
		if !e.IsDir() {
			one(e.Name())
			continue
		}
		if _, err := tenant.Parse(e.Name()); err != nil {
			continue
		}
		inner, _ := os.ReadDir(filepath.Join(d.path, e.Name()))
		for _, f := range inner {
			if !f.IsDir() {
				one(e.Name() + "/" + f.Name())
			}
		}
	}
	for name := range d.files {
		if !seen[name] {
			delete(d.files, name)
		}
	}
}

// For gives the mappings of a tenant's log source, its own first, at most 64.
// Of two with one name the tenant's own counts. A nil Dir has none.
func (d *Dir) For(t tenant.ID, source string) []*Mapping {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.now(); now.Sub(d.looked) >= lookEvery {
		d.read()
		d.looked = now
	}
	if len(d.files) == 0 {
		return nil
	}
	var own, all []*Mapping
	names := map[string]bool{}
	for _, name := range d.names() {
		f := d.files[name]
		who, _, inside := strings.Cut(name, "/")
		if f.m == nil || !f.m.For(source) || inside && who != t.String() {
			continue
		}
		if inside {
			own, names[f.m.Name] = append(own, f.m), true
		} else {
			all = append(all, f.m)
		}
	}
	for _, m := range all {
		if !names[m.Name] {
			own = append(own, m)
		}
	}
	return own[:min(len(own), perTenant)]
}

// Errors lists what is wrong with files now, for a check of the installation.
func (d *Dir) Errors() (out []error) {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range d.names() {
		if err := d.files[name].err; err != nil {
			out = append(out, err)
		}
	}
	return out
}
