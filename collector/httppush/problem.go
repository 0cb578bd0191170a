package httppush

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
)

// problemBody is an RFC 9457 problem; the last two are set when some of the
// body had been read.
type problemBody struct {
	Type               string  `json:"type"`
	Title              string  `json:"title"`
	Status             int     `json:"status"`
	Detail             string  `json:"detail"`
	Durable            *uint64 `json:"durable,omitempty"`
	DurableQuarantined *uint64 `json:"durable_quarantined,omitempty"`
}

func problem(w http.ResponseWriter, status int, detail string, res *collector.Result) int {
	if l, ok := w.(*logsWriter); ok {
		return l.problem(status, detail)
	}
	p := problemBody{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
	if res != nil {
		p.Durable, p.DurableQuarantined = &res.Durable, &res.DurableQuarantined
	}
	return writeJSON(w, status, "application/problem+json", p)
}

// busy asks to come back after d, rounded up to whole seconds.
func busy(w http.ResponseWriter, status int, d time.Duration, detail string) int {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	return problem(w, status, detail, nil)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a sender that went away learns nothing
	return status
}
