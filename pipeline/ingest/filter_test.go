package ingest_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
)

func TestFilter(t *testing.T) {
	f, budget := ingest.NewFilter(10, 64<<20)
	const n = 200_000
	for i := range n {
		h := eventstore.IDHash(strconv.Itoa(i))
		if !f.Add(h) {
			t.Fatal("no memory")
		}
	}
	for i := range n {
		if !f.Has(eventstore.IDHash(strconv.Itoa(i))) {
			t.Fatalf("%d was added and is denied", i)
		}
	}
	wrong := 0
	for range 1_000_000 {
		if f.Has(rand.Uint64()) {
			wrong++
		}
	}
	t.Logf("%d of a million unknown hashes are taken for known", wrong)
	if wrong > 5 {
		t.Errorf("%d of a million unknown hashes are taken for known", wrong)
	}
	if used := 64<<20 - budget.Load(); used > n*14 {
		t.Errorf("%d bytes for %d hashes", used, n)
	}
	f.Release()
	if budget.Load() != 64<<20 {
		t.Error("memory was not given back")
	}
	if f, _ := ingest.NewFilter(1, 100); f != nil {
		t.Error("a filter beyond the budget")
	}
}
