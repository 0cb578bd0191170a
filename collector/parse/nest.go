package parse

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

var errNoInner = errors.New("no known format")

// nested reads texts inside envelopes with parsers of their own, so that the
// state of the stream's parsers is not disturbed.
type nested struct{ parsers []record.Parser }

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
	score := make([]float64, len(formats))
	for i := range formats {
		if formats[i].JSON == json && !formats[i].Envelope {
			score[i] = formats[i].Sniff(text)
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
