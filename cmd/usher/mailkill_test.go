package main

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"usher/mail"
)

// Whatever kills the server: who was told that he is registered gets his mail.
// USHER_TEST_ROUNDS says how often it is killed.
func TestMailsSurviveKill(t *testing.T) {
	t.Parallel()
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("USHER_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	write(t, dir, "usher.yaml", cheapHashes)
	var mu sync.Mutex
	var acknowledged []string
	for round := range rounds {
		p := startIn(t, dir, "USHER_CONFIG=usher.yaml")
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for client := range 4 {
			clients.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					email := fmt.Sprintf("u%d-%d-%d@example.com", round, client, i)
					response, err := http.Post(p.url+"/auth/register", "application/json",
						strings.NewReader(jsonOf(map[string]string{"email": email, "password": goodPassword})))
					if err != nil {
						continue
					}
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
					if response.StatusCode == http.StatusCreated {
						mu.Lock()
						acknowledged = append(acknowledged, email)
						mu.Unlock()
					}
				}
			})
		}
		had := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
		before := had()
		eventually(t, 20*time.Second, "registrations", func() bool { return had() > before+10 })
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		close(stop)
		clients.Wait()
		_ = p.wait(t)
	}

	// What the killed had begun to deliver is due when their leases end: a worker
	// whose clock is ahead does not wait for that.
	c := testConfig(t)
	c.Database, c.SecretFile = "sqlite:"+filepath.Join(dir, "usher.db"), filepath.Join(dir, "usher.secret")
	c = c.withDefaults()
	a, err := openApp(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	folder, err := mail.NewFolder(c.Mail.Folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := c.mailConfig()
	config.Outbox, config.Tokens, config.Mailer = a.outbox, a.auth, folder
	config.Logger, config.Now = slog.New(slog.DiscardHandler), func() time.Time { return time.Now().Add(time.Hour) }
	worker, err := mail.NewWorker(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := worker.DeliverDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	mails := map[string]int{}
	names, _ := filepath.Glob(filepath.Join(c.Mail.Folder, "*.eml"))
	for _, name := range names {
		m, to, err := readMail(name)
		if err != nil || m.token() == "" {
			t.Fatalf("%s: %v", name, err)
		}
		mails[to]++
	}
	for _, email := range acknowledged {
		if mails[email] != 1 { // copies have the same name
			t.Errorf("%s got %d mails", email, mails[email])
		}
	}
	t.Logf("%d registrations, %d mails", len(acknowledged), len(mails))
}
