package clickhouse

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// stallTimeout is how long a client may neither send nor take a byte of what
// it is in the middle of, before its request is given up and its place freed.
const stallTimeout = 2 * time.Minute

// responder writes one answer. The status line waits for the first bytes of
// the result, so that an error before them has a status and a code of its own.
type responder struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	req     *request
	version string // of the engine, for error texts
	tag     string // framing of an error in the middle of a result
	out     io.Writer
	enc     encoder
	started bool
	native  *transcoder
	written int64
}

func newResponder(w http.ResponseWriter, version string) *responder {
	return &responder{w: w, rc: http.NewResponseController(w), version: version}
}

// start sends the headers of a good answer.
func (p *responder) start() error {
	if p.started {
		return nil
	}
	h := p.w.Header()
	p.out = p.w
	if p.req.framed {
		f, err := newFrameWriter(p.w, p.req.method)
		if err != nil {
			return err
		}
		p.enc, p.out = f, f
	} else if enc, name := newEncoder(p.w, p.req.accept); enc != nil {
		h.Set("Content-Encoding", name)
		p.enc, p.out = enc, enc
	}
	if p.req.format == "Native" {
		p.native = &transcoder{revision: p.req.revision}
	}
	p.tag = rand.Text()[:16]
	h.Set("X-ClickHouse-Exception-Tag", p.tag)
	h.Set("X-ClickHouse-Format", p.req.format)
	h.Set("Content-Type", contentType(p.req.format))
	p.started = true
	p.w.WriteHeader(http.StatusOK)
	return nil
}

// send writes a chunk of the result and lets it go out.
func (p *responder) send(data []byte) error {
	if err := p.start(); err != nil {
		return err
	}
	_ = p.rc.SetWriteDeadline(time.Now().Add(stallTimeout))
	p.written += int64(len(data))
	if p.native != nil {
		if err := p.native.write(p.out, data); err != nil {
			return err
		}
	} else if _, err := p.out.Write(data); err != nil {
		return err
	}
	return nil
}

// finish ends a good answer.
func (p *responder) finish() error {
	if !p.started {
		p.w.Header().Set("Content-Length", "0")
		p.w.WriteHeader(http.StatusOK)
		return nil
	}
	if p.enc != nil {
		return p.enc.Close()
	}
	return nil
}

// fail reports an error: with a status and a header while nothing was sent,
// else within the result, in the frame by which clients tell it from data.
// Then it breaks the connection off, so that no client takes the part for the
// whole.
func (p *responder) fail(e *exception) {
	text := e.text
	if p.version != "" {
		text += " (version " + p.version + ")"
	}
	if !p.started {
		h := p.w.Header()
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.code))
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		h.Set("X-Content-Type-Options", "nosniff")
		if e.code == codeAuthenticationFailed {
			h.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
		}
		p.w.WriteHeader(e.status())
		_, _ = io.WriteString(p.w, text+"\n")
		return
	}
	_ = p.rc.SetWriteDeadline(time.Now().Add(stallTimeout))
	if p.enc != nil {
		// In a frame of its own, so that it starts where a block would.
		_ = p.enc.Flush()
	}
	msg := text
	if len(msg) > 15<<10 {
		msg = msg[:15<<10] // clients look at no more than 16 KiB
	}
	_, _ = fmt.Fprintf(p.out, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", p.tag, msg, len(msg), p.tag)
	if p.enc != nil {
		_ = p.enc.Close()
	}
	_ = p.rc.Flush()
	panic(http.ErrAbortHandler)
}

func contentType(format string) string {
	switch format {
	case "TabSeparated", "TSV", "TabSeparatedWithNames", "TSVWithNames", "TabSeparatedRaw", "TSVRaw":
		return "text/tab-separated-values; charset=UTF-8"
	case "CSV", "CSVWithNames":
		return "text/csv; charset=UTF-8"
	case "JSON", "JSONCompact":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONLines", "NDJSON":
		return "application/x-ndjson; charset=UTF-8"
	case "Native", "RowBinary", "Parquet", "Arrow", "ArrowStream":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}
