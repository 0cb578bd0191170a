package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

type worldExports world

func (w *worldExports) List(_ context.Context, scope []tenant.ID) ([]ExportJob, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.jobs), func(j ExportJob) bool { return !slices.Contains(scope, j.Tenant) }), nil
}

func (w *worldExports) Get(ctx context.Context, scope []tenant.ID, id string) (ExportJob, error) {
	all, _ := w.List(ctx, scope)
	for _, j := range all {
		if j.ID == id {
			return j, nil
		}
	}
	return ExportJob{}, fmt.Errorf("export: %w", ErrNotFound)
}

func (w *worldExports) Create(_ context.Context, by access.Actor, id tenant.ID, j ExportJob) (ExportJob, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	j.ID, j.Tenant, j.Owner, j.State, j.CreatedAt = fmt.Sprintf("job%d", w.calls), id, by, "queued", w.now
	w.jobs = append(w.jobs, j)
	return j, nil
}

// set changes a job that allow takes; ErrNotFound without one.
func (w *worldExports) set(id string, allow func(ExportJob) bool, change func(*ExportJob)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.jobs {
		if w.jobs[i].ID == id && allow(w.jobs[i]) {
			change(&w.jobs[i])
			return nil
		}
	}
	return ErrNotFound
}

func (w *worldExports) Cancel(_ context.Context, _ access.Actor, id tenant.ID, jobID string) error {
	return w.set(jobID, func(j ExportJob) bool { return j.Tenant == id }, func(j *ExportJob) { j.State = "cancelled" })
}

func (w *worldExports) Claim(_ context.Context, node string, _ time.Duration) (*ExportJob, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.jobs {
		if w.jobs[i].State == "queued" {
			w.jobs[i].State, w.jobs[i].Node = "running", node
			j := w.jobs[i]
			return &j, nil
		}
	}
	return nil, nil
}

func (w *worldExports) running(node string, j ExportJob) error {
	if err := w.set(j.ID, func(k ExportJob) bool { return k.State == "running" && k.Node == node }, func(k *ExportJob) { *k = j }); err != nil {
		return ErrConflict
	}
	return nil
}

func (w *worldExports) Progress(_ context.Context, node string, j ExportJob, _ time.Duration) error {
	return w.running(node, j)
}

func (w *worldExports) Finish(_ context.Context, node string, j ExportJob) error {
	return w.running(node, j)
}

func (w *worldExports) Stale(_ context.Context, _ string, held map[string]tenant.ID) (out []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range held {
		if !slices.ContainsFunc(w.jobs, func(j ExportJob) bool { return j.ID == id && j.State == "done" }) {
			out = append(out, id)
		}
	}
	return out, nil
}
