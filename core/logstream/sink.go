package logstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Config is what a stream's config object may hold; which members count
// depends on the kind.
type Config struct {
	// http and splunk: https://host/path; for splunk the collector's base, to
	// which /services/collector/event is added unless it is there.
	URL string `json:"url,omitempty"`
	// s3: the endpoint's host[:port], bucket, region, key prefix and access
	// key; the secret is the stream's secret. Plain speaks http.
	Endpoint  string `json:"endpoint,omitempty"`
	Bucket    string `json:"bucket,omitempty"`
	Region    string `json:"region,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
	AccessKey string `json:"access_key,omitempty"`
	Plain     bool   `json:"plain,omitempty"`
	// splunk: index and source type; empty leaves them to the token.
	Index      string `json:"index,omitempty"`
	SourceType string `json:"sourcetype,omitempty"`
	// kafka: brokers (host:port), topic, SASL user name; the secret is the
	// password. TLS unless Plain.
	Brokers  []string `json:"brokers,omitempty"`
	Topic    string   `json:"topic,omitempty"`
	Username string   `json:"username,omitempty"`
}

// ErrConfig is wrapped when a config cannot work; the message is for people.
var ErrConfig = errors.New("the stream's config is not valid")

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	topicName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
	hostPort   = regexp.MustCompile(`^[A-Za-z0-9.\[\]:_-]{1,253}$`)
)

// Parse reads and checks the config of a kind. allowPlain takes http and plain
// connections, too.
func Parse(kind string, raw json.RawMessage, allowPlain bool) (c Config, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("%w: %s", ErrConfig, strings.TrimPrefix(err.Error(), "json: "))
	}
	bad := func(format string, args ...any) (Config, error) {
		return c, fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	if c.Plain && !allowPlain {
		return bad("plain connections are not allowed here")
	}
	switch kind {
	case "http", "splunk":
		u, err := url.Parse(c.URL)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(c.URL) > 2048 {
			return bad("url: want https://host/path without a password")
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && allowPlain) {
			return bad("url: want https, not %q", u.Scheme)
		}
	case "s3":
		if !hostPort.MatchString(c.Endpoint) || !bucketName.MatchString(c.Bucket) || c.AccessKey == "" || len(c.Prefix) > 512 || strings.Contains(c.Prefix, "..") {
			return bad("want endpoint (host:port), bucket, access_key, and a prefix without ..")
		}
	case "kafka":
		if len(c.Brokers) == 0 || len(c.Brokers) > 20 || !topicName.MatchString(c.Topic) {
			return bad("want brokers (host:port) and topic")
		}
		for _, b := range c.Brokers {
			if _, _, err := net.SplitHostPort(b); err != nil {
				return bad("broker %.100q: want host:port", b)
			}
		}
	default:
		return bad("there is no kind %.20q", kind)
	}
	return c, nil
}

// batch is what goes out at once.
type batch struct {
	events []event.Event
	key    string // the same when it is sent again
	format string
}

func (b batch) append(dst []byte, e *event.Event) []byte {
	if b.format == "ocsf" {
		return event.AppendOCSF(dst, e)
	}
	return event.AppendJSON(dst, e)
}

func (b batch) lines() []byte {
	var out []byte
	for i := range b.events {
		out = append(b.append(out, &b.events[i]), '\n')
	}
	return out
}

// sink sends a batch; nil means that the receiver has taken it.
type sink interface {
	send(ctx context.Context, w core.StreamWork, c Config, b batch) error
}

type httpSink struct{ e *egress.Egress }

func (h httpSink) send(ctx context.Context, w core.StreamWork, c Config, b batch) error {
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Tenantwatch-Stream": {w.ID}, "Tenantwatch-Batch": {b.key}, "Tenantwatch-Tenant": {w.Tenant.String()}}
	if s := w.Secret.Reveal(); s != "" {
		header.Set("Authorization", "Bearer "+s)
	}
	_, err := post(ctx, h.e, c.URL, header, b.lines())
	return err
}

// post sends a packed body and takes any 2xx as taken.
func post(ctx context.Context, e *egress.Egress, to string, header http.Header, body []byte) ([]byte, error) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*e.Timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, &packed)
	if err != nil {
		return nil, err
	}
	header.Set("Content-Encoding", "gzip")
	header.Set("User-Agent", "tenantwatch")
	r.Header = header
	resp, err := e.Client().Do(r)
	if err != nil {
		return nil, plain(err)
	}
	defer resp.Body.Close() //nolint:errcheck // what matters has been read
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return answer, fmt.Errorf("the receiver answered %d: %.200q", resp.StatusCode, answer)
	}
	return answer, nil
}

// plain leaves the address out of an error: it is in the config already, and
// its path may be secret.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

type splunkSink struct{ e *egress.Egress }

func (s splunkSink) send(ctx context.Context, w core.StreamWork, c Config, b batch) error {
	var body []byte
	for i := range b.events {
		e := &b.events[i]
		head := map[string]any{"time": float64(e.Time/1e6) / 1e3, "host": w.Tenant.String(), "source": e.Source, "event": json.RawMessage(b.append(nil, e)), "fields": map[string]string{"tenantwatch_id": e.ID}}
		if c.Index != "" {
			head["index"] = c.Index
		}
		head["sourcetype"] = "tenantwatch:" + b.format
		if c.SourceType != "" {
			head["sourcetype"] = c.SourceType
		}
		line, err := json.Marshal(head)
		if err != nil {
			return err
		}
		body = append(append(body, line...), '\n')
	}
	to := strings.TrimRight(c.URL, "/")
	if !strings.Contains(to, "/services/collector") {
		to += "/services/collector/event"
	}
	answer, err := post(ctx, s.e, to, http.Header{"Content-Type": {"application/json"}, "Authorization": {"Splunk " + w.Secret.Reveal()}, "X-Splunk-Request-Channel": {w.ID}}, body)
	if err != nil {
		return err
	}
	var code struct {
		Code int    `json:"code"`
		Text string `json:"text"`
	}
	if json.Unmarshal(answer, &code) == nil && code.Code != 0 {
		return fmt.Errorf("the collector answered code %d: %.200q", code.Code, code.Text)
	}
	return nil
}

type s3Sink struct{ e *egress.Egress }

// send writes one object a batch. Its name is made of the batch, so that
// sending it again replaces it.
func (s s3Sink) send(ctx context.Context, w core.StreamWork, c Config, b batch) error {
	client, err := minio.New(c.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(c.AccessKey, w.Secret.Reveal(), ""), Secure: !c.Plain, Region: c.Region,
		Transport: s.e.Client().Transport, BucketLookup: minio.BucketLookupPath, MaxRetries: 1})
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(b.lines()); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	at := b.events[0].At()
	name := path.Join(c.Prefix, w.Tenant.String(), at.Format("2006/01/02/15"), at.Format("20060102T150405Z")+"-"+b.key+".ndjson.gz")
	ctx, cancel := context.WithTimeout(ctx, 6*s.e.Timeout())
	defer cancel()
	_, err = client.PutObject(ctx, c.Bucket, name, bytes.NewReader(packed.Bytes()), int64(packed.Len()),
		minio.PutObjectOptions{ContentType: "application/x-ndjson", ContentEncoding: "gzip", DisableMultipart: true})
	return plain(err)
}

// KafkaWriter writes messages to one topic and returns when all replicas have
// them; the program's Kafka client satisfies it.
type KafkaWriter interface {
	Write(ctx context.Context, keys, values [][]byte) error
	Close() error
}

// KafkaTarget is where a KafkaWriter writes; Dial is the guarded dialer.
type KafkaTarget struct {
	Brokers            []string
	Topic              string
	Username, Password string
	TLS                *tls.Config // nil: plain
	Dial               func(ctx context.Context, network, address string) (net.Conn, error)
}

type kafkaSink struct {
	e    *egress.Egress
	open func(KafkaTarget) (KafkaWriter, error)
}

func (k kafkaSink) send(ctx context.Context, w core.StreamWork, c Config, b batch) (err error) {
	if k.open == nil {
		return errors.New("this process cannot write to Kafka")
	}
	t := KafkaTarget{Brokers: c.Brokers, Topic: c.Topic, Username: c.Username, Password: w.Secret.Reveal(), Dial: k.e.DialContext}
	if !c.Plain {
		t.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	out, err := k.open(t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	keys, values := make([][]byte, len(b.events)), make([][]byte, len(b.events))
	for i := range b.events {
		keys[i] = []byte(w.Tenant.String() + "/" + b.events[i].ID)
		values[i] = b.append(nil, &b.events[i])
	}
	ctx, cancel := context.WithTimeout(ctx, 6*k.e.Timeout())
	defer cancel()
	return out.Write(ctx, keys, values)
}
