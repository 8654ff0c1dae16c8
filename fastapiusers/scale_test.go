package fastapiusers_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/fastapiusers"
)

// Many users, each with a token and every second with an account, take little time
// and, beyond a few bytes each, no memory. USHER_TEST_IMPORT says how many.
func TestScale(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("USHER_TEST_IMPORT"))
	if n == 0 {
		n = 5000
		t.Parallel()
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, n)
			for run, want := range []fastapiusers.Counts{{Read: n, New: n}, {Read: n, Same: n}} {
				var peak, now runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&peak)
				before := peak.HeapAlloc
				progress := func(_ string, done, total int64) {
					if done%10000 == 0 {
						runtime.ReadMemStats(&now)
						peak.HeapAlloc = max(peak.HeapAlloc, now.HeapAlloc)
					}
					if done > total {
						t.Errorf("%d of %d", done, total)
					}
				}
				begin := time.Now()
				report := x.mustRun(s, fastapiusers.Options{Progress: progress})
				t.Logf("run %d: %d users, %d accounts, %d tokens: %v, at most %d MiB more", run, n, report.Accounts.Read, report.Tokens.Read,
					time.Since(begin).Round(time.Millisecond), (peak.HeapAlloc-before)>>20)
				if report.Users != want || report.Tokens != want || report.Accounts.Read != (n+1)/2 {
					t.Errorf("run %d: %+v, first of %d problems %+v", run, report, len(x.problems), x.problems[:min(1, len(x.problems))])
				}
				if grown := int64(peak.HeapAlloc-before) - 64<<20; grown > int64(n)*100 {
					t.Errorf("run %d: the heap grew by %d bytes more than 64 MiB", run, grown)
				}
			}
		})
	}
}

// tokenOf is a token that anybody can tell.
func tokenOf(i int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func idOf(i int) usher.ID {
	return usher.ID(fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i*7919), i))
}

// fill makes n users, many in one statement.
func fill(s *source, n int) {
	s.t.Helper()
	const batch = 1000
	insert := func(into string, row func(i int) []any, step int) {
		for first := 0; first < n; first += batch * step {
			var args []any
			var rows []string
			for i := first; i < min(n, first+batch*step); i += step {
				values := row(i)
				args = append(args, values...)
				rows = append(rows, "("+strings.TrimSuffix(strings.Repeat("?,", len(values)), ",")+")")
			}
			s.exec(into+" VALUES "+strings.Join(rows, ","), args...)
		}
	}
	insert(`INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified, first_name)`, func(i int) []any {
		return []any{string(idOf(i)), fmt.Sprintf("User.%d@example.com", i), "$argon2id$v=19$m=65536,t=3,p=4$mvEtwaylkiTBK2cKm+sODA$/bMLOnwW10EfNlTkchF8pl02rWCQHGN+SYfMAcoH8LY", true, false, i%3 == 0, "First"}
	}, 1)
	insert(`INSERT INTO accesstoken (token, user_id, created_at)`, func(i int) []any {
		return []any{tokenOf(i), string(idOf(i)), time.Now().UTC().Format("2006-01-02 15:04:05.000000")}
	}, 1)
	insert(`INSERT INTO oauth_account (id, user_id, oauth_name, access_token, expires_at, refresh_token, account_id, account_email)`, func(i int) []any {
		return []any{string(idOf(i)), string(idOf(i)), "google", "at-" + tokenOf(i), 1999999999, nil, strconv.Itoa(i), fmt.Sprintf("User.%d@example.com", i)}
	}, 2)
}
