// Package shortform reads the JSON an application pushes: one object with
// time, actor and action, and any other field of the record.
//
// Invariant: only a missing or unreadable time, actor or action, or broken
// JSON, refuses a line. Any other field that cannot be read is left empty and
// kept as a label; keys the record does not have are labels. The package must
// not let a payload choose its tenant: the key goes to the labels, unless the
// caller is an offline command.
package shortform

import (
	"errors"
	"fmt"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Name is the format's name.
const Name = "shortform"

// Parser reads the short form.
type Parser struct {
	b       record.Builder
	classes record.Classifier
}

// New returns a parser for one stream.
func New() record.Parser { return &Parser{} }

// Parse reads one JSON object.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	b := &p.b
	b.Begin(env, Name, raw)
	var lat, lon string
	var class bool
	activity := false
	err := record.Each(raw, func(key string, v record.Value) error {
		switch key {
		case "time":
			return p.time(env, v)
		case "actor":
			return required(key, v, &b.Actor)
		case "action":
			return required(key, v, &b.Action)
		}
		if v.Kind == record.Null {
			return nil
		}
		s, scalar := v.Scalar()
		if !scalar {
			switch {
			case key == "labels" && v.Kind == record.Object:
				b.Flatten("", v)
			case isField(key):
				b.Invalid(key, v.Text)
			default:
				b.Flatten(key, v)
			}
			return nil
		}
		switch key {
		case "id":
			if len(s) > event.MaxIDLen {
				b.Invalid(key, s)
				return nil
			}
			b.ID = s
		case "class_uid":
			class = b.SetClass(s)
		case "activity", "activity_id":
			b.SetActivity(s)
			activity = b.Activity != 0
		case "outcome":
			b.SetOutcome(s)
		case "severity":
			b.SetSeverity(s)
		case "actor_type":
			b.ActorType = s
		case "cohort":
			b.Cohort = s
		case "session":
			b.Session = s
		case "src_ip":
			b.SetIP(s)
		case "country":
			b.SetCountry(s)
		case "city":
			b.City = s
		case "latitude":
			lat = s
		case "longitude":
			lon = s
		case "asn":
			b.SetASN(s)
		case "user_agent":
			b.UserAgent = s
		case "device":
			b.Device = s
		case "resource":
			b.Resource = s
		case "resource_type":
			b.ResourceType = s
		case "http_method":
			b.HTTPMethod = s
		case "status":
			b.SetStatus(s)
		case "bytes_in":
			b.SetBytes(&b.BytesIn, key, s)
		case "bytes_out", "bytes":
			b.SetBytes(&b.BytesOut, key, s)
		case "duration":
			b.SetDuration(s)
		case "count":
			b.SetCount(s)
		case "source":
			if env.Source == "" {
				b.Source = s
			} else {
				b.AddLabel(key, s)
			}
		case "raw":
			// A forwarder that normalised the line itself sends the original.
			if s != "" {
				b.Raw = s
			}
		case "tenant", "tenant_id":
			b.Owner(env, key, s)
		default:
			// Unknown keys; also ingested_at, format and flags, which say how
			// the collector took a line and are never a sender's to state.
			b.AddLabel(key, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.SetPosition(lat, lon)
	if !class && b.Action != "" {
		c, a := p.classes.Of(b.Action)
		b.Class = c
		if !activity {
			b.Activity = a
		}
	}
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

func (p *Parser) time(env *record.Env, v record.Value) (err error) {
	if v.Kind != record.String && v.Kind != record.Number {
		return errors.New(`time is neither text nor number: write it as "2026-03-01T09:15:02Z" or as seconds or milliseconds since 1970`)
	}
	p.b.Time, err = record.ParseTime(v.Text, env.Location())
	return err
}

// required takes text, or a number as its text: many systems count their users.
func required(key string, v record.Value, p *string) error {
	switch v.Kind {
	case record.String, record.Number:
		*p = v.Text
		return nil
	case record.Null:
		return nil // Finish says that it is missing
	}
	return fmt.Errorf("%s is neither text nor number: give it as a string", key)
}

// isField says that key is a field of the record that cannot hold an object.
func isField(key string) bool {
	switch key {
	case "id", "class_uid", "activity", "activity_id", "outcome", "severity", "actor_type", "cohort", "session",
		"src_ip", "country", "city", "latitude", "longitude", "asn", "user_agent", "device", "resource",
		"resource_type", "http_method", "status", "bytes_in", "bytes_out", "bytes", "duration", "count", "source", "raw",
		"labels":
		return true
	}
	return false
}

// Sniff says how much a JSON object looks like the short form, 0 to 1.
func Sniff(raw string) float64 {
	var n float64
	_ = record.Each(raw, func(key string, v record.Value) error {
		switch key {
		case "time":
			n += 0.3
		case "action":
			n += 0.3
		case "actor":
			if v.Kind == record.String || v.Kind == record.Number {
				n += 0.4
			}
		}
		return nil
	})
	return min(n, 1)
}
