package clickhouse

import "testing"

func TestSmoke(t *testing.T) {
	e := startEngine(t, nil)
	c := connect(t, e, nil)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := one[uint64](t, c, "SELECT sum(number) FROM numbers(10)"); got != 45 {
		t.Fatal(got)
	}
	t.Log(e.Version(), residentBytes(e.PID())>>20)
}
