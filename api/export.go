package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// ExportEvents streams a search.
func (h *handlers) ExportEvents(ctx context.Context, r rest.ExportEventsRequestObject) (rest.ExportEventsResponseObject, error) {
	ctx, k := callOf(ctx)
	s := EventSearch{Limit: 1, Ascending: true}
	var err error
	if s.Query, err = h.parseQuery(r.Params.Q); err != nil {
		return nil, err
	}
	if s.From, s.To, err = span(r.Params.From, r.Params.To); err != nil {
		return nil, err
	}
	if r.Params.AfterEvent != nil {
		e, err := h.event(ctx, k.one, *r.Params.AfterEvent)
		if err != nil {
			return nil, err
		}
		s.After = &EventPosition{Time: e.Time, ID: e.ID}
	}
	select {
	case h.s.exports <- struct{}{}:
	default:
		return nil, tooMany(10*time.Second, "exports at once")
	}
	// The first event is read before the answer begins, so that what cannot be
	// searched is a problem and not an empty file.
	if _, err := h.s.opts.Events.Search(ctx, k.one, s); err != nil {
		<-h.s.exports
		return nil, err
	}
	s.Limit = 0
	return &export{h: h, ctx: ctx, k: k, search: s, format: string(r.Params.Format), after: r.Params.AfterEvent != nil}, nil
}

type export struct {
	h      *handlers
	ctx    context.Context
	k      *call
	search EventSearch
	format string
	after  bool // continues one that was cut off: no head
}

// extendEvery is after how many events a slow client gets another while.
const extendEvery = 1000

// VisitExportEventsResponse writes the export. Once bytes are out an error can
// only be told by the trailer and by cutting the connection.
func (e *export) VisitExportEventsResponse(w http.ResponseWriter) error {
	defer func() { <-e.h.s.exports }()
	f := exportFormats[e.format]
	hd := w.Header()
	hd.Set("Content-Type", f.media)
	hd.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-events-%s.%s"`, e.k.one, e.h.s.now().UTC().Format("20060102-150405"), f.suffix))
	hd.Set("Trailer", "X-Export-Rows, X-Export-Sha256, X-Export-Status")
	w.WriteHeader(http.StatusOK)
	sum := sha256.New()
	out, err := newExportWriter(e.format, io.MultiWriter(w, sum))
	if err != nil {
		return e.abort(0, err)
	}
	if e.after {
		if c, ok := out.(*csvExport); ok { // the head is in the part before
			c.head = true
		}
	}
	rows := 0
	err = e.h.s.opts.Events.Each(e.ctx, e.k.one, e.search, func(ev *event.Event) error {
		if rows++; rows%extendEvery == 0 {
			e.h.s.extend(e.k.gin)
			e.h.s.metrics.exported.Add(extendEvery)
		}
		return out.write(ev)
	})
	e.h.s.metrics.exported.Add(float64(rows % extendEvery))
	if err == nil {
		err = out.end()
	}
	if err != nil {
		return e.abort(rows, err)
	}
	hd.Set("X-Export-Rows", strconv.Itoa(rows))
	hd.Set("X-Export-Sha256", hex.EncodeToString(sum.Sum(nil)))
	hd.Set("X-Export-Status", "complete")
	return nil
}

// abort cuts the connection, so that the client sees a broken answer.
func (e *export) abort(rows int, err error) error {
	if e.ctx.Err() == nil {
		e.h.s.log.LogAttrs(e.ctx, slog.LevelError, "export cut off", requestAttrs(e.k.gin, err)...)
	}
	e.k.gin.Writer.Header().Set("X-Export-Rows", strconv.Itoa(rows))
	e.k.gin.Writer.Header().Set("X-Export-Status", "failed")
	panic(http.ErrAbortHandler)
}

var csvColumns = []string{"tenant_id", "id", "time", "ingested_at", "class_uid", "activity", "action", "outcome", "severity", "actor", "actor_type", "cohort",
	"session", "src_ip", "country", "city", "latitude", "longitude", "asn", "user_agent", "device", "resource", "resource_type", "http_method", "status",
	"bytes_in", "bytes_out", "duration", "count", "source", "format", "labels", "raw"}

// csvRow is an event as a row. Text that a spreadsheet would take for a
// formula gets an apostrophe; our own numbers stay numbers.
func csvRow(e *event.Event) []string {
	num := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	deg := func(f float64) string {
		if !e.HasPosition {
			return ""
		}
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	at := func(ns int64) string {
		if ns == 0 {
			return ""
		}
		return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
	}
	duration := ""
	if e.Duration != 0 {
		duration = strconv.FormatFloat(e.Duration, 'f', -1, 64)
	}
	labels := ""
	if len(e.Labels) > 0 {
		m := make(map[string]string, len(e.Labels))
		for _, l := range e.Labels {
			m[l.Key] = l.Value
		}
		b, _ := json.Marshal(m) // texts marshal
		labels = string(b)
	}
	t := safeCell
	return []string{t(e.Tenant.String()), t(e.ID), at(e.Time), at(e.IngestedAt), strconv.FormatUint(uint64(e.Class), 10), num(uint64(e.Activity)), t(e.Action),
		e.Outcome.String(), num(uint64(e.Severity)), t(e.Actor), t(e.ActorType), t(e.Cohort), t(e.Session), t(e.SrcIP), t(e.Country), t(e.City),
		deg(e.Latitude), deg(e.Longitude), num(uint64(e.ASN)), t(e.UserAgent), t(e.Device), t(e.Resource), t(e.ResourceType), t(e.HTTPMethod),
		num(uint64(e.Status)), num(e.BytesIn), num(e.BytesOut), duration, num(uint64(e.Count)), t(e.Source), t(e.Format), t(labels), t(e.Raw)}
}

// safeCell keeps spreadsheets from running a cell.
func safeCell(s string) string {
	trimmed := strings.TrimLeft(s, " \t\r\n\u00a0")
	if trimmed == "" {
		return s
	}
	switch r := []rune(trimmed[:min(len(trimmed), 4)])[0]; r {
	case '=', '+', '-', '@', '＝', '＋', '－', '＠':
		return "'" + s
	}
	if s[0] == '\t' || s[0] == '\r' || s[0] == '\n' {
		return "'" + s
	}
	return s
}
