package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen opens a TCP listener on addr (host:port). A busy or forbidden port is
// an error that names the address and flag, the command-line flag that moves
// it. There is no search for a free port: a service that moves silently is a
// service nobody finds.
func Listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address %s is already in use: stop what listens there, or choose another with %s: %w", addr, flag, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("no permission to listen on %s: choose a port above 1023 with %s: %w", addr, flag, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("this machine has no address %s: choose another with %s: %w", addr, flag, err)
	default:
		return nil, fmt.Errorf("listen on %s (%s): %w", addr, flag, err)
	}
}

// LoopbackOnly reports an error unless the host of addr is a loopback address
// (or "localhost"): for listeners that have no authentication of their own.
func LoopbackOnly(addr, flag string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s: address %q is not host:port: %w", flag, addr, err)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s: address %q must be a loopback address such as 127.0.0.1:0: this listener has no authentication", flag, addr)
	}
	return nil
}
