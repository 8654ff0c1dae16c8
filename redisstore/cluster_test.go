//go:build unix

package redisstore_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/redisstore"
	"usher/ushertest"

	"github.com/redis/rueidis"
)

// cluster is a Redis Cluster of primaries and as many replicas, one for each.
type cluster struct {
	t     testing.TB
	nodes []*server // first the primaries
	ids   []string
}

// startCluster starts a cluster in which a primary is given up after 1.5 s.
func startCluster(t testing.TB, primaries, replicas int, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	args = append([]string{
		"--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-node-timeout", "1500",
		"--repl-diskless-sync-delay", "0",
	}, args...)
	for range primaries + replicas {
		node := startServer(t, args...)
		c.nodes = append(c.nodes, node)
		c.ids = append(c.ids, node.text("CLUSTER", "MYID"))
	}
	for i, node := range c.nodes {
		if i < primaries {
			first, last := 16384*i/primaries, 16384*(i+1)/primaries-1
			node.do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		}
		node.do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i > 0 {
			node.do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.nodes[0].port))
		}
	}
	for _, node := range c.nodes {
		eventually(t, "a cluster whose nodes know each other", func() bool {
			return strings.Count(node.text("CLUSTER", "NODES"), "connected") == len(c.nodes) &&
				!strings.Contains(node.text("CLUSTER", "NODES"), "handshake")
		})
	}
	for i := range replicas {
		c.nodes[primaries+i].do("CLUSTER", "REPLICATE", c.ids[i])
	}
	for i, node := range c.nodes {
		eventually(t, "a cluster", func() bool {
			return strings.Contains(node.text("CLUSTER", "INFO"), "cluster_state:ok") &&
				(i < primaries || strings.Contains(node.text("INFO", "replication"), "master_link_status:up"))
		})
	}
	return c
}

// url names two nodes, for one may be away when a store starts.
func (c *cluster) url() string { return c.nodes[0].url() + "?addr=" + c.nodes[1].addr() }

// move moves a slot and its keys to another primary, slowly.
func (c *cluster) move(slot int, from, to int) (moved int) {
	c.t.Helper()
	moved = c.migrate(slot, from, to)
	c.assign(slot, from, to)
	return moved
}

// migrate moves the keys of a slot that still is the other's: who asks there for
// one of them is told to ASK elsewhere.
func (c *cluster) migrate(slot int, from, to int) (moved int) {
	c.t.Helper()
	s, source, target := strconv.Itoa(slot), c.nodes[from], c.nodes[to]
	target.do("CLUSTER", "SETSLOT", s, "IMPORTING", c.ids[from])
	source.do("CLUSTER", "SETSLOT", s, "MIGRATING", c.ids[to])
	for {
		keys := source.list("CLUSTER", "GETKEYSINSLOT", s, "5")
		if len(keys) == 0 {
			return moved
		}
		moved += len(keys)
		source.do(slices.Concat([]string{"MIGRATE", "127.0.0.1", strconv.Itoa(target.port), "", "0", "5000", "KEYS"}, keys)...)
		time.Sleep(2 * time.Millisecond)
	}
}

// assign ends the move of a slot.
func (c *cluster) assign(slot int, from, to int) {
	c.t.Helper()
	for _, i := range []int{to, from, 3 - from - to} {
		c.nodes[i].do("CLUSTER", "SETSLOT", strconv.Itoa(slot), "NODE", c.ids[to])
	}
}

// TestClusterSlots: one node refuses commands on keys of several slots as many do.
func TestClusterSlots(t *testing.T) {
	t.Parallel()
	oneSlot(t, startCluster(t, 1, 0).nodes[0])
}

// TestCluster: three primaries with a replica each; the contract holds, sessions
// stay right while their slot moves, and a primary that dies is replaced (F11:
// P4, P6, P8).
func TestCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, 3, limitedUser...)
	client := connect(t, c.url())
	if mode := client.Mode(); mode != rueidis.ClientModeCluster {
		t.Fatalf("the client's mode is %s", mode)
	}
	t.Run("contract", func(t *testing.T) {
		ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
			return redisstore.New(client, redisstore.Options{Prefix: testservices.Prefix(t), WaitReplicas: 1, WaitTimeout: 2 * time.Second}), nil
		})
	})
	t.Run("half moved", func(t *testing.T) { halfMoved(t, c) })
	for range rounds() {
		t.Run("reshard", func(t *testing.T) { reshard(t, c, redisstore.Options{}) })
	}
	t.Run("reshard and wait for replicas", func(t *testing.T) {
		reshard(t, c, redisstore.Options{WaitReplicas: 1, WaitTimeout: 2 * time.Second})
	})
	t.Run("kill a primary", func(t *testing.T) {
		l := startLoad(t, openURL(t, asLimited(c.url()), redisstore.Options{}), newUsers(8))
		l.until(500)
		killed := time.Now()
		c.nodes[0].kill()
		l.outage(killed, 10*time.Second)
		l.stop()
		c.nodes[0].start() // as a replica, which forgets what it alone knew
		lost, undone := l.audit()
		t.Logf("%d sessions lost, %d logouts undone", lost, undone)
	})
}

