//go:build unix && !linux

package process

import "syscall"

// sysProcAttr has no parent-death signal here: only the lifeline is left.
func sysProcAttr(_ syscall.Signal, cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: cred}
}
