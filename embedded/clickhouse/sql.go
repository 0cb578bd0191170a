package clickhouse

import "strings"

// statement is what the front has to know of an SQL text before it hands it to
// the engine. It decides how data flows (streamed or not, body as SQL or as
// rows), never what is allowed: a wrong guess ends in the engine's own error.
type statement struct {
	verb   string // first word, upper case; "(" for a bracketed SELECT
	format string // name in a trailing FORMAT clause, "Values" for a trailing VALUES, else empty
	// body is the text less the trailing FORMAT or VALUES clause, without a
	// closing semicolon: what the streaming insert wants.
	body string
	// inner says that an INSERT brings its own SELECT or rows.
	inner bool
	// settingsAfter says that SETTINGS follow the FORMAT clause.
	settingsAfter bool
}

// selects says that the statement may be one whose result can be streamed.
func (s statement) selects() bool {
	switch s.verb {
	case "SELECT", "WITH", "(", "FROM":
		return true
	}
	return false
}

// takesData says that the statement is an INSERT whose rows come from the body.
func (s statement) takesData() bool {
	return s.verb == "INSERT" && !s.inner && !s.settingsAfter
}

type token struct {
	text       string // upper case for words; the character itself for others
	word       bool
	start, end int
	depth      int
}

// parseStatement reads the outline of one statement: it knows comments,
// quotes and brackets, and no grammar beyond that.
func parseStatement(sql string) statement {
	toks := tokenize(sql)
	st := statement{}
	if len(toks) == 0 {
		return st
	}
	for len(toks) > 0 && toks[len(toks)-1].text == ";" {
		toks = toks[:len(toks)-1]
	}
	if len(toks) == 0 {
		return st
	}
	st.verb = toks[0].text
	st.body = sql[:toks[len(toks)-1].end]
	for i, t := range toks {
		if t.depth != 0 || !t.word || i == 0 {
			continue
		}
		switch t.text {
		case "SELECT", "WITH":
			st.inner = true
		case "VALUES":
			if st.verb != "INSERT" {
				continue
			}
			if i == len(toks)-1 {
				st.format, st.body = "Values", sql[:t.start]
			} else {
				st.inner = true
			}
		case "FORMAT":
			if i+1 >= len(toks) || !toks[i+1].word {
				continue
			}
			name := toks[i+1]
			switch {
			case i+2 == len(toks):
				st.body = sql[:t.start]
			case toks[i+2].word && toks[i+2].text == "SETTINGS" && i+3 < len(toks):
				st.settingsAfter = true
			default:
				st.inner = st.inner || st.verb == "INSERT"
				continue
			}
			st.format = sql[name.start:name.end]
		}
	}
	return st
}

// tokenize splits off words and single characters; quoted text is one token
// that is no word. Text with an unclosed quote or comment ends there: the
// engine will name the error.
func tokenize(sql string) []token {
	var toks []token
	depth := 0
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v' || c == 0:
			i++
		case strings.HasPrefix(sql[i:], "--"), strings.HasPrefix(sql[i:], "#!"), strings.HasPrefix(sql[i:], "# "):
			i = skipTo(sql, i, "\n")
		case strings.HasPrefix(sql[i:], "/*"):
			i = skipTo(sql, i+2, "*/")
		case c == '\'' || c == '"' || c == '`':
			end := skipQuoted(sql, i)
			toks = append(toks, token{text: string(c), start: i, end: end, depth: depth})
			i = end
		case isWordByte(c):
			j := i
			for j < len(sql) && isWordByte(sql[j]) {
				j++
			}
			toks = append(toks, token{text: strings.ToUpper(sql[i:j]), word: true, start: i, end: j, depth: depth})
			i = j
		case c == '$':
			end := skipHeredoc(sql, i)
			toks = append(toks, token{text: "$", start: i, end: end, depth: depth})
			i = end
		default:
			if c == ')' || c == ']' || c == '}' {
				depth = max(depth-1, 0)
			}
			toks = append(toks, token{text: string(rune(c)), start: i, end: i + 1, depth: depth})
			if c == '(' || c == '[' || c == '{' {
				depth++
			}
			i++
		}
	}
	return toks
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// skipTo returns the index after the next end, or the length of the text.
func skipTo(sql string, from int, end string) int {
	if n := strings.Index(sql[from:], end); n >= 0 {
		return from + n + len(end)
	}
	return len(sql)
}

// skipQuoted returns the index after the closing quote; both escapes are
// known, the backslash and the doubled quote.
func skipQuoted(sql string, i int) int {
	q := sql[i]
	for i++; i < len(sql); i++ {
		switch sql[i] {
		case '\\':
			i++
		case q:
			if i+1 < len(sql) && sql[i+1] == q {
				i++
				continue
			}
			return i + 1
		}
	}
	return len(sql)
}

// skipHeredoc skips $tag$ … $tag$, or only the dollar when it opens none.
func skipHeredoc(sql string, i int) int {
	j := i + 1
	for j < len(sql) && isWordByte(sql[j]) {
		j++
	}
	if j >= len(sql) || sql[j] != '$' {
		return i + 1
	}
	tag := sql[i : j+1]
	if n := strings.Index(sql[j+1:], tag); n >= 0 {
		return j + 1 + n + len(tag)
	}
	return len(sql)
}

// quoteString writes s as an SQL string literal.
func quoteString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// quoteIdentifier writes s as a quoted SQL identifier.
func quoteIdentifier(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}

// streamable formats have neither head nor tail nor a state between rows, so
// that the engine's chunks can be written one after the other.
func streamable(format string) bool {
	switch strings.ToLower(format) {
	case "native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "jsoneachrow", "jsonlines", "ndjson",
		"jsoncompacteachrow", "rowbinary", "lineasstring", "rawblob", "null", "tskv", "msgpack":
		return true
	}
	return false
}
