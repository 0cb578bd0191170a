package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/collector/file"
	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

type ingestFlags struct {
	tenant, format, tz, source string
	year                       int
	create, strict             bool

	mappings []*mapping.Mapping
	mapping  string // what travels with the request
}

// described reads the mapping of --format mapping:FILE; one that is no file is
// a name the collector knows.
func (f *ingestFlags) described() error {
	path, ok := strings.CutPrefix(f.format, mapping.Prefix)
	if !ok {
		return nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the file the operator named
	if err != nil {
		return usageError("--format: %w", err)
	}
	var m *mapping.Mapping
	if m, err = mapping.Load(path); err != nil {
		return usageError("--format: %w", err)
	}
	const most = 9 << 10
	if len(text) > most {
		return usageError("--format: %s has more than %d bytes: put it into the collector's directory of mappings (collector.mappings)", path, most)
	}
	f.format, f.mappings, f.mapping = m.Format(), []*mapping.Mapping{m}, base64.StdEncoding.EncodeToString(text)
	return nil
}

func (a *cmdline) ingestCmd() *cobra.Command {
	var f ingestFlags
	cmd := &cobra.Command{
		Use:   "ingest FILE…",
		Short: "Push log files into a running tenantwatch",
		Long: `Pushes files through the collector, so that they are stored, scored and searchable
like any other traffic. The same file twice changes nothing: events have ids. Files may
be compressed (gzip, zstd); - is standard input, which may go on for ever.

Formats: ` + formatNames() + `. auto recognises them.`,
		Example: "  tenantwatch ingest /var/log/auth.log --tenant acme --create\n  tail -F access.log | tenantwatch ingest - --tenant acme",
		Args:    minArgs(1, "at least one file, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.ingest(c, f, args)
		},
	}
	remoteFlags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.tenant, "tenant", "", "tenant the events belong to (required)")
	fl.BoolVar(&f.create, "create", false, "create the tenant when it does not exist")
	fl.StringVar(&f.format, "format", parse.Auto, "format of the lines, or mapping:FILE")
	fl.StringVar(&f.source, "source", "", "name of the log source (default: what the lines say)")
	fl.IntVar(&f.year, "year", 0, "year of the first line, for formats that write none (default: the latest not in the future)")
	fl.StringVar(&f.tz, "tz", "", "time zone of times that state none, such as Europe/Berlin (default: UTC)")
	fl.BoolVar(&f.strict, "strict", false, "exit with 3 when lines were quarantined")
	return cmd
}

func formatNames() string {
	var n []string
	for _, f := range parse.Formats() {
		n = append(n, f.Name)
	}
	return strings.Join(n, ", ")
}

// pushAnswer is the collector's 202.
type pushAnswer struct {
	Accepted    uint64            `json:"accepted"`
	Quarantined uint64            `json:"quarantined"`
	Repeats     uint64            `json:"repeats"`
	Folded      uint64            `json:"folded"`
	Occurrences uint64            `json:"occurrences"`
	Format      string            `json:"format"`
	Confidence  float64           `json:"confidence"`
	Years       []int             `json:"assumed_years"`
	Errors      []parse.LineError `json:"errors"`
}

// ledger is what the store took of a tenant so far.
type ledger struct {
	Received, Stored, Duplicates, Quarantined uint64
}

func (a *cmdline) ingest(c *cobra.Command, f ingestFlags, paths []string) error {
	if f.tenant == "" {
		return usageError("--tenant is missing: whose log is it? (with --create it is made)")
	}
	id, err := tenant.Parse(f.tenant)
	if err != nil {
		return usageError("--tenant: %w", err)
	}
	if err := f.described(); err != nil {
		return err
	}
	zone, err := checkInput(f.format, f.tz, paths, f.mappings...)
	if err != nil {
		return err
	}
	r, err := a.remote(c)
	if err != nil {
		return err
	}
	ctx := c.Context()
	created, err := ensureTenant(ctx, r, id, f.create)
	if err != nil {
		return err
	}
	if created {
		fmt.Fprintf(a.Out, "created tenant %s\n", id)
	}
	key, revoke, err := temporaryKey(ctx, r, id)
	if err != nil {
		return err
	}
	defer revoke()
	before, err := r.ledger(ctx, id)
	if err != nil {
		return err
	}
	var total pushAnswer
	for _, p := range paths {
		ans, err := a.pushFile(ctx, r, key, f, zone, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		a.reportPush(p, ans)
		total.Accepted += ans.Accepted
		total.Quarantined += ans.Quarantined
	}
	after, err := r.settled(ctx, id, before, total.Accepted+total.Quarantined)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "stored %d new events, %d were there already, %d lines quarantined\n",
		after.Stored-before.Stored, after.Duplicates-before.Duplicates, after.Quarantined-before.Quarantined)
	fmt.Fprintf(a.Out, "alerts: %s/alerts?tenant=%s\naudit:  %s/audit?tenant=%s\n", r.api, id, r.api, id)
	if r.email != "" {
		fmt.Fprintf(a.Out, "sign in as %s; the first password is in %s/operator.json\n", r.email, r.dataDir)
	}
	if f.strict && total.Quarantined > 0 {
		return &exitError{exitPartial, fmt.Errorf("%d lines were quarantined", total.Quarantined)}
	}
	return nil
}

