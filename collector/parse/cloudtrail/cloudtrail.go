// Package cloudtrail reads AWS CloudTrail records: one at a time, wrapped in
// {"Records":[…]}, or inside an EventBridge envelope's "detail".
//
// Invariant: the id of the event is the record's eventID. An address that is
// the name of an AWS service is no invalid address: it goes to the label
// src_service. The layout follows AWS's "CloudTrail record contents".
package cloudtrail

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Name is the format's name.
const Name = "cloudtrail"

// Parser reads CloudTrail records.
type Parser struct{ b record.Builder }

// New returns a parser for one stream.
func New() record.Parser { return &Parser{} }

// top holds the members of a record that several fields are made of.
type top struct {
	name, source, errorCode, errorMessage, eventType string
	readOnly                                         string
	identity, request, response, extra, resources    record.Value
	records, detail                                  record.Value
	idFromVendor                                     string
}

// Parse reads one record, or the records of a wrapper.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	b := &p.b
	b.Begin(env, Name, raw)
	var t top
	when := ""
	err := record.Each(raw, func(key string, v record.Value) error {
		switch key {
		case "eventTime":
			when = v.String()
		case "eventName":
			t.name = v.String()
		case "eventSource":
			t.source = v.String()
		case "eventType":
			t.eventType = v.String()
		case "eventID":
			t.idFromVendor = v.String()
		case "errorCode":
			t.errorCode = v.String()
		case "errorMessage":
			t.errorMessage = v.String()
		case "readOnly":
			t.readOnly = v.String()
		case "userAgent":
			b.UserAgent = v.String()
		case "sourceIPAddress":
			p.address(v.String())
		case "awsRegion":
			b.AddText("region", v.String())
		case "recipientAccountId":
			b.AddText("account", v.String())
		case "requestID":
			b.AddText("request_id", v.String())
		case "vpcEndpointId":
			b.AddText("vpc_endpoint", v.String())
		case "userIdentity":
			t.identity = v
		case "requestParameters":
			t.request = v
		case "responseElements":
			t.response = v
		case "additionalEventData":
			t.extra = v
		case "resources":
			t.resources = v
		case "Records":
			t.records = v
		case "detail":
			t.detail = v
		case "tenant", "tenant_id":
			if s := v.String(); s != "" {
				b.Owner(env, key, s)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if t.name == "" && t.detail.Kind == record.Object {
		return p.Parse(t.detail.Text, env, emit)
	}
	if t.name == "" && t.records.Kind == record.Array {
		return p.wrapped(t.records.Text, env, emit)
	}
	if t.name == "" || t.source == "" {
		return record.Missing("CloudTrail", "eventName or eventSource", "send the record as AWS delivers it")
	}
	if when == "" {
		return record.Missing("CloudTrail", "eventTime", "send the record as AWS delivers it")
	}
	if b.Time, err = record.ParseTime(when, env.Location()); err != nil {
		return err
	}
	p.fill(&t)
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

// wrapped reads {"Records":[…]} that came as one record. Nothing is emitted
// when one of them cannot be read, so that the whole stays replayable.
func (p *Parser) wrapped(array string, env *record.Env, emit func(*event.Event)) error {
	var all []event.Event
	err := record.EachElement(array, func(v record.Value) error {
		if v.Kind != record.Object {
			return errors.New("CloudTrail Records hold something that is no object")
		}
		if _, nested := record.Member(v.Text, "Records"); nested {
			return errors.New("CloudTrail Records within Records: send them one level deep")
		}
		return p.Parse(v.Text, env, func(e *event.Event) { all = append(all, *e) })
	})
	if err != nil {
		return err
	}
	for i := range all {
		emit(&all[i])
	}
	return nil
}

func (p *Parser) address(s string) {
	if s == "" {
		return
	}
	if strings.HasSuffix(s, ".amazonaws.com") || s == "AWS Internal" || s == "amazonaws.com" {
		p.b.AddLabel("src_service", s)
		return
	}
	p.b.SetIP(s)
}

// fill derives the fields from the collected members.
func (p *Parser) fill(t *top) {
	b := &p.b
	if len(t.idFromVendor) <= event.MaxIDLen {
		b.ID = t.idFromVendor
	} else {
		b.Invalid("id", t.idFromVendor)
	}
	service := strings.TrimSuffix(t.source, ".amazonaws.com")
	b.Action = service + ":" + t.name
	b.Class, b.Activity = classify(service, t.name, t.readOnly)
	p.identity(t.identity, t.source)
	p.resource(t)
	p.outcome(t)
	b.AddText("event_type", t.eventType)
	b.AddText("read_only", t.readOnly)
	if t.extra.Kind == record.Object {
		if v, ok := record.Member(t.extra.Text, "MFAUsed"); ok {
			p.mfa(v.String())
		}
	}
}

// outcome: an error code is a failure; a console log-in says it in its answer.
func (p *Parser) outcome(t *top) {
	b := &p.b
	b.AddText("error_code", t.errorCode)
	b.AddText("error_message", t.errorMessage)
	b.Outcome = event.OutcomeSuccess
	if t.errorCode != "" || t.errorMessage != "" {
		b.Outcome = event.OutcomeFailure
	}
	if t.response.Kind == record.Object {
		for _, key := range [...]string{"ConsoleLogin", "CheckMfa", "SwitchRole"} {
			if v, ok := record.Member(t.response.Text, key); ok && v.String() == "Failure" {
				b.Outcome = event.OutcomeFailure
			}
		}
	}
}

// mfa notes once whether a second factor was used.
func (p *Parser) mfa(s string) {
	if s == "" || p.b.LabelOf("mfa") != "" {
		return
	}
	switch strings.ToLower(s) {
	case "yes", "true":
		p.b.AddLabel("mfa", "true")
	case "no", "false":
		p.b.AddLabel("mfa", "false")
	default:
		p.b.Invalid("mfa", s)
	}
}

// identity reads userIdentity: the actor is the ARN, else the name, else the
// principal, the invoking service, the account.
func (p *Parser) identity(v record.Value, source string) {
	b := &p.b
	var arn, user, principal, account, invoked, kind, email string
	if v.Kind == record.Object {
		_ = record.Each(v.Text, func(key string, v record.Value) error {
			switch key {
			case "arn":
				arn = v.String()
			case "userName":
				user = v.String()
			case "principalId":
				principal = v.String()
			case "accountId":
				account = v.String()
			case "invokedBy":
				invoked = v.String()
			case "type":
				kind = v.String()
			case "email":
				email = v.String()
			case "accessKeyId":
				b.Session = v.String()
			case "sessionContext":
				p.sessionContext(v)
			}
			return nil
		})
	}
	for _, s := range [...]string{arn, email, user, principal, invoked, account} {
		if b.Actor = s; s != "" {
			break
		}
	}
	if b.Actor == "" {
		// AWS itself, or a record that was stripped: the caller is what is left,
		// and the service called when there is none.
		if b.Actor = b.SrcIP; b.Actor == "" {
			b.Actor, b.ActorType = b.LabelOf("src_service"), "service"
		}
		if b.Actor == "" {
			b.Actor = source
		}
	}
	switch kind {
	case "IAMUser", "Root", "IdentityCenterUser", "FederatedUser", "SAMLUser", "WebIdentityUser", "Directory":
		b.ActorType = "user"
	case "AWSService":
		b.ActorType = "service"
	case "AssumedRole":
		// A role is taken by people and machines; the name of the session
		// tells when it is a mail address, or a role only AWS can take.
		switch {
		case strings.Contains(arn, "/AWSServiceRole"), invoked != "":
			b.ActorType = "service"
		case strings.Contains(arn[strings.LastIndexByte(arn, '/')+1:], "@"):
			b.ActorType = "user"
		}
	}
	if b.LabelOf("account") == "" {
		b.AddText("account", account)
	}
	b.AddText("identity_type", kind)
	b.AddText("principal", principal)
	b.AddText("invoked_by", invoked)
}

func (p *Parser) sessionContext(v record.Value) {
	if v.Kind != record.Object {
		return
	}
	if m, ok := record.Member(v.Text, "sessionIssuer", "userName"); ok {
		p.b.Cohort = m.String()
	}
	if m, ok := record.Member(v.Text, "attributes", "mfaAuthenticated"); ok {
		p.mfa(m.String())
	}
}
