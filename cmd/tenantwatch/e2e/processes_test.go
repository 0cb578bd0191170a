//go:build integration

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// proc is one line of the process table.
type proc struct {
	pid, parent int
	name        string // the command line, spaces between its words
	start       string // with the pid it names a process for good
}

// processes is the table of all processes that are no zombies.
func processes(t testing.TB) map[int]proc {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no process table: %v", err)
	}
	out := map[int]proc{}
	for _, d := range dirs {
		stat, err := os.ReadFile(d + "/stat")
		if err != nil {
			continue // gone meanwhile
		}
		// pid (name) state ppid …; the name may hold anything, even ")".
		s := string(stat)
		fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
		if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(d))
		parent, _ := strconv.Atoi(fields[1])
		cmd, _ := os.ReadFile(d + "/cmdline")
		out[pid] = proc{pid: pid, parent: parent, name: strings.TrimSpace(strings.ReplaceAll(string(cmd), "\x00", " ")), start: fields[19]}
	}
	return out
}

// tree is the process with all its descendants, itself first.
func (i *instance) tree() []proc {
	i.t.Helper()
	all := processes(i.t)
	out := []proc{all[i.cmd.Process.Pid]}
	for n := 0; n < len(out); n++ {
		for _, p := range all {
			if p.parent == out[n].pid && p.pid != out[n].pid {
				out = append(out, p)
			}
		}
	}
	return out
}

// child is the descendant whose command line holds what.
func (i *instance) child(what string) proc {
	i.t.Helper()
	for _, p := range i.tree()[1:] {
		if strings.Contains(p.name, what) {
			return p
		}
	}
	i.t.Fatalf("no child process of %q in %+v", what, i.tree())
	return proc{}
}

// living are those of ps that still run.
func living(t testing.TB, ps []proc) (out []proc) {
	all := processes(t)
	for _, p := range ps {
		if now, ok := all[p.pid]; ok && now.start == p.start {
			out = append(out, now)
		}
	}
	return out
}

// killTree sends SIGKILL to the process and all its descendants.
func (i *instance) killTree() {
	i.t.Helper()
	for _, p := range i.tree() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	<-i.done
}

// peak is the most memory a process ever held, in bytes.
func peak(pid int) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// ready says whether /readyz is fine.
func (i *instance) ready() bool {
	resp, err := http.Get(i.ops + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// metrics are the samples of /metrics by their name with labels.
func (i *instance) metrics() map[string]float64 {
	i.t.Helper()
	resp, err := http.Get(i.ops + "/metrics")
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]float64{}
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			out[line[:at]] = v
		}
	}
	if err := sc.Err(); err != nil {
		i.t.Fatal(err)
	}
	return out
}

// sum adds up the samples of a metric whose labels hold all of these.
func sum(m map[string]float64, name string, labels ...string) (total float64, series int) {
next:
	for k, v := range m {
		if k != name && !strings.HasPrefix(k, name+"{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(k, l) {
				continue next
			}
		}
		total, series = total+v, series+1
	}
	return total, series
}

// drained says whether a consumer has committed all there is of the events.
func (i *instance) drained(client string) bool {
	i.t.Helper()
	lag, series := sum(i.metrics(), "tenantwatch_eventlog_lag_records", `client="`+client+`"`, `topic="access-events.v1"`)
	return series == 4 && lag == 0
}