// checkInput checks what commands that read logs share, so that a typing
// mistake is said before anything is made. zone is UTC when tz is empty.
func checkInput(format, tz string, paths []string, mappings ...*mapping.Mapping) (zone *time.Location, err error) {
	zone = time.UTC
	if tz != "" {
		if zone, err = time.LoadLocation(tz); err != nil {
			return nil, usageError("--tz %q is no time zone: want a name such as Europe/Berlin", tz)
		}
	}
	if err := parse.CheckFormat(format, mappings...); err != nil {
		return nil, usageError("--format: %w", err)
	}
	stdin := 0
	for _, p := range paths {
		if p == file.Stdin {
			if stdin++; stdin > 1 {
				return nil, usageError("- is named twice: standard input can be read once")
			}
			continue
		}
		switch st, err := os.Stat(p); {
		case errors.Is(err, os.ErrNotExist):
			return nil, usageError("%s: no such file", p)
		case err != nil:
			return nil, usageError("%w", err)
		case st.IsDir():
			return nil, usageError("%s is a directory: name the files in it", p)
		}
	}
	return zone, nil
}

func ensureTenant(ctx context.Context, r *remote, id tenant.ID, create bool) (created bool, err error) {
	var page struct{ Items []struct{ ID string } }
	err = r.call(ctx, http.MethodGet, "/api/v1/tenants?tenant_id="+id.String(), nil, &page)
	if err == nil && len(page.Items) > 0 {
		return false, nil
	}
	if err != nil && !notFound(err) {
		return false, err
	}
	if !create {
		return false, &exitError{exitNotFound, fmt.Errorf("there is no tenant %s: add --create to make it", id)}
	}
	return true, r.call(ctx, http.MethodPost, "/api/v1/tenants", map[string]string{"id": id.String(), "name": id.String()}, nil)
}

// temporaryKey makes an ingest key for this run; revoke ends it.
func temporaryKey(ctx context.Context, r *remote, id tenant.ID) (secret string, revoke func(), err error) {
	var k struct {
		Key    struct{ ID string }
		Secret string
	}
	err = r.call(ctx, http.MethodPost, "/api/v1/keys", map[string]any{"tenant_id": id.String(), "kind": "ingest", "name": "ingest command",
		"expires_at": time.Now().Add(7 * 24 * time.Hour).UTC().Format(time.RFC3339)}, &k)
	if err != nil {
		return "", nil, fmt.Errorf("an ingest key for this run: %w", err)
	}
	return k.Secret, func() {
		// It expires by itself when this does not get through.
		_ = r.call(context.WithoutCancel(ctx), http.MethodDelete, "/api/v1/keys/"+k.Key.ID+"?tenant_id="+id.String(), nil, nil)
	}, nil
}

func (r *remote) ledger(ctx context.Context, id tenant.ID) (l ledger, err error) {
	return l, r.call(ctx, http.MethodGet, "/api/v1/accounting/ingest?tenant_id="+id.String(), nil, &l)
}

