package mail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"usher"
)

// What ends an attempt besides what others report.
var (
	errTooOld   = errors.New("mail: too old to be sent")
	errTooOften = errors.New("mail: the attempts so far ended without a result")
	errNoAnswer = errors.New("mail: no result in time")
)

// attempt sends a message, in half of the lease and with nothing secret in the
// error. Not sent and no error: there is nothing to send.
func (w *Worker) attempt(ctx context.Context, m usher.Message) (sent bool, err error) {
	switch {
	case m.Kind == usher.MailNone:
		return false, nil
	case m.Attempts > w.config.MaxAttempts: // whoever tried died of it
		return false, withLast(errTooOften, m)
	case w.config.Now().Sub(m.CreatedAt) > w.config.MaxAge:
		return false, withLast(errTooOld, m)
	}
	ctx, cancel := context.WithTimeout(ctx, w.config.Lease/2)
	defer cancel()
	type result struct {
		sent bool
		err  error
	}
	done := make(chan result, 1)
	go func() {
		sent, err := w.send(ctx, m)
		done <- result{sent, err}
	}()
	var late <-chan time.Time
	for ended := ctx.Done(); ; ended = nil {
		select {
		case r := <-done:
			return r.sent, r.err
		case <-ended: // a moment for the mailer to say so itself
			late = time.After(w.config.Lease / 60)
		case <-late: // the mailer does not keep its contract
			return false, errNoAnswer
		}
	}
}

func withLast(err error, m usher.Message) error {
	if m.LastError == "" {
		return err
	}
	return fmt.Errorf("%w; the last attempt: %s", err, m.LastError)
}

// send makes the token and the mail and hands it to the mailer. It does not
// panic, and its error can be shown.
func (w *Worker) send(ctx context.Context, m usher.Message) (sent bool, err error) {
	var token string
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("mail: panic: %v", p)
			w.config.Logger.Error("usher: mail: panic", "message", m.ID, "stack", string(debug.Stack()))
		}
		if err != nil {
			err = withoutSecrets(err, token)
		}
		sent = sent && err == nil
	}()
	token, err = w.config.Tokens.NewToken(ctx, m)
	language := ""
	if l, ok := w.config.Tokens.(Languages); ok && err == nil {
		language, err = l.MailLanguage(ctx, m)
	}
	if errors.Is(err, usher.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mail, err := w.renderer.mail(m, language, token)
	if err != nil {
		return false, err
	}
	return true, w.config.Mailer.Send(ctx, mail)
}

// longWord is what a token or a piece of one looks like. Nothing else in the
// answers of mail servers is so long.
var longWord = regexp.MustCompile(`[A-Za-z0-9_-]{40,}`)

// withoutSecrets makes an error that is one line for logs and the outbox: mail
// servers like to quote what they do not like, links too.
func withoutSecrets(err error, token string) error {
	text := err.Error()
	if token != "" {
		text = strings.NewReplacer(token, "[token]", url.QueryEscape(token), "[token]").Replace(text)
	}
	text = longWord.ReplaceAllString(text, "[…]")
	text = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, text)
	const most = 500
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	if errors.Is(err, ErrRejected) {
		return rejection(text)
	}
	return errors.New(text)
}

// rejection is an ErrRejected that shows its text only.
type rejection string

func (r rejection) Error() string { return string(r) }
func (rejection) Unwrap() error   { return ErrRejected }

// backOff is the time from an attempt to the next: 15 s, then three times the
// last, up to 4 h, each a quarter more or less so that messages that failed
// together do not come back together.
func backOff(attempts int) time.Duration {
	const first, most = 15 * time.Second, 4 * time.Hour
	d := first
	for range attempts - 1 {
		if d = 3 * d; d > most {
			d = most
			break
		}
	}
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}
