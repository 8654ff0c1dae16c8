//go:build linux

package faults_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"usher/internal/testservices"
)

// server is a database or a Redis of the test's own, with data that survive a
// crash of its process.
type server struct {
	*process
	addr  string
	ready func() error
}

func (s *server) start() error { return s.await(30*time.Second, s.ready) }

// ownHost returns a loopback address that nobody else has. All ports on it are
// free, also when a killed server comes back to its own, and also the one that a
// Cluster's node chooses for itself: outgoing connections are from 127.0.0.1.
func ownHost() string {
	return net.IPv4(127, byte(1+rand.IntN(254)), byte(rand.IntN(256)), byte(1+rand.IntN(254))).String()
}

// freeAddr returns an address for a server.
func (w *world) freeAddr() string {
	w.ports++
	return net.JoinHostPort(w.host, strconv.Itoa(20000+w.ports))
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// database is a server, and how to ask it.
type database struct {
	*server
	driver string
	url    func(addr string) string // usher's
	dsn    string                   // ours, past all proxies
	load   string                   // the query for the connections that work for usher
}

// open returns a pool of connections for us.
func (d *database) open() (*sql.DB, error) { return sql.Open(d.driver, d.dsn) }

func (d *database) ping() error {
	db, err := d.open()
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// folder makes one that a server without privileges can use.
func (w *world) folder(name string) string {
	dir := filepath.Join(w.dir, name)
	w.must(os.Mkdir(dir, 0o700))
	if as := asNobody(); as != nil {
		w.must(os.Chown(dir, int(as.Credential.Uid), int(as.Credential.Gid)))
	}
	return dir
}

// prepare runs a program that makes the data of a server.
func (w *world) prepare(path string, args ...string) {
	w.t.Helper()
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr, cmd.Dir = asNobody(), "/"
	if output, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v: %s", path, err, output)
	}
}

func (w *world) startPostgres(settings ...string) *database {
	w.t.Helper()
	programs, dir, addr := testservices.PostgresServer(w.t), w.folder("postgres"), w.freeAddr()
	data := filepath.Join(dir, "data")
	w.prepare(filepath.Join(programs, "initdb"), "-D", data, "-U", "usher", "-A", "trust", "-E", "UTF8", "--no-sync")
	args := []string{"-D", data, "-h", w.host, "-p", port(addr), "-k", "", "-c", "fsync=on", "-c", "synchronous_commit=on"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	address := func(addr string) string { return "postgres://usher@" + addr + "/postgres?sslmode=disable" }
	d := &database{
		driver: "pgx", url: address, dsn: address(addr),
		load: "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'usher' AND state <> 'idle'",
	}
	return w.startDatabase(d, addr, filepath.Join(programs, "postgres"), args)
}

func (w *world) startMariaDB() *database {
	w.t.Helper()
	program, dir, addr := testservices.MariaDBServer(w.t), w.folder("mariadb"), w.freeAddr()
	data := filepath.Join(dir, "data")
	temporary := "--tmpdir=" + dir // each that starts deletes what others have in a common one
	w.prepare("mariadb-install-db", "--no-defaults", "--datadir="+data, temporary, "--auth-root-authentication-method=normal", "--skip-test-db")
	d := &database{
		driver: "mysql",
		url:    func(addr string) string { return "mysql://root@" + addr + "/usher" },
		dsn:    "root@tcp(" + addr + ")/",
		load:   "SELECT count(*) FROM information_schema.processlist WHERE db = 'usher' AND command <> 'Sleep' AND id <> connection_id()",
	}
	w.startDatabase(d, addr, program, []string{
		"--no-defaults", "--datadir=" + data, temporary, "--bind-address=" + w.host, "--port=" + port(addr), "--socket=" + filepath.Join(dir, "socket"),
		"--pid-file=" + filepath.Join(dir, "pid"), "--innodb-flush-log-at-trx-commit=1", "--skip-name-resolve",
	})
	w.query(d, "CREATE DATABASE usher")
	d.dsn += "usher"
	return d
}

func (w *world) startDatabase(d *database, addr, program string, args []string) *database {
	w.t.Helper()
	d.server = &server{
		process: &process{starter: w.starter, path: program, args: args, dir: "/", log: filepath.Join(w.dir, "database.log"), unprivileged: true},
		addr:    addr, ready: d.ping,
	}
	w.t.Cleanup(d.kill)
	w.must(d.start())
	return d
}

// query runs a statement that returns nothing.
func (w *world) query(d *database, statement string) {
	w.t.Helper()
	db, err := d.open()
	w.must(err)
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}

// count returns the number that a query finds.
func (d *database) count(query string) (n int, err error) {
	db, err := d.open()
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}
