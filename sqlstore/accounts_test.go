package sqlstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
)

// openTwo opens one database twice, as two programs do.
func openTwo(t *testing.T) (stores [2]*sqlstore.Store[Member], path string) {
	t.Helper()
	stores[0], path = open[Member](t)
	second, err := sqlite.Open[Member](t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	stores[1] = second
	return stores, path
}

func TestOneUseWins(t *testing.T) {
	t.Parallel()
	stores, path := openTwo(t)
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
	if n := one[int](t, openRaw(t, path), `SELECT count(*) FROM used_tokens`); n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
}

func TestOneLinkWins(t *testing.T) {
	t.Parallel()
	stores, path := openTwo(t)
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
	if n := one[int](t, openRaw(t, path), `SELECT count(*) FROM oauth_accounts`); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestLinksEndWithTheUser(t *testing.T) {
	t.Parallel()
	store, path := open[Member](t)
	m := newMember(t, store, "a@example.com")
	a := usher.OAuthAccount{UserID: m.ID, Provider: "github", AccountID: "1", AccessToken: []byte("sealed")}
	if err := store.LinkOAuthAccount(t.Context(), &a); err != nil {
		t.Fatal(err)
	}
	db := openRaw(t, path)
	if got := one[string](t, db, `SELECT typeof(access_token) || ' ' || typeof(refresh_token) || ' ' || typeof(expires_at) FROM oauth_accounts`); got != "blob null null" {
		t.Errorf("kept as %s", got)
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
}

// What a provider or a mail server says is stored, whatever bytes it is.
func TestForeignBytes(t *testing.T) {
	t.Parallel()
	store, _ := open[Member](t)
	m := newMember(t, store, "a@example.com")
	a := usher.OAuthAccount{UserID: m.ID, Provider: "github", AccountID: "1", Email: "a\xff\xfe@example.com"}
	if err := store.LinkOAuthAccount(t.Context(), &a); err != nil {
		t.Error(err)
	}
	message := usher.Message{Data: map[string]string{"user_agent": "a\xffb"}}
	if err := store.AddMessage(t.Context(), &message); err != nil {
		t.Error(err)
	}
	if err := store.DelayMessage(t.Context(), message.ID, time.Now(), "550 \x80", false); err != nil {
		t.Error(err)
	}
	if got := must(store.OAuthAccount(t.Context(), "github", "1")).Email; got != "a\uFFFD@example.com" {
		t.Errorf("e-mail address %q", got)
	}
	if got := must(store.ListMessages(t.Context(), 1)); got[0].LastError != "550 \uFFFD" || got[0].Data["user_agent"] != "a\uFFFDb" {
		t.Errorf("%+v", got)
	}
}

// Two workers, in two programs, share 500 messages and deliver none twice. When
// one dies with some, the other gets these after the lease.
func TestWorkersShareTheOutbox(t *testing.T) {
	t.Parallel()
	stores, path := openTwo(t)
	const messages, lease = 500, time.Minute
	run(t, openRaw(t, path), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO outbox (id, kind, email, created_at, due_at, attempts, last_error, dead)
		SELECT printf('00000000-0000-7000-8000-%012d', i), 'verify', '', i, i, 0, '', 0 FROM n`, messages)
	now := time.Now()
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
