package fastapiusers_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"usher"
	"usher/fastapiusers"
	"usher/oauth"
	"usher/sqlstore"
)

// interrupted is a store, with its sessions, whose user goes away at some call.
type interrupted struct {
	*sqlstore.Store[User]
	left   int // calls until then
	cancel context.CancelFunc
}

func (i *interrupted) call() {
	if i.left--; i.left == 0 {
		i.cancel()
	}
}

func (i *interrupted) InTx(ctx context.Context, f func(context.Context) error) error {
	i.call()
	return i.Store.InTx(ctx, f)
}

func (i *interrupted) CreateUser(ctx context.Context, u *User) error {
	i.call()
	return i.Store.CreateUser(ctx, u)
}

func (i *interrupted) LinkOAuthAccount(ctx context.Context, a *usher.OAuthAccount) error {
	i.call()
	return i.Store.LinkOAuthAccount(ctx, a)
}

func (i *interrupted) CreateSession(ctx context.Context, token usher.TokenHash, x usher.Session) error {
	i.call()
	return i.Store.CreateSession(ctx, token, x)
}

// Interrupted anywhere, again and again, it all arrives: once, and as it was.
func TestInterruptedAnywhere(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const n = 1500 // more than one batch
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			x.to.EncryptionKeys = []oauth.Key{{ID: "k", Secret: []byte("0123456789abcdefFEDCBA9876543210")}}
			fill(s, n)
			ended, runs := 0, 0
			for ended == 0 || runs < 5 {
				if runs++; runs > 100 {
					t.Fatal("it does not come to its end")
				}
				ctx, cancel := context.WithCancel(t.Context())
				store := &interrupted{x.db, 1 + random.IntN(1800), cancel}
				x.to.Store, x.to.Sessions = store, store
				_, err := x.run(ctx, s, fastapiusers.Options{})
				cancel()
				switch {
				case err == nil:
					ended++
				case !errors.Is(err, context.Canceled):
					t.Fatalf("run %d: %v", runs, err)
				case len(x.problems) > 0:
					t.Fatalf("run %d: %+v", runs, x.problems)
				}
			}
			t.Logf("%d runs", runs)
			x.to.Store, x.to.Sessions = x.db, x.db
			report := x.mustRun(s, fastapiusers.Options{})
			want := fastapiusers.Counts{Read: n, Same: n}
			if report.Users != want || report.Tokens != want || report.Accounts != (fastapiusers.Counts{Read: n / 2, Same: n / 2}) {
				t.Errorf("%+v", report)
			}
			x.wantTokens(n)
		})
	}
}

// Two imports at once would each take for somebody else's what the other carries: the
// second is refused, a dry run is not, and nothing is left of the lock.
func TestOneImportAtATime(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, 10)
			other, err := fastapiusers.OpenLedger(t.Context(), x.address, false)
			if err != nil {
				t.Fatal(err)
			}
			if second, err := fastapiusers.OpenLedger(t.Context(), x.address, false); err == nil || !strings.Contains(err.Error(), "another import") {
				t.Errorf("%v, %v", second, err)
			}
			if report := x.mustRun(s, fastapiusers.Options{DryRun: true}); report.Users.New != 10 {
				t.Errorf("%+v", report)
			}
			if err := other.Close(); err != nil {
				t.Error(err)
			}
			if report := x.mustRun(s, fastapiusers.Options{}); report.Users.New != 10 {
				t.Errorf("%+v", report)
			}
			if path, is := strings.CutPrefix(x.address, "sqlite:"); is {
				if left, err := filepath.Glob(path + "-import*"); err != nil || len(left) > 0 {
					t.Errorf("there are %v, %v", left, err)
				}
			}
		})
	}
}
