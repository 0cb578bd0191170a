package api

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// ExportJob is one large export. State is queued, running, done, failed,
// cancelled or expired.
type ExportJob struct {
	ID       string
	Tenant   tenant.ID
	Format   string
	Query    string // without relative times
	From, To time.Time
	State    string
	Rows     uint64
	Expected uint64
	Bytes    uint64
	SHA256   string
	Error    string
	Node     string
	Owner    access.Actor

	CreatedAt, StartedAt, FinishedAt, ExpiresAt time.Time
}

// Exports are the export jobs. Lists are whole: a tenant has at most 200.
type Exports interface {
	List(ctx context.Context, scope []tenant.ID) ([]ExportJob, error)
	Get(ctx context.Context, scope []tenant.ID, id string) (ExportJob, error)
	Create(ctx context.Context, by access.Actor, id tenant.ID, j ExportJob) (ExportJob, error)
	// Cancel ends a job, or takes the file of one that is done away.
	Cancel(ctx context.Context, by access.Actor, id tenant.ID, jobID string) error

	// Claim gives a node the next job under a lease; nil when there is none.
	Claim(ctx context.Context, node string, lease time.Duration) (*ExportJob, error)
	// Progress and Finish are ErrConflict when the job is the node's no more.
	Progress(ctx context.Context, node string, j ExportJob, lease time.Duration) error
	Finish(ctx context.Context, node string, j ExportJob) error
	// Stale are those of the jobs held whose files are of no use any more.
	Stale(ctx context.Context, node string, held map[string]tenant.ID) ([]string, error)
}

// ticket is what a download link holds, signed.
type ticket struct {
	Tenant  string `json:"t"`
	Expires int64  `json:"e"` // Unix seconds
}

func ticketBind(id string) []byte { return []byte("download\x00" + id) }

func (h *handlers) exportView(j ExportJob) rest.ExportJob {
	v := rest.ExportJob{Id: j.ID, TenantId: j.Tenant.String(), Format: rest.ExportJobFormat(j.Format), Query: j.Query, From: ptr(j.From), To: ptr(j.To), State: rest.ExportJobState(j.State),
		Rows: int64(j.Rows), Expected: int64(j.Expected), Bytes: int64(j.Bytes), Sha256: orNil(j.SHA256), Error: orNil(j.Error), Owner: j.Owner.Name, CreatedAt: j.CreatedAt.UTC(),
		StartedAt: ptr(j.StartedAt), FinishedAt: ptr(j.FinishedAt), ExpiresAt: ptr(j.ExpiresAt)}
	if j.Expected > 0 {
		v.Progress = min(1, float64(j.Rows)/float64(j.Expected))
	}
	if j.State == "done" {
		v.Progress = 1
		if j.ExpiresAt.After(h.s.now()) {
			link := "/api/v1/exports/" + j.ID + "/file?token=" + h.s.cursors.seal(ticketBind(j.ID), ticket{j.Tenant.String(), j.ExpiresAt.Unix()})
			v.Download = &link
		}
	}
	return v
}

