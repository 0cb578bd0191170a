package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

type worldStreams world

func (w *worldStreams) List(_ context.Context, scope []tenant.ID) ([]LogStream, error) {
	return slices.DeleteFunc(slices.Clone(w.logs), func(s LogStream) bool { return !slices.Contains(scope, s.Tenant) }), nil
}

func (w *worldStreams) Get(ctx context.Context, scope []tenant.ID, id string) (LogStream, error) {
	all, _ := w.List(ctx, scope)
	for _, s := range all {
		if s.ID == id {
			return s, nil
		}
	}
	return LogStream{}, fmt.Errorf("stream: %w", ErrNotFound)
}

func (w *worldStreams) Create(_ context.Context, by access.Actor, id tenant.ID, s LogStream, _ string, _ bool) (LogStream, error) {
	w.calls++
	s.ID, s.Tenant, s.CreatedBy, s.CreatedAt, s.Status = fmt.Sprintf("stream%d", w.calls), id, by.Name, w.now, "active"
	w.logs = append(w.logs, s)
	return s, nil
}

func (w *worldStreams) SetStatus(_ context.Context, _ access.Actor, id tenant.ID, streamID, status string) error {
	for i := range w.logs {
		if w.logs[i].ID == streamID && w.logs[i].Tenant == id {
			w.logs[i].Status = status
			return nil
		}
	}
	return ErrNotFound
}

func (w *worldStreams) Delete(_ context.Context, _ access.Actor, id tenant.ID, streamID string) error {
	n := len(w.logs)
	w.logs = slices.DeleteFunc(w.logs, func(s LogStream) bool { return s.Tenant == id && s.ID == streamID })
	if len(w.logs) == n {
		return ErrNotFound
	}
	return nil
}
