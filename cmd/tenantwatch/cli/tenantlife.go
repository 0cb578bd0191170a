package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

var stateColumns = []column{{"ID", "id"}, {"NAME", "name"}, {"STATUS", "status"}, {"REASON", "status_reason"}, {"REMOVED AFTER", "delete_after"}, {"PLACEMENT", "placement"}}

var settingsColumns = []column{{"TENANT", "tenant_id"}, {"BUDGET", "alert_budget"}, {"RETENTION, DAYS", "retention_days"}, {"TIME ZONE", "time_zone"},
	{"CALENDAR", "calendar"}, {"NETWORKS", "networks"}, {"QUOTAS", "quotas"}, {"REGION", "region"}, {"LEGAL HOLD", "legal_hold"}, {"LEGAL HOLDS", "legal_holds"}}

func tenantPath(id, rest string) string { return "/api/v1/tenants/" + url.PathEscape(id) + rest }

// tenantLifeCmds are the commands that change one tenant.
func (a *cmdline) tenantLifeCmds() []*cobra.Command {
	one := exactArgs(1, "the tenant's id")
	show := sub("show ID", "Show a tenant: its state and where it is placed", one, func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodGet, tenantPath(args[0], ""), nil, stateColumns...)
	})
	rename := sub("rename ID NAME", "Give a tenant another name; its id stays", exactArgs(2, "the tenant's id and its new name"), func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodPatch, tenantPath(args[0], ""), map[string]string{"name": args[1]}, stateColumns...)
	})
	var reason string
	why := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&reason, "reason", "", "why, for people")
		return c
	}
	suspend := why(sub("suspend ID", "Let nothing in any more; only platform administrators read", one, func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodPost, tenantPath(args[0], "/suspend"), map[string]string{"reason": reason}, stateColumns...)
	}))
	resume := sub("resume ID", "End a suspension", one, func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodPost, tenantPath(args[0], "/resume"), map[string]string{}, stateColumns...)
	})
	var grace int
	remove := why(sub("delete ID", "Suspend a tenant and remove its data after a time of grace", one, func(c *cobra.Command, args []string) error {
		q := url.Values{"grace_days": {fmt.Sprint(grace)}}
		if reason != "" {
			q.Set("reason", reason)
		}
		return a.write(c, http.MethodDelete, tenantPath(args[0], "?"+q.Encode()), nil, stateColumns...)
	}))
	remove.Flags().IntVar(&grace, "grace-days", 30, "days in which \"tenant restore\" brings it back whole, 0 to 365")
	restore := sub("restore ID", "Take a deletion back within its time of grace", one, func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodPost, tenantPath(args[0], "/restore"), map[string]string{}, stateColumns...)
	})
	var set []string
	settings := sub("settings ID", "Show a tenant's settings, or change some with --set", one, func(c *cobra.Command, args []string) error {
		if len(set) == 0 {
			return a.write(c, http.MethodGet, tenantPath(args[0], "/settings"), nil, settingsColumns...)
		}
		patch, err := settingsPatch(set)
		if err != nil {
			return err
		}
		return a.write(c, http.MethodPatch, tenantPath(args[0], "/settings"), patch, settingsColumns...)
	})
	settings.Example = `  tenantwatch tenant settings acme --set alert_budget=3 --set time_zone=Europe/Berlin
  tenantwatch tenant settings acme --set retention_days=400 --set quotas.events_per_second=2000
  tenantwatch tenant settings acme --set calendar.holidays='[{"date":"2026-12-25","name":"Christmas"}]'
  tenantwatch tenant settings acme --set networks='[{"name":"HQ","prefix":"203.0.113.0/24","kind":"office"}]'
  tenantwatch tenant settings acme --set legal_holds='[{"name":"Case 7","query":"actor:bob@*","from":"2026-01-01T00:00:00Z"}]'`
	settings.Flags().StringArrayVar(&set, "set", nil, "setting=value, such as alert_budget=3; lists as JSON; may be repeated")
	return []*cobra.Command{show, rename, suspend, resume, remove, restore, settings}
}

// textSettings are those whose value is a text even when it looks like JSON.
var textSettings = map[string]bool{"time_zone": true, "region": true, "calendar.work_from": true, "calendar.work_to": true}

// settingsPatch makes the body of a change from a.b=value pairs. What a
// setting may be is the server's to say.
func settingsPatch(pairs []string) (map[string]any, error) {
	patch := map[string]any{}
	for _, p := range pairs {
		key, text, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, usageError("--set %q: want setting=value, such as alert_budget=3", p)
		}
		var v any = text
		if !textSettings[key] {
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				return nil, usageError("--set %q: the value is no number and no JSON", p)
			}
		}
		into := patch
		group, name, nested := strings.Cut(key, ".")
		if nested {
			m, _ := patch[group].(map[string]any)
			if m == nil {
				m = map[string]any{}
				patch[group] = m
			}
			into, key = m, name
		}
		into[key] = v
	}
	return patch, nil
}
