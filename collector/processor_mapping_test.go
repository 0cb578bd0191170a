package collector_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

type sinkFunc func(context.Context, collector.Delivery) error

func (f sinkFunc) Deliver(ctx context.Context, d collector.Delivery) error { return f(ctx, d) }

// A stream is read by the mappings it brings along, asked for by name or
// recognised.
func TestProcessByMapping(t *testing.T) {
	m, err := mapping.Parse([]byte("name: door\npattern: '%{ISO8601:at} %{WORD:who}'\nfields:\n  time: at\n  actor: who\n  action: {const: open}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"", "mapping:door"} {
		got := ""
		p, err := collector.NewProcessor(collector.ProcessorOptions{Sink: sinkFunc(func(_ context.Context, d collector.Delivery) error {
			for i := range d.Events {
				got += d.Events[i].Actor + "/" + d.Events[i].Format
			}
			return nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		res, err := p.Process(t.Context(), strings.NewReader("2026-03-01T09:00:00Z bob\n"), collector.Stream{Tenant: tenant.MustParse("acme"), Format: format, Mappings: []*mapping.Mapping{m}, Now: time.Unix(1_800_000_000, 0)})
		if err != nil || got != "bob/mapping:door" || res.Format != "mapping:door" || res.Confidence != 1 {
			t.Fatalf("%q: %s, %+v, %v", format, got, res.Summary, err)
		}
	}
}
