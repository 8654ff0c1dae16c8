// Package tlsfault tells a fault of TLS from an outage, for messages that say what to do.
package tlsfault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// Is reports whether a connection failed because the two sides do not agree on TLS.
func Is(err error) bool {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &host) ||
		errors.As(err, &record) || errors.As(err, &alert)
}
