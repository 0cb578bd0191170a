package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/source"
)

// FolderOptions are the settings of a local folder.
type FolderOptions struct {
	Path  string        `yaml:"path" doc:"folder, absolute; folders below it are read too"`
	Match string        `yaml:"match" doc:"pattern of the files' names; default *.json.gz"`
	Poll  time.Duration `yaml:"poll" doc:"how often to look; default 1m"`
}

// FolderKind is the line in the table of sources.
func FolderKind() source.Kind {
	return source.Define(source.Kind{
		Type: "folder", Title: "A folder of whole files, such as CloudTrail's .json.gz", Promise: source.Acknowledging,
		Example: "path: /srv/cloudtrail\n",
	}, func(o *FolderOptions) error {
		if !filepath.IsAbs(o.Path) {
			return fmt.Errorf("path %q is not absolute", o.Path)
		}
		return common(&o.Match, &o.Poll)
	}, func(e source.Env, o FolderOptions) (source.Source, error) {
		return &reader{env: e, store: folder(o.Path), match: o.Match, poll: o.Poll}, nil
	})
}

type folder string

func (f folder) place() string { return string(f) }

func (f folder) list(ctx context.Context, fn func(object)) error {
	return filepath.WalkDir(string(f), func(p string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if !d.Type().IsRegular() {
			return nil
		}
		st, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(string(f), p)
		if err != nil {
			return err
		}
		fn(object{filepath.ToSlash(rel), fmt.Sprintf("%d-%d", st.Size(), st.ModTime().UnixNano()), st.ModTime()})
		return nil
	})
}

func (f folder) open(_ context.Context, key string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(f), filepath.FromSlash(key)))
}
