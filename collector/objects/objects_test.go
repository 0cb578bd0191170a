package objects

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/klauspost/compress/gzip"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/collectortest"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

func zip(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.Bytes()
}

func newFolder(t *testing.T, dir, state string, sink collector.Sink) source.Source {
	t.Helper()
	s, err := FolderKind().New(collectortest.Env(t, state, sink), map[string]any{"path": dir, "poll": "2ms"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p+".tmp", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p+".tmp", p); err != nil {
		t.Fatal(err)
	}
}

func TestFolderContract(t *testing.T) {
	dir := t.TempDir()
	n := 0
	collectortest.RunFeed(t, collectortest.Feed{
		Write: func(t *testing.T, lines string) { n++; put(t, dir, fmt.Sprintf("a/%d.json.gz", n), zip(lines)) },
		New: func(t *testing.T, state string, sink collector.Sink) source.Source {
			return newFolder(t, dir, state, sink)
		},
	})
}

const record = `{"eventTime":"2026-03-01T09:15:02Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice"},"eventID":"%s"}`

// trail is an object as CloudTrail writes it.
func trail(ids ...string) []byte {
	var r []string
	for _, id := range ids {
		r = append(r, fmt.Sprintf(record, id))
	}
	return zip(`{"Records":[` + strings.Join(r, ",") + `]}`)
}

func TestDamagedObjectHoldsUpNoOther(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "1.json.gz", trail("a", "b")[:60])
	put(t, dir, "2.json.gz", trail("c"))
	put(t, dir, "3.txt", []byte("not ours"))
	sink := collectortest.NewSink(1)
	s := newFolder(t, dir, t.TempDir(), sink).(*reader)
	s.mem, s.failed = memory{Seen: map[string]string{}}, map[string]int{}
	for i := range attempts {
		if err := s.pass(t.Context()); err == nil {
			t.Fatalf("attempt %d: the damaged object is not reported", i)
		}
	}
	if err := s.pass(t.Context()); err != nil || !sink.Has("c") || len(s.mem.Seen) != 2 {
		t.Fatalf("%v, %v", err, s.mem.Seen)
	}
	// A file that is gone is forgotten.
	os.Remove(filepath.Join(dir, "2.json.gz"))
	put(t, dir, "4.json.gz", trail("d"))
	if err := s.pass(t.Context()); err != nil || len(s.mem.Seen) != 2 {
		t.Fatalf("%v, %v", err, s.mem.Seen)
	}
}

// A store that speaks S3 in this process.
func TestBucket(t *testing.T) {
	backend := s3mem.New()
	srv := httptest.NewServer(gofakes3.New(backend).Server())
	defer srv.Close()
	if err := backend.CreateBucket("trail"); err != nil {
		t.Fatal(err)
	}
	store := func(key string, b []byte) {
		t.Helper()
		if _, err := backend.PutObject("trail", key, map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}, bytes.NewReader(b), int64(len(b)), nil); err != nil {
			t.Fatal(err)
		}
	}
	dir, state := t.TempDir(), t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sink := collectortest.NewSink(1)
	start := func() func() {
		s, err := S3Kind().New(collectortest.Env(t, state, sink), map[string]any{
			"endpoint": srv.URL, "bucket": "trail", "prefix": "AWSLogs/", "access_key_file": secret, "secret_key_file": secret, "path_style": true, "poll": "5ms"})
		if err != nil {
			t.Fatal(err)
		}
		return collectortest.Start(t, s)
	}
	const n = 1100 // more than one page of a listing
	for i := range n {
		store(fmt.Sprintf("AWSLogs/1/CloudTrail/eu-west-1/2026/03/01/%04d.json.gz", i), trail(fmt.Sprintf("e%d", i)))
	}
	store("AWSLogs/1/CloudTrail-Digest/eu-west-1/2026/03/01/x.json.gz", trail("digest"))
	store("other/x.json.gz", trail("other"))
	stop := start()
	collectortest.Eventually(t, "all objects", func() bool { return sink.Events() == n })
	sink.Chaos(true)
	for i := range 10 {
		store(fmt.Sprintf("AWSLogs/1/CloudTrail/eu-west-1/2026/03/02/0%d.json.gz", i), trail(fmt.Sprintf("late%d", i)))
	}
	collectortest.Eventually(t, "new objects", func() bool { return sink.Events() == n+10 })
	stop()
	// The cursor is kept.
	again := collectortest.NewSink(1)
	sink = again
	store("AWSLogs/1/CloudTrail/eu-west-1/2026/03/02/1.json.gz", trail("last"))
	stop = start()
	collectortest.Eventually(t, "the next object", func() bool { return again.Has("last") })
	stop()
	// Only what was not acknowledged when it was stopped may come again.
	if again.Events() > 11 || again.Has("e0") {
		t.Fatalf("%d events were read again", again.Events()-1)
	}
	if again.Has("digest") || again.Has("other") {
		t.Fatal("what is none of ours was read")
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []S3Options{{}, {Bucket: "b", Endpoint: "x"}, {Bucket: "b", KeyFile: "k"}, {Bucket: "b", Match: "["}} {
		if checkS3(&o) == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if err := FolderKind().Check(map[string]any{"path": "relative"}); err == nil {
		t.Error("a relative folder was taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := folder(filepath.Join(t.TempDir(), "none")).list(ctx, func(object) {}); err == nil {
		t.Error("a missing folder is no error")
	}
}
