package sqlstore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
)

func TestReadSessionBringsTheUser(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		after := *m
		after.Plan = "gold"
		if err := store.UpdateUser(t.Context(), m, &after); err != nil {
			t.Fatal(err)
		}
		want := newSession(t, store, m.ID, "token", time.Now().Add(time.Hour))
		x, user, err := store.ReadSession(t.Context(), usher.HashToken("token"))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := user.(*Member); !ok || *got != after {
			t.Errorf("user %+v, want %+v", user, after)
		}
		if x.ID != want.ID || x.UserID != m.ID {
			t.Errorf("session %s of %s, want %s of %s", x.ID, x.UserID, want.ID, m.ID)
		}
	})
}

// The later of two uses counts, in whichever order they arrive.
func TestTouchNeverGoesBack(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		start := newSession(t, store, m.ID, "token", time.Now().Add(time.Hour)).LastSeenAt
		token := usher.HashToken("token")
		late := start.Add(time.Minute)
		for _, seen := range []time.Time{late, start.Add(time.Second), start.Add(-time.Hour)} {
			if err := store.TouchSession(t.Context(), token, seen, seen.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			x, _, err := store.ReadSession(t.Context(), token)
			if err != nil || x.LastSeenAt.Sub(late).Abs() > time.Millisecond || x.ExpiresAt.Sub(late.Add(time.Hour)).Abs() > time.Millisecond {
				t.Errorf("touched at %v: last seen %v, expires %v, %v", seen, x.LastSeenAt, x.ExpiresAt, err)
			}
		}
	})
}

func TestListSessionsIsBounded(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		inLongTx(t, store, func(ctx context.Context) error {
			for i := range 1500 {
				x := usher.Session{ID: fmt.Sprint("s", i+1), UserID: m.ID, CreatedAt: time.UnixMicro(int64(i))}
				if err := store.CreateSession(ctx, usher.HashToken(x.ID), x); err != nil {
					return err
				}
			}
			return nil
		})
		sessions, err := store.ListSessions(t.Context(), m.ID)
		if err != nil || len(sessions) != 1000 || sessions[0].ID != "s1500" {
			t.Errorf("%d sessions, %v; want the newest 1000", len(sessions), err)
		}
		if n, err := store.RevokeSessions(t.Context(), m.ID, ""); n != 1500 || err != nil {
			t.Errorf("%d revoked, %v; want all 1500", n, err)
		}
	})
}

// What clients send is stored, whatever bytes it is.
func TestClientsBytes(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		x := usher.Session{ID: "s", UserID: m.ID, UserAgent: "a\xff\xfeb", IP: "\x80"}
		if err := store.CreateSession(t.Context(), usher.HashToken("token"), x); err != nil {
			t.Fatal(err)
		}
		got, _, err := store.ReadSession(t.Context(), usher.HashToken("token"))
		if err != nil || got.UserAgent != "a\uFFFDb" || got.IP != "\uFFFD" {
			t.Errorf("%q from %q, %v", got.UserAgent, got.IP, err)
		}
	})
}

// No file of the database has anything that a client received.
func TestNoTokenInTheFiles(t *testing.T) {
	t.Parallel()
	store, path := open[Member](t)
	strategy := store.Sessions(time.Hour)
	var tokens []string
	for i := range 20 {
		m := newMember(t, store, fmt.Sprintf("user%d@example.com", i))
		token, err := strategy.WriteToken(t.Context(), &usher.Authentication{UserID: m.ID, Methods: []string{"pwd"}})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := strategy.ReadToken(t.Context(), token); err != nil || a.UserID != m.ID {
			t.Fatal(a, err)
		}
		if i%3 == 0 {
			if err := strategy.DestroyToken(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		tokens = append(tokens, token)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files %q, %v; want the log too", files, err)
	}
	found := false
	for _, file := range files {
		content := must(os.ReadFile(file))
		found = found || bytes.Contains(content, []byte("user19@example.com"))
		for _, token := range tokens {
			raw := must(base64.RawURLEncoding.DecodeString(token))
			if bytes.Contains(content, []byte(token)) || bytes.Contains(content, raw) || bytes.Contains(content, []byte(token[:20])) {
				t.Errorf("%s has a token", filepath.Base(file))
			}
		}
	}
	if !found {
		t.Error("the files do not have what they should: the test looks at the wrong ones")
	}
}

// Whoever reads gets his own session and user, also when many give up midway.
func TestNobodyGetsAnothersSession(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		const users = 8
		ids := make([]usher.ID, users)
		sessions := make([]string, users)
		for i := range users {
			ids[i] = newMember(t, store, fmt.Sprintf("user%d@example.com", i)).ID
			sessions[i] = newSession(t, store, ids[i], fmt.Sprint("token", i), time.Now().Add(time.Hour)).ID
		}
		var done sync.WaitGroup
		patience := 400 * time.Microsecond
		if e.dialect != sqlstore.SQLite {
			patience = 20 * time.Millisecond
		}
		stop := time.Now().Add(time.Second)
		for i := range 4 * users {
			i %= users
			done.Go(func() {
				for answers := 0; time.Now().Before(stop) || answers == 0; {
					ctx, cancel := context.WithTimeout(t.Context(), rand.N(patience))
					if answers == 0 && !time.Now().Before(stop) {
						ctx = t.Context()
					}
					x, u, err := store.ReadSession(ctx, usher.HashToken(fmt.Sprint("token", i)))
					if err == nil {
						answers++
						if x.ID != sessions[i] || x.UserID != ids[i] || u.(*Member).ID != ids[i] {
							t.Errorf("reader %d got session %s of %s", i, x.ID, x.UserID)
						}
					}
					list, err := store.ListSessions(ctx, ids[i])
					if err == nil && (len(list) != 1 || list[0].ID != sessions[i]) {
						t.Errorf("reader %d was listed %v", i, list)
					}
					user, err := store.UserByEmail(ctx, fmt.Sprintf("user%d@example.com", i))
					if err == nil && user.ID != ids[i] {
						t.Errorf("reader %d got user %s", i, user.ID)
					}
					cancel()
				}
			})
		}
		done.Wait()
	})
}

