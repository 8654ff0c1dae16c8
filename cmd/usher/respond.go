package main

import (
	"encoding/json"
	"net/http"
)

// writeJSON answers with the headers that the library's own answers have.
func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}

// detail is the body of a refusal.
func detail(s string) any {
	return struct {
		Detail string `json:"detail"`
	}{s}
}
