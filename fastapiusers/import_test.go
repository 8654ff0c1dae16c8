package fastapiusers_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"usher"
	"usher/fastapiusers"
	"usher/oauth"
	"usher/ushertest"
)

// manifest is what the artefacts are.
type manifest struct {
	Users []struct {
		Key            string
		ID             usher.ID
		Email          string
		FirstName      *string `json:"first_name"`
		IsActive       bool    `json:"is_active"`
		IsSuperuser    bool    `json:"is_superuser"`
		IsVerified     bool    `json:"is_verified"`
		HashedPassword string  `json:"hashed_password"`
	}
	AccessTokens []struct {
		Token           string
		User            usher.ID
		Expired, Orphan bool
	} `json:"access_tokens"`
	OAuthAccounts []struct {
		User         usher.ID
		AccountID    string `json:"account_id"`
		AccountEmail string `json:"account_email"`
	} `json:"oauth_accounts"`
}

func readManifest(t testing.TB) (m manifest) {
	t.Helper()
	text, err := os.ReadFile("testdata/manifest.json")
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil || len(m.Users) == 0 || len(m.AccessTokens) == 0 || len(m.OAuthAccounts) == 0 {
		t.Fatal(err)
	}
	return m
}

// The two users of the artefacts whom others keep out.
var leftOut = map[usher.ID]string{
	"ae05e1cb-43fc-4c14-8b72-eaa4a92643d0": "email_collision", // mixed.case: MiXed.Case is verified
	"e37faa3f-63fc-4b7b-b326-ca414a8d4782": "email_collision", // émile: ÉMILE comes first
}

// Everything that the original's database has comes over, from each kind of
// database into each: a dry run says so, a run does it, and a second has nothing to
// do.
func TestArtefacts(t *testing.T) {
	t.Parallel()
	m := readManifest(t)
	for _, c := range [][2]string{{"sqlite", "sqlite"}, {"postgres", "postgres"}, {"mysql", "mysql"}, {"postgres", "sqlite"}, {"sqlite", "mysql"}} {
		t.Run(c[0]+" to "+c[1], func(t *testing.T) {
			t.Parallel()
			s, x := artefacts(t, c[0]), newTarget(t, c[1])
			x.to.EncryptionKeys = []oauth.Key{{ID: "k", Secret: []byte("0123456789abcdefFEDCBA9876543210")}}
			orphans := 1
			if c[0] == "postgres" {
				orphans = 0 // its foreign key forbids them
			}
			usable := func(hash string) bool {
				return strings.HasPrefix(hash, "$argon2i") || strings.HasPrefix(hash, "$2")
			}
			want := fastapiusers.Report{
				Users:             fastapiusers.Counts{Read: 36, New: 34, Collided: 2},
				Accounts:          fastapiusers.Counts{Read: 6, New: 6},
				Tokens:            fastapiusers.Counts{Read: 26 + orphans, New: 19, Expired: 3, Inactive: 4, Orphaned: orphans},
				Columns:           []string{"first_name"},
				UnusablePasswords: 2,
			}
			if got := x.mustRun(s, fastapiusers.Options{DryRun: true, Usable: usable}); !reflect.DeepEqual(got, want) {
				t.Errorf("dry run:\ngot  %+v\nwant %+v", got, want)
			}
			if anybody, err := x.db.ListUsers(t.Context(), usher.UserQuery{Limit: 1}); err != nil || len(anybody) > 0 {
				t.Fatalf("the dry run has written %d users, %v", len(anybody), err)
			}
			if got := x.mustRun(s, fastapiusers.Options{Usable: usable}); !reflect.DeepEqual(got, want) {
				t.Errorf("run:\ngot  %+v\nwant %+v", got, want)
			}
			x.checkArtefacts(m)
			want.Users = fastapiusers.Counts{Read: 36, Same: 34, Collided: 2}
			want.Accounts = fastapiusers.Counts{Read: 6, Same: 6}
			want.Tokens.New, want.Tokens.Same = 0, 19
			if got := x.mustRun(s, fastapiusers.Options{Usable: usable}); !reflect.DeepEqual(got, want) {
				t.Errorf("second run:\ngot  %+v\nwant %+v", got, want)
			}
		})
	}
}

