//go:build unix

package mail_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"usher"
	"usher/mail"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
	"usher/ushertest"
)

func openStore(t *testing.T, path string) *sqlstore.Store[usher.User] {
	t.Helper()
	store, err := sqlite.Open[usher.User](context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func sqliteWorker(t *testing.T, store usher.Outbox, mailer mail.Mailer, lease time.Duration) *mail.Worker {
	t.Helper()
	w, err := mail.NewWorker(mail.Config{
		Outbox: store, Tokens: &tokens{}, Mailer: mailer, From: "a@example.com", Product: "x", URLs: urls,
		Lease: lease, Poll: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func postTo(t *testing.T, store usher.Outbox, email string) string {
	t.Helper()
	now := time.Now()
	m := usher.Message{Kind: usher.MailVerify, UserID: usher.NewID(), Email: email, CreatedAt: now, DueAt: now, Data: map[string]string{"ip": "::1"}}
	if err := store.AddMessage(context.Background(), &m); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// Two workers, as two instances of a server have them, share an outbox and no
// message.
func TestTwoWorkersNeverSendOneMessageTwice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	first, second := openStore(t, path), openStore(t, path)
	var sinks [2]ushertest.MailSink
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i, store := range []usher.Outbox{first, second} {
		w := sqliteWorker(t, store, &sinks[i], time.Minute)
		running.Go(func() { w.Run(ctx) })
	}
	const n = 60
	want := map[string]bool{}
	for i := range n {
		want[postTo(t, first, fmt.Sprintf("user%d@example.org", i))] = true
	}
	eventually(t, "the outbox is empty", func() bool {
		left, err := first.ListMessages(t.Context(), 1)
		return err == nil && len(left) == 0
	})
	cancel()
	running.Wait()
	t.Logf("%d by the first, %d by the second", len(sinks[0].Mails()), len(sinks[1].Mails()))
	for _, m := range append(sinks[0].Mails(), sinks[1].Mails()...) {
		if !want[m.ID] {
			t.Errorf("message %s was sent twice", m.ID)
		}
		delete(want, m.ID)
	}
	if len(want) != 0 {
		t.Errorf("%d messages were not sent", len(want))
	}
}

// A worker that is killed leaves its message to the next, which sends it when
// the lease has ended, with the same ID: at least once.
func TestF01_P1_KilledWorker(t *testing.T) {
	if path := os.Getenv("USHER_TEST_KILL_MAIL"); path != "" {
		dieOf(t, path, os.Getenv("USHER_TEST_KILL_AT"))
	}
	t.Parallel()
	for round, at := range []string{"send", "sent", "send", "sent", "send"} {
		t.Run(fmt.Sprint(round, " ", at), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "app.db")
			store := openStore(t, path)
			id := postTo(t, store, "ann@example.org")
			cmd := exec.Command(os.Args[0], "-test.run=^TestF01_P1_KilledWorker$")
			cmd.Env = append(os.Environ(), "USHER_TEST_KILL_MAIL="+path, "USHER_TEST_KILL_AT="+at)
			out, err := cmd.CombinedOutput()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the worker was not killed: %v\n%s", err, out)
			}
			left, err := store.ListMessages(t.Context(), 10)
			if err != nil || len(left) != 1 || left[0].Attempts != 1 {
				t.Fatalf("in the outbox: %+v, error %v", left, err)
			}
			var sink ushertest.MailSink
			var when time.Time
			w := sqliteWorker(t, store, mailerFunc(func(ctx context.Context, m mail.Mail) error {
				when = time.Now()
				return sink.Send(ctx, m)
			}), time.Minute)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); w.Run(ctx) }()
			eventually(t, "the mail", func() bool { return len(sink.Mails()) == 1 })
			cancel()
			<-ended
			if sink.Mails()[0].ID != id || when.Before(left[0].DueAt) {
				t.Errorf("sent %+v at %v, and the lease ended at %v", sink.Mails()[0], when, left[0].DueAt)
			}
			if left, err := store.ListMessages(t.Context(), 10); err != nil || len(left) != 0 {
				t.Errorf("in the outbox: %+v, error %v", left, err)
			}
		})
	}
}

// dieOf runs a worker that is killed while it sends a mail, or has just sent it.
func dieOf(t *testing.T, path, at string) {
	kill := func(now string) {
		if now == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	store := openStore(t, path)
	w := sqliteWorker(t, dyingOutbox{store, kill}, mailerFunc(func(context.Context, mail.Mail) error {
		kill("send")
		return nil
	}), time.Second)
	w.Run(t.Context())
}

type dyingOutbox struct {
	usher.Outbox
	kill func(string)
}

func (d dyingOutbox) DeleteMessage(ctx context.Context, id string) error {
	d.kill("sent")
	return d.Outbox.DeleteMessage(ctx, id)
}