func TestSessionsStrategy(t *testing.T) {
	t.Parallel()
	store, _ := open[Member](t)
	strategy := store.Sessions(7 * time.Hour)
	if strategy.Store != usher.SessionStore(store) || strategy.Lifetime != 7*time.Hour || strategy.Validate() != nil {
		t.Errorf("%+v", strategy)
	}
}

// Errors say what was being done, and nothing of with what.
func TestErrorsTellNoValues(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		m := newMember(t, store, "secret@example.com")
		newSession(t, store, m.ID, "token", time.Now().Add(time.Hour))
		for _, table := range []string{"sessions", "used_tokens", "oauth_accounts", "outbox", "users"} {
			run(t, db, `DROP TABLE `+table)
		}
		for doing, err := range everyCall(t.Context(), store, m) {
			if err == nil {
				t.Errorf("%s: no error", doing)
				continue
			}
			for _, secret := range []string{"secret", string(m.ID), "hash"} {
				if strings.Contains(strings.NewReplacer("token_hash", "", "used_tokens.hash", "").Replace(err.Error()), secret) {
					t.Errorf("%s: the error tells %q: %v", doing, secret, err)
				}
			}
			if !strings.HasPrefix(err.Error(), "sqlstore: ") {
				t.Errorf("%s: the error does not say where: %v", doing, err)
			}
		}
	})
}

// everyCall makes each call of a store and returns its error.
func everyCall(ctx context.Context, store *sqlstore.Store[Member], m *Member) map[string]error {
	token := usher.HashToken("token")
	after := *m
	after.Plan = "secret"
	now := time.Now()
	_, byID := store.UserByID(ctx, m.ID)
	_, byEmail := store.UserByEmail(ctx, "secret@example.com")
	_, users := store.ListUsers(ctx, usher.UserQuery{Limit: 10})
	_, _, read := store.ReadSession(ctx, token)
	_, list := store.ListSessions(ctx, m.ID)
	_, all := store.RevokeSessions(ctx, m.ID, "")
	_, sweep := store.SweepSessions(ctx, now, 10)
	_, sweepUsed := store.SweepUsedTokens(ctx, now, 10)
	_, account := store.OAuthAccount(ctx, "secret", "secret")
	_, accounts := store.OAuthAccounts(ctx, m.ID)
	_, claim := store.ClaimMessages(ctx, now, time.Minute, 10)
	_, messages := store.ListMessages(ctx, 10)
	return map[string]error{
		"UserByID": byID, "UserByEmail": byEmail, "ListUsers": users,
		"CreateUser":    store.CreateUser(ctx, &Member{User: usher.User{Email: "secret2@example.com"}}),
		"UpdateUser":    store.UpdateUser(ctx, m, &after),
		"DeleteUser":    store.DeleteUser(ctx, m.ID),
		"CreateSession": store.CreateSession(ctx, usher.HashToken("other"), usher.Session{ID: "other", UserID: m.ID}),
		"ReadSession":   read, "ListSessions": list, "RevokeSessions": all, "SweepSessions": sweep,
		"TouchSession":   store.TouchSession(ctx, token, now, now),
		"DestroySession": store.DestroySession(ctx, token),
		"RevokeSession":  store.RevokeSession(ctx, m.ID, "s"),
		"Ping":           store.Ping(ctx),
		"InTx":           store.InTx(ctx, func(ctx context.Context) error { return store.DeleteUser(ctx, m.ID) }),
		"UseOnce":        store.UseOnce(ctx, token, now), "SweepUsedTokens": sweepUsed,
		"OAuthAccount": account, "OAuthAccounts": accounts,
		"LinkOAuthAccount":   store.LinkOAuthAccount(ctx, &usher.OAuthAccount{UserID: m.ID, Provider: "secret", AccountID: "secret"}),
		"UpdateOAuthAccount": store.UpdateOAuthAccount(ctx, usher.OAuthAccount{ID: "secret"}),
		"UnlinkOAuthAccount": store.UnlinkOAuthAccount(ctx, m.ID, "secret"),
		"AddMessage":         store.AddMessage(ctx, &usher.Message{UserID: m.ID, Email: "secret@example.com"}),
		"ClaimMessages":      claim, "ListMessages": messages,
		"DeleteMessage": store.DeleteMessage(ctx, "secret"),
		"DelayMessage":  store.DelayMessage(ctx, "secret", now, "secret", false),
	}
}
