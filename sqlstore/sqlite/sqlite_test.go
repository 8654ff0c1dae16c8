package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/sqlstore/sqlite"
)

type User struct {
	usher.User
	FirstName string `json:"first_name" usher:"write"`
}

func create(t *testing.T, store usher.UserStore[User], email string) usher.ID {
	t.Helper()
	u := &User{User: usher.User{Email: email, IsActive: true}, FirstName: "First"}
	if err := store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u.ID
}

// It just works: any path, a second time too, with what was there.
func TestOpen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"app.db", "a b?c%20#d&e=f;.db", "ünï", "noending"} {
		path := filepath.Join(t.TempDir(), name)
		var id usher.ID
		for range 2 {
			store, err := sqlite.Open[User](t.Context(), path)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if id == "" {
				id = create(t, store, "a@example.com")
			}
			if u, err := store.UserByID(t.Context(), id); err != nil || u.FirstName != "First" {
				t.Errorf("%s: %+v, %v", name, u, err)
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 || entries[0].Name() != name {
			t.Errorf("%s: after Close the directory has %v, %v", name, entries, err)
		}
	}
}

func TestOpenRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	store, err := sqlite.Open[User](t.Context(), "app.db")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := os.Stat("app.db"); err != nil {
		t.Error(err)
	}
}

