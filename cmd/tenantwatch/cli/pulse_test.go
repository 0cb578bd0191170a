package cli

import (
	"bytes"
	"io"
	"testing"
)

// A source that rests gets empty lines between its own, never within one.
func TestPulseFillsRestsAtLineEnds(t *testing.T) {
	r, w := io.Pipe()
	p := newPulse(r)
	defer p.stop()
	go func() {
		_, _ = io.WriteString(w, "one\n\"two")
	}()
	b := make([]byte, 64)
	var got []byte
	for !bytes.HasSuffix(got, []byte("\n\n")) { // "one", then a rest amid the second line
		n, err := p.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if string(got) != "one\n\n" {
		t.Fatalf("%q: want the first line and an empty one", got)
	}
	go func() {
		_, _ = io.WriteString(w, " parts\"\nend")
		_ = w.Close()
	}()
	rest, err := io.ReadAll(p)
	if err != nil || string(bytes.TrimLeft(rest, "\n")) != "\"two parts\"\nend" {
		t.Fatalf("%q, %v", rest, err)
	}
}
