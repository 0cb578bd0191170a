package clickhouse

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// frameSize is how much is compressed at once, as in ClickHouse's
// max_compress_block_size.
const frameSize = 1 << 20

// frameWriter writes ClickHouse's own compressed frames (compress=1): checksum,
// method, sizes, data. Nothing reaches the client before Close or a full frame.
type frameWriter struct {
	w   io.Writer
	c   *compress.Writer
	buf []byte
}

// newFrameWriter takes the name of network_compression_method; LZ4 is the default.
func newFrameWriter(w io.Writer, method string) (*frameWriter, error) {
	m := compress.LZ4
	switch strings.ToUpper(method) {
	case "", "LZ4":
	case "ZSTD":
		m = compress.ZSTD
	case "LZ4HC":
		m = compress.LZ4HC
	case "NONE":
		m = compress.None
	default:
		return nil, newException(codeBadArguments, "BAD_ARGUMENTS", "network_compression_method %q is not supported: want LZ4, LZ4HC, ZSTD or NONE", method)
	}
	return &frameWriter{w: w, c: compress.NewWriter(compress.LevelZero, m)}, nil
}

func (f *frameWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(f.buf) == 0 && len(p) >= frameSize {
			if err := f.frame(p[:frameSize]); err != nil {
				return 0, err
			}
			p = p[frameSize:]
			continue
		}
		k := min(frameSize-len(f.buf), len(p))
		f.buf = append(f.buf, p[:k]...)
		p = p[k:]
		if len(f.buf) == frameSize {
			if err := f.Flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (f *frameWriter) frame(p []byte) error {
	if err := f.c.Compress(p); err != nil {
		return err
	}
	_, err := f.w.Write(f.c.Data)
	return err
}

// Flush writes what is held back as a frame of its own.
func (f *frameWriter) Flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	err := f.frame(f.buf)
	f.buf = f.buf[:0]
	return err
}

// Close flushes and ends with a frame of no data; it does not close the writer
// below. The driver's reader (ch-go v0.74), once at the end of the stream, hands
// out its last frame again; the driver looks through that for the mark of an
// error within a result, and would find it in data that holds the same bytes.
func (f *frameWriter) Close() error {
	if err := f.Flush(); err != nil {
		return err
	}
	f.c = compress.NewWriter(compress.LevelZero, compress.None)
	return f.frame(nil)
}

// encoder is what all the response encodings have in common.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// newEncoder returns the writer for the first encoding of an Accept-Encoding
// header that is known, and its name; none for identity.
func newEncoder(w io.Writer, accept string) (encoder, string) {
	for _, part := range strings.Split(accept, ",") {
		name, q, _ := strings.Cut(part, ";")
		if strings.ReplaceAll(q, " ", "") == "q=0" {
			continue
		}
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "gzip":
			return gzip.NewWriter(w), name
		case "deflate":
			return zlib.NewWriter(w), name
		case "br":
			return brotli.NewWriterLevel(w, 3), name
		case "zstd":
			if z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)); err == nil {
				return z, name
			}
		}
	}
	return nil, ""
}

// newDecoder undoes the Content-Encoding of a request body.
func newDecoder(r io.Reader, encoding string) (io.Reader, func(), error) {
	nothing := func() {}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return r, nothing, nil
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, newException(codeIncorrectData, "INCORRECT_DATA", "the body is not gzip: %s", err)
		}
		return z, nothing, nil
	case "deflate":
		z, err := zlib.NewReader(r)
		if err != nil {
			return nil, nil, newException(codeIncorrectData, "INCORRECT_DATA", "the body is not deflate (zlib): %s", err)
		}
		return z, nothing, nil
	case "br":
		return brotli.NewReader(r), nothing, nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, nil, newException(codeIncorrectData, "INCORRECT_DATA", "the body is not zstd: %s", err)
		}
		return z, z.Close, nil
	}
	return nil, nil, newException(codeNotImplemented, "NOT_IMPLEMENTED", "content encoding %q is not supported: want gzip, deflate, br or zstd", encoding)
}

// frameReader reads ClickHouse's compressed frames (decompress=1) and, unlike
// the reader it stands on, tells a clean end from a frame that was cut off.
type frameReader struct {
	src   io.Reader
	frame bytes.Reader
	buf   bytes.Buffer
	dec   *compress.Reader
	left  int // bytes of the frame at hand not read yet
}

func newFrameReader(src io.Reader) *frameReader {
	f := &frameReader{src: src}
	f.dec = compress.NewReader(&f.frame)
	return f
}

// The header of a frame: checksum, method, size with the last nine bytes of
// this header, size of the data.
const (
	frameHeader  = 16 + 1 + 4 + 4
	maxFrameSize = 128 << 20
)

func (f *frameReader) Read(p []byte) (int, error) {
	for f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.dec.Read(p[:min(len(p), f.left)])
	f.left -= n
	if err != nil {
		return n, newException(codeIncorrectData, "INCORRECT_DATA", "corrupted compressed frame in the body: %s", err)
	}
	return n, nil
}

// next takes in one whole frame; io.EOF only at its border.
func (f *frameReader) next() error {
	f.buf.Reset()
	var h [frameHeader]byte
	if _, err := io.ReadFull(f.src, h[:]); err != nil {
		return err
	}
	raw, data := int64(binary.LittleEndian.Uint32(h[17:])), int64(binary.LittleEndian.Uint32(h[21:]))
	if raw < 9 || raw > maxFrameSize || data > maxFrameSize {
		return newException(codeIncorrectData, "INCORRECT_DATA", "compressed frame of %d bytes holding %d: want at most %d of each", raw, data, maxFrameSize)
	}
	f.buf.Write(h[:])
	if n, err := io.CopyN(&f.buf, f.src, raw-9); err != nil {
		if err == io.EOF && n < raw-9 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	f.frame.Reset(f.buf.Bytes())
	f.left = int(data)
	return nil
}
