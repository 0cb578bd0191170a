package eventstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// A block is kept in the bytes of ClickHouse's Native format (revision 0) from
// the start, a buffer a column: what is appended once is what is sent. Through
// the driver every string was copied twice more into buffers that grew.
// Format: https://clickhouse.com/docs/interfaces/formats/Native

const (
	kindText    = "String"
	kindInstant = "DateTime64(9, 'UTC')"
	kindMap     = "Map(String, String)"
)

type nativeColumn struct {
	name, kind string
	data       []byte
}

// texts is a String column: each value behind its length as a varint.
type texts []byte

func (t *texts) add(s string) {
	*t = append(binary.AppendUvarint(*t, uint64(len(s))), s...)
}

// fixed is a column of numbers, little endian.
type fixed []byte

func (f *fixed) add8(v uint8)       { *f = append(*f, v) }
func (f *fixed) add16(v uint16)     { *f = binary.LittleEndian.AppendUint16(*f, v) }
func (f *fixed) add32(v uint32)     { *f = binary.LittleEndian.AppendUint32(*f, v) }
func (f *fixed) add64(v uint64)     { *f = binary.LittleEndian.AppendUint64(*f, v) }
func (f *fixed) addFloat(v float64) { f.add64(math.Float64bits(v)) }

// maps is a Map(String, String) column: where each row ends, all keys, all values.
type maps struct {
	ends         fixed
	keys, values texts
	n            uint64
}

func (m *maps) add(labels []event.Label) {
	for _, l := range labels {
		m.keys.add(l.Key)
		m.values.add(l.Value)
	}
	m.n += uint64(len(labels))
	m.ends.add64(m.n)
}

func (m *maps) bytes() []byte {
	out := make([]byte, 0, len(m.ends)+len(m.keys)+len(m.values))
	return append(append(append(out, m.ends...), m.keys...), m.values...)
}

// inserter posts blocks over ClickHouse's HTTP protocol.
type inserter struct {
	client *http.Client
	scheme string
	next   atomic.Uint32 // which of the addresses is asked
}

func newInserter(cfg Config) *inserter {
	i := &inserter{scheme: "http"}
	if cfg.TLS != nil {
		i.scheme = "https"
	}
	t := &http.Transport{
		TLSClientConfig: cfg.TLS, MaxIdleConnsPerHost: cfg.MaxConns, MaxConnsPerHost: cfg.MaxConns,
		IdleConnTimeout: 5 * time.Minute, WriteBufferSize: 256 << 10, DisableCompression: true,
	}
	if cfg.Dial != nil {
		t.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) { return cfg.Dial(ctx, addr) }
	} else {
		t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	i.client = &http.Client{Transport: t}
	return i
}

func (i *inserter) close() { i.client.CloseIdleConnections() }

// insertNative sends one block into one part.
func (s *Store) insertNative(ctx context.Context, table string, cols []nativeColumn, rows int, extra clickhouse.Settings) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WriteTimeout)
	defer cancel()
	began := time.Now()
	names := make([]string, len(cols))
	body := make(net.Buffers, 0, 2*len(cols)+1)
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(cols))), uint64(rows))
	size := int64(0)
	for k, c := range cols {
		names[k] = c.name
		for _, s := range []string{c.name, c.kind} {
			head = append(binary.AppendUvarint(head, uint64(len(s))), s...)
		}
		body = append(body, head, c.data)
		size += int64(len(head) + len(c.data))
		head = nil
	}
	q := url.Values{"database": {s.cfg.Database}, "query": {"INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") FORMAT Native"}}
	for k, v := range wholeBlock(extra) {
		q.Set(k, fmt.Sprint(v))
	}
	q.Set("max_execution_time", strconv.Itoa(int(s.cfg.WriteTimeout/time.Second)))
	addr := s.cfg.Addr[int(s.in.next.Load())%len(s.cfg.Addr)]
	err := s.in.post(ctx, s.in.scheme+"://"+addr+"/?"+q.Encode(), s.cfg, &body, size)
	if err != nil {
		var ex *clickhouse.Exception
		if !errors.As(err, &ex) {
			s.in.next.Add(1) // that server may be the one that is away
		}
		return fmt.Errorf("insert %d rows into %s: %w", rows, table, err)
	}
	s.m.inserts.WithLabelValues(table).Observe(time.Since(began).Seconds())
	s.m.rows.WithLabelValues(table).Add(float64(rows))
	return nil
}