// ListExports pages through jobs, newest first.
func (h *handlers) ListExports(ctx context.Context, r rest.ListExportsRequestObject) (rest.ListExportsResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	out := rest.ListExports200JSONResponse{Items: []rest.ExportJob{}}
	if k.empty() {
		return out, nil
	}
	all, err := h.s.opts.Exports.List(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	key := func(j ExportJob) string { return newestFirst(j.CreatedAt, j.ID) }
	slices.SortFunc(all, func(a, b ExportJob) int { return strings.Compare(key(a), key(b)) })
	page, last := cut(all, key, after, pageSize(r.Params.Limit))
	for _, j := range page {
		if err := h.s.saw(ctx, k, j.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, h.exportView(j))
	}
	out.Next = next(h.s, k, last)
	return out, nil
}

// GetExport reads one job.
func (h *handlers) GetExport(ctx context.Context, r rest.GetExportRequestObject) (rest.GetExportResponseObject, error) {
	ctx, k := callOf(ctx)
	if k.empty() {
		return nil, notFound()
	}
	j, err := h.s.opts.Exports.Get(ctx, k.scope, r.Id)
	if err == nil {
		err = h.s.saw(ctx, k, j.Tenant)
	}
	return rest.GetExport200JSONResponse(h.exportView(j)), err
}

// CreateExport queues a job.
func (h *handlers) CreateExport(ctx context.Context, r rest.CreateExportRequestObject) (rest.CreateExportResponseObject, error) {
	ctx, k := callOf(ctx)
	if h.s.opts.ExportDir == "" {
		return nil, newProblem(kindUnavailable, "This installation keeps no files for exports: stream one from /audit/export.")
	}
	q, err := h.parseQuery(r.Body.Query)
	if err != nil {
		return nil, err
	}
	j := ExportJob{Format: string(r.Body.Format), Query: q.String()}
	if _, err := h.parseQuery(&j.Query); err != nil { // its canonical form may be longer than a query may be
		return nil, badField("query", "is too long when it is written out")
	}
	if j.From, j.To, err = span(r.Body.From, r.Body.To); err != nil {
		return nil, err
	}
	if j, err = h.s.opts.Exports.Create(ctx, k.principal.Actor(), k.one, j); err != nil {
		return nil, err
	}
	select {
	case h.s.exportWake <- struct{}{}:
	default: // somebody is on the way
	}
	return rest.CreateExport201JSONResponse(h.exportView(j)), nil
}

// DeleteExport cancels a job.
func (h *handlers) DeleteExport(ctx context.Context, r rest.DeleteExportRequestObject) (rest.DeleteExportResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Exports.Cancel(ctx, k.principal.Actor(), k.one, r.Id); err != nil {
		return nil, err
	}
	return rest.DeleteExport204Response{}, nil
}

// DownloadExport serves the file to whoever holds the link.
func (h *handlers) DownloadExport(ctx context.Context, r rest.DownloadExportRequestObject) (rest.DownloadExportResponseObject, error) {
	ctx, k := callOf(ctx)
	var t ticket
	if !h.s.cursors.open(ticketBind(r.Id), r.Params.Token, &t) || h.s.now().Unix() >= t.Expires {
		return nil, notFound()
	}
	id, err := tenant.Parse(t.Tenant)
	if err != nil {
		return nil, notFound()
	}
	j, err := h.s.opts.Exports.Get(ctx, []tenant.ID{id}, r.Id)
	if err != nil {
		return nil, err
	}
	if j.State != "done" || j.Tenant != id || h.s.opts.ExportDir == "" {
		return nil, notFound()
	}
	f, err := os.Open(filepath.Join(h.s.opts.ExportDir, exportFile(j)))
	if err != nil { // another process holds it, or it is gone
		return nil, notFound()
	}
	return &download{h: h, k: k, f: f, j: j}, nil
}

type download struct {
	h *handlers
	k *call
	f *os.File
	j ExportJob
}

// VisitDownloadExportResponse serves the file, or the part that was asked for.
func (d *download) VisitDownloadExportResponse(w http.ResponseWriter) error {
	defer d.f.Close() //nolint:errcheck // it was only read
	hd := w.Header()
	hd.Set("Content-Type", "application/octet-stream")
	hd.Set("Content-Disposition", `attachment; filename="`+d.j.Tenant.String()+"-events-"+d.j.CreatedAt.UTC().Format("20060102-150405")+"."+exportFormats[d.j.Format].suffix+`"`)
	hd.Set("Etag", `"`+d.j.SHA256+`"`)
	http.ServeContent(&patient{w, func() { d.h.s.extend(d.k.gin) }}, d.k.gin.Request, "", time.Time{}, d.f)
	return nil
}

// patient gives a slow client another while with every piece.
type patient struct {
	http.ResponseWriter
	extend func()
}

func (p *patient) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}
