package mapping

import (
	"fmt"
	"regexp"
	"strings"
)

// named are the patterns that %{NAME:part} stands for. All are without
// grouping of their own, so that the groups of a line are its parts.
var named = map[string]string{
	"WORD":              `\w+`,
	"NOTSPACE":          `\S+`,
	"SPACE":             `\s*`,
	"DATA":              `.*?`,
	"GREEDYDATA":        `.*`,
	"INT":               `[+-]?\d+`,
	"NUMBER":            `[+-]?(?:\d+(?:\.\d+)?|\.\d+)`,
	"HEX":               `(?:0[xX])?[0-9a-fA-F]+`,
	"UUID":              `[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}`,
	"IPV4":              `(?:\d{1,3}\.){3}\d{1,3}`,
	"IPV6":              `[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*`,
	"IP":                `(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)`,
	"HOSTNAME":          `[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z])?`,
	"IPORHOST":          `[0-9A-Za-z:](?:[0-9A-Za-z.:-]*[0-9A-Za-z])?`,
	"HOSTPORT":          `[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z])?:\d+`,
	"USER":              `[\w.@\\+-]+`,
	"USERNAME":          `[\w.@\\+-]+`,
	"EMAIL":             `[\w.+-]+@[\w-]+(?:\.[\w-]+)*`,
	"PATH":              `(?:/[^\s?#"]*)`,
	"URIPATH":           `(?:/[^\s?#"]*)`,
	"URI":               `[A-Za-z][A-Za-z0-9+.-]*://\S+`,
	"QUOTED":            `"(?:[^"\\]|\\.)*"`,
	"LOGLEVEL":          `[A-Za-z]{3,11}`,
	"ISO8601":           `\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?`,
	"TIMESTAMP_ISO8601": `\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?`,
	"HTTPDATE":          `\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}`,
	"SYSLOGTIMESTAMP":   `[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d`,
	"EPOCH":             `\d{9,19}(?:\.\d+)?`,
}

// Patterns lists the named patterns, for documents.
func Patterns() map[string]string {
	out := make(map[string]string, len(named))
	for k, v := range named {
		out[k] = v
	}
	return out
}

// compile turns a pattern with %{NAME:part} into an expression that must fit
// the whole line.
func compile(s string) (*regexp.Regexp, error) {
	if len(s) > maxPattern {
		return nil, fmt.Errorf("longer than %d bytes", maxPattern)
	}
	var b strings.Builder
	b.WriteString(`^(?:`)
	for s != "" {
		i := strings.Index(s, "%{")
		if i < 0 {
			b.WriteString(s)
			break
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 0 {
			return nil, fmt.Errorf(`"%%{" without "}"`)
		}
		name, part, hasPart := strings.Cut(s[i+2:i+j], ":")
		exp, ok := named[name]
		if !ok {
			return nil, fmt.Errorf("no pattern is named %q", name)
		}
		b.WriteString(s[:i])
		if hasPart {
			group := groupName(part)
			if group == "" {
				return nil, fmt.Errorf("%q cannot name a part: use letters, digits, '_' and '.'", part)
			}
			b.WriteString("(?P<" + group + ">" + exp + ")")
		} else {
			b.WriteString("(?:" + exp + ")")
		}
		s = s[i+j+1:]
		if b.Len() > 16*maxPattern {
			return nil, fmt.Errorf("longer than %d bytes with its named patterns", 16*maxPattern)
		}
	}
	b.WriteString(`)$`)
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, err
	}
	return re, nil
}

// groupName is a part's name as the name of a group, which knows no dots.
func groupName(s string) string {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return ""
		}
	}
	s = strings.ReplaceAll(s, ".", "__")
	if s == "" || len(s) > 64 || s[0] >= '0' && s[0] <= '9' {
		return ""
	}
	return s
}

func partName(group string) string { return strings.ToLower(strings.ReplaceAll(group, "__", ".")) }
