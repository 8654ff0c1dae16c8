package usher_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// What is written: FastAPI Users' claims and ours, and nothing else.
func TestJWTClaims(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		strategy       *usher.JWT
		authn          usher.Authentication
		header, claims []string
	}{
		{
			"everything", &usher.JWT{Keys: []usher.Key{usher.SecretKey("k1", secret)}, Issuer: "me", Lifetime: 90 * time.Second, Audience: []string{"a", "b"}},
			usher.Authentication{Methods: []string{"pwd"}, AuthTime: epoch.Add(-time.Minute)},
			[]string{"alg", "kid", "typ"}, []string{"amr", "aud", "auth_time", "exp", "iat", "iss", "jti", "sid", "sub"},
		},
		{
			"defaults", &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}},
			usher.Authentication{Methods: []string{"pwd"}, AuthTime: epoch, IP: "192.0.2.1", UserAgent: "canary", Data: map[string]any{"canary": 1}, Token: "canary", Backend: "canary"},
			[]string{"alg", "typ"}, []string{"amr", "aud", "auth_time", "exp", "iat", "jti", "sid", "sub"},
		},
	} {
		s := test.strategy
		s.Now = ushertest.NewClock(epoch.Add(600 * time.Millisecond)).Now
		test.authn.UserID = somebody
		token, err := s.WriteToken(t.Context(), &test.authn)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(token, ".")
		header, claims := decoded(t, parts[0]), decoded(t, parts[1])
		if got := slices.Sorted(maps.Keys(header)); !slices.Equal(got, test.header) {
			t.Errorf("%s: header %q, want %q", test.name, got, test.header)
		}
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, test.claims) {
			t.Errorf("%s: claims %q, want %q", test.name, got, test.claims)
		}
		lifetime, audience := 3600.0, []any{"fastapi-users:auth"}
		if s.Lifetime != 0 {
			lifetime, audience = s.Lifetime.Seconds(), []any{"a", "b"}
		}
		if header["alg"] != "HS256" || header["typ"] != "JWT" || claims["sub"] != string(somebody) || !slices.Equal(claims["aud"].([]any), audience) ||
			claims["iat"] != float64(epoch.Unix()) || claims["exp"] != float64(epoch.Unix())+lifetime || claims["auth_time"] != float64(test.authn.AuthTime.Unix()) ||
			!slices.Equal(claims["amr"].([]any), []any{"pwd"}) || claims["sid"] != test.authn.SessionID || claims["jti"] == claims["sid"] {
			t.Errorf("%s: header %v, claims %v", test.name, header, claims)
		}
		if s.Issuer != "" && (claims["iss"] != "me" || header["kid"] != "k1") {
			t.Errorf("%s: iss %v, kid %v, want me and k1", test.name, claims["iss"], header["kid"])
		}
		for _, id := range []any{claims["jti"], claims["sid"]} {
			if _, err := usher.ParseUUID(id.(string)); err != nil {
				t.Errorf("%s: %v is no UUID", test.name, id)
			}
		}
		if again := accepts(t, test.name, s, token); again.SessionID != test.authn.SessionID || !again.AuthTime.Equal(test.authn.AuthTime) {
			t.Errorf("%s: read back %+v, want %+v", test.name, again, test.authn)
		}
	}
}

func decoded(t *testing.T, part string) (members map[string]any) {
	t.Helper()
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err == nil {
		err = json.Unmarshal(raw, &members)
	}
	if err != nil {
		t.Fatalf("%s: %v", part, err)
	}
	return members
}

