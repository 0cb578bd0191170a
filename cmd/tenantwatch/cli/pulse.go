package cli

import (
	"bufio"
	"io"
	"time"
)

// pulseEvery is how often a stream that rests gets an empty line, which the
// collector skips: it keeps the request alive and hands on what is waiting.
const pulseEvery = 500 * time.Millisecond

// pulse reads whole lines and adds an empty one while there is none.
type pulse struct {
	lines chan []byte
	quit  chan struct{}
	rest  []byte
	err   error // of the source, once lines is closed
}

func newPulse(r io.Reader) *pulse {
	p := &pulse{lines: make(chan []byte, 16), quit: make(chan struct{})}
	go func() { // ends with the source, or at the first line after stop
		defer close(p.lines)
		in := bufio.NewReaderSize(r, 1<<16)
		for {
			line, err := in.ReadBytes('\n')
			if len(line) > 0 {
				select {
				case p.lines <- line:
				case <-p.quit:
					return
				}
			}
			if err != nil {
				p.err = err
				return
			}
		}
	}()
	return p
}

func (p *pulse) stop() { close(p.quit) }

// Read gives the next bytes of a line, or an empty line after a rest.
func (p *pulse) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		t := time.NewTimer(pulseEvery)
		defer t.Stop()
		select {
		case line, ok := <-p.lines:
			if !ok {
				return 0, p.err
			}
			p.rest = line
		case <-t.C:
			p.rest = []byte{'\n'}
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
