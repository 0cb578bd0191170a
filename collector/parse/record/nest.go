package record

import "github.com/tenantwatch/tenantwatch/pipeline/event"

// Inner reads a text that was found inside a record of another format: JSON in
// the body of an OTLP log record, a line behind a syslog header. It fails when
// no format takes the text. What is inside is never nested again.
type Inner func(text string, env *Env, emit func(*event.Event)) error

// Nester is a Parser of an envelope. The stream hands it the reader of what
// such an envelope may hold before the first record is parsed.
type Nester interface {
	Parser
	Nest(Inner)
}
