//go:build unix

package redisstore_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/fastapiusers"
	"usher/sqlstore/sqlite"
)

// FastAPI Users' tokens may be in a Cluster, too: each is read once, not from its
// primary and again from the replica. When a node is away the import fails: tokens
// that cannot be read are not taken for tokens that are gone.
func TestFastAPIUsersInACluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, 3)
	folder := t.TempDir()
	original, err := sql.Open("sqlite", filepath.Join(folder, "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer original.Close()
	const ann = "a7284b0a-9a5a-4379-b0ed-cc04315b2d41"
	for _, statement := range []string{
		`CREATE TABLE user (id CHAR(36) PRIMARY KEY, email VARCHAR(320), hashed_password VARCHAR(1024), is_active BOOLEAN, is_superuser BOOLEAN, is_verified BOOLEAN)`,
		`INSERT INTO user VALUES ('` + ann + `', 'ann@example.com', '!', 1, 0, 0)`,
	} {
		if _, err := original.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	const n = 100
	for i := range n {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		key := "fastapi_users_token:" + base64.RawURLEncoding.EncodeToString(sum[:])
		// The node that has the slot takes it, the others say MOVED.
		taken := 0
		for _, node := range c.nodes[:3] {
			if _, err := node.try("SET", key, ann, "EX", "300"); err == nil {
				taken++
			}
		}
		if taken != 1 {
			t.Fatalf("%d nodes took the key", taken)
		}
	}
	path := filepath.Join(folder, "usher.db")
	db, err := sqlite.Open[usher.User](t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func() (fastapiusers.Report, error) {
		t.Helper()
		source, err := fastapiusers.Open(t.Context(), "sqlite:"+filepath.Join(folder, "app.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		ledger, err := fastapiusers.OpenLedger(t.Context(), "sqlite:"+path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer ledger.Close()
		tokens, err := fastapiusers.OpenRedis(c.url(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer tokens.Close()
		return fastapiusers.Import(t.Context(), source, fastapiusers.Target[usher.User]{Store: db, Ledger: ledger, RedisSessions: db}, fastapiusers.Options{RedisTokens: tokens})
	}
	for _, want := range []fastapiusers.Counts{{Read: n, New: n}, {Read: n, Same: n}} {
		if report, err := run(); err != nil || report.RedisTokens != want {
			t.Errorf("%+v, %v, want %+v", report.RedisTokens, err, want)
		}
	}

	c.nodes[2].freeze()
	c.nodes[5].freeze() // its replica
	begin := time.Now()
	if report, err := run(); err == nil || !strings.Contains(err.Error(), "read Redis") || report.RedisTokens.Ended > 0 {
		t.Errorf("with nodes that stand still: %+v, %v", report.RedisTokens, err)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %v to see that nodes are away", took)
	}
	sessions, err := db.ListSessions(t.Context(), ann)
	if err != nil || len(sessions) != n {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
}
