package clickhouse

import (
	"fmt"
	"math"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

// row holds a value of every type a table of log events needs.
type row struct {
	Str   string
	LC    string
	U8    uint8
	U16   uint16
	U32   uint32
	U64   uint64
	I64   int64
	F64   float64
	T     time.Time
	D     time.Time
	M     map[string]string
	MLC   map[string]string
	Arr   []string
	ArrLC []string
	NS    *string
	NU    *uint64
	NLC   *string
	ID    uuid.UUID
	IP    net.IP
	E8    string
	B     bool
	FS    string
}

const rowColumns = `s String, lc LowCardinality(String), u8 UInt8, u16 UInt16, u32 UInt32, u64 UInt64, i64 Int64, f64 Float64,
	t DateTime64(9, 'UTC'), d Date, m Map(String, String), mlc Map(LowCardinality(String), String), arr Array(String),
	arrlc Array(LowCardinality(String)), ns Nullable(String), nu Nullable(UInt64), nlc LowCardinality(Nullable(String)),
	id UUID, ip IPv6, e8 Enum8('unknown' = 0, 'success' = 1, 'fail''ure, (2)' = 2), b Bool, fs FixedString(3)`

func (r *row) pointers() []any {
	return []any{&r.Str, &r.LC, &r.U8, &r.U16, &r.U32, &r.U64, &r.I64, &r.F64, &r.T, &r.D, &r.M, &r.MLC, &r.Arr, &r.ArrLC, &r.NS, &r.NU, &r.NLC, &r.ID, &r.IP, &r.E8, &r.B, &r.FS}
}

func (r *row) values() []any {
	var out []any
	for _, p := range r.pointers() {
		out = append(out, reflect.ValueOf(p).Elem().Interface())
	}
	return out
}

func sampleRows(n int) []row {
	rows := make([]row, n)
	enums := []string{"unknown", "success", "fail'ure, (2)"}
	for i := range rows {
		s, u, l := fmt.Sprintf("v%d\x00\n\"'\\ü__exception__\r\nCode: 1. ", i), uint64(math.MaxUint64)-uint64(i), fmt.Sprint("n", i%7)
		r := row{
			Str: s, LC: fmt.Sprint("k", i%300), U8: uint8(i), U16: uint16(i * 3), U32: uint32(i) * 70001, U64: u, I64: -int64(i), F64: float64(i) / 3,
			T: time.Date(2026, 3, 1, 9, 15, 2, i*1001, time.UTC), D: time.Date(2026, 3, 1+i%28, 0, 0, 0, 0, time.UTC),
			M: map[string]string{}, MLC: map[string]string{}, Arr: []string{}, ArrLC: []string{},
			ID: uuid.NewSHA1(uuid.Nil, []byte(s)), IP: net.ParseIP(fmt.Sprintf("2001:db8::%x", i%0xffff)), E8: enums[i%3], B: i%2 == 0, FS: "abc",
		}
		for j := range i % 4 {
			k := fmt.Sprintf("k%d", j)
			r.M[k], r.MLC[k] = s, fmt.Sprint(j)
			r.Arr, r.ArrLC = append(r.Arr, s), append(r.ArrLC, k)
		}
		if i%2 == 0 {
			r.NS, r.NU = &s, &u
		}
		if i%3 == 0 {
			r.NLC = &l
		}
		rows[i] = r
	}
	return rows
}

func testTypes(t *testing.T, c driver.Conn, table string) {
	ctx := t.Context()
	mustExec(t, c, "CREATE TABLE "+table+" (n UInt32, "+rowColumns+") ENGINE = MergeTree ORDER BY n")
	want := sampleRows(1000)
	b, err := c.PrepareBatch(ctx, "INSERT INTO "+table)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if err := b.Append(append([]any{uint32(i)}, want[i].values()...)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(ctx, "SELECT * EXCEPT n FROM "+table+" ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var got row
		if err := rows.Scan(got.pointers()...); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want[n]) {
			t.Fatalf("row %d:\n got %+v\nwant %+v", n, got, want[n])
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n != len(want) {
		t.Fatalf("%d rows, want %d", n, len(want))
	}
	// No row at all must be an end, not an error.
	empty, err := c.Query(ctx, "SELECT * FROM "+table+" WHERE n > 1000000")
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if empty.Next() || empty.Err() != nil {
		t.Fatal("row in an empty result, or", empty.Err())
	}
}
