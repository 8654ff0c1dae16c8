package postgres_test

import (
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/postgres"
	"usher/ushertest"
)

// What a server or a role is set to changes nothing: the isolation of transactions
// (FAULTS.md, F19), the zone and form of times, the form of bytes and of literals.
func TestSettingsOfAServer(t *testing.T) {
	t.Parallel()
	for setting, value := range map[string]string{
		"default_transaction_isolation":  "serializable",
		"default_transaction_deferrable": "on",
		"timezone":                       "Pacific/Kiritimati",
		"datestyle":                      "sql",
		"bytea_output":                   "escape",
		"standard_conforming_strings":    "off",
		"extra_float_digits":             "-15",
		"plan_cache_mode":                "force_generic_plan",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			open := func(t *testing.T) *sqlstore.Store[User] {
				store, err := postgres.Open[User](t.Context(), changed(t, testservices.Postgres(t), with(setting, value)))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { store.Close() })
				return store
			}
			if setting == "default_transaction_isolation" {
				ushertest.TestOneTimeStore(t, func(t *testing.T) usher.OneTimeStore { return open(t) })
			}
			store := open(t)
			create(t, store, "zoe@example.com")
			u, err := store.UserByEmail(t.Context(), "zoe@example.com")
			if err != nil || u.FirstName != "Zoë" || time.Since(u.CreatedAt).Abs() > time.Minute {
				t.Fatalf("user %+v, %v", u, err)
			}
			now := time.Now().UTC().Truncate(time.Microsecond)
			session := usher.Session{ID: "s", UserID: u.ID, CreatedAt: now, ExpiresAt: now.Add(time.Hour), Data: map[string]any{`\a'b"`: `\'"`}}
			if err := store.CreateSession(t.Context(), usher.HashToken("token"), session); err != nil {
				t.Fatal(err)
			}
			x, _, err := store.ReadSession(t.Context(), usher.HashToken("token"))
			if err != nil || !x.CreatedAt.Equal(now) || !x.ExpiresAt.Equal(session.ExpiresAt) || x.Data[`\a'b"`] != `\'"` {
				t.Errorf("session %+v, %v; want %+v", x, err, session)
			}
			if n, err := store.SweepSessions(t.Context(), now.Add(59*time.Minute), 9); err != nil || n != 0 {
				t.Errorf("a sweep before it ends: %d, %v", n, err)
			}
			if n, err := store.SweepSessions(t.Context(), now.Add(61*time.Minute), 9); err != nil || n != 1 {
				t.Errorf("a sweep after it ends: %d, %v", n, err)
			}
		})
	}
}
