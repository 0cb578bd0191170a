package parse

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

var errNoInner = errors.New("no known format")

// nested reads texts inside envelopes with parsers of their own, so that the
// state of the stream's parsers is not disturbed.
type nested struct {
	parsers []record.Parser
	doc     doc.Doc
}

// read tries the formats the text looks like, the likeliest first. Envelopes
// are left out: an envelope in an envelope is nothing a real system writes,
// and leaving it out bounds the work.
func (n *nested) read(text string, env *record.Env, emit func(*event.Event)) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return errNoInner
	}
	if n.parsers == nil {
		n.parsers = make([]record.Parser, len(formats))
	}
	json := text[0] == '{'
	whole := json && n.doc.Read(text) == nil
	score := make([]float64, len(formats))
	for i := range formats {
		switch f := &formats[i]; {
		case f.Envelope || f.JSON != json && !f.Both:
		case json && f.Detect != nil:
			if whole {
				score[i] = f.Detect(&n.doc)
			}
		default:
			score[i] = f.Sniff(text)
		}
	}
	reason := errNoInner
	for first := true; ; first = false {
		best := -1
		for i, s := range score {
			if s >= 0.5 && (best < 0 || s > score[best]) {
				best = i
			}
		}
		if best < 0 {
			return reason
		}
		score[best] = 0
		if n.parsers[best] == nil {
			n.parsers[best] = formats[best].New()
		}
		err := n.parsers[best].Parse(text, env, emit)
		if err == nil {
			return nil
		}
		if first {
			reason = err
		}
	}
}
