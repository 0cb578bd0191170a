package query

import "strings"

// Type is what values a field takes.
type Type string

// The types of fields.
const (
	TypeText     Type = "text"
	TypeNumber   Type = "number"
	TypeBytes    Type = "bytes"    // a number with units B, KB, MB, GB, TB, KiB, MiB, GiB, TiB
	TypeDuration Type = "duration" // milliseconds, with units ms, s, m, h
	TypeAddress  Type = "address"  // an address, a prefix or a pattern
	TypeTime     Type = "time"     // RFC 3339 or YYYY-MM-DD, UTC when it has no zone
	TypeOutcome  Type = "outcome"  // success, failure or unknown
	TypeLabels   Type = "labels"   // named label.<key>, compared as text
)

// Field is one thing a query can name.
type Field struct {
	Name    string // the event record's name; "label" for all labels
	Type    Type
	Doc     string
	Aliases []string
	Example string
	Facet   bool     // whether counting its values makes sense
	Values  []string // the words it takes, when they are few

	upper bool               // values are upper case in the record
	names map[string]float64 // words for numbers
}

// numeric reports whether the field compares as a number.
func (f Field) numeric() bool {
	return f.Type == TypeNumber || f.Type == TypeBytes || f.Type == TypeDuration
}

// Fields are all fields in the order of the event record. The slice is the
// caller's own.
func Fields() []Field {
	severities := map[string]float64{"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5, "fatal": 6}
	classes := map[string]float64{"account_change": 3001, "authentication": 3002, "http_activity": 4002, "api_activity": 6003}
	return []Field{
		{Name: "id", Type: TypeText, Doc: "The event's id, as the sender gave it", Example: `id:7d1c*`},
		{Name: "time", Type: TypeTime, Doc: "When it happened", Aliases: []string{"at"}, Example: `time>=2026-03-01`},
		{Name: "ingested_at", Type: TypeTime, Doc: "When it came in", Example: `ingested_at:2026-03-01`},
		{Name: "class_uid", Type: TypeNumber, Doc: "OCSF class, by number or name", Aliases: []string{"class"}, Example: `class:authentication`, Facet: true,
			Values: []string{"account_change", "authentication", "http_activity", "api_activity"}, names: classes},
		{Name: "activity", Type: TypeNumber, Doc: "OCSF activity within the class", Example: `activity:1`, Facet: true},
		{Name: "action", Type: TypeText, Doc: "What was done", Aliases: []string{"verb"}, Example: `action:file.*`, Facet: true},
		{Name: "outcome", Type: TypeOutcome, Doc: "Whether it succeeded", Aliases: []string{"result"}, Example: `outcome:failure`, Facet: true,
			Values: []string{"success", "failure", "unknown"}},
		{Name: "severity", Type: TypeNumber, Doc: "OCSF severity, 0 to 6 or its name", Example: `severity>=high`, Facet: true,
			Values: []string{"informational", "low", "medium", "high", "critical", "fatal"}, names: severities},
		{Name: "actor", Type: TypeText, Doc: "Who did it", Aliases: []string{"user", "who"}, Example: `actor:alice@*`, Facet: true},
		{Name: "actor_type", Type: TypeText, Doc: "user or service", Example: `actor_type:service`, Facet: true},
		{Name: "cohort", Type: TypeText, Doc: "The actor's role or group", Aliases: []string{"role", "group"}, Example: `cohort:admins`, Facet: true},
		{Name: "session", Type: TypeText, Doc: "The session", Example: `session:s1`, Facet: true},
		{Name: "src_ip", Type: TypeAddress, Doc: "Where it came from: an address, a prefix or a pattern", Aliases: []string{"ip", "address"}, Example: `src_ip:10.0.0.0/8`, Facet: true},
		{Name: "country", Type: TypeText, Doc: "ISO 3166-1 code of two letters", Example: `-country:DE`, Facet: true, upper: true},
		{Name: "city", Type: TypeText, Doc: "City", Example: `city:Berlin`, Facet: true},
		{Name: "latitude", Type: TypeNumber, Doc: "Degrees north", Aliases: []string{"lat"}, Example: `latitude>60`},
		{Name: "longitude", Type: TypeNumber, Doc: "Degrees east", Aliases: []string{"lon"}, Example: `longitude:-10..10`},
		{Name: "asn", Type: TypeNumber, Doc: "Number of the autonomous system", Example: `asn:3320`, Facet: true},
		{Name: "user_agent", Type: TypeText, Doc: "User agent", Aliases: []string{"ua", "agent"}, Example: `user_agent:curl/*`, Facet: true},
		{Name: "device", Type: TypeText, Doc: "Device", Example: `device:laptop-17`, Facet: true},
		{Name: "resource", Type: TypeText, Doc: "What it was done to", Aliases: []string{"object", "path"}, Example: `resource:file/*`, Facet: true},
		{Name: "resource_type", Type: TypeText, Doc: "What kind of thing that is", Example: `resource_type:bucket`, Facet: true},
		{Name: "http_method", Type: TypeText, Doc: "HTTP method", Aliases: []string{"method"}, Example: `method:POST`, Facet: true, upper: true},
		{Name: "status", Type: TypeNumber, Doc: "HTTP status", Example: `status:500..599`, Facet: true},
		{Name: "bytes_in", Type: TypeBytes, Doc: "Bytes towards the service", Example: `bytes_in>10KiB`},
		{Name: "bytes_out", Type: TypeBytes, Doc: "Bytes towards the client", Aliases: []string{"bytes"}, Example: `bytes>1MB`},
		{Name: "duration", Type: TypeDuration, Doc: "How long it took", Example: `duration>=1.5s`},
		{Name: "count", Type: TypeNumber, Doc: "How often the line says it was repeated", Example: `count>1`},
		{Name: "source", Type: TypeText, Doc: "The log source", Example: `source:web-*`, Facet: true},
		{Name: "format", Type: TypeText, Doc: "The format it was read from", Example: `format:cloudtrail`, Facet: true},
		{Name: "label", Type: TypeLabels, Doc: "Any other key of the event, as label.<key>", Aliases: []string{"labels"}, Example: `label.team:blue`, Facet: true},
		{Name: "raw", Type: TypeText, Doc: "The original line", Example: `raw:*sudo*`},
	}
}

// Lookup finds a field by name or alias, whatever its case.
func Lookup(name string) (Field, bool) {
	for _, f := range Fields() {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
		for _, a := range f.Aliases {
			if strings.EqualFold(a, name) {
				return f, true
			}
		}
	}
	return Field{}, false
}

// nearest is the field name, alias or word closest to what was written, or ""
// when nothing is close.
func nearest(written string, candidates []string) string {
	written = strings.ToLower(written)
	best, bestDistance := "", 3
	if len(written) <= 3 {
		bestDistance = 2
	}
	for _, c := range candidates {
		if d := distance(written, strings.ToLower(c), bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" && len(written) >= 3 {
		for _, c := range candidates {
			if strings.HasPrefix(strings.ToLower(c), written) {
				return c
			}
		}
	}
	return best
}

func fieldNames() []string {
	var names []string
	for _, f := range Fields() {
		names = append(names, f.Name)
	}
	for _, f := range Fields() {
		names = append(names, f.Aliases...)
	}
	return names
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours that turn a into b, or limit when it is not less than that.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before := make([]int, len(b)+1)
	previous := make([]int, len(b)+1)
	current := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return min(previous[len(b)], limit)
}
