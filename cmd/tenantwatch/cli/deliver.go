package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/delivery/webhook"
)

// deliverCmds are the commands of webhook that look after deliveries.
func (a *cmdline) deliverCmds() []*cobra.Command {
	var ten, seq string
	var overlap int
	path := func(id, what string) string { return "/api/v1/webhooks/" + url.PathEscape(id) + "/" + what }
	body := func() map[string]any {
		b := map[string]any{}
		if ten != "" {
			b["tenant_id"] = ten
		}
		return b
	}
	test := sub("test ID", "Send a test message now and show the whole exchange", exactArgs(1, "the endpoint's id"), func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodPost, path(args[0], "test"), body(), column{"DELIVERED", "delivered"}, column{"MS", "latency_ms"}, column{"ERROR", "error"},
			column{"REQUEST", "request"}, column{"RESPONSE", "response"})
	})
	rotate := sub("rotate ID", "Make a new signing secret; both sign for a while", exactArgs(1, "the endpoint's id"), func(c *cobra.Command, args []string) error {
		b := body()
		b["overlap_hours"] = overlap
		return a.write(c, http.MethodPost, path(args[0], "rotate"), b, column{"ID", "webhook.id"}, column{"SECRET (shown once)", "secret"})
	})
	rotate.Flags().IntVar(&overlap, "overlap", 24, "hours in which the old secret signs too, at most 168")
	redeliver := sub("redeliver ID [SEQ…]", "Send revisions again; without any, all that are dead", cobra.MinimumNArgs(1), func(c *cobra.Command, args []string) error {
		b := body()
		var seqs []uint64
		for _, s := range args[1:] {
			n, err := strconv.ParseUint(s, 10, 63)
			if err != nil || n == 0 {
				return usageError("%q is no sequence number", s)
			}
			seqs = append(seqs, n)
		}
		if seqs != nil {
			b["seqs"] = seqs
		}
		return a.write(c, http.MethodPost, path(args[0], "redeliver"), b, column{"OWED AGAIN", "owed"})
	})
	attempts := sub("attempts ID", "Show every attempt to send one revision", exactArgs(1, "the endpoint's id"), func(c *cobra.Command, args []string) error {
		if seq == "" {
			return usageError("--seq is needed: which revision?")
		}
		q := ofTenant(ten)
		q.Set("seq", seq)
		form, err := output(c)
		if err != nil {
			return err
		}
		r, err := a.remote(c)
		if err != nil {
			return err
		}
		var page struct{ Items []row }
		if err := r.call(c.Context(), http.MethodGet, path(args[0], "attempts")+"?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		p := a.printer(form, column{"TRY", "attempt"}, column{"AT", "at"}, column{"STATUS", "response_status"}, column{"MS", "latency_ms"}, column{"ERROR", "error"}, column{"ANSWER", "answer"})
		for _, it := range page.Items {
			if err := p.item(it); err != nil {
				return err
			}
		}
		return p.done()
	})
	attempts.Flags().StringVar(&seq, "seq", "", "the revision's number")
	for _, c := range []*cobra.Command{test, rotate, redeliver, attempts} {
		c.Flags().StringVar(&ten, "tenant", "", "tenant it belongs to")
	}
	return []*cobra.Command{test, rotate, redeliver, attempts, a.listenCmd()}
}

func (a *cmdline) listenCmd() *cobra.Command {
	var address string
	c := &cobra.Command{Use: "listen", Short: "Receive webhooks here, verifying signature, sequence and chain", Args: noArgs,
		Long: "Takes messages on a local address, says of each whether its signature fits (HMAC or ed25519), whether a revision is missing\nor repeated, and whether the chain of hashes holds. The secret comes from TENANTWATCH_WEBHOOK_SECRET."}
	c.Flags().StringVar(&address, "address", "127.0.0.1:8090", "where to listen")
	c.RunE = func(c *cobra.Command, _ []string) error {
		secret := os.Getenv("TENANTWATCH_WEBHOOK_SECRET")
		if _, err := webhook.Key(secret); err != nil {
			return usageError("set TENANTWATCH_WEBHOOK_SECRET to the endpoint's secret (whsec_…)")
		}
		ln, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		fmt.Fprintf(a.Err, "listening on http://%s\n", ln.Addr())
		srv := &http.Server{Handler: newReceiver(secret, a.Out, time.Now), ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
		stop := context.AfterFunc(c.Context(), func() { _ = srv.Close() })
		defer stop()
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	return c
}

// receiver verifies what comes and says one line about each message.
type receiver struct {
	secret string
	now    func() time.Time
	mu     sync.Mutex
	out    io.Writer
	last   map[string]link // by tenant
}

type link struct {
	seq  uint64
	hash string
}

func newReceiver(secret string, out io.Writer, now func() time.Time) *receiver {
	return &receiver{secret: secret, now: now, out: out, last: map[string]link{}}
}

// ServeHTTP answers 204 to what is signed, 401 to what is not, so that a
// sender whose secret differs is seen on both sides.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 8<<20))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	say := func(says map[string]any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		_ = json.NewEncoder(r.out).Encode(says)
	}
	id := clean(req.Header.Get("Webhook-Id"))
	if err := webhook.Verify(r.secret, req.Header, body, r.now(), 5*time.Minute); err != nil {
		say(map[string]any{"id": id, "signature": err.Error()})
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var m struct {
		Message  string
		Metadata struct {
			Tenant string `json:"tenant_uid"`
		}
		Unmapped struct {
			Alert json.RawMessage
			Chain struct {
				Seq  uint64
				Prev string `json:"prev_hash"`
				Hash string
			}
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		say(map[string]any{"id": id, "signature": "ok", "error": "the body is no finding"})
		http.Error(w, "no finding", http.StatusBadRequest)
		return
	}
	says := map[string]any{"id": id, "signature": "ok", "tenant": m.Metadata.Tenant, "seq": m.Unmapped.Chain.Seq, "message": clean(m.Message)}
	r.mu.Lock()
	says["sequence"], says["chain"] = r.check(m.Metadata.Tenant, m.Unmapped.Chain.Seq, m.Unmapped.Chain.Prev, m.Unmapped.Chain.Hash, m.Unmapped.Alert)
	r.mu.Unlock()
	say(says)
	w.WriteHeader(http.StatusNoContent)
}

// check holds a message against the one before it.
func (r *receiver) check(tenant string, seq uint64, prev, hash string, alert []byte) (sequence, chain string) {
	p, err := hex.DecodeString(prev)
	if err != nil || hex.EncodeToString(core.ChainHash(p, alert)) != hash {
		return "unknown", "the alert does not have the hash that the chain names"
	}
	if seq == 0 {
		return "test message", "ok"
	}
	last, known := r.last[tenant]
	switch {
	case !known:
		sequence, chain = "first seen", "ok"
	case seq <= last.seq:
		return "repeat", "ok"
	case seq > last.seq+1:
		sequence, chain = fmt.Sprintf("gap: %d missing; get them with after_seq=%d", seq-last.seq-1, last.seq), "not held: a revision is missing"
	case prev != last.hash:
		sequence, chain = "ok", "broken: it does not follow the one before"
	default:
		sequence, chain = "ok", "ok"
	}
	r.last[tenant] = link{seq, hash}
	return sequence, chain
}