// settled waits until the store has taken n more lines, or moves no longer.
func (r *remote) settled(ctx context.Context, id tenant.ID, before ledger, n uint64) (l ledger, err error) {
	quiet, last := time.Now(), uint64(0)
	for {
		if l, err = r.ledger(ctx, id); err != nil {
			return l, err
		}
		got := l.Stored + l.Duplicates + l.Quarantined - before.Stored - before.Duplicates - before.Quarantined
		if got >= n {
			return l, nil
		}
		if got != last {
			quiet, last = time.Now(), got
		}
		if time.Since(quiet) > time.Minute {
			return l, fmt.Errorf("the events are safe in Kafka, but after a minute the store has %d of %d: see /readyz on the operations port", got, n)
		}
		select {
		case <-ctx.Done():
			return l, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// pushFile sends one file as one request, again from the start when the
// connection or the broker goes away: ids make the repetition harmless.
func (a *cmdline) pushFile(ctx context.Context, r *remote, key string, f ingestFlags, zone *time.Location, path string) (ans pushAnswer, err error) {
	q := url.Values{"stream": {"true"}, "format": {f.format}}
	year := f.year
	if year == 0 && path != file.Stdin {
		if year, err = file.FirstYear(path, f.format, time.Now(), zone); err != nil {
			return ans, err
		}
	}
	if year != 0 {
		q.Set("year", strconv.Itoa(year))
	}
	if f.tz != "" {
		q.Set("tz", f.tz)
	}
	if f.source != "" {
		q.Set("source", f.source)
	}
	for try := 1; ; try++ {
		ans, retry, err := a.push(ctx, r, key, f.mapping, q, path)
		if err == nil || !retry || try == 10 || path == file.Stdin || ctx.Err() != nil {
			return ans, err
		}
		fmt.Fprintf(a.Err, "%v: trying again in %d s\n", err, try)
		select {
		case <-ctx.Done():
			return ans, ctx.Err()
		case <-time.After(time.Duration(try) * time.Second):
		}
	}
}

func (a *cmdline) push(ctx context.Context, r *remote, key, described string, q url.Values, path string) (ans pushAnswer, retry bool, err error) {
	in, err := file.Open(path, a.In)
	if err != nil {
		return ans, false, err
	}
	defer in.Close() //nolint:errcheck // read only
	var body io.Reader = in
	if path == file.Stdin {
		p := newPulse(in)
		defer p.stop()
		body = p
	}
	if isTerminal(a.Err) && path != file.Stdin {
		size := int64(-1) // of a compressed file nobody knows how much it holds
		if st, err := os.Stat(path); err == nil && !strings.HasSuffix(path, "z") && !strings.HasSuffix(path, "zst") {
			size = st.Size()
		}
		bar := progressbar.NewOptions64(size, progressbar.OptionSetWriter(a.Err), progressbar.OptionSetDescription(path), progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
		defer bar.Close() //nolint:errcheck // a picture
		body = io.TeeReader(in, bar)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.collector+"/v1/events?"+q.Encode(), io.NopCloser(body))
	if err != nil {
		return ans, false, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if described != "" {
		req.Header.Set("X-Log-Mapping", described)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return ans, true, fmt.Errorf("no answer from %s: %w", r.collector, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if resp.StatusCode != http.StatusAccepted {
		return ans, resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests, answerError(resp)
	}
	err = json.NewDecoder(resp.Body).Decode(&ans)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return ans, true, err
	}
	return ans, false, err
}

// years is "2026" or "2025 to 2026".
func years(y []int) string {
	if y[0] == y[len(y)-1] {
		return strconv.Itoa(y[0])
	}
	return fmt.Sprintf("%d to %d", y[0], y[len(y)-1])
}

func (a *cmdline) reportPush(path string, ans pushAnswer) {
	fmt.Fprintf(a.Out, "%s: %d events", path, ans.Accepted)
	if ans.Format != "" {
		fmt.Fprintf(a.Out, " as %s (%.0f %%)", ans.Format, 100*ans.Confidence)
	}
	if ans.Folded > 0 {
		fmt.Fprintf(a.Out, ", %d of them folded lines: %d occurrences in all", ans.Folded, ans.Occurrences)
	}
	if ans.Repeats > 0 {
		fmt.Fprintf(a.Out, ", %d repeat an id of the same file", ans.Repeats)
	}
	if len(ans.Years) > 0 {
		fmt.Fprintf(a.Out, ", year %s assumed (--year says otherwise)", years(ans.Years))
	}
	fmt.Fprintln(a.Out)
	for i, e := range ans.Errors {
		if i == 5 {
			fmt.Fprintf(a.Err, "  … and more; all of them: %d, under Quarantine in the dashboard\n", ans.Quarantined)
			break
		}
		fmt.Fprintf(a.Err, "  line %d is in quarantine: %s\n", e.Line, e.Reason)
	}
}
