package process

import "syscall"

// sysProcAttr puts the child into a process group of its own, so that Ctrl-C at
// the terminal reaches the parent alone, which then stops its parts in order;
// and asks the kernel to signal the child when the thread that started it dies.
func sysProcAttr(death syscall.Signal, cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death, Credential: cred}
}
