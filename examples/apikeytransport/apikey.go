// Package apikeytransport is a transport of one's own: tokens travel in the
// header X-API-Key. It is one file that imports usher and the standard library,
// and a backend takes it like any other:
//
//	usher.Backend{Name: "apikey", Transport: apikeytransport.APIKey{}, Strategy: …}
package apikeytransport

import (
	"encoding/json"
	"net/http"

	"usher"
)

// APIKey is the transport of the header X-API-Key.
type APIKey struct{}

const header = "X-Api-Key" // as net/http spells it

// Token returns the header's value. A request with two of them carries none:
// which of them a proxy in front has checked cannot be told.
func (APIKey) Token(r *http.Request) (string, bool) {
	values := r.Header[header]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// WriteLogin answers with the token.
func (APIKey) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ usher.Authentication) error {
	body, err := json.Marshal(map[string]string{"api_key": token})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client is gone: nobody to tell
	return nil
}

// WriteLogout answers 204: the client forgets its token by itself.
func (APIKey) WriteLogout(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Ambient is false: no browser sends the header by itself. Without this method
// usher would take it for a cookie and ask for the same origin.
func (APIKey) Ambient() bool { return false }
