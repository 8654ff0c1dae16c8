package redisstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/redis/rueidis"
)

// readCertificates reads the files that a URL names for TLS: ca_file, the only
// authorities to trust, and cert_file with key_file, which Redis asks for unless
// its tls-auth-clients is no.
func readCertificates(o *rueidis.ClientOption, q url.Values) error {
	ca, cert, key := q.Get("ca_file"), q.Get("cert_file"), q.Get("key_file")
	if o.TLSConfig == nil {
		if ca+cert+key != "" {
			return errors.New("redisstore: ca_file, cert_file and key_file need a URL that starts with rediss://")
		}
		return nil
	}
	if o.Sentinel.MasterSet != "" {
		o.TLSConfig.ServerName = "" // each node proves the name under which Sentinel knows it
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("redisstore: ca_file: %w", err)
		}
		o.TLSConfig.RootCAs = x509.NewCertPool()
		if !o.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("redisstore: ca_file: %s holds no certificate in PEM", ca)
		}
	}
	if cert+key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("redisstore: cert_file and key_file: %w", err)
		}
		o.TLSConfig.Certificates = []tls.Certificate{pair}
	}
	return nil
}
