package clickhouse

import "syscall"

// childAttributes make the kernel kill the child when the thread that forked
// it ends, and keep a terminal's Ctrl-C from reaching the child before the
// parent has stopped what uses it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