func (x *target) checkArtefacts(m manifest) {
	x.t.Helper()
	for _, want := range m.Users {
		if leftOut[want.ID] != "" {
			if _, err := x.db.UserByID(x.t.Context(), want.ID); !errors.Is(err, usher.ErrNotFound) {
				x.t.Errorf("%s: %v", want.Key, err)
			}
			continue
		}
		got := x.user(want.ID)
		wanted := User{User: usher.User{ID: want.ID, Email: want.Email, HashedPassword: want.HashedPassword,
			IsActive: want.IsActive, IsSuperuser: want.IsSuperuser, IsVerified: want.IsVerified,
			CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt}, FirstName: want.FirstName}
		if !reflect.DeepEqual(*got, wanted) {
			x.t.Errorf("%s:\ngot  %+v\nwant %+v", want.Key, *got, wanted)
		}
	}
	for _, token := range m.AccessTokens {
		active := !token.Orphan && x.user(token.User).IsActive
		session, _, err := x.db.ReadSession(x.t.Context(), usher.HashToken(token.Token))
		if live := err == nil; live != (active && !token.Expired) {
			x.t.Errorf("token %s…: %v", token.Token[:6], err)
		} else if live && (session.UserID != token.User || session.ExpiresAt.Sub(session.CreatedAt) != tenYears || session.CreatedAt.Year() != 2026) {
			x.t.Errorf("session %+v", session)
		}
	}
	for _, account := range m.OAuthAccounts {
		got, err := x.db.OAuthAccount(x.t.Context(), "fake", account.AccountID)
		if err != nil || got.UserID != account.User || got.Email != account.AccountEmail || len(got.AccessToken) == 0 {
			x.t.Errorf("account %+v, %v; want %+v", got, err, account)
		}
		if account.AccountID == "1234567890" && got.ExpiresAt.Unix() != 1999999999 {
			x.t.Errorf("expires %v", got.ExpiresAt)
		}
	}
}

// The source is only read: not a byte of it changes, and nothing is left beside it,
// with a write-ahead log too.
func TestSourceIsOnlyRead(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"delete", "wal", "wal, closed"} {
		s := newSource(t, "sqlite", "CHAR(36)")
		s.exec("PRAGMA journal_mode=" + mode[:3+strings.Index("wal delete", mode[:3])%3])
		s.addUser(string(idOf(1)), "ann@example.com")
		if mode == "wal, closed" {
			if err := s.db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		path := strings.TrimPrefix(s.address, "sqlite:")
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if report := newTarget(t, "sqlite").mustRun(s, fastapiusers.Options{}); report.Users.New != 1 {
			t.Errorf("%s: %+v", mode, report)
		}
		after, err := os.ReadFile(path)
		if err != nil || sha256.Sum256(before) != sha256.Sum256(after) {
			t.Errorf("%s: the source has changed: %v", mode, err)
		}
		if mode != "wal" { // which the application has open
			if files, _ := filepath.Glob(path + "*"); len(files) != 1 {
				t.Errorf("%s: %v", mode, files)
			}
		}
	}
}

// An import that is interrupted leaves what it has done, and the next goes on.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	const n = 2200
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, n)
			for _, table := range []string{"user", "oauth_account", "accesstoken"} {
				ctx, cancel := context.WithCancel(t.Context())
				_, err := x.run(ctx, s, fastapiusers.Options{Progress: func(name string, done, total int64) {
					if name == table && done > total/3 {
						cancel()
					}
				}})
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("interrupted in %s: %v", table, err)
				}
			}
			report := x.mustRun(s, fastapiusers.Options{})
			if c := report.Users; c != (fastapiusers.Counts{Read: n, Same: n}) {
				t.Errorf("users: %+v", c)
			}
			if c := report.Accounts; c != (fastapiusers.Counts{Read: n / 2, Same: n / 2}) {
				t.Errorf("accounts: %+v", c)
			}
			if c := report.Tokens; c.New == 0 || c.Same == 0 || c.New+c.Same != n {
				t.Errorf("tokens: %+v", c)
			}
			x.wantTokens(n)
		})
	}
}

