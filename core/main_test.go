package core_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/coretest"
)

var server *coretest.Server

func TestMain(m *testing.M) {
	os.Exit(coretest.Main(m, func(s *coretest.Server) { server = s }, func() error { return goleak.Find() }))
}

func openOn(t testing.TB, db coretest.Database) *core.Core { return coretest.OpenOn(t, db, nil) }

func openAt(t testing.TB, db coretest.Database, clk *clock) *core.Core {
	return coretest.OpenOn(t, db, func(cfg *core.Config) { cfg.Now = clk.now })
}
