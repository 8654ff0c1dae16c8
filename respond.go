package usher

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// secureHeaders are those of every answer: it is data, private, and no page.
func secureHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store") // RFC 6749 §5.1
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a field of the application's user type that JSON cannot hold
		status, body = http.StatusInternalServerError, []byte(`{"detail":"Internal Server Error"}`)
		slog.Error("usher: answer is not JSON", "error", err)
	}
	h := w.Header()
	secureHeaders(h)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody to tell
}

func writeNoContent(w http.ResponseWriter) {
	secureHeaders(w.Header())
	w.WriteHeader(http.StatusNoContent)
}

// Refuse answers r with what err stands for: the status, detail and headers of an
// *Error or *ValidationError, 404 for ErrNotFound, and 503 for everything else.
// It is the one place where an error becomes an answer and a log line; a program
// calls it with the error of Authenticate.
func (a *Auth[U]) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal, invalid := asRefusal(err)
	if invalid != nil {
		writeJSON(w, http.StatusUnprocessableEntity, invalid)
		return
	}
	switch {
	case refusal.Status == http.StatusUnauthorized && a.challenge != "":
		w.Header().Set("WWW-Authenticate", a.challengeFor(r))
	case refusal.Status == http.StatusServiceUnavailable:
		seconds := min(max(int(refusal.RetryAfter/time.Second), 1), 60)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if refusal.Err != nil && r.Context().Err() == nil { // a client that went away is no failure
		a.config.Logger.ErrorContext(r.Context(), "usher: request refused", "status", refusal.Status, "path", r.URL.Path, "error", refusal)
	}
	if a.config.OnError != nil {
		a.config.OnError(w, r, refusal)
		return
	}
	var detail any = refusal.Code
	if refusal.Reason != "" {
		detail = struct {
			Code   string `json:"code"`
			Reason string `json:"reason"`
		}{refusal.Code, refusal.Reason}
	}
	writeJSON(w, refusal.Status, struct {
		Detail any `json:"detail"`
	}{detail})
}

// challengeFor adds error="invalid_token" only where a token was sent
// (RFC 6750 §3.1).
func (a *Auth[U]) challengeFor(r *http.Request) string {
	for _, b := range a.backends {
		if challengeOf(b.Transport) != a.challenge {
			continue
		}
		if _, sent := b.Transport.Token(r); sent {
			return a.challenge + ` error="invalid_token"`
		}
	}
	return a.challenge
}