// A process may be killed after it has committed and before it has written down what:
// the next finds everything as in the source, and takes it for carried.
func TestLedgerIsBehind(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, 10)
			x.mustRun(s, fastapiusers.Options{})
			database(t, kind, x.address).exec(`DELETE FROM fastapi_users_import`)
			want := fastapiusers.Report{Users: fastapiusers.Counts{Read: 10, Same: 10}, Accounts: fastapiusers.Counts{Read: 5, Same: 5},
				Tokens: fastapiusers.Counts{Read: 10, Same: 10}, Columns: []string{"first_name"}}
			if report := x.mustRun(s, fastapiusers.Options{}); !reflect.DeepEqual(report, want) {
				t.Errorf("%+v", report)
			}
			s.exec(`UPDATE "user" SET is_superuser = ? WHERE id = ?`, true, string(idOf(3)))
			if report := x.mustRun(s, fastapiusers.Options{}); report.Users.Changed != 1 || !x.user(idOf(3)).IsSuperuser {
				t.Errorf("%+v", report.Users)
			}
		})
	}
}

// The ledger is beside what it is about, and holds nothing that is secret.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	s, x := newSource(t, "sqlite", "CHAR(36)"), newTarget(t, "sqlite")
	fill(s, 20)
	x.to.EncryptionKeys = []oauth.Key{{ID: "k", Secret: []byte("0123456789abcdefFEDCBA9876543210")}}
	x.mustRun(s, fastapiusers.Options{})
	if err := x.db.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(strings.TrimPrefix(x.address, "sqlite:") + "*")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if strings.Contains(string(text), tokenOf(i)) {
				t.Fatalf("%s has token %d, or the provider's", file, i)
			}
		}
	}
}

// Without a key for the providers' tokens these are left out, which is said.
func TestProviderTokensWithoutAKey(t *testing.T) {
	t.Parallel()
	s, x := artefacts(t, "sqlite"), newTarget(t, "sqlite")
	report := x.mustRun(s, fastapiusers.Options{})
	got, err := x.db.OAuthAccount(t.Context(), "fake", "acc-1")
	if err != nil || got.AccessToken != nil || got.RefreshToken != nil || report.DroppedProviderTokens != 8 {
		t.Errorf("%+v, %v, dropped %d", got, err, report.DroppedProviderTokens)
	}
}

// What was sealed is what usher opens.
func TestProviderTokensAreSealed(t *testing.T) {
	t.Parallel()
	keys := []oauth.Key{{ID: "k", Secret: []byte("0123456789abcdefFEDCBA9876543210")}}
	s, x := newSource(t, "sqlite", "CHAR(36)"), newTarget(t, "sqlite")
	s.addUser(string(idOf(1)), "ann@example.com")
	s.exec(`INSERT INTO oauth_account VALUES (?, ?, 'fake', 'the access token', ?, 'the refresh token', 'ann-1', 'ann@example.com')`,
		string(idOf(9)), string(idOf(1)), int64(4102444800))
	x.to.EncryptionKeys = keys
	x.mustRun(s, fastapiusers.Options{})

	auth, err := usher.New(usher.Config[User]{Store: x.db, Backends: []usher.Backend{{Name: "b", Transport: usher.Bearer{}, Strategy: x.db.Sessions(0)}}})
	if err != nil {
		t.Fatal(err)
	}
	p := ushertest.NewFakeProvider(t)
	o, err := oauth.New(auth, oauth.Config[User]{
		Backend: "b", BaseURL: "http://localhost", Secret: []byte("0123456789abcdef0123456789ABCDEF"), EncryptionKeys: keys,
		Accounts: x.db, OneTime: x.db, Providers: []oauth.Provider{oauth.OIDC("fake", p.URL, "client-id", "client-secret")},
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := o.Token(t.Context(), idOf(1), "fake")
	if err != nil || token.AccessToken != "the access token" || token.RefreshToken != "the refresh token" {
		t.Errorf("%+v, %v", token, err)
	}
}
