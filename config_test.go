package usher_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"usher"
)

// badUser is a user type with a fault of its own.
type badUser struct {
	usher.User
	Rank int `json:"is_superuser"`
}

// Every fault of a configuration is in the one error, and no secret is.
func TestS_B10_NewNamesEveryFault(t *testing.T) {
	t.Parallel()
	const weak = "weak-canary-secret"
	sessions := usher.Sessions{Store: newMemory()}
	_, err := usher.New(usher.Config[badUser]{
		Secret:       []byte(weak),
		VerifySecret: []byte("canary-change-me-canary-change-me"),
		ResetSecret:  []byte(strings.Repeat("ab", 32)),
		Backends: []usher.Backend{
			{Name: "same", Transport: usher.Bearer{}, Strategy: sessions},
			{Name: "same", Transport: usher.Bearer{}, Strategy: sessions},
			{Name: "Upper/../case", Transport: usher.Bearer{}, Strategy: sessions},
			{Name: "", Transport: usher.Bearer{}, Strategy: sessions},
			{Name: "nothing"},
			{Name: "cookie", Transport: usher.Cookie{Domain: "example.com"}, Strategy: usher.Sessions{Lifetime: -1}},
			{Name: "weak", Transport: usher.Bearer{}, Strategy: &usher.JWT{Keys: []usher.Key{usher.SecretKey("", []byte(weak))}}},
			{Name: "empty", Transport: usher.Bearer{}, Strategy: &usher.JWT{}},
		},
		VerifyLifetime: -1,
		MaxBodyBytes:   -1,
		BodyTimeout:    -1,
		RequestTimeout: -1,
		PasswordPolicy: usher.PasswordPolicy{MinLength: -1},
		TrustedOrigins: []string{"https://app.example.com", "app.example.com", "https://app.example.com/path", "null", "https://", ""},
	})
	if err == nil {
		t.Fatal("no error")
	}
	wants := []string{
		`badUser.Rank: json name "is_superuser" is already taken by usher.User`,
		"Store is nil",
		`two backends are named "same"`,
		`backend 2: the name "Upper/../case" is not of the form`,
		`backend 3: the name "" is not of the form`,
		`backend "nothing" has no Transport`,
		`backend "nothing" has no Strategy`,
		`backend "cookie": Cookie "__Host-usher": a __Host- name needs Secure, Path=/ and no Domain`,
		`backend "cookie": Sessions: Store is nil`, "Sessions: Lifetime is negative",
		`backend "weak": JWT: key 0: the secret has 18 bytes, it needs 32`,
		`backend "empty": JWT: no keys`,
		"usher: Secret: the secret has 18 bytes, it needs 32",
		"usher: VerifySecret: the secret is a sample from a documentation",
		"usher: ResetSecret: the secret has only 2 different bytes",
		"VerifyLifetime or ResetLifetime is negative",
		"MaxBodyBytes is negative",
		"BodyTimeout is negative",
		"RequestTimeout is negative",
		"PasswordPolicy: MinLength -1",
		`trusted origin: invalid origin "app.example.com": scheme is required`,
		`trusted origin: invalid origin "https://app.example.com/path"`,
		`trusted origin: invalid origin "null"`,
		`trusted origin: invalid origin "https://": host is required`,
		`trusted origin: invalid origin ""`,
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q", want)
		}
	}
	if got := len(strings.Split(err.Error(), "\n")); got != len(wants) {
		t.Errorf("%d faults, want %d", got, len(wants))
	}
	if strings.Contains(err.Error(), "canary") {
		t.Error("the error repeats a secret")
	}
	if t.Failed() {
		t.Logf("%v", err)
	}
}

