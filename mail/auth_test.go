package mail_test

import (
	"log/slog"
	"strings"
	"testing"

	"usher"
	"usher/mail"
	"usher/password"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
	"usher/ushertest"
)

// program is an application with the real thing on both sides of the outbox.
type program struct {
	*testing.T
	store  *sqlstore.Store[usher.User]
	auth   *usher.Auth[usher.User]
	worker *mail.Worker
	sink   *ushertest.MailSink
}

func newProgram(t *testing.T) *program {
	t.Parallel()
	store, err := sqlite.Open[usher.User](t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	hasher, err := password.New(password.Config{Params: password.Params{Memory: 8, Time: 1, Lanes: 1}, InsecureAllowWeak: true})
	if err != nil {
		t.Fatal(err)
	}
	p := &program{T: t, store: store, sink: &ushertest.MailSink{}}
	logger := slog.New(slog.DiscardHandler)
	p.auth, err = usher.New(usher.Config[usher.User]{
		Store: store, Outbox: store, Passwords: hasher, Logger: logger, Secret: []byte("2f8e1c5b9a07d3468e1f5c2b7a9d0e3f6c8b1a4d"),
		Backends: []usher.Backend{{Name: "bearer", Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: store}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.worker, err = mail.NewWorker(mail.Config{
		Outbox: store, Tokens: p.auth, Mailer: p.sink, From: "no-reply@example.com", Product: "Example", URLs: urls, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// token delivers what is due and returns the token of the last link to an address.
func (p *program) token(to string) string {
	p.Helper()
	if _, err := p.worker.DeliverDue(p.Context()); err != nil {
		p.Fatal(err)
	}
	token := p.sink.Token(to)
	if token == "" {
		p.Fatalf("no link was mailed to %s: %+v", to, p.sink.Mails())
	}
	return token
}

func (p *program) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// The links of the mails do what the mails say.
func TestLinksWork(t *testing.T) {
	p := newProgram(t)
	ctx := t.Context()
	ann := &usher.User{Email: "Ann@example.org"}
	p.ok(p.auth.Register(ctx, ann, "correct horse battery staple"))
	p.ok(p.auth.RequestVerify(ctx, "ann@EXAMPLE.org")) // mailed to the stored spelling
	user, err := p.auth.Verify(ctx, p.token("Ann@example.org"))
	p.ok(err)
	if !user.IsVerified {
		t.Error("not verified")
	}

	p.ok(p.auth.ForgotPassword(ctx, "ann@example.org"))
	p.ok(p.auth.ForgotPassword(ctx, "nobody@example.org"))
	_, err = p.auth.ResetPassword(ctx, p.token("Ann@example.org"), "another horse battery staple")
	p.ok(err)

	p.ok(p.auth.RequestEmailChange(ctx, ann.ID, "ann@example.net"))
	user, err = p.auth.ConfirmEmail(ctx, p.token("ann@example.net"))
	p.ok(err)
	if user.Email != "ann@example.net" {
		t.Errorf("address %s", user.Email)
	}

	_, err = p.worker.DeliverDue(ctx)
	p.ok(err)
	subjects := map[string]string{}
	for _, m := range p.sink.Mails() {
		subjects[m.Subject] = m.To
	}
	for subject, to := range map[string]string{
		"Your password for Example was changed":                  "Ann@example.org",
		"The e-mail address of your Example account was changed": "Ann@example.org", // to the old one
	} {
		if subjects[subject] != to {
			t.Errorf("%q went to %q, want %q", subject, subjects[subject], to)
		}
	}
	if left, err := p.store.ListMessages(ctx, 10); err != nil || len(left) != 0 {
		t.Errorf("in the outbox: %+v, error %v", left, err)
	}
}

// A user gets his mails in his own language, also the first; what cannot tell it
// keeps nobody's mail back.
func TestLanguageOfTheUser(t *testing.T) {
	type user struct {
		usher.User
		Language string
	}
	t.Parallel()
	store, err := sqlite.Open[user](t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	logger, sink := slog.New(slog.DiscardHandler), &ushertest.MailSink{}
	auth, err := usher.New(usher.Config[user]{
		Store: store, Outbox: store, Logger: logger, Secret: []byte("2f8e1c5b9a07d3468e1f5c2b7a9d0e3f6c8b1a4d"),
		Backends: []usher.Backend{{Name: "bearer", Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: store}}},
		MailLanguage: func(u *user) string {
			if u.Language == "?" {
				panic("no language")
			}
			return u.Language
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	worker, err := mail.NewWorker(mail.Config{
		Outbox: store, Tokens: auth, Mailer: sink, From: "no-reply@example.com", Product: "Example", URLs: urls, Logger: logger,
		Templates: files("de/verify.txt", `{{define "subject"}}Adresse bestätigen{{end}}{{.Link}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	for language, want := range map[string]string{"de": "Adresse bestätigen", "": "Confirm", "fr": "Confirm", "?": "Confirm"} {
		u := &user{usher.User{Email: "ann" + language + "@example.org", IsActive: true}, language}
		if err := auth.CreateUserWithoutPassword(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if _, err := worker.DeliverDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		mails := sink.Mails()
		if m := mails[len(mails)-1]; m.To != u.Email || !strings.HasPrefix(m.Subject, want) {
			t.Errorf("in %q: %s to %s", language, m.Subject, m.To)
		}
	}
}
