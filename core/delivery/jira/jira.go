// Package jira opens one Jira issue an alert and follows its state: a new
// revision becomes a comment, a retraction the transition that closes it. The
// issue is found by a label made of the alert's id, so that a repeat opens no
// second one.
package jira

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

const usual = "{reason}\n\nSeverity {severity}, score {score}, {entity_type} {entity} of {tenant}. Techniques: {techniques}. {counterfactual}"

// Send implements dest.Sender. The token is what follows "Authorization: ",
// e.g. "Basic <base64 of user:token>" or "Bearer <token>"; settings are project,
// type (Task unless said otherwise), done (the transition's name), template.
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	base := strings.TrimRight(t.URL, "/") + "/rest/api/2"
	head := http.Header{"Authorization": {t.Token}}
	label := Label(&m.Alert)
	q := url.Values{"jql": {`project = "` + strings.ReplaceAll(t.Settings["project"], `"`, "") + `" AND labels = "` + label + `"`}, "fields": {"status"}, "maxResults": {"1"}}
	found, err := dest.Post(ctx, out, m, http.MethodGet, base+"/search?"+q.Encode(), head, nil, t.Token)
	if err != nil || found.Err != "" {
		return found, err
	}
	var list struct{ Issues []struct{ Key string } }
	if json.Unmarshal(found.Body, &list) != nil {
		found.Err = "the answer is none of Jira's search"
		return found, nil
	}
	step := func(method, path string, body any) (dest.Result, error) {
		b, err := json.Marshal(body)
		if err != nil {
			return dest.Failed("%s", err), nil
		}
		r, err := dest.Post(ctx, out, m, method, base+path, head, b, t.Token)
		r.Request = found.Request + "\r\n\r\n" + r.Request
		return r, err
	}
	if len(list.Issues) == 0 {
		if m.Alert.State == alert.Retracted { // nothing was opened, nothing is to be closed
			return found, nil
		}
		return step(http.MethodPost, "/issue", Issue(t, m))
	}
	key := url.PathEscape(list.Issues[0].Key)
	r, err := step(http.MethodPost, "/issue/"+key+"/comment", map[string]string{"body": dest.Text("Revision: {state}. "+t.Setting("template", usual), &m.Alert)})
	if err != nil || r.Err != "" || m.Alert.State != alert.Retracted {
		return r, err
	}
	return closeIssue(ctx, out, t, m, base+"/issue/"+key+"/transitions", head)
}

func closeIssue(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message, address string, head http.Header) (dest.Result, error) {
	r, err := dest.Post(ctx, out, m, http.MethodGet, address, head, nil, t.Token)
	if err != nil || r.Err != "" {
		return r, err
	}
	var list struct{ Transitions []struct{ ID, Name string } }
	if json.Unmarshal(r.Body, &list) != nil {
		r.Err = "the answer is none of Jira's transitions"
		return r, nil
	}
	for _, x := range list.Transitions {
		if strings.EqualFold(x.Name, t.Setting("done", "Done")) {
			b, err := json.Marshal(map[string]any{"transition": map[string]string{"id": x.ID}})
			if err != nil {
				return dest.Failed("%s", err), nil
			}
			return dest.Post(ctx, out, m, http.MethodPost, address, head, b, t.Token)
		}
	}
	return r, nil // closed already, or the project has no such transition
}

// Label is the issue's label.
func Label(a *alert.Alert) string { return "tenantwatch-" + a.ID }

// Issue is what an issue is opened with.
func Issue(t dest.Target, m dest.Message) any {
	title := strings.NewReplacer("\n", " ", "\r", " ").Replace(m.Alert.Title)
	if r := []rune(title); len(r) > 250 { // 255 is the most
		title = string(r[:250]) + "…"
	}
	text := dest.Text(t.Setting("template", usual), &m.Alert)
	if link := t.Link(&m.Alert); link != "" {
		text += "\n\n" + link
	}
	return map[string]any{"fields": map[string]any{"project": map[string]string{"key": t.Settings["project"]}, "issuetype": map[string]string{"name": t.Setting("type", "Task")},
		"summary": title, "description": text, "labels": []string{"tenantwatch", Label(&m.Alert)}}}
}
