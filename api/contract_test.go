package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// published reads openapi.yaml with an independent reader.
var published = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		return nil, err
	}
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/csv", openapi3filter.FileBodyDecoder)
	return doc, doc.Validate(context.Background())
})

// operationOf finds the route that answers a path.
func operationOf(method, path string) (Route, map[string]string) {
	for _, r := range Routes() {
		if r.Method != method {
			continue
		}
		want, got := strings.Split(r.Path, "/"), strings.Split(path, "/")
		if len(want) != len(got) {
			continue
		}
		params, same := map[string]string{}, true
		for i := range want {
			if strings.HasPrefix(want[i], "{") {
				params[strings.Trim(want[i], "{}")] = got[i]
			} else if want[i] != got[i] {
				same = false
			}
		}
		if same {
			return r, params
		}
	}
	return Route{}, nil
}

// contract holds an answer against openapi.yaml; when the answer is a success
// the request has to be allowed by it too.
func contract(t testing.TB, req *http.Request, rec *httptest.ResponseRecorder) {
	t.Helper()
	doc, err := published()
	if err != nil {
		t.Fatal(err)
	}
	r, params := operationOf(req.Method, req.URL.Path)
	if r.Operation == "" {
		return
	}
	item := doc.Paths.Value(r.Path)
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params,
		Route:   &routers.Route{Spec: doc, Path: r.Path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true, SkipSettingDefaults: true}}
	if rec.Code < 400 {
		if err := openapi3filter.ValidateRequest(req.Context(), in); err != nil {
			t.Errorf("%s %s was answered with %d, but the contract does not allow it: %v", req.Method, req.URL, rec.Code, err)
		}
	}
	body := rec.Body.Bytes()
	if rec.Code == http.StatusNoContent || rec.Code == http.StatusNotModified {
		if len(body) > 0 {
			t.Errorf("%s %s: %d with a body", req.Method, req.URL, rec.Code)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: rec.Code, Header: rec.Header(), Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options}
	if rec.Header().Get("Content-Encoding") != "" {
		return // the packed form is held against the plain one elsewhere
	}
	if err := openapi3filter.ValidateResponse(req.Context(), out); err != nil {
		t.Errorf("%s %s: the answer %d is not what the contract says: %v\n%s", req.Method, req.URL, rec.Code, err, body)
	}
	if rec.Code >= 400 && rec.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: %d without a problem: %s", req.Method, req.URL, rec.Code, body)
	}
}

// TestEveryOperationIsInTheTable: the contract and the table name the same
// operations, so none is served without its permission and tenancy mode.
func TestEveryOperationIsInTheTable(t *testing.T) {
	doc, err := published()
	if err != nil {
		t.Fatal(err)
	}
	inTable := map[string]Route{}
	for _, r := range Routes() {
		inTable[r.Method+" "+r.Path] = r
		if !r.Public && r.Permission == "" && !strings.HasPrefix(r.Path, "/api/v1/session") {
			t.Errorf("%s %s needs no permission", r.Method, r.Path)
		}
	}
	n := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			n++
			r, ok := inTable[method+" "+path]
			if !ok || r.Operation != op.OperationID {
				t.Errorf("%s %s is in the contract as %s and in the table as %q", method, path, op.OperationID, r.Operation)
			}
		}
	}
	if n != len(inTable) {
		t.Errorf("%d operations in the contract, %d in the table", n, len(inTable))
	}
	served := map[string]bool{}
	for _, r := range newWorld().server(t).engine.Routes() {
		if strings.HasPrefix(r.Path, "/api/") {
			served[r.Method+" "+r.Path] = true
		}
	}
	if len(served) != len(inTable) {
		t.Errorf("%d operations are served, %d are in the table", len(served), len(inTable))
	}
}

// TestContractCatchesLies is the negative control of contract.
func TestContractCatchesLies(t *testing.T) {
	for _, body := range []string{`{"items":[]}`, `{"items":[],"next":7,"total":0}`, `{"items":[{"id":"x"}],"next":null,"total":0}`} {
		probe := &failures{TB: t}
		rec := httptest.NewRecorder()
		rec.Header().Set("Content-Type", "application/json")
		rec.WriteString(body)
		contract(probe, httptest.NewRequest(http.MethodGet, "/api/v1/alerts", nil), rec)
		if probe.n == 0 {
			t.Errorf("%s was taken for a page of alerts", body)
		}
	}
}

type failures struct {
	testing.TB
	n int
}

func (f *failures) Errorf(string, ...any) { f.n++ }
