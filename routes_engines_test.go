package usher_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What one database refuses and another takes is a 500 of FastAPI Users on the first.
// Here it is the client's fault, or none, on each (DEFECTS G), and whoever has an
// address is found by it in any case of any letter (DEFECTS A and I).
func TestDefect_G_WhatDatabasesRefuse(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		x := newFlowsOn(t, on, fastAPIUsers)
		ann := x.add(t, "josé.éva@example.com", asUnverified)
		header := x.signedIn(t, "cookie", ann.Email)
		for _, email := range []string{"a\x00b@example.com", "josé.éva@example.com\x00", "\xff@example.com", strings.Repeat("x", 3000)} {
			x.send(t, "POST", "/auth/cookie/login", loginForm(email, goodPassword)).wantDetail(t, 400, "LOGIN_BAD_CREDENTIALS")
		}
		for i, name := range []string{"a\x00b", strings.Repeat("n", 256), strings.Repeat("é", 20_000), "😀\ufffe\U0010ffff"} {
			body := registering(fmt.Sprintf("new%d@example.com", i), "first_name", name)
			if a := x.send(t, "POST", "/auth/register", body); a.status != 201 && a.status != 422 {
				t.Errorf("register with first_name %.20q: %d %.200s", name, a.status, a.body)
			}
			if a := x.send(t, "PATCH", "/users/me", map[string]any{"first_name": name}, header); a.status != 200 && a.status != 422 {
				t.Errorf("PATCH of first_name %.20q: %d %.200s", name, a.status, a.body)
			}
		}
		for _, email := range []string{`7`, `null`, `["josé.éva@example.com"]`, `"a\u0000b@example.com"`} {
			claims := fmt.Sprintf(`{"sub":%q,"email":%s,"aud":"fastapi-users:verify","exp":%d}`, ann.ID, email, time.Now().Add(time.Hour).Unix())
			token := sign(sha256.New, fastAPIVerifySecret, b64(plainHeader), b64(claims))
			x.verify(t, token).wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN")
		}
		x.send(t, "POST", "/auth/register", registering("JOSÉ.ÉVA@EXAMPLE.com")).wantDetail(t, 400, "REGISTER_USER_ALREADY_EXISTS")
		x.send(t, "POST", "/auth/cookie/login", loginForm("JOSÉ.ÉVA@EXAMPLE.com", goodPassword)).want(t, 204)
	})
}
