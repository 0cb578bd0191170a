package clickhouse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	chgo "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// nativeSample selects every type there is a layout of, nested and empty too.
const nativeSample = `SELECT number AS n, toString(number) AS s, toLowCardinality(toString(number % 3)) AS lc,
	toLowCardinality(if(number % 2 = 0, toNullable(toString(number)), NULL)) AS nlc, toInt8(number) AS i8, toInt128(number) AS i128, toUInt256(number) AS u256,
	toFloat32(number) AS f32, number % 2 = 0 AS b, toDate(number) AS d, toDate32(number) AS d32, toDateTime(number, 'UTC') AS dt, toDateTime64(number, 9, 'Europe/Berlin') AS dt64,
	toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS id, toIPv4('10.0.0.1') AS ip4, toIPv6('::1') AS ip6, toFixedString('abcd', 4) AS fs,
	CAST(number % 2, 'Enum8(\'a, (b\' = 0, \'c\' = 1)') AS e8, CAST(1, 'Enum16(\'x\' = 1)') AS e16,
	toDecimal32(number, 2) AS d1, toDecimal64(number, 2) AS d2, toDecimal128(number, 2) AS d3, toDecimal256(number, 2) AS d4,
	if(number % 3 = 0, NULL, toString(number)) AS ns, range(number % 4) AS arr, arrayMap(x -> range(x), range(number % 3)) AS arr2,
	CAST(arrayMap(x -> toString(x), range(number % 3)), 'Array(LowCardinality(String))') AS alc, emptyArrayString() AS ea,
	map('k', toString(number)) AS m, CAST(map('a', ['b']), 'Map(LowCardinality(String), Array(Nullable(String)))') AS m2,
	tuple(number, 'x') AS tp, NULL AS nothing, CAST(tuple(1, 'x'), 'Tuple(a UInt8, b_c String)') AS tn, toIntervalDay(3) AS iv
	FROM numbers(%ROWS%)`

