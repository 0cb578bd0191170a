package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// stopTimeout bounds how long one part may take to end in order.
const stopTimeout = 30 * time.Second

// part is one running thing with the function that ends it.
type part struct {
	name string
	stop func(ctx context.Context) error
}

// lifecycle starts parts in order and stops them last in, first out: what
// takes events in ends before what stores them.
type lifecycle struct {
	log    *slog.Logger
	mu     sync.Mutex
	parts  []part
	failed chan error // the first part that ended without being asked
}

func newLifecycle(log *slog.Logger) *lifecycle {
	return &lifecycle{log: log, failed: make(chan error, 1)}
}

// add registers something that is running already.
func (l *lifecycle) add(name string, stop func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts = append(l.parts, part{name, stop})
}

// run starts fn in a goroutine of its own; fn ends when its context is done.
func (l *lifecycle) run(name string, fn func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := fn(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended without being asked")
			}
			l.fail(fmt.Errorf("%s: %w", name, err))
		}
		done <- err
	}()
	l.add(name, func(stopCtx context.Context) error {
		cancel()
		select {
		case err := <-done:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-stopCtx.Done():
			return fmt.Errorf("did not end within %v", stopTimeout)
		}
	})
}

func (l *lifecycle) fail(err error) {
	select {
	case l.failed <- err:
	default: // the first failure is the one that is reported
	}
}

// stop ends all parts, the last started first, and joins their errors.
func (l *lifecycle) stop() error {
	l.mu.Lock()
	parts := l.parts
	l.parts = nil
	l.mu.Unlock()
	var errs []error
	for i := len(parts) - 1; i >= 0; i-- {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		if err := parts[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", parts[i].name, err))
		}
		cancel()
		l.log.Debug("stopped", "part", parts[i].name)
	}
	return errors.Join(errs...)
}
