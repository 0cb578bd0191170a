package generic

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// signs are the values that tell what a record is when none names an action.
type signs struct {
	query, answer, src, dst, verdict, number, text, object *doc.Value
	old, new                                               bool
}

// look finds them. Keys that were taken for another field do not count.
func look(d *doc.Doc) (s signs) {
	for i := range d.Values {
		v := &d.Values[i]
		if v.Depth == 1 {
			switch {
			case strings.EqualFold(v.Key, "old"):
				s.old = v.Kind == record.Object
			case strings.EqualFold(v.Key, "new"):
				s.new = v.Kind == record.Object
			}
		}
		if !v.Any() {
			continue
		}
		k := words(v.Key)
		has := func(w string) bool { return contains(k, w) }
		port := has("port") || isIP(v.Text)
		switch {
		case has("query") && has("name"), strings.EqualFold(v.Key, "domain"), has("domain") && has("name") && v.Depth == 1:
			s.query = v
		case strings.EqualFold(v.Key, "rcode"), has("query") && has("type"), has("response") && has("code"):
			s.answer = v
		case port && (has("src") || has("source")):
			s.src = v
		case port && (has("dst") || has("dest") || has("destination")):
			s.dst = v
		case actionLast[known(v.Place).last] >= 40 && verdict(v.Text) != event.OutcomeUnknown:
			s.verdict = v
		case has("event") && (has("id") || has("type") || has("code")) && digits(v.Text) && len(v.Text) <= 6:
			s.number = v
		case v.Depth == 1 && strings.EqualFold(v.Key, "object") && len(v.Text) <= 40:
			s.object = v
		case v.Kind == record.String && v.Depth <= 2 && (has("title") || has("description") || has("message") || has("summary")) && len(v.Text) >= 4:
			if s.text == nil || len(v.Text) < len(s.text.Text) {
				s.text = v
			}
		}
	}
	return s
}

// action gives a record that names none what its shape says it is: a query for
// a name, a connection, a request that was let through or not, the number of
// its kind, else the words of its description that name nothing in particular.
func (p *picked) action(d *doc.Doc, b *record.Builder) {
	if b.Action != "" {
		return
	}
	s := look(d)
	set := func(action string, v *doc.Value) {
		b.Action = action
		d.Took("action", v)
	}
	switch {
	case s.query != nil && (s.answer != nil || s.verdict != nil):
		set("dns.query", s.query)
		b.Resource, b.ResourceType = s.query.Text, "domain"
		d.Took("resource", s.query)
	case s.dst != nil && (s.src != nil || b.SrcIP != ""):
		set("network.connection", s.dst)
	case s.verdict != nil && (b.SrcIP != "" || b.Actor != ""):
		set("request."+strings.ToLower(s.verdict.Text), s.verdict)
	case s.object != nil && s.new:
		verb := ".created"
		if s.old {
			verb = ".updated"
		}
		set(strings.ToLower(s.object.Text)+verb, s.object)
	case s.number != nil && (b.Actor != "" || b.SrcIP != "" || s.text != nil):
		set("event."+s.number.Text, s.number)
	case s.text != nil && (b.Actor != "" || b.SrcIP != "") && b.Time != 0:
		if t := gist(s.text.Text); t != "" {
			set(t, s.text)
		}
	}
}

// gist is what stays of a sentence without the words that name somebody or
// something: those with digits or signs, and what stands in quotes. At most
// eight words, so that the same kind of event keeps the same name.
func gist(s string) string {
	var out []string
	quoted := false
	for _, w := range strings.Fields(s[:min(len(s), 300)]) {
		begins, ends := strings.IndexByte("'\"`(", w[0]) >= 0, strings.IndexByte("'\"`)", w[len(w)-1]) >= 0
		if begins && !ends {
			quoted = true
		}
		plain := strings.TrimRight(w, ".,:;!?")
		for i := range len(plain) {
			if c := plain[i] | 0x20; (c < 'a' || c > 'z') && plain[i] != '-' {
				plain = ""
				break
			}
		}
		if !quoted && !begins && plain != "" && len(plain) <= 20 && len(out) < 8 {
			out = append(out, strings.ToLower(plain))
		}
		if ends {
			quoted = false
		}
	}
	if len(out) < 2 {
		return ""
	}
	return strings.Join(out, " ")
}
