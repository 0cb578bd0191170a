package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestPartsStopLastInFirstOut(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := newLifecycle(slog.New(slog.DiscardHandler))
	var order []string
	for _, n := range []string{"postgres", "api", "collector"} {
		started := make(chan struct{})
		l.run(n, func(ctx context.Context) error {
			close(started)
			<-ctx.Done()
			order = append(order, n) // safe: they end one after another
			return nil
		})
		<-started
	}
	if err := l.stop(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"collector", "api", "postgres"}; !slices.Equal(order, want) {
		t.Fatalf("stopped %v, want %v", order, want)
	}
}

func TestAPartThatEndsByItselfIsReported(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := newLifecycle(slog.New(slog.DiscardHandler))
	l.run("broker", func(context.Context) error { return errors.New("disk on fire") })
	if err := <-l.failed; !strings.Contains(err.Error(), "broker: disk on fire") {
		t.Fatal(err)
	}
	if err := l.stop(); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Fatalf("stop says %v", err)
	}
}
