// Package providerstub is an OAuth2 provider that keeps nothing: an
// authorization code carries all it has to answer.
//
// A code is the unpadded base64url of a JSON object with id and, as wanted,
// email, expires_in, expires_at, refresh_token and fail. An access token is
// "at." and the code.
package providerstub

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// grant is what a code carries. Values are handed on as they are, so a test
// may give an id that is a number.
type grant map[string]json.RawMessage

// Handler serves POST /token and GET /userinfo. There is no /authorize page:
// a test makes its codes itself.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", token)
	mux.HandleFunc("GET /userinfo", userinfo)
	return mux
}

func token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	g, ok := decode(code)
	if !ok || g.fails("token") {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	if g.fails("token_json") {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>"))
		return
	}
	out := map[string]any{"access_token": "at." + code, "token_type": "bearer"}
	g.copyTo(out, "expires_in", "expires_at", "refresh_token")
	answer(w, http.StatusOK, out)
}

func userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	code, isOurs := strings.CutPrefix(credentials, "at.")
	g, ok := decode(code)
	if !strings.EqualFold(scheme, "bearer") || !isOurs || !ok {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	if g.fails("userinfo") {
		answer(w, http.StatusInternalServerError, map[string]string{"error": "boom"})
		return
	}
	out := map[string]any{}
	g.copyTo(out, "id", "email")
	answer(w, http.StatusOK, out)
}

func decode(code string) (grant, bool) {
	data, err := base64.RawURLEncoding.DecodeString(code)
	if err != nil {
		return nil, false
	}
	var g grant
	if json.Unmarshal(data, &g) != nil {
		return nil, false
	}
	_, ok := g["id"]
	return g, ok
}

func (g grant) fails(where string) bool {
	var fail string
	return json.Unmarshal(g["fail"], &fail) == nil && fail == where
}

// copyTo copies the named members that g has.
func (g grant) copyTo(out map[string]any, names ...string) {
	for _, name := range names {
		if v, ok := g[name]; ok {
			out[name] = v
		}
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
