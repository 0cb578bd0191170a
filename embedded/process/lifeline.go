package process

import (
	"fmt"
	"io"
	"os"
	"strconv"
)

// LifelineEnv tells a child the descriptor of its lifeline.
const LifelineEnv = "TENANTWATCH_LIFELINE_FD"

// Lifeline is called by a child of ours (Options.Lifeline) early in its main.
// The channel it returns is closed when the parent is gone, however it went;
// the child must then end at once. ok is false when the process was started
// without a lifeline.
//
// The goroutine behind it lives until the parent is gone, that is, as long as
// the process.
func Lifeline() (gone <-chan struct{}, ok bool, err error) {
	v, ok := os.LookupEnv(LifelineEnv)
	if !ok {
		return nil, false, nil
	}
	fd, err := strconv.Atoi(v)
	if err != nil || fd < 3 {
		return nil, false, fmt.Errorf("lifeline: %s=%q is no descriptor", LifelineEnv, v)
	}
	// Grandchildren must not believe that they have a lifeline.
	_ = os.Unsetenv(LifelineEnv)
	f := os.NewFile(uintptr(fd), "lifeline")
	if f == nil {
		return nil, false, fmt.Errorf("lifeline: descriptor %d is not open", fd)
	}
	ch := make(chan struct{})
	go func() {
		defer close(ch)
		_, _ = io.Copy(io.Discard, f) // ends when the last write end is closed
		_ = f.Close()
	}()
	return ch, true, nil
}
