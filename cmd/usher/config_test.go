package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// The example has no fault, and says of the defaults what they are.
func TestExampleConfiguration(t *testing.T) {
	example, err := filepath.Abs("usher.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // where there is no secret
	got, err := Settings{ConfigFile: example}.load()
	if err != nil {
		t.Fatal(err)
	}
	want, err := Settings{Redis: "redis://localhost:6379"}.load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Config{&got, &want} { // what the example spells out
		c.Backends, c.Password = nil, PasswordConfig{}
		c.CORSOrigins, c.TrustedProxies, c.Registration.Domains = nil, nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the example says\n%+v\nthe defaults are\n%+v", got, want)
	}
}

// TestExampleShowsEveryKey: docs/server.md says so.
func TestExampleShowsEveryKey(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("usher.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(of.Elem())
		case reflect.Struct:
			for i := range of.NumField() {
				key, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ",")
				if key == "-" {
					continue
				}
				if key != "" {
					keys++
					if !regexp.MustCompile(`(?m)(^|[ {#])` + key + `:`).Match(example) {
						t.Errorf("%s.%s: the example does not show %s", of.Name(), of.Field(i).Name, key)
					}
				}
				walk(of.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	if keys < 80 {
		t.Errorf("only %d keys were found", keys)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, kind string, der []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if kind == "" {
			text = der
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	ed := file("ed.pem", "PRIVATE KEY", pkcs8(private), 0o600)
	old := file("old.pem", "PUBLIC KEY", publicDER, 0o644)

	for alg, name := range map[string]string{
		"EdDSA": ed, "ES256": file("ec.pem", "EC PRIVATE KEY", ecDER, 0o600),
		"RS256": file("rsa.pem", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), 0o600),
		"HS256": file("hs.secret", "", append(newSecret(), '\n'), 0o600),
	} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			c := testConfig(t)
			c.Backends = []BackendConfig{{Name: "jwt", Transport: "bearer", Strategy: "jwt", JWT: &JWTConfig{
				Issuer: "https://auth.example.com", Audience: []string{"app"},
				Keys: []KeyConfig{{ID: "k1", File: name}, {ID: "k0", File: old}},
			}}}
			b := boot(t, c)
			b.register("ada@example.com")
			bearer := b.bearer("jwt", "ada@example.com")
			b.want(200, "GET", "/users/me", "", "Authorization", bearer)
			parts := strings.Split(strings.TrimPrefix(bearer, "Bearer "), ".")
			header, _ := base64.RawURLEncoding.DecodeString(parts[0])
			if !strings.Contains(string(header), `"alg":"`+alg+`"`) || !strings.Contains(string(header), `"kid":"k1"`) {
				t.Errorf("header %s", header)
			}
		})
	}

	for name, fault := range map[string]string{
		old: "the first key signs, but it is a public one",
		file("open.pem", "PRIVATE KEY", pkcs8(private), 0o644):  "others can read it",
		file("broken.pem", "PRIVATE KEY", []byte("x"), 0o600):   "not a key in PEM",
		file("brokenpub.pem", "PUBLIC KEY", []byte("x"), 0o600): "not a public key",
		file("weak.secret", "", []byte("secret"), 0o600):        "the secret has 6 bytes",
		filepath.Join(dir, "missing.pem"):                       "no such file",
		"":                                                      "file is missing",
	} {
		c := testConfig(t)
		c.Backends = []BackendConfig{{Name: "jwt", Transport: "bearer", Strategy: "jwt", JWT: &JWTConfig{Keys: []KeyConfig{{File: name}}}}}
		if err := c.withDefaults().check(); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: got %v, want %s", name, err, fault)
		}
	}
}
