package api

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// exportFormats are the forms of an export, in the order of the contract.
var exportFormats = map[string]struct {
	media, suffix string
	writer        func(io.Writer) (eventWriter, error)
}{
	"csv":     {"text/csv; charset=utf-8", "csv", newCSVExport},
	"ndjson":  {"application/x-ndjson", "ndjson", newNDJSONExport},
	"ocsf":    {"application/x-ndjson", "ocsf.ndjson", newOCSFExport},
	"parquet": {"application/vnd.apache.parquet", "parquet", newParquetExport},
}

// eventWriter writes events one by one in memory that does not grow with
// them. end writes what comes last; nothing is written after it.
type eventWriter interface {
	write(e *event.Event) error
	end() error
}

type lineExport struct {
	w      *bufio.Writer
	line   []byte
	append func([]byte, *event.Event) []byte
}

func newNDJSONExport(w io.Writer) (eventWriter, error) {
	return &lineExport{bufio.NewWriterSize(w, 64<<10), nil, event.AppendJSON}, nil
}

func newOCSFExport(w io.Writer) (eventWriter, error) {
	return &lineExport{bufio.NewWriterSize(w, 64<<10), nil, event.AppendOCSF}, nil
}

func (l *lineExport) write(e *event.Event) error {
	l.line = append(l.append(l.line[:0], e), '\n')
	_, err := l.w.Write(l.line)
	return err
}

func (l *lineExport) end() error { return l.w.Flush() }

type csvExport struct {
	w    *bufio.Writer
	rows *csv.Writer
	head bool // has been written, or is not wanted
}

func newCSVExport(w io.Writer) (eventWriter, error) {
	b := bufio.NewWriterSize(w, 64<<10)
	c := &csvExport{w: b, rows: csv.NewWriter(b)}
	c.rows.UseCRLF = true // RFC 4180
	return c, nil
}

func (c *csvExport) begin() error {
	if c.head {
		return nil
	}
	c.head = true
	return c.rows.Write(csvColumns)
}

func (c *csvExport) write(e *event.Event) error {
	if err := c.begin(); err != nil {
		return err
	}
	return c.rows.Write(csvRow(e))
}

func (c *csvExport) end() error {
	if err := c.begin(); err != nil {
		return err
	}
	c.rows.Flush()
	if err := c.rows.Error(); err != nil {
		return err
	}
	return c.w.Flush()
}

// parquetRow is an event as a row of Parquet: times in nanoseconds, labels as
// a map, what is unknown null where a zero could be a value.
type parquetRow struct {
	TenantID     string            `parquet:"tenant_id,dict,zstd"`
	ID           string            `parquet:"id,zstd"`
	Time         time.Time         `parquet:"time,timestamp(nanosecond),zstd"`
	IngestedAt   time.Time         `parquet:"ingested_at,timestamp(nanosecond),zstd"`
	ClassUID     int32             `parquet:"class_uid,zstd"`
	Activity     int32             `parquet:"activity,zstd"`
	Action       string            `parquet:"action,dict,zstd"`
	Outcome      string            `parquet:"outcome,dict,zstd"`
	Severity     int32             `parquet:"severity,zstd"`
	Actor        string            `parquet:"actor,dict,zstd"`
	ActorType    string            `parquet:"actor_type,dict,zstd"`
	Cohort       string            `parquet:"cohort,dict,zstd"`
	Session      string            `parquet:"session,zstd"`
	SrcIP        string            `parquet:"src_ip,dict,zstd"`
	Country      string            `parquet:"country,dict,zstd"`
	City         string            `parquet:"city,dict,zstd"`
	Latitude     *float64          `parquet:"latitude,optional,zstd"`
	Longitude    *float64          `parquet:"longitude,optional,zstd"`
	ASN          int64             `parquet:"asn,zstd"`
	UserAgent    string            `parquet:"user_agent,dict,zstd"`
	Device       string            `parquet:"device,dict,zstd"`
	Resource     string            `parquet:"resource,zstd"`
	ResourceType string            `parquet:"resource_type,dict,zstd"`
	HTTPMethod   string            `parquet:"http_method,dict,zstd"`
	Status       int32             `parquet:"status,zstd"`
	BytesIn      int64             `parquet:"bytes_in,zstd"`
	BytesOut     int64             `parquet:"bytes_out,zstd"`
	DurationMS   float64           `parquet:"duration_ms,zstd"`
	Count        int64             `parquet:"count,zstd"`
	Source       string            `parquet:"source,dict,zstd"`
	Format       string            `parquet:"format,dict,zstd"`
	Labels       map[string]string `parquet:"labels"`
	Raw          string            `parquet:"raw,zstd"`
}

// A row group is what the writer holds in memory: so many rows or bytes.
const (
	parquetGroup      = 20_000
	parquetGroupBytes = 16 << 20
)

type parquetExport struct {
	w     *parquet.GenericWriter[parquetRow]
	rows  []parquetRow
	n     int
	bytes int
}

func newParquetExport(w io.Writer) (eventWriter, error) {
	return &parquetExport{w: parquet.NewGenericWriter[parquetRow](w, parquet.CreatedBy("tenantwatch", "1", ""), parquet.Compression(&parquet.Zstd))}, nil
}

func (p *parquetExport) write(e *event.Event) error {
	r := parquetRow{TenantID: e.Tenant.String(), ID: e.ID, Time: e.At(), IngestedAt: time.Unix(0, e.IngestedAt).UTC(), ClassUID: int32(e.Class), Activity: int32(e.Activity),
		Action: e.Action, Outcome: e.Outcome.String(), Severity: int32(e.Severity), Actor: e.Actor, ActorType: e.ActorType, Cohort: e.Cohort, Session: e.Session, SrcIP: e.SrcIP,
		Country: e.Country, City: e.City, ASN: int64(e.ASN), UserAgent: e.UserAgent, Device: e.Device, Resource: e.Resource, ResourceType: e.ResourceType, HTTPMethod: e.HTTPMethod,
		Status: int32(e.Status), BytesIn: int64(e.BytesIn), BytesOut: int64(e.BytesOut), DurationMS: e.Duration, Count: int64(e.Count), Source: e.Source, Format: e.Format, Raw: e.Raw}
	if e.HasPosition {
		lat, lon := e.Latitude, e.Longitude
		r.Latitude, r.Longitude = &lat, &lon
	}
	if len(e.Labels) > 0 {
		r.Labels = make(map[string]string, len(e.Labels))
		for _, l := range e.Labels {
			r.Labels[l.Key] = l.Value
		}
	}
	p.rows = append(p.rows, r)
	p.n++
	p.bytes += len(e.Raw) + 512
	if len(p.rows) < 1000 {
		return nil
	}
	return p.flush(false)
}

func (p *parquetExport) flush(group bool) error {
	if _, err := p.w.Write(p.rows); err != nil {
		return err
	}
	clear(p.rows) // lets go of the texts
	p.rows = p.rows[:0]
	if group || p.n >= parquetGroup || p.bytes >= parquetGroupBytes {
		p.n, p.bytes = 0, 0
		return p.w.Flush()
	}
	return nil
}

func (p *parquetExport) end() error {
	if err := p.flush(true); err != nil {
		return err
	}
	return p.w.Close()
}

// newExportWriter is a writer of one of the formats.
func newExportWriter(format string, w io.Writer) (eventWriter, error) {
	f, ok := exportFormats[format]
	if !ok {
		return nil, fmt.Errorf("there is no format %q", format)
	}
	return f.writer(w)
}