// The error says what is wrong and what to do.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := filepath.Join(t.TempDir(), "app.db")
	store, err := sqlite.Open[User](t.Context(), whole)
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept") // to which nobody may write
	if err := os.Mkdir(kept, 0o500); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct{ path, want string }{
		"nothing":        {"", "want the path of a file"},
		"URI":            {"file:" + dir + "/app.db", "want the path of a file"},
		"no directory":   {dir + "/none/app.db", "make the directory"},
		"directory":      {dir, "is it a file"},
		"not a database": {write("text", []byte(strings.Repeat("not a database ", 1000))), "the file is something else"},
		"half a file":    {write("half", content[:len(content)/2]), "restore a backup"},
		"no right":       {kept + "/app.db", "that this process can read and write"},
	} {
		if what == "no right" && os.Geteuid() <= 0 { // root, who may, and Windows
			continue
		}
		store, err := sqlite.Open[User](t.Context(), test.path)
		if err == nil {
			t.Errorf("%s: no error", what)
			store.Close()
			continue
		}
		if !strings.HasPrefix(err.Error(), "open SQLite database: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", what, err, test.want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if store, err := sqlite.Open[User](cancelled, filepath.Join(dir, "late.db")); err == nil {
		t.Error("cancelled context: no error")
		store.Close()
	}
}

func TestFileMode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	dir := t.TempDir()
	store, err := sqlite.Open[User](t.Context(), filepath.Join(dir, "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	create(t, store, "a@example.com")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2 {
		t.Fatalf("files %v, %v; want the log too", entries, err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	// The mode of a file that exists is its owner's business.
	shared := filepath.Join(dir, "shared.db")
	if err := os.WriteFile(shared, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	other, err := sqlite.Open[User](t.Context(), shared)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if info, err := os.Stat(shared); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	first, err := sqlite.Open[User](t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := sqlite.Open[User](t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	id := create(t, first, "a@example.com")
	if _, err := second.UserByID(t.Context(), id); err != usher.ErrNotFound {
		t.Errorf("another store in memory has the user: %v", err)
	}
	// A context that ends does not take the database with it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.CreateUser(ctx, &User{User: usher.User{Email: "b@example.com"}}); err == nil {
		t.Error("cancelled context: no error")
	}
	if _, err := first.UserByID(t.Context(), id); err != nil {
		t.Error(err)
	}
	// In a transaction, which has the only connection, others wait no longer
	// than they want to.
	ctx, cancel = context.WithCancel(t.Context())
	err = first.InTx(ctx, func(ctx context.Context) error {
		outer, cancelOuter := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancelOuter()
		if _, err := first.UserByID(outer, id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read past the transaction: %v", err)
		}
		if _, err := first.ListUsers(outer, usher.UserQuery{Limit: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a list past the transaction: %v", err)
		}
		if err := first.DeleteUser(ctx, id); err != nil {
			t.Error(err)
		}
		cancel()
		return nil
	})
	if err == nil {
		t.Error("cancelled transaction: no error")
	}
	if _, err := first.UserByID(t.Context(), id); err != nil {
		t.Errorf("after a cancelled transaction: %v", err)
	}
}

// What was acknowledged outlives a process that is killed, and of a transaction
// that was not, nothing does.
func TestKill(t *testing.T) {
	if path := os.Getenv("USHER_TEST_KILL"); path != "" {
		writeUntilKilled(path)
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "USHER_TEST_KILL="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []usher.ID
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "in between" {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		acknowledged = append(acknowledged, usher.ID(lines.Text()))
	}
	_ = cmd.Wait() // it was killed
	if len(acknowledged) != killAfter {
		t.Fatalf("%d users", len(acknowledged))
	}
	store, err := sqlite.Open[User](t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, id := range acknowledged {
		if _, err := store.UserByID(t.Context(), id); err != nil {
			t.Errorf("user %s: %v", id, err)
		}
	}
	users, err := store.ListUsers(t.Context(), usher.UserQuery{Limit: 1000})
	if err != nil || len(users) != len(acknowledged) {
		t.Errorf("%d users, %v; want %d", len(users), err, len(acknowledged))
	}
	messages, err := store.ListMessages(t.Context(), 1000)
	if err != nil || len(messages) != len(acknowledged) {
		t.Fatalf("%d messages, %v; want %d", len(messages), err, len(acknowledged))
	}
	for i, id := range acknowledged {
		if messages[i].UserID != id {
			t.Errorf("message %d is for %s, want %s", i, messages[i].UserID, id)
		}
	}
}

// killAfter is how many users are written before the process is killed.
const killAfter = 50

// writeUntilKilled writes users, each with a message in one transaction. It is
// killed in the last, when both are written and not committed.
func writeUntilKilled(path string) {
	ctx := context.Background()
	store, err := sqlite.Open[User](ctx, path)
	for i := 0; err == nil; i++ {
		u := &User{User: usher.User{Email: fmt.Sprintf("user%d@example.com", i)}}
		err = store.InTx(ctx, func(ctx context.Context) error {
			if err := store.CreateUser(ctx, u); err != nil {
				return err
			}
			if err := store.AddMessage(ctx, &usher.Message{Kind: usher.MailVerify, UserID: u.ID}); err != nil {
				return err
			}
			if i == killAfter {
				fmt.Println("in between")
				<-ctx.Done()
			}
			return nil
		})
		if err == nil {
			fmt.Println(u.ID)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func Example() {
	ctx := context.Background()
	db, err := sqlite.Open[User](ctx, sqlite.Memory) // or "app.db"
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	err = db.CreateUser(ctx, &User{User: usher.User{Email: "Zoe@example.com"}, FirstName: "Zoë"})
	if err != nil {
		fmt.Println(err)
		return
	}
	user, err := db.UserByEmail(ctx, "zoe@example.com")
	fmt.Println(user.FirstName, user.Email, err)
	// Output: Zoë Zoe@example.com <nil>
}

// A user and the mail that greets him are there together or not at all.
func Example_transaction() {
	ctx := context.Background()
	db, err := sqlite.Open[User](ctx, sqlite.Memory) // or "app.db"
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	user := &User{User: usher.User{Email: "zoe@example.com"}, FirstName: "Zoë"}
	err = db.InTx(ctx, func(ctx context.Context) error {
		if err := db.CreateUser(ctx, user); err != nil {
			return err
		}
		return db.AddMessage(ctx, &usher.Message{Kind: usher.MailVerify, UserID: user.ID, Email: user.Email})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	messages, err := db.ListMessages(ctx, 10)
	fmt.Println(len(messages), messages[0].Kind, messages[0].Email, err)
	// Output: 1 verify zoe@example.com <nil>
}
