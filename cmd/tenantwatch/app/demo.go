package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// The demo's shape: some days of history at full speed, of which the last
// half hour, with an attack in it, is played in demoPlay; then real time.
const (
	demoHistory = 10 * 24 * time.Hour
	demoRecent  = 30 * time.Minute
	demoPlay    = 8 * time.Second
	demoLength  = 30 * 24 * time.Hour
	demoUsers   = 25
	demoBatch   = 2000 // events a request
)

var demoTenants = []string{"acme", "globex", "initech"}

// demoState survives restarts, so that the same story goes on.
type demoState struct {
	Seed  uint64            `json:"seed"`
	Start time.Time         `json:"start"`
	Sent  time.Time         `json:"sent"` // events before this were acknowledged
	Pass  string            `json:"password"`
	Keys  map[string]string `json:"keys"` // ingest key by tenant
}

type demo struct {
	app   *App
	path  string
	state demoState
	url   string
	http  *http.Client
}

// startDemo makes the demo's tenants and logins and starts its traffic, which
// comes in through the collector's door like everybody's.
func (a *App) startDemo(ctx context.Context, c *core.Core, info *Info) error {
	d := &demo{app: a, path: filepath.Join(a.opts.Config.DataDir, "demo.json"), url: info.Collector + "/v1/events", http: &http.Client{Timeout: 2 * time.Minute}}
	b, err := os.ReadFile(d.path)
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &d.state); err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
	case errors.Is(err, os.ErrNotExist):
	default:
		return err
	}
	if d.state.Pass == "" {
		d.state = demoState{Pass: "demo-" + readable(10), Keys: map[string]string{}}
	}
	var ids []tenant.ID
	for _, n := range demoTenants {
		ids = append(ids, tenant.MustParse(n))
	}
	logins, err := c.SeedDemo(ctx, ids, core.Secret(d.state.Pass))
	if err != nil {
		return fmt.Errorf("demo logins: %w", err)
	}
	for _, l := range logins {
		if l.Email == adminEmail {
			continue // the first administrator, who keeps the password made for him
		}
		info.Logins = append(info.Logins, Login{Role: string(l.Role), Tenant: l.Tenant.String(), Email: l.Email, Password: l.Password.Reveal()})
	}
	for _, id := range ids {
		if k := d.state.Keys[id.String()]; k != "" {
			if _, err := c.Keys.ResolveIngestKey(ctx, k); err == nil || errors.Is(err, core.ErrSuspended) {
				continue // suspended: it works again when the tenant does
			}
		}
		_, secret, err := c.Keys.Create(ctx, access.System("demo"), id, core.NewKey{Kind: core.IngestKind, Name: "demo traffic"})
		if errors.Is(err, core.ErrSuspended) {
			continue
		}
		if err != nil {
			return fmt.Errorf("demo key of %s: %w", id, err)
		}
		d.state.Keys[id.String()] = secret.Reveal()
	}
	if now := time.Now().UTC(); d.state.Start.IsZero() || now.After(d.state.Start.Add(demoLength-24*time.Hour)) {
		var seed [4]byte
		_, _ = rand.Read(seed[:])
		d.state.Seed, d.state.Start, d.state.Sent = uint64(binary.BigEndian.Uint32(seed[:])), now.Add(-demoHistory).Truncate(time.Second), time.Time{}
	}
	if err := d.save(); err != nil {
		return err
	}
	a.life.run("demo", d.run)
	return nil
}

