package syslog

import (
	"bytes"
	"errors"
)

// framer finds the messages of a stream as RFC 6587 has them: counted octets
// ("34 <13>1 …") or lines. Each message may be framed either way.
type framer struct {
	buf []byte
	max int // bytes of a message
	// cut says that the rest of a line that was too long is being skipped.
	cut bool
	// tooLong counts messages of which only the beginning was kept.
	tooLong int
}

var errFrame = errors.New("the stream is no syslog: a message's length is not readable or too large")

// add takes bytes that were received.
func (f *framer) add(b []byte) { f.buf = append(f.buf, b...) }

// next returns a message, valid until add; false when more bytes are needed.
func (f *framer) next() (msg []byte, ok bool, err error) {
	for {
		if f.cut {
			i := bytes.IndexByte(f.buf, '\n')
			if i < 0 {
				f.buf = f.buf[:0]
				return nil, false, nil
			}
			f.buf, f.cut = f.buf[i+1:], false
		}
		f.buf = bytes.TrimLeft(f.buf, "\r\n\x00 ")
		if len(f.buf) == 0 {
			return nil, false, nil
		}
		if c := f.buf[0]; c >= '1' && c <= '9' {
			n, head, complete := count(f.buf)
			switch {
			case !complete && len(f.buf) > 10:
			case !complete:
				return nil, false, nil
			case head > 0 && n > f.max:
				return nil, false, errFrame
			case head > 0:
				if len(f.buf) < head+n {
					return nil, false, nil
				}
				msg, f.buf = f.buf[head:head+n], f.buf[head+n:]
				return bytes.TrimRight(msg, "\r\n\x00"), true, nil
			}
			// Digits that are no count begin a line: a time, say.
		}
		i := bytes.IndexByte(f.buf, '\n')
		if i < 0 {
			if len(f.buf) > f.max {
				msg, f.buf, f.cut = f.buf[:f.max], f.buf[:0], true
				f.tooLong++
				return msg, true, nil
			}
			return nil, false, nil
		}
		msg, f.buf = f.buf[:i], f.buf[i+1:]
		if len(msg) > f.max {
			msg = msg[:f.max]
			f.tooLong++
		}
		if msg = bytes.TrimRight(msg, "\r\x00"); len(msg) > 0 {
			return msg, true, nil
		}
	}
}

// rest is what stands unfinished at the end of a connection: the last line of
// a sender that writes no newline behind it. Of a counted message it is not
// known whether it is whole, so it is none.
func (f *framer) rest() []byte {
	if f.cut || len(f.buf) == 0 || f.buf[0] >= '1' && f.buf[0] <= '9' {
		return nil
	}
	return bytes.TrimRight(f.buf, "\r\n\x00 ")
}

// count reads the octet count; head is its length with the space, 0 when the
// digits are none.
func count(b []byte) (n, head int, complete bool) {
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9' && i < 9:
			n = 10*n + int(c-'0')
		case c == ' ':
			return n, i + 1, true
		default:
			return 0, 0, true
		}
	}
	return 0, 0, false
}

// line puts a message on one line, as syslog daemons write them to files.
func line(dst, msg []byte) []byte {
	for _, c := range msg {
		if c == '\n' {
			dst = append(dst, "#012"...)
			continue
		}
		dst = append(dst, c)
	}
	return append(dst, '\n')
}