// E7: the times, to the second and to its parts.
func TestS_E7_Times(t *testing.T) {
	t.Parallel()
	now := epoch.Unix()
	at := func(seconds int64) string { return fmt.Sprint(now + seconds) }
	for _, test := range []struct {
		name, value string
		good        bool
	}{
		{"exp", at(1), true}, {"exp", at(0), false}, {"exp", at(-1), false}, {"exp", at(0) + ".001", true}, {"exp", at(-1) + ".999", false}, {"exp", at(1) + ".5", true},
		{"exp", fmt.Sprintf("%de0", now+1), true}, {"exp", fmt.Sprintf("%.9e", float64(now+1)), true}, {"exp", "99999999999", true},
		{"exp", "", false}, {"exp", "null", false}, {"exp", `"` + at(60) + `"`, false}, {"exp", "true", false}, {"exp", "[]", false}, {"exp", "[" + at(60) + "]", false}, {"exp", "{}", false},
		{"exp", "0", false}, {"exp", "-0", false}, {"exp", "-1", false}, {"exp", "-" + at(60), false}, {"exp", "1e308", false}, {"exp", "1e400", false}, {"exp", "-1e308", false},
		{"exp", "9223372036854775807", false}, {"exp", "9223372036854775808", false}, {"exp", "18446744073709551616", false}, {"exp", "1" + strings.Repeat("0", 400), false},
		{"exp", at(60) + "000", true}, {"exp", "1e18", true}, {"exp", "1.1e18", false}, {"exp", "-1e18", false},

		{"nbf", "", true}, {"nbf", at(0), true}, {"nbf", at(-1), true}, {"nbf", at(1), false}, {"nbf", at(0) + ".001", false}, {"nbf", "0", true}, {"nbf", "-1", true},
		{"nbf", "null", false}, {"nbf", `"` + at(0) + `"`, false}, {"nbf", "1e308", false}, {"nbf", "false", false}, {"nbf", "-1e308", false},

		{"iat", "", true}, {"iat", at(0), true}, {"iat", at(-1), true}, {"iat", at(1), false}, {"iat", at(0) + ".001", false}, {"iat", "0", true},
		{"iat", "null", false}, {"iat", `"` + at(0) + `"`, false}, {"iat", "1e308", false}, {"iat", "{}", false},

		{"auth_time", at(-5), true}, {"auth_time", "null", false}, {"auth_time", `"x"`, false}, {"auth_time", "1e400", false},
	} {
		token, what := signed(plainHeader, claims(test.name, test.value)), test.name+" "+test.value
		if test.good {
			accepts(t, what, hs256(), token)
		} else {
			refuses(t, what, hs256(), token)
		}
	}
}

func TestS_E7_Subject(t *testing.T) {
	t.Parallel()
	for _, sub := range []string{"", `""`, "null", "1", "true", "[]", `["` + string(somebody) + `"]`, `{"id":1}`} {
		refuses(t, "sub "+sub, hs256(), signed(plainHeader, claims("sub", sub)))
	}
}

// E8, CVE-2020-26160: one of the audiences has to be ours, exactly.
func TestS_E8_Audience(t *testing.T) {
	t.Parallel()
	two := hs256()
	two.Audience = []string{"app", "api"}
	for _, test := range []struct {
		strategy *usher.JWT
		aud      string
		good     bool
	}{
		{hs256(), `"fastapi-users:auth"`, true}, {hs256(), `["fastapi-users:auth"]`, true}, {hs256(), `["other","fastapi-users:auth"]`, true},
		{two, `"app"`, true}, {two, `["api"]`, true}, {two, `["x","app","y"]`, true},
		{two, `"fastapi-users:auth"`, false}, {two, `"app api"`, false}, {two, `"ap"`, false}, {two, `"app,api"`, false},
		{hs256(), "", false}, {hs256(), "null", false}, {hs256(), `""`, false}, {hs256(), `[""]`, false}, {hs256(), "[]", false}, {hs256(), "[null]", false}, {hs256(), "[[]]", false},
		{hs256(), `["other"]`, false}, {hs256(), `"other"`, false}, {hs256(), "1", false}, {hs256(), "true", false}, {hs256(), "{}", false}, {hs256(), `{"fastapi-users:auth":1}`, false},
		{hs256(), `["fastapi-users:auth",1]`, false}, {hs256(), `["fastapi-users:auth",null]`, false}, {hs256(), `[["fastapi-users:auth"]]`, false},
		{hs256(), `"fastapi-users:aut"`, false}, {hs256(), `"fastapi-users:auth "`, false}, {hs256(), `"fastapi-users:authx"`, false}, {hs256(), `"FASTAPI-USERS:AUTH"`, false},
		{hs256(), `"fastapi-users:auth\u0000"`, false}, {hs256(), `"f"`, false},
	} {
		token, what := signed(plainHeader, claims("aud", test.aud)), "aud "+test.aud
		if test.good {
			accepts(t, what, test.strategy, token)
		} else {
			refuses(t, what, test.strategy, token)
		}
	}
}

