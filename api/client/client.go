// Package client calls the API from Go. Its types and methods are generated
// from openapi.yaml: one method an operation, with the answer read into the
// field of its status, such as JSON200. New is what most programs begin with:
//
//	c, err := client.New("https://tenantwatch.example", token)
//	found, err := c.SearchEventsWithResponse(ctx, &client.SearchEventsParams{Q: &query})
//
// The package knows nothing else of this module. Do not edit client.gen.go:
// change openapi.yaml and run "go generate ./api/...".
package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// New is a client for the API at address (https://host[:port]) with an API
// token. Requests end after 30 s; hand in an http.Client of your own with
// WithHTTPClient for streams and exports, which last longer.
func New(address, token string, opts ...ClientOption) (*ClientWithResponses, error) {
	opts = append([]ClientOption{
		WithHTTPClient(&http.Client{Timeout: 30 * time.Second}),
		WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}),
	}, opts...)
	return NewClientWithResponses(address, opts...)
}

// Refused makes an error of an answer that is none of the successes: the
// problem's words, or its status when it has none; nil below 400.
func Refused(status int, body []byte) error {
	if status < http.StatusBadRequest {
		return nil
	}
	var p Problem
	if json.Unmarshal(body, &p) != nil || p.Title == "" {
		return fmt.Errorf("the API answered %d", status)
	}
	if p.Detail != nil {
		return fmt.Errorf("%s: %s", p.Title, *p.Detail)
	}
	return fmt.Errorf("%s", p.Title)
}
