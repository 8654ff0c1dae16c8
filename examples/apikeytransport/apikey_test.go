package apikeytransport_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/examples/apikeytransport"
	"usher/sqlstore/sqlite"
	"usher/ushertest"
)

func TestConformance(t *testing.T) {
	ushertest.TestTransport(t, apikeytransport.APIKey{}, func(login *http.Response, next *http.Request) {
		next.Header.Set("X-API-Key", keyIn(t, login))
	})
}

func keyIn(t *testing.T, login *http.Response) string {
	t.Helper()
	var answer struct {
		Key string `json:"api_key"`
	}
	if err := json.NewDecoder(login.Body).Decode(&answer); err != nil {
		t.Error(err)
	}
	return answer.Key
}

// member has no fields of its own.
type member struct{ usher.User }

// TestProgram signs in through a backend with the transport.
func TestProgram(t *testing.T) {
	db, err := sqlite.Open[member](t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	auth, err := usher.New(usher.Config[member]{
		Store:    db,
		Backends: []usher.Backend{{Name: "apikey", Transport: apikeytransport.APIKey{}, Strategy: db.Sessions(time.Hour)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	site := auth.Handler()

	send := func(method, path, contentType, body, key string, want int) *http.Response {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Sec-Fetch-Site", "cross-site") // a front end on another origin
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		if key != "" {
			r.Header.Set("X-API-Key", key)
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		if w.Code != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
		}
		return w.Result()
	}
	send("POST", "/auth/register", "application/json", `{"email": "ann@example.com", "password": "correct horse battery"}`, "", 201)
	login := send("POST", "/auth/apikey/login", "application/x-www-form-urlencoded", "username=ann@example.com&password=correct+horse+battery", "", 200)
	key := keyIn(t, login)
	send("GET", "/users/me", "", "", key, 200)
	send("GET", "/users/me", "", "", "", 401)
	send("GET", "/users/me", "", "", key+"x", 401)
	send("PATCH", "/users/me", "application/json", `{}`, key, 200)
	send("POST", "/auth/apikey/logout", "", "", key, 204)
	send("GET", "/users/me", "", "", key, 401)
}
