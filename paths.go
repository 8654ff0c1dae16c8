package usher

import (
	"net/http"
	"path"
	"strings"
)

// ExactPaths serves mux without its corrections of paths: `//users/me` is not
// `/users/me`, and what mux does not know is a JSON 404. A path that is known but
// for a slash at its end is redirected there with 307, as FastAPI does.
func ExactPaths(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exact, slash := strings.CutSuffix(r.URL.Path, "/")
		if exact == "" {
			exact, slash = r.URL.Path, false
		}
		if path.Clean(exact) != exact {
			writeNotFound(w)
			return
		}
		if slash {
			target := *r.URL
			target.Path, target.RawPath = exact, ""
			probe := *r
			probe.URL = &target
			if _, pattern := mux.Handler(&probe); pattern != "" && pattern != "/" {
				secureHeaders(w.Header())
				w.Header().Set("Location", target.RequestURI())
				w.WriteHeader(http.StatusTemporaryRedirect)
				return
			}
		}
		if _, pattern := mux.Handler(r); pattern == "" {
			writeNotFound(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func writeNotFound(w http.ResponseWriter) {
	writeJSON(w, http.StatusNotFound, map[string]string{"detail": "Not Found"})
}
