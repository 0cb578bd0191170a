package offline

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
)

// maxLine is the longest line of a series file.
const maxLine = 1 << 20

// SeriesSummary says what was read.
type SeriesSummary struct {
	Rows    uint64
	Missing uint64 // rows without a value: scored 0
}

// ScoreSeries reads lines `timestamp,value` and writes `timestamp,value,score`
// under a header. What has been read is written out before it waits for more,
// so that it works on a pipe. Timestamp and value are echoed unchanged. A first line
// whose value is no number is a header. An empty value, NaN and the like score
// 0. Any other line is an error that names it, and ends the run; what was
// before it has been written. Fields after the second are ignored.
func ScoreSeries(r io.Reader, w io.Writer) (sum SeriesSummary, err error) {
	in := bufio.NewReaderSize(r, maxLine)
	out := bufio.NewWriterSize(w, 64<<10)
	defer func() {
		if e := out.Flush(); e != nil && err == nil {
			err = fmt.Errorf("write scores: %w", e)
		}
	}()
	if _, err := out.WriteString("timestamp,value,score\n"); err != nil {
		return sum, fmt.Errorf("write scores: %w", err)
	}
	var s baseline.Series
	line := 0
	for {
		b, readErr := in.ReadSlice('\n')
		if errors.Is(readErr, bufio.ErrBufferFull) {
			return sum, fmt.Errorf("line %d is longer than %d bytes: is this a CSV file?", line+1, maxLine)
		}
		if readErr != nil && readErr != io.EOF {
			return sum, fmt.Errorf("read series: %w", readErr)
		}
		if len(b) == 0 {
			return sum, nil
		}
		line++
		text := strings.TrimRight(string(b), "\r\n")
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text == "" {
			continue
		}
		stamp, rest, ok := strings.Cut(text, ",")
		if !ok {
			return sum, fmt.Errorf("line %d: %q has no comma: want timestamp,value", line, cut(text))
		}
		raw, _, _ := strings.Cut(rest, ",")
		v, ok := value(raw)
		if !ok {
			if line == 1 {
				continue // the header
			}
			return sum, fmt.Errorf("line %d: value %q is no number: want timestamp,value, an empty value where there is none", line, cut(raw))
		}
		sum.Rows++
		score := 0.0
		if math.IsNaN(v) || math.IsInf(v, 0) {
			sum.Missing++
		} else {
			score = s.Score(unix(stamp), v)
		}
		if _, err := fmt.Fprintf(out, "%s,%s,%s\n", stamp, raw, strconv.FormatFloat(score, 'f', 6, 64)); err != nil {
			return sum, fmt.Errorf("write scores: %w", err)
		}
		if in.Buffered() == 0 { // nothing more has come yet: do not keep the reader waiting
			if err := out.Flush(); err != nil {
				return sum, fmt.Errorf("write scores: %w", err)
			}
		}
	}
}

// value reads a number; NaN where there is none.
func value(raw string) (float64, bool) {
	raw = strings.Trim(strings.TrimSpace(raw), `"`)
	switch strings.ToLower(raw) {
	case "", "na", "n/a", "null", "none", "nan":
		return math.NaN(), true
	}
	v, err := strconv.ParseFloat(raw, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return v, true
}

// layouts are the forms of time that are understood; others, which only lose
// the time of day, are taken as they are.
var layouts = []string{"2006-01-02 15:04:05", time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02", "01/02/2006 15:04:05"}

// unix is the time in seconds, 0 when it is not understood.
func unix(stamp string) int64 {
	stamp = strings.Trim(strings.TrimSpace(stamp), `"`)
	if f, err := strconv.ParseFloat(stamp, 64); err == nil {
		switch {
		case f != f || math.Abs(f) > 1e18:
			return 0
		case math.Abs(f) > 1e14: // microseconds
			return int64(f / 1e6)
		case math.Abs(f) > 1e11: // milliseconds
			return int64(f / 1e3)
		}
		return int64(f)
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, stamp); err == nil {
			return t.Unix()
		}
	}
	return 0
}

func cut(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
