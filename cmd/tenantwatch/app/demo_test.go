package app

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

// A suspended demo tenant neither ends the demo nor keeps the others' traffic.
func TestDemoGoesOnWhenATenantIsSuspended(t *testing.T) {
	answers := map[string]int{"Bearer shut": http.StatusForbidden, "Bearer open": http.StatusAccepted, "Bearer odd": http.StatusBadRequest}
	took := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := r.Header.Get("Authorization")
		took[k]++
		w.WriteHeader(answers[k])
	}))
	defer srv.Close()
	d := &demo{app: &App{log: slog.New(slog.DiscardHandler)}, path: filepath.Join(t.TempDir(), "demo.json"), url: srv.URL, http: srv.Client(),
		state: demoState{Keys: map[string]string{"shut": "shut", "open": "open", "odd": "odd"}}}
	send := func(ids ...string) error {
		b := batch{lines: map[string]*bytes.Buffer{}, events: len(ids), last: time.Unix(1, 0)}
		for _, id := range ids {
			b.lines[id] = bytes.NewBufferString("{}\n")
		}
		return d.flush(t.Context(), &b)
	}
	if err := send("shut", "open"); err != nil || took["Bearer shut"] != 1 || took["Bearer open"] != 1 {
		t.Errorf("with a suspended tenant: %v, requests %v", err, took)
	}
	if err := send("odd"); err == nil {
		t.Error("an answer that the demo cannot explain is passed over")
	}
}
