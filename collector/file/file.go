// Package file reads log files: for "ingest", which pushes their bytes, and
// for offline commands, which want the events themselves and have no sink.
//
// Invariant: a file is read as one stream from its beginning, so that the same
// file always gives the same ids. Compression is recognised by its content,
// not by the name. The package must not write, and holds no more of a file
// than one record.
package file

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/authlog"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Open opens a log file for reading from its beginning, undoing gzip and zstd;
// "-" is stdin, which may be nil otherwise.
func Open(path string, stdin io.Reader) (io.ReadCloser, error) {
	var raw io.ReadCloser
	if path == Stdin {
		if stdin == nil {
			return nil, errors.New("open -: there is no standard input here")
		}
		raw = io.NopCloser(stdin)
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if st, err := f.Stat(); err == nil && st.IsDir() {
			_ = f.Close()
			return nil, fmt.Errorf("open %s: it is a folder: name the files in it", path)
		}
		raw = f
	}
	r, err := decompress(raw)
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return r, nil
}

type opened struct {
	io.Reader
	close func() error
}

func (o opened) Close() error { return o.close() }

// Decompress undoes gzip and zstd, which it recognises by the content; closing
// what it returns closes raw.
func Decompress(raw io.ReadCloser) (io.ReadCloser, error) { return decompress(raw) }

func decompress(raw io.ReadCloser) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(raw, 256<<10)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		return opened{z, func() error { return errors.Join(z.Close(), raw.Close()) }}, nil
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("read zstd: %w", err)
		}
		return opened{z, func() error { z.Close(); return raw.Close() }}, nil
	}
	return opened{b, raw.Close}, nil
}

// Read reads the events of a file without a sink. Where o states no source the
// file's name is the default one; where it states no year and the lines have
// none, the file is looked through first (FirstYear). Standard input cannot be
// read twice, so there each line is dated on its own.
func Read(path string, stdin io.Reader, o parse.Options, h parse.Handler) (parse.Summary, error) {
	if o.DefaultSource == "" {
		if o.DefaultSource = filepath.Base(path); path == Stdin {
			o.DefaultSource = "stdin"
		}
	}
	if o.Year == 0 {
		year, err := FirstYear(path, o.Format, o.Now, o.Zone)
		if err != nil {
			return parse.Summary{}, err
		}
		o.Year = year
	}
	r, err := Open(path, stdin)
	if err != nil {
		return parse.Summary{}, err
	}
	sum, err := parse.Stream(r, o, h)
	if err != nil {
		err = fmt.Errorf("read %s: %w", path, err)
	}
	return sum, errors.Join(err, r.Close())
}

// FirstYear is the year to read path with: the one of its first line when its
// lines carry none, so that the last is not in the future of now and the years
// between roll over. 0 when the lines carry years, or path is "-". zone nil
// means that it is not known. Only files of auth.log lines are read through.
func FirstYear(path, format string, now time.Time, zone *time.Location) (int, error) {
	if path == Stdin || format != "" && format != parse.Auto && format != authlog.Name {
		return 0, nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if !st.Mode().IsRegular() {
		return 0, nil // a pipe cannot be read twice
	}
	r, err := Open(path, nil)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var scan authlog.YearScan
	in := bufio.NewReaderSize(r, 64<<10)
	for seen := 0; ; {
		line, more, err := in.ReadLine() // a header is at the beginning; the rest of a long line is skipped
		if err == io.EOF {
			return scan.FirstYear(now, zone), nil
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		head := string(line)
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
		if len(head) == 0 {
			continue
		}
		if seen < 100 {
			if seen++; seen == 100 && scan.FirstYear(now, zone) == 0 {
				return 0, nil // no auth.log
			}
		}
		scan.Add(head)
	}
}
