// Package rest is what the generator makes of openapi.yaml: the shapes of
// requests and answers and the strict server interface, beside the few shapes
// that are better written by hand. It decides nothing; do not edit rest.gen.go,
// change openapi.yaml and run "go generate ./api/...".
package rest

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config oapi-codegen.yaml ../../openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config ../../client/oapi-codegen.yaml -o ../../client/client.gen.go ../../openapi.yaml

import (
	"bytes"
	"encoding/json"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// AlertView is an alert with what people made of it.
type AlertView struct {
	alert.Alert
	Triage Triage `json:"triage"`
}

// NewAlertView writes times in UTC and lists that are empty as such, never as
// null. Plots are many; a list of alerts leaves them out.
func NewAlertView(a alert.Alert, t Triage, plots bool) AlertView {
	a.FirstSeen, a.LastSeen, a.RaisedAt = a.FirstSeen.UTC(), a.LastSeen.UTC(), a.RaisedAt.UTC()
	if a.Related == nil {
		a.Related = []alert.Entity{}
	}
	if a.Detectors == nil {
		a.Detectors = []alert.Contribution{}
	}
	if a.Technique == nil {
		a.Technique = []string{}
	}
	if a.EventIDs == nil {
		a.EventIDs = []string{}
	}
	a.Kept = nil
	if !plots {
		a.Plots = nil
	}
	return AlertView{a, t}
}

// TriageChange tells a field that is null, which clears it, from one that is
// not there, which stays.
type TriageChange struct {
	TenantID *string
	Status   *TriageStatus
	Verdict  Clearable
	Assignee Clearable
	Severity Clearable
	Tags     *[]string
	Links    *[]Link
	Comment  string
}

// Clearable is a text that may be set, cleared or left alone.
type Clearable struct {
	Given bool
	Value string // empty to clear
}

func (c *Clearable) read(raw json.RawMessage, ok bool) error {
	if !ok {
		return nil
	}
	c.Given = true
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return json.Unmarshal(raw, &c.Value)
}

// UnmarshalJSON reads the object; its members have been checked against the
// schema before.
func (t *TriageChange) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*t = TriageChange{}
	for name, into := range map[string]any{"tenant_id": &t.TenantID, "status": &t.Status, "tags": &t.Tags, "links": &t.Links, "comment": &t.Comment} {
		if raw, ok := m[name]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return err
			}
		}
	}
	raw, ok := m["verdict"]
	if err := t.Verdict.read(raw, ok); err != nil {
		return err
	}
	raw, ok = m["severity"]
	if err := t.Severity.read(raw, ok); err != nil {
		return err
	}
	raw, ok = m["assignee"]
	return t.Assignee.read(raw, ok)
}