func (i *inserter) post(ctx context.Context, target string, cfg Config, body io.Reader, size int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, struct{ io.Reader }{body})
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.Header.Set("X-ClickHouse-User", cfg.Username)
	req.Header.Set("X-ClickHouse-Key", cfg.Password)
	req.Header.Set("Content-Type", "application/octet-stream")
	res, err := i.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the statement is in the address, and says nothing
		}
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	code, _ := strconv.ParseInt(res.Header.Get("X-ClickHouse-Exception-Code"), 10, 32)
	// A statement that fails after the answer began says so in its text.
	if res.StatusCode == http.StatusOK && code == 0 && !bytes.Contains(text, []byte("DB::Exception")) {
		_, err := io.Copy(io.Discard, res.Body)
		return err
	}
	return &clickhouse.Exception{Code: int32(code), Name: "insert refused", Message: fmt.Sprintf("status %d: %s", res.StatusCode, bytes.TrimSpace(text))}
}

// driverColumns reads the columns back, for the driver over the native protocol.
func driverColumns(cols []nativeColumn, rows int) []column {
	out := make([]column, len(cols))
	for k, c := range cols {
		out[k] = column{c.name, c.kind, c.values(rows), rows}
	}
	return out
}

func (c nativeColumn) values(rows int) any {
	switch c.kind {
	case kindText:
		v, _ := readTexts(c.data, rows)
		return v
	case kindInstant:
		return numbers(c.data, rows, func(b []byte) time.Time { return time.Unix(0, int64(binary.LittleEndian.Uint64(b))) })
	case kindMap:
		ends := numbers(c.data, rows, binary.LittleEndian.Uint64)
		total := 0
		if rows > 0 {
			total = int(ends[rows-1])
		}
		keys, rest := readTexts(c.data[8*rows:], total)
		values, _ := readTexts(rest, total)
		out, from := make([]labels, rows), uint64(0)
		for i, to := range ends {
			for k := from; k < to; k++ {
				out[i] = append(out[i], event.Label{Key: keys[k], Value: values[k]})
			}
			from = to
		}
		return out
	case "UInt8":
		return []uint8(c.data)
	case "UInt16":
		return numbers(c.data, rows, binary.LittleEndian.Uint16)
	case "UInt32":
		return numbers(c.data, rows, binary.LittleEndian.Uint32)
	case "UInt64":
		return numbers(c.data, rows, binary.LittleEndian.Uint64)
	case "Int64":
		return numbers(c.data, rows, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })
	case "Float64":
		return numbers(c.data, rows, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) })
	}
	return nil
}

func numbers[T any](b []byte, rows int, read func([]byte) T) []T {
	out := make([]T, rows)
	if rows == 0 {
		return out
	}
	w := 8
	switch any(out[0]).(type) {
	case uint16:
		w = 2
	case uint32:
		w = 4
	}
	for i := range out {
		out[i] = read(b[i*w:])
	}
	return out
}

// readTexts reads n values and gives what follows them.
func readTexts(b []byte, n int) ([]string, []byte) {
	out := make([]string, n)
	for i := range out {
		size, w := binary.Uvarint(b)
		out[i] = string(b[w : w+int(size)])
		b = b[w+int(size):]
	}
	return out, b
}

// labels lets the driver write them in order, repeated keys included.
type labels []event.Label

func (l labels) Put(key, value any) {} // reading goes another way

func (l labels) Iterator() chcolumn.MapIterator { return &labelIterator{l: l, i: -1} }

type labelIterator struct {
	l []event.Label
	i int
}

func (it *labelIterator) Next() bool { it.i++; return it.i < len(it.l) }
func (it *labelIterator) Key() any   { return it.l[it.i].Key }
func (it *labelIterator) Value() any { return it.l[it.i].Value }
