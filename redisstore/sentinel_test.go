//go:build unix

package redisstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/redisstore"
	"usher/ushertest"

	"github.com/redis/rueidis"
)

// sentinels are three Sentinels that watch a master with two replicas.
type sentinels struct {
	t     testing.TB
	nodes []*server // of Redis
	guard []*server
}

const sentinelPassword = "gu4rd"

// startSentinels starts all of them; a master is given up after a second. Each
// node has a file: one that was the master and starts again says for some seconds
// that it still is, and is believed (see TestMasterReturnsEmpty).
func startSentinels(t testing.TB, args ...string) *sentinels {
	t.Helper()
	s := &sentinels{t: t}
	for range 3 {
		s.nodes = append(s.nodes, startServer(t, slices.Concat([]string{"--repl-diskless-sync-delay", "0", "--appendonly", "yes", "--appendfsync", "always"}, args)...))
	}
	for _, replica := range s.nodes[1:] {
		replica.replicate(s.nodes[0])
	}
	for range 3 {
		guard := newServer(t, "--sentinel", "--user", "usher", "on", ">"+sentinelPassword, "&*", "-@all",
			"+subscribe", "+psubscribe", "+sentinel|sentinels", "+sentinel|get-master-addr-by-name", "+ping")
		guard.file = filepath.Join(t.TempDir(), "sentinel.conf")
		err := os.WriteFile(guard.file, fmt.Appendf(nil, `
sentinel monitor main 127.0.0.1 %d 2
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 5000
`, s.nodes[0].port), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		guard.start()
		s.guard = append(s.guard, guard)
	}
	s.ready()
	return s
}

// ready waits until every Sentinel knows the others and two replicas.
func (s *sentinels) ready() {
	s.t.Helper()
	for _, guard := range s.guard {
		eventually(s.t, "Sentinels that know each other", func() bool {
			answer := guard.do("SENTINEL", "MASTER", "main")
			master, err := answer.AsStrMap()
			return err == nil && master["num-other-sentinels"] == "2" && master["num-slaves"] == "2" && master["flags"] == "master"
		})
	}
}

// master returns the node that the Sentinels name.
func (s *sentinels) master() *server {
	s.t.Helper()
	address := strings.Join(s.guard[0].list("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"), ":")
	for _, node := range s.nodes {
		if node.addr() == address {
			return node
		}
	}
	s.t.Fatalf("the Sentinels name %s", address)
	return nil
}

func (s *sentinels) url() string {
	return fmt.Sprintf("%s?addr=%s&addr=%s&master_set=main&sentinel_user=usher&sentinel_password=%s",
		s.guard[0].url(), s.guard[1].addr(), s.guard[2].addr(), sentinelPassword)
}

// TestSentinel: the contract holds, and a master that dies under load is replaced
// (F09: P4, P5, P6, P8). What was acknowledged and is undone is counted; when two
// of two replicas are waited for, it is nothing (P2).
func TestSentinel(t *testing.T) {
	t.Parallel()
	s := startSentinels(t, limitedUser...)
	options := rueidis.MustParseURL(s.url())
	options.Sentinel.Username, options.Sentinel.Password, options.DisableCache = "usher", sentinelPassword, true
	client, err := rueidis.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if mode := client.Mode(); mode != rueidis.ClientModeSentinel {
		t.Fatalf("the client's mode is %s", mode)
	}
	t.Run("contract", func(t *testing.T) {
		ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
			return redisstore.New(client, redisstore.Options{Prefix: testservices.Prefix(t), WaitReplicas: 1, WaitTimeout: 2 * time.Second}), nil
		})
	})
	for round := range rounds() {
		t.Run("kill the master with two replicas waited for", func(t *testing.T) {
			if lost, undone := failover(t, s, redisstore.Options{WaitReplicas: 2}, false); lost+undone > 0 {
				t.Errorf("%d sessions lost, %d logouts undone", lost, undone)
			}
		})
		t.Run("kill the master", func(t *testing.T) {
			lost, undone := failover(t, s, redisstore.Options{}, round == rounds()-1)
			t.Logf("without WaitReplicas: %d sessions lost, %d logouts undone", lost, undone)
		})
	}
}

// failover kills the master under load and starts it again as a replica, unless
// it is the last time.
func failover(t *testing.T, s *sentinels, opts redisstore.Options, last bool) (lost, undone int) {
	s.ready()
	master := s.master()
	l := startLoad(t, openURL(t, asLimited(s.url()), opts), newUsers(8))
	l.until(500)
	killed, limit := time.Now(), 10*time.Second
	master.kill()
	eventually(t, "another master", func() bool { return s.master() != master })
	if opts.WaitReplicas == 2 { // there are two again when the old master is a replica, after 8 s by Sentinel's rules
		limit = 20 * time.Second
	}
	if !last {
		master.start()
	}
	l.outage(killed, limit)
	l.stop()
	return l.audit()
}
