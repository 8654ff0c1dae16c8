package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usher/internal/testservices"

	"github.com/redis/rueidis"
)

// P2: what Redis brings back after a logout stays dead with redis_options.deny_list,
// and lives again without, as docs/operations.md says.
func TestDenyListOption(t *testing.T) {
	t.Parallel()
	options := rueidis.MustParseURL(testservices.Redis(t))
	options.DisableCache = true
	redis, err := rueidis.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	for _, list := range []bool{false, true} {
		c := withRedis(t, testservices.Redis(t))
		c.RedisOptions.Prefix, c.RedisOptions.DenyList = testservices.Prefix(t), list
		b := boot(t, c)
		b.register("ada@example.com")
		bearer := b.bearer("redis", "ada@example.com")
		keys, err := redis.Do(t.Context(), redis.B().Keys().Pattern(c.RedisOptions.Prefix+"*:session:*").Build()).AsStrSlice()
		if err != nil || len(keys) != 1 {
			t.Fatalf("keys %q and error %v, want one session", keys, err)
		}
		session, err := redis.Do(t.Context(), redis.B().Get().Key(keys[0]).Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		b.want(204, "POST", "/auth/redis/logout", "", "Authorization", bearer)
		b.want(401, "GET", "/users/me", "", "Authorization", bearer)
		if err := redis.Do(t.Context(), redis.B().Set().Key(keys[0]).Value(session).Px(time.Minute).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		b.want(map[bool]int{false: 200, true: 401}[list], "GET", "/users/me", "", "Authorization", bearer)
	}
}

// With redis_options.wait_replicas what no replica has is not acknowledged, as
// docs/operations.md says.
func TestWaitReplicasOption(t *testing.T) {
	t.Parallel()
	for replicas, want := range map[int]int{0: 200, 1: 503} { // and Redis has none
		c := withRedis(t, testservices.Redis(t))
		c.RedisOptions.Prefix, c.RedisOptions.WaitReplicas, c.RedisOptions.WaitTimeout = testservices.Prefix(t), replicas, 50*time.Millisecond
		b := boot(t, c)
		b.register("ada@example.com")
		if a := b.want(want, "POST", "/auth/redis/login", loginForm("ada@example.com")); want == 503 && a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

// The log tells of a Redis that may evict.
func TestEvictionWarning(t *testing.T) {
	t.Parallel()
	if log := boot(t, withRedis(t, evictingRedis(t))).log.String(); !strings.Contains(log, `"maxmemory-policy":"allkeys-lru"`) {
		t.Errorf("no warning: %s", log)
	}
	if log := boot(t, withRedis(t, testservices.Redis(t))).log.String(); strings.Contains(log, "maxmemory-policy") {
		t.Errorf("a warning: %s", log)
	}
}

// evictingRedis returns the address of a Redis of its own.
func evictingRedis(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "redis.sock")
	redis := exec.Command(testservices.RedisServer(t), "--port", "0", "--unixsocket", socket, "--save", "", "--maxmemory-policy", "allkeys-lru")
	redis.Args[0] = "redis-server"
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Process.Kill(); _ = redis.Wait() })
	eventually(t, 10*time.Second, "redis listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			err = conn.Close()
		}
		return err == nil
	})
	return "unix://" + socket
}
