//go:build unix

package redisstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"usher/redisstore"
)

// TestTLS: a store trusts whom its URL says and shows its own certificate, and
// says that it is TLS where one of them is wrong.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, another := newAuthority(t, dir, "ours"), newAuthority(t, dir, "another")
	ours.issue("server", "127.0.0.1")
	ours.issue("client", "")
	another.issue("stranger", "")
	ours.issue("misnamed", "192.0.2.1")
	file := func(name string) string { return filepath.Join(dir, name) }
	redis := startTLS(t, dir, "server")
	misnamed := startTLS(t, dir, "misnamed")

	ca := "?ca_file=" + file("ours.pem")
	client := "&cert_file=" + file("client.pem") + "&key_file=" + file("client.key")
	for name, test := range map[string]struct {
		redis *tlsServer
		url   string // after the address
		fault string // in the error of Ping; empty: it works
	}{
		"right":                    {redis, ca + client, ""},
		"unknown authority":        {redis, "?" + client[1:], "TLS with Redis failed"},
		"wrong authority":          {redis, "?ca_file=" + file("another.pem") + client, "TLS with Redis failed"},
		"wrong name":               {misnamed, ca + client, "TLS with Redis failed"},
		"no certificate of ours":   {redis, ca, "TLS with Redis failed"},
		"a stranger's certificate": {redis, ca + strings.ReplaceAll(client, "client.", "stranger."), "TLS with Redis failed"},
		"unknown user":             {redis, ca + client, "the user or the password was refused by Redis"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := ""
			if name == "unknown user" {
				user = "someone:s3cret@"
			}
			store := openURL(t, "rediss://"+user+test.redis.secure+test.url, redisstore.Options{})
			if test.fault == "" {
				recovers(t, store, name)
				return
			}
			eventually(t, "Ping: "+test.fault, func() bool { // Redis may have hung up before its reason is read
				err := store.Ping(t.Context())
				if err == nil || strings.Contains(err.Error(), "s3cret") {
					t.Fatalf("Ping: %v, want %q", err, test.fault)
				}
				return strings.Contains(err.Error(), test.fault)
			})
		})
	}
	t.Run("an outage is none of TLS", func(t *testing.T) {
		store := openURL(t, "rediss://127.0.0.1:1"+ca, redisstore.Options{})
		if err := store.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "TLS") {
			t.Errorf("Ping: %v", err)
		}
	})
	t.Run("plain text and TLS do not meet", func(t *testing.T) {
		for what, url := range map[string]string{"rediss": "rediss://" + redis.addr() + ca, "redis": "redis://" + redis.secure} {
			store := openURL(t, url, redisstore.Options{})
			if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "TLS?") {
				t.Errorf("%s: Ping: %v", what, err)
			}
		}
	})
	for name, url := range map[string]string{
		"no such file":          "rediss://127.0.0.1?ca_file=" + file("none.pem"),
		"no certificate":        "rediss://127.0.0.1?ca_file=" + file("client.key"),
		"a certificate, no key": "rediss://127.0.0.1?cert_file=" + file("client.pem"),
		"no TLS":                "redis://127.0.0.1" + ca,
	} {
		if store, err := redisstore.Open(t.Context(), url, redisstore.Options{}); err == nil {
			store.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), "_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSentinelTLS: the Sentinels, too, are asked over TLS, and each node shows
// its own name.
func TestSentinelTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours := newAuthority(t, dir, "ours")
	ours.issue("server", "127.0.0.1")
	ours.issue("sentinel", "localhost")
	master := startTLS(t, dir, "server")
	guard := newTLS(t, dir, "sentinel", "--sentinel", "--tls-replication", "yes")
	guard.file = filepath.Join(dir, "sentinel.conf")
	_, port, err := net.SplitHostPort(master.secure)
	if err == nil {
		err = os.WriteFile(guard.file, []byte("sentinel monitor main 127.0.0.1 "+port+" 1\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	guard.start()
	_, port, _ = net.SplitHostPort(guard.secure)
	ours.issue("client", "")
	store := openURL(t, "rediss://localhost:"+port+"?master_set=main&ca_file="+filepath.Join(dir, "ours.pem")+
		"&cert_file="+filepath.Join(dir, "client.pem")+"&key_file="+filepath.Join(dir, "client.key"), redisstore.Options{})
	recovers(t, store, "over TLS")
}

// tlsServer is a Redis that also has a port with TLS, and asks for certificates
// there, as it does by default.
type tlsServer struct {
	*server
	secure string // the address
}

func newTLS(t *testing.T, dir, certificate string, args ...string) *tlsServer {
	port := strconv.Itoa(somePort())
	file := filepath.Join(dir, certificate)
	return &tlsServer{newServer(t, append([]string{
		"--tls-port", port, "--tls-cert-file", file + ".pem", "--tls-key-file", file + ".key", "--tls-ca-cert-file", filepath.Join(dir, "ours.pem"),
	}, args...)...), "127.0.0.1:" + port}
}

func startTLS(t *testing.T, dir, certificate string) *tlsServer {
	t.Helper()
	s := newTLS(t, dir, certificate)
	s.start()
	return s
}

// authority issues certificates into a folder, as NAME.pem and NAME.key.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	template := newTemplate(t, name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.cert, a.key = template, newKey(t)
	a.write(name, template, a.key)
	return a
}

// issue makes a certificate for a server with this IP address or name, or for a client.
func (a *authority) issue(name, host string) {
	a.t.Helper()
	template := newTemplate(a.t, name)
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else if host != "" {
		template.DNSNames = []string{host}
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	a.write(name, template, newKey(a.t))
}

func (a *authority) write(name string, template *x509.Certificate, key *ecdsa.PrivateKey) {
	a.t.Helper()
	cert, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: cert}, ".key": {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(filepath.Join(a.dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

func newTemplate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
