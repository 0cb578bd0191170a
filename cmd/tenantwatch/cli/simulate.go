package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func (a *cmdline) simulateCmd() *cobra.Command {
	var o simulate.Options
	var start, format, out, truthPath string
	var days float64
	var attackFree bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Write labelled multi-tenant traffic with attacks among it",
		Long: `Writes access logs of simulated companies in the short JSON form, one event a line,
in the order of time, each with the key "tenant". Attacks are described in the
truth file, one JSON object a line: kind, tenant, entities, techniques, start, end
and the ids of their events. The same --seed gives the same traffic.

Attack kinds: ` + strings.Join(simulate.Kinds(), ", ") + ".",
		Example: `  tenantwatch simulate --seed 7 --tenants 3 --days 14 --out logs.ndjson --truth truth.ndjson
  tenantwatch simulate --attack-free | tenantwatch score events - --budget 1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("seed") {
				o.Seed = rand.Uint64()
			}
			var err error
			if o.Start, err = time.Parse(time.RFC3339, start); err != nil {
				if o.Start, err = time.Parse("2006-01-02", start); err != nil {
					return usageError("--start %q is no time: want 2026-03-02 or 2026-03-02T08:00:00Z", start)
				}
			}
			if days <= 0 || days > 3660 {
				return usageError("--days %v: want more than 0 and at most 3660", days)
			}
			if o.Tenants < 1 || o.Users < 1 {
				return usageError("--tenants %d, --users %d: want at least 1 of each", o.Tenants, o.Users)
			}
			for _, k := range o.Attacks {
				if !slices.Contains(simulate.Kinds(), k) {
					return usageError("--attacks %q: want some of %s", k, strings.Join(simulate.Kinds(), ", "))
				}
			}
			o.Duration = time.Duration(days * 24 * float64(time.Hour))
			if attackFree {
				o.AttacksPerWeek = -1
			}
			switch format {
			case "json":
			case "cloudtrail":
				o.AttacksPerWeek = -1
			default:
				return usageError("--format %q: want json or cloudtrail", format)
			}
			return a.simulate(o, format, out, truthPath)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.Seed, "seed", 0, "seed of the random numbers (default: a fresh one, printed)")
	f.IntVar(&o.Tenants, "tenants", 4, "number of companies")
	f.IntVar(&o.Users, "users", 40, "median number of people in a company")
	f.StringVar(&start, "start", "2026-03-02", "time of the first event")
	f.Float64Var(&days, "days", 7, "length in days of event time")
	f.StringSliceVar(&o.Attacks, "attacks", nil, "kinds of attack (default: all)")
	f.Float64Var(&o.AttacksPerWeek, "attacks-per-week", 3, "mean number of attacks on a tenant in a week")
	f.BoolVar(&attackFree, "attack-free", false, "no attacks at all")
	f.StringVar(&format, "format", "json", "json (the short form) or cloudtrail (the same people in a cloud account, without attacks)")
	f.StringVar(&out, "out", "-", "file for the events; - is stdout")
	f.StringVar(&truthPath, "truth", "", "file for the truth records (default: none)")
	return cmd
}

func (a *cmdline) simulate(o simulate.Options, format, out, truthPath string) (err error) {
	w, closeOut, err := a.create(out)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, closeOut()) }()
	truth := func(simulate.Truth) error { return nil }
	attacks := 0
	if truthPath != "" {
		tw, closeTruth, terr := a.create(truthPath)
		if terr != nil {
			return terr
		}
		defer func() { err = firstError(err, closeTruth()) }()
		enc := json.NewEncoder(tw)
		truth = func(t simulate.Truth) error { attacks++; return enc.Encode(t) }
	}
	n := 0
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	err = simulate.Run(o, func(e *event.Event) error {
		n++
		if format == "json" {
			return enc.Encode(shortForm(e))
		}
		b, err := simulate.CloudTrail(e)
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	}, truth)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "wrote %d events of %d tenants, seed %d", n, o.Tenants, o.Seed)
	if truthPath != "" {
		fmt.Fprintf(a.Err, ", %d attacks in %s", attacks, truthPath)
	}
	fmt.Fprintln(a.Err)
	return nil
}

// create opens a file for buffered writing; - is stdout.
func (a *cmdline) create(path string) (io.Writer, func() error, error) {
	if path == "-" {
		b := bufio.NewWriterSize(a.Out, 1<<16)
		return b, b.Flush, nil
	}
	f, err := os.Create(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, nil, err
	}
	b := bufio.NewWriterSize(f, 1<<16)
	return b, func() error { return firstError(b.Flush(), f.Close()) }, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// line is the short form of the contract.
type line struct {
	Tenant       string  `json:"tenant"`
	Time         string  `json:"time"`
	ID           string  `json:"id"`
	Actor        string  `json:"actor"`
	ActorType    string  `json:"actor_type,omitempty"`
	Cohort       string  `json:"cohort,omitempty"`
	Action       string  `json:"action"`
	Outcome      string  `json:"outcome"`
	ClassUID     uint32  `json:"class_uid,omitempty"`
	Activity     uint8   `json:"activity,omitempty"`
	Resource     string  `json:"resource,omitempty"`
	ResourceType string  `json:"resource_type,omitempty"`
	SrcIP        string  `json:"src_ip,omitempty"`
	Country      string  `json:"country,omitempty"`
	City         string  `json:"city,omitempty"`
	Latitude     float64 `json:"latitude,omitempty"`
	Longitude    float64 `json:"longitude,omitempty"`
	ASN          uint32  `json:"asn,omitempty"`
	UserAgent    string  `json:"user_agent,omitempty"`
	Session      string  `json:"session,omitempty"`
	HTTPMethod   string  `json:"http_method,omitempty"`
	Status       uint16  `json:"status,omitempty"`
	Bytes        uint64  `json:"bytes,omitempty"`
	Duration     float64 `json:"duration,omitempty"`
	Source       string  `json:"source,omitempty"`
}

func shortForm(e *event.Event) line {
	return line{
		Tenant: e.Tenant.String(), Time: e.At().Format("2006-01-02T15:04:05.000Z"), ID: e.ID, Actor: e.Actor, ActorType: e.ActorType, Cohort: e.Cohort,
		Action: e.Action, Outcome: e.Outcome.String(), ClassUID: uint32(e.Class), Activity: e.Activity, Resource: e.Resource, ResourceType: e.ResourceType,
		SrcIP: e.SrcIP, Country: e.Country, City: e.City, Latitude: e.Latitude, Longitude: e.Longitude, ASN: e.ASN, UserAgent: e.UserAgent,
		Session: e.Session, HTTPMethod: e.HTTPMethod, Status: e.Status, Bytes: e.BytesOut, Duration: e.Duration, Source: e.Source,
	}
}
