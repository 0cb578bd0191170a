package app

import (
	"path/filepath"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/collector/source"
	"github.com/tenantwatch/tenantwatch/collector/sources"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// startSources starts the configured sources, each with a directory of its own
// for what it has to remember.
func (a *App) startSources(sink collector.Sink, mappings func(tenant.ID, string) []*mapping.Mapping) error {
	if len(a.opts.Config.Sources) == 0 {
		return nil
	}
	m, err := source.NewMetrics(a.reg)
	if err != nil {
		return err
	}
	for _, c := range a.opts.Config.Sources {
		s, err := sources.New(c, source.Env{
			Mappings: mappings, Sink: sink, Now: time.Now, StateDir: filepath.Join(a.opts.Config.DataDir, "collector", "sources", c.Name),
			Logger: a.log.With("part", "source", "source", c.Name),
		}, m)
		if err != nil {
			return err
		}
		a.life.run("source "+c.Name, s.Run)
		a.log.Info("source started", "source", c.Name, "type", c.Type)
	}
	return nil
}