// The fast way and the driver's own decoder must agree, byte for byte at
// revision 0, and the driver must be able to read what the fast way writes.
func TestTranscoder(t *testing.T) {
	e := startEngine(t, nil)
	client := httpClient(t, e)
	for _, rows := range []string{"0", "1", "2", "1000", "100000"} {
		sql := string(bytes.ReplaceAll([]byte(nativeSample), []byte("%ROWS%"), []byte(rows)))
		get := func(revision string) []byte {
			got := ask(t, client, e, "POST", url.Values{"default_format": {"Native"}, "client_protocol_version": {revision}, "max_threads": {"1"}}, bytes.NewReader([]byte(sql)), nil)
			if got.status != 200 {
				t.Fatal(got.body)
			}
			return []byte(got.body)
		}
		raw := get("0")
		var out bytes.Buffer
		tr := &transcoder{revision: 54460}
		for rest := raw; len(rest) > 0; {
			n, err := tr.scan(rest)
			if err != nil {
				t.Fatalf("%s rows: %v", rows, err)
			}
			if err := tr.emit(&out, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(out.Bytes(), get("54460")) {
			t.Errorf("%s rows: the child wrote other bytes", rows)
		}
		// What the driver decodes of the two encodings is the same.
		a, b := decodeAll(t, raw, 0), decodeAll(t, out.Bytes(), 54460)
		if a != b {
			t.Errorf("%s rows: the driver reads something else", rows)
		}
		// Between the two changes of the format: block info, no byte a column.
		if decodeAll(t, get("54400"), 54400) != a {
			t.Errorf("%s rows: revision 54400 differs", rows)
		}
	}
	// Types without a layout are measured by the driver's decoder; those with
	// one must come out as long as it says.
	got := ask(t, client, e, "POST", url.Values{"default_format": {"Native"}}, strings.NewReader("SELECT CAST(tuple(1.5, 2.5), 'Point'), toLowCardinality(toString(number)), CAST([(1, 2)], 'Ring'), toString(number) FROM numbers(70000)"), nil)
	for rest := []byte(got.body); len(rest) > 0; {
		tr := &transcoder{revision: 54460}
		n, err := tr.scan(rest)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := tr.emit(&out, rest[:n]); err != nil {
			t.Fatal(err)
		}
		if decodeAll(t, rest[:n], 0) != decodeAll(t, out.Bytes(), 54460) {
			t.Error("the driver reads something else")
		}
		rest = rest[n:]
	}
	c := connect(t, e, nil)
	var p any
	if err := c.QueryRow(t.Context(), "SELECT sumState(number) FROM numbers(3)").Scan(&p); err == nil {
		t.Error("an aggregate state came through, which nothing here understands")
	}
}

// Types that the driver itself cannot read must still be measured right.
func TestNativeTypes(t *testing.T) {
	for text, want := range map[string]int{ // bytes of one zero row
		"Enum8('a\\'(' = 1, ')' = 2)":                         1,
		"Tuple(a UInt8, `b c` Decimal(20, 3), \"d\" String)":  1 + 16 + 1,
		"Nested(a UInt8, b Array(String))":                    8,
		"Map(String, Tuple(Nullable(UInt8), FixedString(7)))": 8,
		"Nullable(DateTime64(9, 'Europe/Berlin'))":            9,
		"Array(LowCardinality(Nullable(String)))":             8 + 8, // and the version of the dictionary
		"SimpleAggregateFunction(sum, UInt64)":                -1,
		"Variant(String, UInt8)":                              -1,
		"FixedString(-1)":                                     -1,
		"Array(":                                              -1,
		"":                                                    -1,
		strings.Repeat("Array(", 50) + "UInt8" + strings.Repeat(")", 50): -1,
	} {
		typ, err := parseNativeType(text, 0)
		if err != nil || want < 0 {
			if (err == nil) != (want >= 0) {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		c := &cursor{b: make([]byte, 100)}
		typ.prefix(c)
		typ.values(c, 1)
		if c.bad || c.off != want {
			t.Errorf("%s: %d bytes, want %d", text, c.off, want)
		}
	}
}

// decodeAll reads all blocks as the driver does and prints the values, all of
// small blocks and some of large ones.
func decodeAll(t *testing.T, data []byte, revision uint64) string {
	t.Helper()
	r := proto.NewReader(bytes.NewReader(data))
	var out strings.Builder
	for {
		b := chgo.NewBlock()
		err := b.Decode(r, revision)
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatalf("revision %d: %d bytes: %v", revision, len(data), err)
		}
		for _, c := range b.Columns {
			fmt.Fprintln(&out, c.Name(), c.Type(), b.Rows())
			for i := 0; i < b.Rows(); i += 1 + b.Rows()/500 {
				v, err := json.Marshal(c.Row(i, false)) // follows pointers
				if err != nil {
					t.Fatal(err)
				}
				out.Write(append(v, '\n'))
			}
		}
	}
}

func FuzzTranscoder(f *testing.F) {
	f.Add([]byte("\x01\x01\x01n\x06String\x01x"), 54460)
	f.Add([]byte("\x01\x02\x01m\x21Map(LowCardinality(String), UInt8)\x01\x00"), 54460)
	f.Add([]byte("\x01\x01\x01a\x11Array(Array(Int8))\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"), 1)
	f.Fuzz(func(t *testing.T, data []byte, revision int) {
		tr := &transcoder{revision: revision}
		for rest := data; len(rest) > 0; {
			n, err := tr.scan(rest)
			if err != nil {
				return
			}
			if n <= 0 || n > len(rest) {
				t.Fatalf("block of %d bytes in %d", n, len(rest))
			}
			var out bytes.Buffer
			if err := tr.emit(&out, rest[:n]); err != nil || out.Len() < n+len(blockInfo) {
				t.Fatal(out.Len(), err)
			}
			rest = rest[n:]
		}
	})
}
