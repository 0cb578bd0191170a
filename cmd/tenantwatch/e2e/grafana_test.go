//go:build integration

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tenantwatch/tenantwatch/dashboards/grafana"
)

// TestIntegrationDashboardsNameRealMetrics: every metric that a dashboard or a
// rule names is served by the running program, with the labels they use.
func TestIntegrationDashboardsNameRealMetrics(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	if _, err := i.push(key, "", strings.NewReader(`{"time":"2026-03-01T09:15:02Z","actor":"a","action":"login"}`+"\nnot a line\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the row", func() bool { return i.found("acme", "actor:a") == 1 })
	i.call("", http.MethodPost, "/api/v1/session", map[string]string{"email": "nobody@acme.example", "password": "not the right one"})
	families := func() map[string]*dto.MetricFamily {
		resp, err := http.Get(i.ops + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		p := expfmt.NewTextParser(model.UTF8Validation)
		f, err := p.TextToMetricFamilies(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}()
	for _, name := range missing(t, families, grafana.Queries()) {
		t.Error(name)
	}
	if len(missing(t, families, []string{"rate(tenantwatch_no_such_metric[5m])", "sum by (nothing) (tenantwatch_delivery_pending)"})) != 2 {
		t.Error("control: a metric and a label that are not there were not missed")
	}
}

// missing lists what the queries name and the program does not serve. Labels
// that Prometheus adds are taken for granted, and those of metrics that have
// no series yet.
func missing(t *testing.T, families map[string]*dto.MetricFamily, queries []string) (out []string) {
	t.Helper()
	added := []string{"le", "instance", "job"}
	family := func(name string) *dto.MetricFamily {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			if f := families[strings.TrimSuffix(name, suffix)]; f != nil && strings.HasSuffix(name, suffix) {
				return f
			}
		}
		return nil
	}
	has := func(f *dto.MetricFamily, label string) bool {
		if slices.Contains(added, label) || len(f.Metric) == 0 {
			return true
		}
		return slices.ContainsFunc(f.Metric[0].Label, func(l *dto.LabelPair) bool { return l.GetName() == label })
	}
	for _, q := range queries {
		expr, err := parser.ParseExpr(q)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
			v, ok := n.(*parser.VectorSelector)
			if !ok || v.Name == "up" {
				return nil
			}
			f := family(v.Name)
			if f == nil {
				out = append(out, q+": no metric "+v.Name)
				return nil
			}
			var labels []string
			for _, m := range v.LabelMatchers {
				if m.Name != "__name__" {
					labels = append(labels, m.Name)
				}
			}
			for _, p := range path {
				if a, ok := p.(*parser.AggregateExpr); ok && !a.Without {
					labels = append(labels, a.Grouping...)
				}
			}
			for _, l := range labels {
				if !has(f, l) {
					out = append(out, q+": "+v.Name+" has no label "+l)
				}
			}
			return nil
		})
	}
	return out
}
