//go:build linux

package faults_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"usher/internal/testservices"
)

// startRedis starts a Redis; without arguments it keeps nothing.
func (w *world) startRedis(name string, args ...string) *server {
	w.t.Helper()
	dir, addr := filepath.Join(w.dir, name), w.freeAddr()
	w.must(os.Mkdir(dir, 0o700))
	s := &server{addr: addr, process: &process{
		starter: w.starter, path: testservices.RedisServer(w.t), name: "redis-server", log: filepath.Join(w.dir, name+".log"),
		args: append([]string{"--bind", w.host, "--port", port(addr), "--dir", dir, "--save", ""}, args...),
	}}
	s.ready = func() error { return redisSays(addr, "PING", "+PONG") }
	w.t.Cleanup(s.kill)
	w.must(s.start())
	return s
}

// redisSays sends a command and compares the first line of the answer.
func redisSays(addr, command, want string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, want) {
		return fmt.Errorf("redis: %s: %q", command, line)
	}
	return nil
}

// redisInfo returns a section of INFO or CLUSTER INFO.
func redisInfo(addr, command string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	var length int
	r := bufio.NewReader(conn)
	if _, err := fmt.Fscanf(r, "$%d\r\n", &length); err != nil {
		return "", err
	}
	text := make([]byte, length)
	for n := 0; n < length; {
		m, err := r.Read(text[n:])
		if err != nil {
			return "", err
		}
		n += m
	}
	return string(text), nil
}

func eventually(within time.Duration, f func() error) error {
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// says is an error unless the command's answer has all the words.
func says(addr, command string, words ...string) error {
	text, err := redisInfo(addr, command)
	if err != nil {
		return err
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			return errors.New(command + " does not say " + word)
		}
	}
	return nil
}

// startSentinels starts a primary with two replicas and three sentinels, and
// returns the primary and usher's URL.
func (w *world) startSentinels() (primary *server, url string) {
	w.t.Helper()
	primary = w.startRedis("primary", "--appendonly", "yes", "--appendfsync", "everysec")
	for i := range 2 {
		w.startRedis(fmt.Sprintf("replica%d", i), "--appendonly", "yes", "--appendfsync", "everysec",
			"--replicaof", w.host+" "+port(primary.addr), "--replica-announce-ip", w.host, "--repl-diskless-sync-delay", "0")
	}
	w.must(eventually(20*time.Second, func() error {
		return says(primary.addr, "INFO replication", "slave0:", "slave1:", "state=online,offset=")
	}))
	var addrs []string
	for i := range 3 {
		addr := w.freeAddr()
		name := fmt.Sprintf("sentinel%d", i)
		config := filepath.Join(w.dir, name+".conf")
		w.must(os.WriteFile(config, []byte(strings.Join([]string{
			"bind " + w.host, "sentinel announce-ip " + w.host, "port " + port(addr), "dir " + w.dir,
			"sentinel monitor main " + w.host + " " + port(primary.addr) + " 2",
			"sentinel down-after-milliseconds main 1000", "sentinel failover-timeout main 5000", "",
		}, "\n")), 0o600))
		s := &server{addr: addr, process: &process{
			starter: w.starter, path: testservices.RedisServer(w.t), name: "redis-sentinel", log: filepath.Join(w.dir, name+".log"),
			args: []string{config},
		}}
		s.ready = func() error { return redisSays(addr, "PING", "+PONG") }
		w.t.Cleanup(s.kill)
		w.must(s.start())
		addrs = append(addrs, addr)
	}
	for _, addr := range addrs {
		w.must(eventually(20*time.Second, func() error { return says(addr, "INFO sentinel", "status=ok", "slaves=2", "sentinels=3") }))
	}
	return primary, "redis://" + addrs[0] + "?addr=" + addrs[1] + "&addr=" + addrs[2] + "&master_set=main"
}

// startCluster starts three primaries with a replica each, and returns the first
// primary and usher's URL.
func (w *world) startCluster() (primary *server, url string) {
	w.t.Helper()
	var addrs []string
	for i := range 6 {
		s := w.startRedis(fmt.Sprintf("node%d", i), "--cluster-enabled", "yes", "--cluster-announce-ip", w.host, "--cluster-node-timeout", "1000", "--appendonly", "yes",
			"--appendfsync", "everysec", "--repl-diskless-sync-delay", "0", "--cluster-config-file", "nodes.conf")
		if i == 0 {
			primary = s
		}
		addrs = append(addrs, s.addr)
	}
	args := append([]string{"--cluster", "create"}, addrs...)
	cmd := exec.Command("redis-cli", append(args, "--cluster-replicas", "1", "--cluster-yes")...)
	if output, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("redis-cli: %v: %s", err, output)
	}
	for i, addr := range addrs {
		w.must(eventually(20*time.Second, func() error {
			if err := says(addr, "CLUSTER INFO", "cluster_state:ok"); err != nil || i >= 3 {
				return err
			}
			return says(addr, "INFO replication", "connected_slaves:1", "state=online")
		}))
	}
	return primary, "redis://" + addrs[0] + "?addr=" + addrs[1] + "&addr=" + addrs[2]
}
