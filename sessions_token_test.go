package usher_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"usher"
)

// What cannot be a token costs no round trip.
func TestSessionsMalformedTokens(t *testing.T) {
	t.Parallel()
	strategy, store, _ := newSessions(time.Hour, 0)
	token, _ := write(t, strategy)
	for _, bad := range []string{
		"", "x", token[:42], token + "A", token + "=", " " + token[1:], token[:42] + " ", token[:42] + "=", token[:42] + "+", token[:42] + "/", token[:42] + ".", token[:42] + "\n",
		token[:42] + "\x00", token[:41] + "é", strings.Repeat("\xff", 43), strings.Repeat("*", 43), strings.Repeat("a", 1<<20), signed(plainHeader, claims()), "' OR 1=1 --", token[:42] + "%",
	} {
		if _, err := strategy.ReadToken(t.Context(), bad); !errors.Is(err, usher.ErrInvalidToken) {
			t.Errorf("ReadToken of %.60q: %v, want %v", bad, err, usher.ErrInvalidToken)
		}
		if err := strategy.DestroyToken(t.Context(), bad); !errors.Is(err, usher.ErrInvalidToken) {
			t.Errorf("DestroyToken of %.60q: %v, want %v", bad, err, usher.ErrInvalidToken)
		}
	}
	if n := store.called("ReadSession") + store.called("DestroySession"); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	if _, err := strategy.ReadToken(t.Context(), token); err != nil || store.called("ReadSession") != 1 { // the positive control
		t.Errorf("the good token: %v, asked %d times", err, store.called("ReadSession"))
	}
}

// C2, DEFECTS E: the store sees a hash, and nothing in it leads to the token.
func TestS_C2_OnlyTheHashIsStored(t *testing.T) {
	t.Parallel()
	strategy, store, _ := newSessions(time.Hour, 0)
	token, a := write(t, strategy)
	session, found := store.sessions[usher.HashToken(token)]
	if !found || len(store.sessions) != 1 || session.UserID != somebody || session.ID != a.SessionID {
		t.Fatalf("the store has %+v", store.sessions)
	}
	dump := fmt.Sprintf("%+v %q %x", store.sessions, fmt.Sprint(store.sessions), fmt.Sprint(store.sessions))
	raw := must(base64.RawURLEncoding.DecodeString(token))
	for _, secret := range []string{token, token[:20], string(raw), fmt.Sprintf("%x", token), fmt.Sprintf("%x", raw), fmt.Sprint(raw)} {
		if strings.Contains(dump, secret) {
			t.Errorf("the store holds %q", secret)
		}
	}
	hash := usher.HashToken(token)
	for _, key := range []string{base64.RawURLEncoding.EncodeToString(hash[:]), fmt.Sprintf("%x", hash), a.SessionID} { // a dump of the store is no way in
		if _, err := strategy.ReadToken(t.Context(), key); !errors.Is(err, usher.ErrInvalidToken) {
			t.Errorf("ReadToken of %q: %v, want %v", key, err, usher.ErrInvalidToken)
		}
	}
}

// discard is a store that keeps nothing.
type discard struct{ usher.SessionStore }

func (discard) CreateSession(context.Context, usher.TokenHash, usher.Session) error { return nil }

// C1: 256 bits, each as likely as not, and none twice.
func TestS_C1_TokensAreRandom(t *testing.T) {
	t.Parallel()
	const n = 100_000
	strategy := usher.Sessions{Store: discard{}}
	seen := make(map[string]bool, n)
	var ones [256]int
	for range n {
		token, a := write(t, strategy)
		if seen[token] || seen[a.SessionID] {
			t.Fatalf("%s or %s occurs twice", token, a.SessionID)
		}
		seen[token], seen[a.SessionID] = true, true
		raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
		if err != nil || len(token) != 43 || len(raw) != 32 {
			t.Fatalf("%q: %d characters, %d bytes, %v, want 43 and 32", token, len(token), len(raw), err)
		}
		for i := range ones {
			ones[i] += int(raw[i/8] >> (i % 8) & 1)
		}
	}
	chi := 0.0
	for _, k := range ones {
		d := float64(k) - n/2
		chi += d * d / (n / 4)
	}
	// 256 degrees of freedom: mean 256, standard deviation 22.6. Seven of these
	// are off once in 10¹¹ runs.
	if chi < 256-7*22.6 || chi > 256+7*22.6 {
		t.Errorf("chi-square of the bits is %.1f, want about 256", chi)
	}
}

// C3, CVE-2026-27840: the whole token is compared.
func TestS_C3_EveryByteCounts(t *testing.T) {
	t.Parallel()
	strategy, _, _ := newSessions(time.Hour, 0)
	token, _ := write(t, strategy)
	for i := range len(token) {
		altered := []string{token[:i] + token[i+1:], token[:i] + "A" + token[i:], token[:i] + "A" + token[i+1:], token[:i] + string(next(token[i])) + token[i+1:], token[:i], token[i:]}
		if other := token[i] ^ 0x20; other >= 'A' {
			altered = append(altered, token[:i]+string(other)+token[i+1:])
		}
		for _, bad := range altered {
			if bad == token {
				continue
			}
			if a, err := strategy.ReadToken(t.Context(), bad); !errors.Is(err, usher.ErrInvalidToken) || a.UserID != "" {
				t.Errorf("byte %d: ReadToken of %q for %q: %+v, %v", i, bad, token, a, err)
			}
		}
	}
	for _, bad := range []string{token + "A", token + token, strings.ToUpper(token), strings.ToLower(token), token + "="} {
		if _, err := strategy.ReadToken(t.Context(), bad); !errors.Is(err, usher.ErrInvalidToken) {
			t.Errorf("ReadToken of %q for %q: %v", bad, token, err)
		}
	}
	if _, err := strategy.ReadToken(t.Context(), token); err != nil {
		t.Errorf("the token itself: %v", err)
	}
}

// picky holds one token in sixteen for each user.
type picky struct {
	*memory
	asked int
}

func (p *picky) HoldsToken(user usher.ID, token usher.TokenHash) bool {
	p.asked++
	return user == somebody && token[0]%16 == 5
}

func TestSessionsPickyStore(t *testing.T) {
	t.Parallel()
	store := &picky{memory: newMemory()}
	strategy := usher.Sessions{Store: store}
	for range 50 {
		token, _ := write(t, strategy)
		if hash := usher.HashToken(token); hash[0]%16 != 5 {
			t.Fatalf("a token whose hash begins with %x", hash[0])
		}
		if _, err := strategy.ReadToken(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	if store.asked < 200 || store.sessionCount() != 50 {
		t.Errorf("asked %d times for %d sessions, want about 800 for 50", store.asked, store.sessionCount())
	}
}
