// Package kafkatest runs a real Apache Kafka broker for tests: one node,
// broker and controller in one, on loopback, with a data directory that
// outlives kill -9.
//
// It exists because a broker of our own choosing proves little about the one a
// customer runs. Only tests import it; without the jars (`make kafka`) or Java
// they are skipped, and fail where CI=true.
package kafkatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Mechanism is how clients sign in to a broker with users.
const Mechanism = "SCRAM-SHA-512"

// Admin is the super user of a broker with users; its password is its name.
const Admin = "admin"

// Options change the broker.
type Options struct {
	// Users makes the listener SASL (Mechanism, password = name) and turns on
	// the authorizer: whoever is not Admin may do nothing until an ACL allows it.
	Users []string
	// Properties are added to server.properties.
	Properties []string
}

// Broker is one running node.
type Broker struct {
	t          testing.TB
	dir, libs  string
	port, ctrl int
	opt        Options

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	out  *bytes.Buffer
}

// Start formats a data directory, starts a node and waits until it answers.
// It ends with the test.
func Start(t testing.TB, opt Options) *Broker {
	t.Helper()
	libs := locate(t)
	b := &Broker{t: t, dir: t.TempDir(), libs: libs, opt: opt}
	b.port, b.ctrl = freePort(t), freePort(t)
	b.write()
	args := []string{"format", "--standalone", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--config", b.file("server.properties")}
	if len(opt.Users) > 0 {
		for _, u := range append([]string{Admin}, opt.Users...) {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", Mechanism, u, u))
		}
	}
	if out, err := b.java(t.Context(), "kafka.tools.StorageTool", args...).CombinedOutput(); err != nil {
		t.Fatalf("format Kafka's directory: %v\n%s", err, out)
	}
	t.Cleanup(b.Kill)
	b.Resume()
	return b
}

// locate finds the jars and Java, or ends the test.
func locate(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TENANTWATCH_KAFKA_DIR")
	if dir == "" {
		dir = filepath.Join(root(), "build", "kafka")
	}
	libs := filepath.Join(dir, "libs")
	_, err := os.Stat(libs)
	if err == nil {
		_, err = exec.LookPath("java")
	}
	if err == nil {
		return libs
	}
	msg := fmt.Sprintf("a real Apache Kafka is missing (%v): fetch it with `make kafka`, or set TENANTWATCH_KAFKA_DIR to a directory that holds libs/", err)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
	return ""
}

// root is the directory of go.mod above the working directory, for a binary
// whose source paths were trimmed.
func root() string {
	dir, _ := os.Getwd()
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil || d == filepath.Dir(d) {
			return d
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // only the number was wanted
	return l.Addr().(*net.TCPAddr).Port
}

func (b *Broker) file(name string) string { return filepath.Join(b.dir, name) }

func (b *Broker) write() {
	b.t.Helper()
	protocol := "PLAINTEXT"
	lines := []string{
		"process.roles=broker,controller", "node.id=1",
		fmt.Sprintf("controller.quorum.bootstrap.servers=127.0.0.1:%d", b.ctrl),
		"controller.listener.names=CONTROLLER", "inter.broker.listener.name=CLIENT",
		"log.dirs=" + b.file("data"), "num.partitions=1",
		"offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
		"offsets.topic.num.partitions=4", "group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=500",
		"auto.create.topics.enable=false", "log.segment.bytes=1048576",
	}
	if len(b.opt.Users) > 0 {
		protocol = "SASL_PLAINTEXT"
		lines = append(lines,
			"sasl.enabled.mechanisms="+Mechanism, "sasl.mechanism.inter.broker.protocol="+Mechanism,
			fmt.Sprintf(`listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s";`, Admin, Admin),
			"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			// The controller's own port is plain text on loopback.
			"super.users=User:"+Admin+";User:ANONYMOUS")
	}
	lines = append(lines,
		fmt.Sprintf("listeners=CLIENT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", b.port, b.ctrl),
		fmt.Sprintf("advertised.listeners=CLIENT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", b.port, b.ctrl),
		"listener.security.protocol.map=CLIENT:"+protocol+",CONTROLLER:PLAINTEXT")
	lines = append(lines, b.opt.Properties...)
	if err := os.WriteFile(b.file("server.properties"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *Broker) java(ctx context.Context, class string, args ...string) *exec.Cmd {
	all := append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(b.libs, "*"), class}, args...)
	cmd := exec.CommandContext(ctx, "java", all...)
	cmd.Dir = b.dir
	return cmd
}

// Addr is where clients connect.
func (b *Broker) Addr() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }

// Resume starts the node, on what an earlier one left, and waits until it
// takes connections.
func (b *Broker) Resume() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd != nil {
		return
	}
	b.out = &bytes.Buffer{}
	cmd := b.java(context.Background(), "kafka.Kafka", b.file("server.properties"))
	cmd.Stdout, cmd.Stderr = b.out, b.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	b.cmd, b.done = cmd, done
	deadline := time.After(120 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.DialTimeout("tcp", b.Addr(), time.Second); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-done:
			b.t.Fatalf("Kafka ended while starting:\n%s", b.out)
		case <-deadline:
			b.t.Fatalf("Kafka does not listen after two minutes; log in its output")
		}
	}
}

// Kill ends the node with SIGKILL.
func (b *Broker) Kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd == nil {
		return
	}
	if err := b.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		b.t.Errorf("kill Kafka: %v", err)
	}
	<-b.done
	b.cmd = nil
}

// Allow gives a user an operation (Read, Write, Describe, Create, …) on a
// resource ("topic" or "group") by Kafka's own tool, as an operator would.
func (b *Broker) Allow(user, operation, kind, name string) {
	b.t.Helper()
	conf := b.file("admin.properties")
	text := fmt.Sprintf("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=%s\nsasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" password=\"%s\";\n", Mechanism, Admin, Admin)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	args := []string{"--bootstrap-server", b.Addr(), "--command-config", conf, "--add", "--allow-principal", "User:" + user, "--" + kind, name}
	for _, op := range strings.Split(operation, ",") {
		args = append(args, "--operation", op)
	}
	if out, err := b.java(b.t.Context(), "org.apache.kafka.tools.AclCommand", args...).CombinedOutput(); err != nil {
		b.t.Fatalf("kafka-acls: %v\n%s", err, out)
	}
}