// B10: what has to be refused alone, and beside each what is accepted.
func TestS_B10_New(t *testing.T) {
	t.Parallel()
	type config = usher.Config[User]
	name := func(names ...string) func(*config) {
		return func(c *config) {
			c.Backends = nil
			for _, name := range names {
				c.Backends = append(c.Backends, usher.Backend{Name: name, Transport: usher.Bearer{}, Strategy: hs256()})
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*config)
		fault  string // empty: none
	}{
		{"as it is", func(*config) {}, ""},
		{"nil Store", func(c *config) { c.Store = nil }, "Store is nil"},
		{"nil pointer as a Store", func(c *config) { c.Store = (*memory)(nil) }, "Store is nil"},
		{"no Backends", func(c *config) { c.Backends = nil }, "no Backends"},
		{"nil pointer as a Strategy", func(c *config) { c.Backends[0].Strategy = (*usher.JWT)(nil) }, `backend "cookie" has no Strategy`},
		{"nil pointer as a Transport", func(c *config) { c.Backends[0].Transport = (*usher.Cookie)(nil) }, `backend "cookie" has no Transport`},
		{"nil pointer as a SessionStore", func(c *config) { c.Backends[0].Strategy = usher.Sessions{Store: (*memory)(nil)} }, `backend "cookie": Sessions: Store is nil`},
		{"a pointer as a Transport", func(c *config) { c.Backends[0].Transport = &usher.Cookie{Name: "x"} }, ""},
		{"good names", name("jwt", "cookie-db", "a_1", "1"), ""},
		{"names with a slash", name("a/b"), "backend 0"},
		{"names with a space", name("a b"), "backend 0"},
		{"names with a line break", name("a\n"), "backend 0"},
		{"names with a brace", name("{id}"), "backend 0"},
		{"names with a percent sign", name("a%2f"), "backend 0"},
		{"names with a dot", name(".."), "backend 0"},
		{"names with a hyphen first", name("-a"), "backend 0"},
		{"names beyond ASCII", name("é"), "backend 0"},
		{"three of a name", name("a", "a", "a"), `two backends are named "a"`},
		{"no secrets", func(c *config) { c.Secret = nil }, ""},
		{"a good secret", func(c *config) { c.Secret = secret }, ""},
		{"a secret of 31 bytes", func(c *config) { c.Secret = secret[:31] }, "Secret: the secret has 31 bytes"},
		{"FastAPI Users' sample", func(c *config) { c.ResetSecret = []byte("SECRET") }, "ResetSecret: the secret has 6 bytes"},
		{"origins", func(c *config) {
			c.TrustedOrigins = []string{"https://a.example", "http://localhost:5173", "https://[::1]:8443", "app://capacitor"}
		}, ""},
		{"an origin with a slash", func(c *config) { c.TrustedOrigins = []string{"https://a.example/"} }, "trusted origin"},
		{"an origin with a query", func(c *config) { c.TrustedOrigins = []string{"https://a.example?x"} }, "trusted origin"},
		{"every origin", func(c *config) { c.TrustedOrigins = []string{"*"} }, "trusted origin"},
		{"the longest password shorter than 64", func(c *config) { c.PasswordPolicy.MaxBytes = 63 }, "PasswordPolicy"},
		{"the longest password longer than can be hashed", func(c *config) { c.PasswordPolicy.MaxBytes = 1025 }, "PasswordPolicy"},
		{"longer than the longest", func(c *config) { c.PasswordPolicy = usher.PasswordPolicy{MinLength: 65, MaxBytes: 64} }, "PasswordPolicy"},
		{"a long one", func(c *config) { c.PasswordPolicy = usher.PasswordPolicy{MinLength: 64, MaxBytes: 64} }, ""},
		{"negative MaxBytes", func(c *config) { c.PasswordPolicy.MaxBytes = -1 }, "PasswordPolicy"},
		{"negative DeadMailLifetime", func(c *config) { c.DeadMailLifetime = -time.Second }, "DeadMailLifetime is negative"},
		{"negative ResetLifetime", func(c *config) { c.ResetLifetime = -time.Second }, "ResetLifetime is negative"},
	} {
		c := config{
			Store: newMemory(), Passwords: weakPasswords(),
			Backends: []usher.Backend{{Name: "cookie", Transport: usher.Cookie{}, Strategy: usher.Sessions{Store: newMemory()}}},
		}
		test.change(&c)
		auth, err := usher.New(c)
		if test.fault == "" && (err != nil || auth == nil) {
			t.Errorf("%s: New: %v", test.name, err)
		}
		if test.fault != "" && (err == nil || auth != nil || !strings.Contains(err.Error(), test.fault)) {
			t.Errorf("%s: New: %v, want %q", test.name, err, test.fault)
		}
	}
}

// The smallest configuration works, with defaults for the rest.
func TestNewDefaults(t *testing.T) {
	t.Parallel()
	auth, err := usher.New(usher.Config[User]{Store: newMemory(), Backends: []usher.Backend{{Name: "jwt", Transport: usher.Bearer{}, Strategy: hs256()}}})
	if err != nil {
		t.Fatal(err)
	}
	if answer := ask(auth.Require()(okHandler), requestWith("GET")); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d, want 401", answer.StatusCode)
	}
}
