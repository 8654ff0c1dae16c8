package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

// maxAnswer is the most that a provider's answer may have, in bytes.
const maxAnswer = 1 << 20

// providerClient returns a copy of client that follows no redirects (the next host
// would get the secrets), reads no more than maxAnswer and does not wait for ever.
func providerClient(client *http.Client, timeout time.Duration) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	limited := *client
	limited.Jar = nil
	limited.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if limited.Timeout == 0 || limited.Timeout > timeout {
		limited.Timeout = timeout
	}
	next := limited.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	limited.Transport = limitedAnswers{next}
	return &limited
}

// limitedAnswers makes reading more than maxAnswer of a body an error.
type limitedAnswers struct{ next http.RoundTripper }

func (l limitedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswer)
	return answer, nil
}

// withClient makes the oauth2 and oidc packages use client.
func withClient(ctx context.Context, client *http.Client) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

// getJSON reads the JSON that url answers to the bearer of token.
func getJSON(ctx context.Context, client *http.Client, url, token string) (json.RawMessage, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, statusError(answer.StatusCode)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, errors.New("the answer is not JSON")
	}
	return body, nil
}
