package sqlstore_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
)

func TestOneUseWins(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		stores, db := openTwo(t, e)
		const callers = 16
		for range 5 {
			token := usher.HashToken(string(usher.NewID()))
			count := together(t, callers, func(i int) error {
				return stores[i%2].UseOnce(t.Context(), token, time.Now().Add(time.Hour))
			}, usher.ErrAlreadyUsed)
			if count[nil] != 1 || count[usher.ErrAlreadyUsed] != callers-1 {
				t.Errorf("%v, want one success and %d refusals", count, callers-1)
			}
		}
		if n := one[int](t, db, `SELECT count(*) FROM used_tokens`); n != 5 {
			t.Errorf("%d rows, want 5", n)
		}
	})
}

func TestOneLinkWins(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		stores, db := openTwo(t, e)
		const callers = 16
		var members []*Member
		for range callers {
			members = append(members, newMember(t, stores[0], string(usher.NewID())+"@example.com"))
		}
		accounts := make([]usher.OAuthAccount, callers)
		count := together(t, callers, func(i int) error {
			accounts[i] = usher.OAuthAccount{UserID: members[i].ID, Provider: "github", AccountID: "583231"}
			return stores[i%2].LinkOAuthAccount(t.Context(), &accounts[i])
		}, usher.ErrOAuthAccountTaken)
		if count[nil] != 1 || count[usher.ErrOAuthAccountTaken] != callers-1 {
			t.Errorf("%v, want one success and %d refusals", count, callers-1)
		}
		got := must(stores[0].OAuthAccount(t.Context(), "github", "583231"))
		for i, a := range accounts {
			if won := a.ID != ""; won != (got.UserID == members[i].ID) || won != (a.ID == got.ID) || won == a.CreatedAt.IsZero() {
				t.Errorf("caller %d has %+v, the store %+v", i, a, got)
			}
		}
		if n := one[int](t, db, `SELECT count(*) FROM oauth_accounts`); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestLinksEndWithTheUser(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		a := usher.OAuthAccount{UserID: m.ID, Provider: "github", AccountID: "1", AccessToken: []byte("sealed")}
		if err := store.LinkOAuthAccount(t.Context(), &a); err != nil {
			t.Fatal(err)
		}
		if !one[bool](t, db, `SELECT access_token IS NOT NULL AND refresh_token IS NULL AND expires_at IS NULL FROM oauth_accounts`) {
			t.Error("what there is not is kept as something else than NULL")
		}
		message := usher.Message{Kind: usher.MailVerify, UserID: m.ID, Email: m.Email}
		if err := store.AddMessage(t.Context(), &message); err != nil {
			t.Fatal(err)
		}
		if err := store.DeleteUser(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		if n := one[int](t, db, `SELECT count(*) FROM oauth_accounts`); n != 0 {
			t.Errorf("%d accounts are left", n)
		}
		if err := store.LinkOAuthAccount(t.Context(), &a); err != usher.ErrNotFound {
			t.Errorf("a link to a user who is gone: %v, want %v", err, usher.ErrNotFound)
		}
		// The mail goes out nevertheless.
		claimed, err := store.ClaimMessages(t.Context(), time.Now(), time.Minute, 10)
		if err != nil || len(claimed) != 1 || claimed[0].UserID != m.ID || claimed[0].Email != m.Email {
			t.Errorf("claimed %+v, %v", claimed, err)
		}
	})
}

// inLongTx writes much at once, which on a busy machine may take its time.
func inLongTx(t *testing.T, store *sqlstore.Store[Member], f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := store.InTx(ctx, f); err != nil {
		t.Fatal(err)
	}
}

// What a provider or a mail server says is stored, whatever bytes it is.
func TestForeignBytes(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		a := usher.OAuthAccount{UserID: m.ID, Provider: "github", AccountID: "1", Email: "a\xff\xfe@example.com"}
		if err := store.LinkOAuthAccount(t.Context(), &a); err != nil {
			t.Error(err)
		}
		message := usher.Message{Data: map[string]string{"user_agent": "a\xffb", "zero": "\x00 \\u0000 \\\x00"}}
		if err := store.AddMessage(t.Context(), &message); err != nil {
			t.Error(err)
		}
		if err := store.DelayMessage(t.Context(), message.ID, time.Now(), "550 \x80", false); err != nil {
			t.Error(err)
		}
		if got := must(store.OAuthAccount(t.Context(), "github", "1")).Email; got != "a\uFFFD@example.com" {
			t.Errorf("e-mail address %q", got)
		}
		if got := must(store.ListMessages(t.Context(), 1)); got[0].LastError != "550 \uFFFD" || got[0].Data["user_agent"] != "a\uFFFDb" || got[0].Data["zero"] != "\uFFFD \\u0000 \\\uFFFD" {
			t.Errorf("%+v", got)
		}
	})
}

// Two workers, in two programs, share 500 messages and deliver none twice. When
// one dies with some, the other gets these after the lease.
func TestWorkersShareTheOutbox(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		stores, _ := openTwo(t, e)
		const messages, lease = 500, time.Minute
		now := time.Now()
		inLongTx(t, stores[0], func(ctx context.Context) error {
			for range messages {
				if err := stores[0].AddMessage(ctx, &usher.Message{Kind: usher.MailVerify, DueAt: now}); err != nil {
					return err
				}
			}
			return nil
		})
		var claimed [2][]usher.Message
		var done sync.WaitGroup
		for i, store := range stores {
			done.Go(func() {
				for {
					batch, err := store.ClaimMessages(t.Context(), now, lease, 7)
					if err != nil {
						t.Error(err)
					}
					if len(batch) == 0 {
						return
					}
					claimed[i] = append(claimed[i], batch...)
				}
			})
		}
		done.Wait()
		attempts := map[string]int{}
		for _, m := range slices.Concat(claimed[0], claimed[1]) {
			if attempts[m.ID]++; attempts[m.ID] > 1 || m.Attempts != 1 {
				t.Errorf("message %s was claimed twice", m.ID)
			}
		}
		if len(attempts) != messages {
			t.Errorf("%d messages were claimed, want %d", len(attempts), messages)
		}
		// The first delivers his, the second dies.
		for _, m := range claimed[0] {
			if err := stores[0].DeleteMessage(t.Context(), m.ID); err != nil {
				t.Fatal(err)
			}
		}
		if early := must(stores[0].ClaimMessages(t.Context(), now.Add(lease-time.Second), lease, 1000)); len(early) > 0 {
			t.Errorf("%d messages were claimed within the lease of another", len(early))
		}
		left := must(stores[0].ClaimMessages(t.Context(), now.Add(lease), lease, 1000))
		if len(left) != len(claimed[1]) {
			t.Errorf("%d messages were claimed after the lease, want the %d that were left", len(left), len(claimed[1]))
		}
		for _, m := range left {
			if m.Attempts != 2 {
				t.Errorf("message %s has %d attempts, want 2", m.ID, m.Attempts)
			}
		}
	})
}

// No file of the database has a token that was used.
func TestNoUsedTokenInTheFiles(t *testing.T) {
	t.Parallel()
	store, path := open[Member](t)
	const token = "a-token-that-somebody-received-by-mail"
	hash := usher.HashToken(token)
	if err := store.UseOnce(t.Context(), hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, file := range must(filepath.Glob(path + "*")) {
		content := must(os.ReadFile(file))
		found = found || bytes.Contains(content, hash[:])
		if bytes.Contains(content, []byte(token)) {
			t.Errorf("%s has the token", filepath.Base(file))
		}
	}
	if !found {
		t.Error("the files do not have the hash: the test looks at the wrong ones")
	}
}
