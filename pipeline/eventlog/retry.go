package eventlog

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/segmentio/kafka-go"
)

// ErrUnavailable is returned when the log could not take a record in time. The
// record may have been written all the same: sending it again is right, the
// event ids settle the repetition.
var ErrUnavailable = errors.New("event log is not available")

// ErrRefused is returned when the log will never take the record as it is.
var ErrRefused = errors.New("event log refused the record")

// ErrFenced is returned by a commit whose generation is over: another consumer
// owns the partition now, or will.
var ErrFenced = errors.New("partition is no longer assigned to this consumer")

// retryable tells errors that may pass by themselves. Whatever is not an
// answer of the broker is a broken connection or a broker away.
func retryable(err error) bool {
	var ke kafka.Error
	if errors.As(err, &ke) {
		return ke.Temporary() || ke.Timeout() || ke == kafka.UnknownTopicOrPartition || ke == kafka.NotController
	}
	var tooLarge kafka.MessageTooLargeError
	return !errors.As(err, &tooLarge)
}

func fenced(err error) bool {
	return errors.Is(err, kafka.IllegalGeneration) || errors.Is(err, kafka.UnknownMemberId) ||
		errors.Is(err, kafka.RebalanceInProgress) || errors.Is(err, kafka.FencedInstanceID)
}

// backoff doubles from first to most, with jitter so that many waiters do not
// come back together.
type backoff struct{ next, most time.Duration }

func newBackoff(first, most time.Duration) *backoff { return &backoff{first, most} }

func (b *backoff) wait(ctx context.Context) error {
	d := b.next/2 + rand.N(b.next)
	b.next = min(2*b.next, b.most)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
