//go:build unix && !linux

package clickhouse

import "syscall"

// childAttributes keep a terminal's Ctrl-C from reaching the child before the
// parent has stopped what uses it. The lifeline alone ties it to the parent.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
