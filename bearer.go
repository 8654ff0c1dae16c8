package usher

import (
	"net/http"
	"strings"
)

// Bearer is the transport of the Authorization header (RFC 6750 §2.1). Tokens
// in the query or in a form (§2.2, §2.3) are not read: they end up in logs.
type Bearer struct{}

// Token returns the token of `Authorization: Bearer token`. The scheme's case
// does not matter. A request with two Authorization headers carries none: which
// of them a proxy in front has checked cannot be told.
func (Bearer) Token(r *http.Request) (string, bool) {
	headers := r.Header["Authorization"]
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(headers[0], " ")
	if !found || !strings.EqualFold(scheme, "bearer") {
		return "", false
	}
	token = strings.Trim(token, " ") // RFC 9110 §11.4: 1*SP between the two
	if !isToken68(token) {
		return "", false
	}
	return token, true
}

// WriteLogin answers with the token (RFC 6749 §5.1, without expires_in, which
// FastAPI Users does not send).
func (Bearer) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ Authentication) error {
	writeJSON(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	}{token, "bearer"})
	return nil
}

// WriteLogout answers 204: the client forgets its token by itself.
func (Bearer) WriteLogout(w http.ResponseWriter, _ *http.Request) error {
	writeNoContent(w)
	return nil
}

// Ambient is false: no browser sends a bearer token by itself.
func (Bearer) Ambient() bool { return false }

// Challenge is the scheme for WWW-Authenticate.
func (Bearer) Challenge() string { return "Bearer" }

// isToken68 checks the token's alphabet (RFC 9110 §11.2).
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for _, c := range []byte(body) {
		isAlnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !isAlnum && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return true
}
