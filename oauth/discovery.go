package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// issuer is what the provider's discovery document says (OpenID Connect Discovery
// §3).
type issuer struct {
	verifier    *oidc.IDTokenVerifier
	AuthURL     string   `json:"authorization_endpoint"`
	TokenURL    string   `json:"token_endpoint"`
	UserInfoURL string   `json:"userinfo_endpoint"`
	JWKSURL     string   `json:"jwks_uri"`
	ClientAuth  []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	basicAuth   bool
}

// discovery finds the issuer when it is first needed, so that a program starts
// while its provider is away, and again soon after it failed.
type discovery struct {
	issuer, clientID string
	client           *http.Client
	timeout          time.Duration
	now              func() time.Time
	insecureHTTP     bool

	// turn is held by whoever looks at or changes what follows. It is a channel
	// because those who wait for it may go away.
	turn     chan struct{}
	found    *issuer
	failed   error
	failedAt time.Time
}

// afterFailure is how long a failure is believed, so that not every request waits
// for a provider that is away.
const afterFailure = 2 * time.Second

// get returns the issuer. The error is a 503.
func (d *discovery) get(ctx context.Context) (*issuer, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, unavailable(fmt.Errorf("discovery of %s: %w", d.issuer, ctx.Err()))
	}
	if d.found != nil {
		return d.found, nil
	}
	if d.failed != nil && d.now().Sub(d.failedAt) < afterFailure {
		return nil, unavailable(d.failed)
	}
	// It is for everybody: that this client goes away does not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.timeout)
	defer cancel()
	if d.found, d.failed = d.discover(ctx); d.failed != nil {
		d.failed, d.failedAt = fmt.Errorf("discovery of %s: %.300s", d.issuer, d.failed.Error()), d.now()
		return nil, unavailable(d.failed)
	}
	return d.found, nil
}

func (d *discovery) discover(ctx context.Context) (*issuer, error) {
	p, err := oidc.NewProvider(withClient(ctx, d.client), d.issuer) // it compares the issuer
	if err != nil {
		return nil, err
	}
	iss := &issuer{}
	if err := p.Claims(iss); err != nil {
		return nil, err
	}
	for _, u := range []string{iss.AuthURL, iss.TokenURL, iss.JWKSURL} {
		if _, err := checkURL(u, d.insecureHTTP); err != nil {
			return nil, err
		}
	}
	if iss.UserInfoURL != "" {
		if _, err := checkURL(iss.UserInfoURL, d.insecureHTTP); err != nil {
			return nil, err
		}
	}
	// The form is understood more widely; without a list the default is the header.
	iss.basicAuth = !slices.Contains(iss.ClientAuth, "client_secret_post")
	// The verifier takes the algorithms of the document that sign with a public
	// key, RS256 if there are none. So neither "none" nor HS256 can be asked for.
	iss.verifier = p.Verifier(&oidc.Config{ClientID: d.clientID, Now: d.now})
	return iss, nil
}

// checkIssuer compares the parameter iss of the callback (RFC 9207 §2.4): a code
// of one provider must not be redeemed at another.
func (e endpoints) checkIssuer(p *provider, sent string, present bool) error {
	switch {
	case e.issuer == nil: // nothing to compare with
		return nil
	case present && sent != p.Issuer:
		return because(ErrInvalidState, fmt.Errorf("iss is %.100q, not %q", sent, p.Issuer))
	case !present && e.issuer.SendsIssuer:
		return because(ErrInvalidState, errors.New("iss is missing"))
	}
	return nil
}
