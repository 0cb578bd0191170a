package core

import "strings"

// clean makes a string storable as text, which takes neither U+0000 nor bytes
// that are no UTF-8. Documents keep the original; this is for columns that are
// searched or shown.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// cut is clean, at most n bytes long and ending between characters.
func cut(s string, n int) string {
	s = clean(s)
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