// E9, CVE-2024-53861: the issuer is compared as a whole.
func TestS_E9_Issuer(t *testing.T) {
	t.Parallel()
	const issuer = "https://auth.example.com"
	for iss, good := range map[string]bool{
		`"` + issuer + `"`: true,
		"":                 false, "null": false, `""`: false, `"https://auth.example.co"`: false, `"` + issuer + `/"`: false, `"` + issuer + `.evil.example"`: false,
		`"https"`: false, `"HTTPS://AUTH.EXAMPLE.COM"`: false, `["` + issuer + `"]`: false, "1": false, "{}": false, `" ` + issuer + `"`: false,
	} {
		s := hs256()
		s.Issuer = issuer
		token := signed(plainHeader, claims("iss", iss))
		if good {
			accepts(t, "iss "+iss, s, token)
		} else {
			refuses(t, "iss "+iss, s, token)
		}
		accepts(t, "no issuer configured, iss "+iss, hs256(), token)
	}
}

// E10: a token of another kind is no access token, though the same key signed it.
func TestS_E10_TokenKinds(t *testing.T) {
	t.Parallel()
	for _, aud := range []string{"fastapi-users:verify", "fastapi-users:reset", "fastapi-users:oauth-state", "usher:refresh", "usher:mfa"} {
		refuses(t, "aud "+aud, hs256(), signed(plainHeader, claims("aud", `"`+aud+`"`)))
		refuses(t, "aud ["+aud+"]", hs256(), signed(plainHeader, claims("aud", `["`+aud+`"]`)))
	}
	for typ, good := range map[string]bool{
		`"JWT"`: true, `"jwt"`: true, `"application/jwt"`: true, `"at+jwt"`: true, `"AT+JWT"`: true, `"application/at+jwt"`: true, `""`: true,
		`"rt+jwt"`: false, `"refresh+jwt"`: false, `"dpop+jwt"`: false, `"logout+jwt"`: false, `"secevent+jwt"`: false, `"JWE"`: false, `"JWT "`: false, `"application/"`: true,
		`"application/application/jwt"`: false, `null`: false, `1`: false, `["JWT"]`: false, `{}`: false,
	} {
		token := signed(`{"alg":"HS256","typ":`+typ+`}`, claims())
		if good {
			accepts(t, "typ "+typ, hs256(), token)
		} else {
			refuses(t, "typ "+typ, hs256(), token)
		}
	}
}

// Informative claims of another type than ours count as absent.
func TestJWTInformativeClaims(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"null", "1", "true", "{}", `["pwd",1]`, `[1,"pwd"]`, `["pwd",null,{}]`} {
		a := accepts(t, value, hs256(), signed(plainHeader, claims("amr", value, "sid", value)))
		if a.SessionID != "" || a.Methods != nil {
			t.Errorf("amr and sid %s: %q, %q, want none", value, a.Methods, a.SessionID)
		}
	}
	for _, value := range []string{"null", "1", "[]"} { // as PyJWT
		refuses(t, "jti "+value, hs256(), signed(plainHeader, claims("jti", value)))
	}
	a := accepts(t, "good ones", hs256(), signed(plainHeader, claims("amr", `["pwd","otp"]`, "sid", `"s1"`)))
	if a.SessionID != "s1" || !slices.Equal(a.Methods, []string{"pwd", "otp"}) {
		t.Errorf("%+v, want sid s1, amr pwd and otp", a)
	}
}
