package main

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"usher/mail"
	"usher/ushertest"
)

// Whatever kills the server: who was told that he is registered gets his mail (P2).
// It comes twice if the server was killed after the mail server had taken it and
// before the outbox knew, with one Message-ID. It is killed twenty times, or
// USHER_TEST_ROUNDS times. For the figures:
//
//	go test -run TestMailsSurviveKill -v ./cmd/usher
func TestMailsSurviveKill(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	if n, err := strconv.Atoi(os.Getenv("USHER_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	postbox := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{NoStartTLS: true})
	c := smtpConfig(t, postbox)
	c.Database, c.SecretFile = "sqlite:"+filepath.Join(dir, "usher.db"), filepath.Join(dir, "usher.secret")
	write(t, dir, "usher.yaml", cheapHashes+fmt.Sprintf(`
mail:
  from: %s
  product: %s
  urls: {verify: %q, reset: %q, email: %q}
  smtp: {host: %s, port: %d, tls: insecure_plaintext}
`, c.Mail.From, c.Mail.Product, c.Mail.URLs.Verify, c.Mail.URLs.Reset, c.Mail.URLs.Email, postbox.Host, postbox.Port))
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
	c = c.withDefaults()
	a, err := openApp(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	config := c.mailConfig()
	config.Outbox, config.Tokens = a.outbox, a.auth
	if config.Mailer, err = c.Mail.SMTP.mailer(); err != nil {
		t.Fatal(err)
	}
	config.Logger, config.Now = slog.New(slog.DiscardHandler), func() time.Time { return time.Now().Add(time.Hour) }
	worker, err := mail.NewWorker(config)
	if err != nil {
		t.Fatal(err)
	}
	killed := len(postbox.Mails())
	if _, err := worker.DeliverDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliveries := postbox.Mails()
	mails := map[string]map[string]int{} // by address and Message-ID
	for _, m := range deliveries {
		read, err := netmail.ReadMessage(strings.NewReader(m.Data))
		if err != nil || len(m.To) != 1 || !strings.Contains(m.Data, "/verify#") {
			t.Fatalf("%+v: %v", m, err)
		}
		to := strings.Trim(m.To[0], "<>")
		if mails[to] == nil {
			mails[to] = map[string]int{}
		}
		mails[to][read.Header.Get("Message-Id")]++
	}
	lost := 0
	for _, email := range acknowledged {
		if n := len(mails[email]); n != 1 {
			t.Errorf("%s got %d different mails", email, n)
		}
		if len(mails[email]) == 0 {
			lost++
		}
	}
	if left, err := a.outbox.ListMessages(t.Context(), 1); err != nil || len(left) != 0 {
		t.Errorf("%d messages are left, %v", len(left), err)
	}
	// A worker that is killed was sending four mails at most.
	copies := len(deliveries) - len(mails)
	if copies > 4*rounds {
		t.Errorf("%d mails came twice in %d rounds", copies, rounds)
	}
	t.Logf("%d rounds: %d registrations acknowledged, %d users mailed (%d deliveries before the last kill), %d lost, %d copies",
		rounds, len(acknowledged), len(mails), killed, lost, copies)
}