// readable is a random word without look-alikes.
func readable(n int) string {
	const alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
	b := make([]byte, n)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

func (d *demo) save() error {
	b, err := json.MarshalIndent(d.state, "", "  ") // #nosec G117 -- the demo keeps its own password, mode 0600
	if err != nil {
		return err
	}
	return writeFile(d.path, append(b, '\n'))
}

// scheduled are the attacks that a visitor should meet: one just before the
// demo began, then one every quarter of an hour.
func (d *demo) scheduled() (out []simulate.Scheduled) {
	began := d.state.Start.Add(demoHistory)
	kinds := []string{"brute_force", "account_takeover", "enumeration", "password_spray", "mass_download", "credential_stuffing", "service_key_theft", "mfa_fatigue"}
	out = append(out, simulate.Scheduled{Kind: "brute_force", Tenant: 0, At: began.Add(-demoRecent + 5*time.Minute)},
		simulate.Scheduled{Kind: "service_key_theft", Tenant: 1, At: began.Add(-demoRecent + 8*time.Minute)})
	for i := range 24 * 4 * 2 { // two days of them
		out = append(out, simulate.Scheduled{Kind: kinds[i%len(kinds)], Tenant: i % len(demoTenants), At: began.Add(time.Duration(i+1) * 15 * time.Minute)})
	}
	return out
}

// batch gathers lines by tenant until they are due.
type batch struct {
	events int
	lines  map[string]*bytes.Buffer
	last   time.Time
}

func (d *demo) run(ctx context.Context) error {
	began := d.state.Start.Add(demoHistory) // the moment of the first start
	b := batch{lines: map[string]*bytes.Buffer{}}
	playFrom := time.Now()
	err := simulate.Run(simulate.Options{
		Seed: d.state.Seed, Tenants: len(demoTenants), Names: demoTenants, Users: demoUsers,
		Start: d.state.Start, Duration: demoLength, AttacksPerWeek: 1, Scheduled: d.scheduled(),
	}, func(e *event.Event) error {
		at := e.At()
		if at.Before(d.state.Sent) {
			return nil // acknowledged in an earlier run
		}
		due := at
		if at.Before(began) {
			due = time.Time{} // history: at once
			if since := at.Sub(began.Add(-demoRecent)); since > 0 && d.state.Sent.Before(began) {
				due = playFrom.Add(time.Duration(float64(since) / float64(demoRecent) * float64(demoPlay)))
			}
		}
		if wait := time.Until(due); wait > 0 || b.events >= demoBatch {
			if err := d.flush(ctx, &b); err != nil {
				return err
			}
			if wait := time.Until(due); wait > 0 && !sleep(ctx, wait) {
				return ctx.Err()
			}
		}
		return b.add(e)
	}, func(simulate.Truth) error { return nil })
	if err == nil {
		err = d.flush(ctx, &b)
	}
	if err == nil {
		// The story is told; the next start begins another.
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (b *batch) add(e *event.Event) error {
	w := b.lines[e.Tenant.String()]
	if w == nil {
		w = &bytes.Buffer{}
		b.lines[e.Tenant.String()] = w
	}
	out := *e
	out.Format, out.IngestedAt = "", 0
	j, err := out.MarshalJSON()
	if err != nil {
		return err
	}
	w.Write(j)
	w.WriteByte('\n')
	b.events++
	b.last = e.At()
	return nil
}

// flush pushes the batch, patiently: the demo must not end because a part is
// being restarted. Ids make a repetition harmless.
func (d *demo) flush(ctx context.Context, b *batch) error {
	if b.events == 0 {
		return nil
	}
	for id, w := range b.lines {
		for w.Len() > 0 {
			retry, err := d.push(ctx, id, w.Bytes())
			if err == nil {
				w.Reset()
				break
			}
			if errors.Is(err, errDemoRefused) {
				d.app.log.Info("demo traffic of a suspended tenant is refused", "tenant", id)
				w.Reset()
				break
			}
			if !retry {
				return fmt.Errorf("demo traffic of %s: %w", id, err)
			}
			d.app.log.Debug("demo traffic waits", "tenant", id, "err", err)
			if !sleep(ctx, time.Second) {
				return ctx.Err()
			}
		}
	}
	b.events = 0
	d.state.Sent = b.last
	return d.save()
}

// errDemoRefused is the answer for a suspended tenant, which is no reason to
// stop everything.
var errDemoRefused = errors.New("the tenant is suspended")

func (d *demo) push(ctx context.Context, id string, body []byte) (retry bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+d.state.Keys[id])
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := d.http.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode == http.StatusAccepted {
		return false, nil
	}
	if resp.StatusCode == http.StatusForbidden {
		return false, errDemoRefused
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 || resp.StatusCode == http.StatusUnauthorized,
		fmt.Errorf("status %d: %s", resp.StatusCode, bytes.TrimSpace(answer))
}