// halfMoved: sessions whose slot is on its way can be used and ended, by ASK. Redis
// refuses scripts on keys of which only some have arrived, or that are new: a
// sign-in waits for the move, and fails without a wrong word if it takes longer
// (P4, P5).
func halfMoved(t *testing.T, c *cluster) {
	const bucket = 0x3c
	slot := int(c.nodes[0].number("CLUSTER", "KEYSLOT", "usher:{3c}:"))
	from := slot * 3 / 16384
	to := (from + 1) % 3
	store := openURL(t, asLimited(c.url()), redisstore.Options{})
	user := usersIn(bucket, 1)[0]
	token, session := create(t, store, user)
	ended, _ := create(t, store, user)
	moved := c.migrate(slot, from, to)
	defer func() { c.move(slot, to, from) }() // so that the others find a whole cluster
	defer func() { c.move(slot, from, to) }()
	if moved < 3 {
		t.Errorf("%d keys moved, want two sessions and their index", moved)
	}
	began := time.Now()
	_, _, err := store.ReadSession(t.Context(), token)
	check(t, "ReadSession", err)
	check(t, "TouchSession", store.TouchSession(t.Context(), token, time.Now(), session.ExpiresAt))
	if list, err := store.ListSessions(t.Context(), user); err != nil || len(list) != 2 {
		t.Errorf("ListSessions: %d and error %v, want 2", len(list), err)
	}
	check(t, "DestroySession", store.DestroySession(t.Context(), ended))
	if _, _, err := store.ReadSession(t.Context(), ended); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession of a session that was ended: %v, want %v", err, usher.ErrNotFound)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("they took %v: they waited for the end of the move", took)
	}

	began = time.Now()
	fresh := newToken(store, user)
	wantOutage(t, "CreateSession", store.CreateSession(t.Context(), fresh, newSession(user)))
	if took := time.Since(began); took > slowest {
		t.Errorf("CreateSession took %v", took)
	}
	if _, _, err := store.ReadSession(t.Context(), fresh); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession of a session that was not created: %v, want %v", err, usher.ErrNotFound)
	}
	_, _, err = store.ReadSession(t.Context(), token)
	check(t, "ReadSession", err)
}

// reshard moves a slot to another primary and back while its sessions are in use.
func reshard(t *testing.T, c *cluster, opts redisstore.Options) {
	const bucket = 0x7f
	slot := int(c.nodes[0].number("CLUSTER", "KEYSLOT", "usher:{7f}:"))
	from := slot * 3 / 16384
	to := (from + 1) % 3
	l := startLoad(t, openURL(t, asLimited(c.url()), opts), usersIn(bucket, 16))
	l.until(500)
	for range 2 {
		eventually(t, "enough keys to move", func() bool { // some of which end before they are moved
			return c.nodes[from].number("CLUSTER", "COUNTKEYSINSLOT", strconv.Itoa(slot)) >= 100
		})
		began := time.Now()
		if moved := c.move(slot, from, to); moved < 50 {
			t.Errorf("%d keys moved: too few", moved)
		} else {
			t.Logf("%d keys moved in %v", moved, time.Since(began))
		}
		l.until(l.done() + 200)
		from, to = to, from
	}
	l.stop()
	if lost, undone := l.audit(); lost+undone > 0 {
		t.Errorf("%d sessions lost, %d logouts undone", lost, undone)
	}
	if n := l.failures(); n > 0 {
		t.Errorf("%d calls failed", n)
	}
}

// usersIn returns users whose keys are in one bucket.
func usersIn(bucket byte, n int) (users []usher.ID) {
	for len(users) < n {
		if user := usher.NewID(); sha256.Sum256([]byte(user))[0] == bucket {
			users = append(users, user)
		}
	}
	return users
}
