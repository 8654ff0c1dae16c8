// Command provider is the OpenID Connect provider of docs/oauth.md: an
// ushertest.FakeProvider on 127.0.0.1:9000, or where PROVIDER_ADDR says. Whoever
// comes is signed in as ann@example.com there, and consents.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"testing"

	"usher/ushertest"
)

func main() {
	addr := cmp.Or(os.Getenv("PROVIDER_ADDR"), "127.0.0.1:9000")
	// A FakeProvider is for tests: a benchmark is one that a program can run.
	testing.Benchmark(func(b *testing.B) {
		p := ushertest.NewFakeProvider(b)
		behind, err := url.Parse(p.URL)
		if err != nil {
			log.Fatal(err)
		}
		p.URL = "http://" + addr // the issuer
		fmt.Println(p.URL, p.ClientID, p.ClientSecret)
		log.Fatal(http.ListenAndServe(addr, httputil.NewSingleHostReverseProxy(behind)))
	})
}
