package app

import (
	"context"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// exportStore is api.Exports on the core.
type exportStore struct{ e *core.Exports }

func exportJob(j core.ExportJob) api.ExportJob {
	return api.ExportJob{ID: j.ID, Tenant: j.Tenant, Format: j.Format, Query: j.Query, From: j.From, To: j.To, State: string(j.State), Rows: j.Rows, Expected: j.Expected, Bytes: j.Bytes,
		SHA256: j.SHA256, Error: j.Error, Node: j.Node, Owner: j.Owner, CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt, ExpiresAt: j.ExpiresAt}
}

func coreExport(j api.ExportJob) core.ExportJob {
	return core.ExportJob{ID: j.ID, Tenant: j.Tenant, Format: j.Format, Query: j.Query, From: j.From, To: j.To, State: core.ExportState(j.State), Rows: j.Rows, Expected: j.Expected,
		Bytes: j.Bytes, SHA256: j.SHA256, Error: j.Error, Node: j.Node, Owner: j.Owner, ExpiresAt: j.ExpiresAt}
}

func (s exportStore) List(ctx context.Context, scope []tenant.ID) ([]api.ExportJob, error) {
	rows, err := s.e.List(ctx, scope)
	out := make([]api.ExportJob, 0, len(rows))
	for _, r := range rows {
		out = append(out, exportJob(r))
	}
	return out, err
}

func (s exportStore) Get(ctx context.Context, scope []tenant.ID, id string) (api.ExportJob, error) {
	j, err := s.e.Get(ctx, scope, id)
	return exportJob(j), err
}

func (s exportStore) Create(ctx context.Context, by access.Actor, id tenant.ID, j api.ExportJob) (api.ExportJob, error) {
	made, err := s.e.Create(ctx, by, id, coreExport(j))
	return exportJob(made), err
}

func (s exportStore) Cancel(ctx context.Context, by access.Actor, id tenant.ID, jobID string) error {
	return s.e.Cancel(ctx, by, id, jobID)
}

func (s exportStore) Claim(ctx context.Context, node string, lease time.Duration) (*api.ExportJob, error) {
	j, err := s.e.Claim(ctx, node, lease)
	if err != nil || j == nil {
		return nil, err
	}
	out := exportJob(*j)
	return &out, nil
}

// unwrapped lets the runner see a conflict as the API's own.
func unwrapped(err error) error {
	if c := classify(err); c != nil {
		return c
	}
	return err
}

func (s exportStore) Progress(ctx context.Context, node string, j api.ExportJob, lease time.Duration) error {
	return unwrapped(s.e.Progress(ctx, node, coreExport(j), lease))
}

func (s exportStore) Finish(ctx context.Context, node string, j api.ExportJob) error {
	return unwrapped(s.e.Finish(ctx, node, coreExport(j)))
}

func (s exportStore) Stale(ctx context.Context, node string, held map[string]tenant.ID) ([]string, error) {
	return s.e.Stale(ctx, node, held)
}
