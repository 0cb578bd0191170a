package grafana

import (
	"encoding/json"
	"fmt"
	"strings"
)

type object = map[string]any

var source = object{"type": "prometheus", "uid": "${datasource}"}

// dashboard is a board as Grafana reads it (schema version 39, Grafana 10 and newer).
func (b board) dashboard() ([]byte, error) {
	var panels []object
	x, y := 0, 0
	for i, p := range b.panels {
		height := 8
		if x+p.width > 24 {
			x, y = 0, y+height
		}
		kind, options := "timeseries", object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
		if p.stat {
			kind, options = "stat", object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "value"}
		}
		var targets []object
		for k, q := range p.queries {
			targets = append(targets, object{"refId": string(rune('A' + k)), "expr": q.expr, "legendFormat": q.legend, "datasource": source})
		}
		panels = append(panels, object{
			"id": i + 1, "type": kind, "title": p.title, "description": p.help, "datasource": source, "targets": targets, "options": options,
			"gridPos":     object{"x": x, "y": y, "w": p.width, "h": height},
			"fieldConfig": object{"defaults": object{"unit": p.unit, "min": 0, "custom": object{"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"}}, "overrides": []any{}},
		})
		x += p.width
	}
	out, err := json.MarshalIndent(object{
		"uid": b.uid, "title": b.title, "description": b.help, "tags": []string{"tenantwatch"}, "schemaVersion": 39, "version": 1, "editable": true,
		"time": object{"from": "now-1h", "to": "now"}, "refresh": "30s", "timezone": "utc", "panels": panels,
		"templating": object{"list": []object{{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}}},
	}, "", "  ")
	return append(out, '\n'), err
}

// ruleFile is the rules as Prometheus reads them.
func ruleFile() string {
	var b strings.Builder
	b.WriteString("# Made by `go test ./dashboards/grafana -update`; change tables.go instead.\ngroups:\n  - name: tenantwatch\n    rules:\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "      - alert: %s\n        expr: %q\n        for: %s\n        labels: { severity: %s }\n        annotations:\n          summary: %q\n          description: %q\n",
			r.name, r.expr, r.hold, r.severity, r.summary, r.todo)
	}
	return b.String()
}

const provisioning = `# Made by ` + "`go test ./dashboards/grafana -update`" + `. Copy to Grafana's provisioning/dashboards and
# the JSON files to the folder it names.
apiVersion: 1
providers:
  - name: tenantwatch
    folder: tenantwatch
    type: file
    allowUiUpdates: false
    options: { path: /var/lib/grafana/dashboards/tenantwatch }
`

// files are all files of this folder that are made, by name.
func files() (map[string]string, error) {
	out := map[string]string{"rules.yaml": ruleFile(), "provisioning.yaml": provisioning}
	for _, b := range boards {
		j, err := b.dashboard()
		if err != nil {
			return nil, err
		}
		out[strings.TrimPrefix(b.uid, "tenantwatch-")+".json"] = string(j)
	}
	return out, nil
}

// Queries are all expressions of the dashboards and rules, with Grafana's own
// variables replaced by what they stand for.
func Queries() []string {
	var out []string
	for _, b := range boards {
		for _, p := range b.panels {
			for _, q := range p.queries {
				out = append(out, strings.ReplaceAll(q.expr, "$__rate_interval", "5m"))
			}
		}
	}
	for _, r := range rules {
		out = append(out, r.expr)
	}
	return out
}
