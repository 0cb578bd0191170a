package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/app"
	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
)

// remote is the API as a command sees it.
type remote struct {
	api, collector, token string
	email                 string
	dataDir               string
	http                  *http.Client
}

// remoteFlags adds where and as whom; without them the credential counts
// that `up` left in the data directory.
func remoteFlags(c *cobra.Command) {
	f := c.Flags()
	f.String("data-dir", config.Default().DataDir, "data directory of the running tenantwatch (TENANTWATCH_DATA_DIR)")
	f.String("url", os.Getenv("TENANTWATCH_URL"), "address of the API instead (TENANTWATCH_URL; the token comes from TENANTWATCH_TOKEN)")
	f.String("address", os.Getenv("TENANTWATCH_ADDRESS"), "the same as --url (TENANTWATCH_ADDRESS)")
	f.String("token", "", "API token, when --url is given; TENANTWATCH_TOKEN keeps it out of the list of processes")
	f.String("collector", "", "address of the collector, when --url is given")
}

func (a *cmdline) remote(c *cobra.Command) (*remote, error) {
	r := &remote{http: &http.Client{}}
	r.api, _ = c.Flags().GetString("url")
	r.collector, _ = c.Flags().GetString("collector")
	r.dataDir, _ = c.Flags().GetString("data-dir")
	if v := os.Getenv("TENANTWATCH_DATA_DIR"); v != "" && !c.Flags().Changed("data-dir") {
		r.dataDir = v
	}
	if address, _ := c.Flags().GetString("address"); address != "" {
		r.api = address
	}
	if r.api != "" {
		r.api = strings.TrimRight(r.api, "/")
		if r.token, _ = c.Flags().GetString("token"); r.token == "" {
			r.token = os.Getenv("TENANTWATCH_TOKEN")
		}
		if r.token == "" {
			return nil, usageError("--url needs a token: give --token, or set TENANTWATCH_TOKEN to an API token")
		}
		return r, nil
	}
	dirs := []string{r.dataDir}
	if !c.Flags().Changed("data-dir") {
		dirs = append(dirs, "data") // where `make up DATA=data` keeps it
	}
	for _, d := range dirs {
		op, err := app.ReadOperator(d)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the operator's credential: %w", err)
		}
		r.api, r.token, r.email, r.dataDir = op.API, op.Token, op.Email, d
		if r.collector == "" {
			r.collector = op.Collector
		}
		return r, nil
	}
	return nil, &exitError{exitFailed, fmt.Errorf("no credential in %s: is `tenantwatch up` running with this data directory?\nName it with --data-dir, or give --url and TENANTWATCH_TOKEN", strings.Join(dirs, " or "))}
}

// problem is an RFC 9457 answer.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Status int    `json:"status"`
	Errors []struct {
		Field, Message string
	} `json:"errors"`
}

// call does one request; in and out may be nil.
func (r *remote) call(ctx context.Context, method, path string, in, out any) error {
	_, err := r.exchange(ctx, method, path, nil, in, out)
	return err
}

// exchange is call with headers, of the request and of the answer.
func (r *remote) exchange(ctx context.Context, method, path string, header http.Header, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.api+path, body)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no answer from %s: is it running? (%w)", r.api, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if resp.StatusCode >= 300 {
		return resp.Header, answerError(resp)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return resp.Header, nil
	}
	return resp.Header, json.NewDecoder(resp.Body).Decode(out)
}

// answerError turns a refusal into an error with the right exit code.
func answerError(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	var p problem
	msg := strings.TrimSpace(string(b))
	if json.Unmarshal(b, &p) == nil && p.Title != "" {
		msg = p.Title
		if p.Detail != "" && p.Detail != p.Title {
			msg += ": " + p.Detail
		}
		switch { // what the API calls tenant_id is a flag here
		case strings.HasSuffix(p.Type, "/tenant-required"):
			msg = "which tenant? This is about one, and the credential covers several: name it with --tenant"
		case strings.HasSuffix(p.Type, "/tenant-not-allowed"):
			msg = "the credential belongs to one tenant and always means it: leave --tenant out"
		}
		for _, e := range p.Errors {
			if strings.Contains(p.Detail, e.Field) && strings.Contains(p.Detail, e.Message) {
				continue // the detail has said so
			}
			msg += fmt.Sprintf("\n  %s: %s", e.Field, e.Message)
		}
	}
	code := exitFailed
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		code = exitRefused
	case http.StatusNotFound:
		code = exitNotFound
	case http.StatusBadRequest:
		code = exitUsage
	}
	return &exitError{code, fmt.Errorf("%d %s", resp.StatusCode, msg)}
}

// notFound reports whether err is the API's 404.
func notFound(err error) bool {
	var e *exitError
	return errors.As(err, &e) && e.code == exitNotFound
}
