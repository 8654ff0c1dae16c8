package oauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"golang.org/x/oauth2"

	"usher"
)

// freshFor is how long a token that Token returns is good at least, if the
// provider says when it expires.
const freshFor = 30 * time.Second

// Token returns the provider's access token of a user's account, for calls of the
// provider's API; of the oldest, if he has several. An expired one is refreshed and
// stored first. The error is usher.ErrNotFound when the user has no account there,
// ErrNoToken, or an *usher.Error when the provider is away or refuses.
func (o *OAuth[U]) Token(ctx context.Context, user usher.ID, provider string) (*oauth2.Token, error) {
	p := o.provider(provider)
	if p == nil {
		return nil, fmt.Errorf("oauth: no provider is named %q", provider)
	}
	token, account, err := o.stored(ctx, user, provider)
	if err != nil || o.isFresh(token) {
		return token, err
	}
	// One at a time: providers that rotate refresh tokens take a second use of one
	// for theft.
	leave, err := o.refreshes.take(ctx, account.Provider+"\x00"+account.AccountID)
	if err != nil {
		return nil, err
	}
	defer leave()
	var spent []byte
	for range 5 {
		if token, account, err = o.stored(ctx, user, provider); err != nil || o.isFresh(token) {
			return token, err
		}
		if token.RefreshToken == "" {
			return nil, ErrNoToken
		}
		if bytes.Equal(account.RefreshToken, spent) { // the faster one has yet to store it
			time.Sleep(100 * time.Millisecond)
			continue
		}
		fresh, err := o.refresh(ctx, p, token.RefreshToken)
		if err == nil {
			o.fillTokens(&account, fresh)
			// Whoever waits may go away, but the old refresh token may be spent.
			return fresh, o.config.Accounts.UpdateOAuthAccount(context.WithoutCancel(ctx), account)
		}
		var refused *oauth2.RetrieveError
		if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
			return nil, providerError(ctx, p.Name+": refresh", err)
		}
		spent = account.RefreshToken // maybe by another process, which was faster
	}
	return nil, fmt.Errorf("%w: the provider takes the refresh token no more", ErrNoToken)
}

func (o *OAuth[U]) provider(name string) *provider {
	for _, p := range o.providers {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// stored returns what is stored of the user's account at the provider.
func (o *OAuth[U]) stored(ctx context.Context, user usher.ID, provider string) (*oauth2.Token, usher.OAuthAccount, error) {
	accounts, err := o.config.Accounts.OAuthAccounts(ctx, user)
	if err != nil {
		return nil, usher.OAuthAccount{}, err
	}
	for _, a := range accounts {
		if a.Provider != provider {
			continue
		}
		access, err := o.sealer.open(a.AccessToken, accessOf(a))
		if err != nil {
			return nil, a, err
		}
		refresh, err := o.sealer.open(a.RefreshToken, refreshOf(a))
		if err != nil {
			return nil, a, err
		}
		if access == "" {
			return nil, a, ErrNoToken
		}
		return &oauth2.Token{AccessToken: access, TokenType: "Bearer", RefreshToken: refresh, Expiry: a.ExpiresAt}, a, nil
	}
	return nil, usher.OAuthAccount{}, usher.ErrNotFound
}

func (o *OAuth[U]) isFresh(token *oauth2.Token) bool {
	return token.Expiry.IsZero() || token.Expiry.After(o.config.Now().Add(freshFor))
}

func (o *OAuth[U]) refresh(ctx context.Context, p *provider, refreshToken string) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, o.config.ProviderTimeout)
	defer cancel()
	e, err := p.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	c, err := p.oauth2Config(e, "")
	if err != nil {
		return nil, err
	}
	token, err := c.TokenSource(withClient(ctx, p.client), &oauth2.Token{RefreshToken: refreshToken}).Token()
	if err != nil {
		return nil, err
	}
	token.Expiry = expiryOf(token, p.now())
	return token, nil
}

// turns lets one at a time do something for the same key, or for another that
// shares its place.
type turns struct {
	seed   maphash.Seed
	places [64]chan struct{}
}

func newTurns() turns {
	t := turns{seed: maphash.MakeSeed()}
	for i := range t.places {
		t.places[i] = make(chan struct{}, 1)
	}
	return t
}

func (t *turns) take(ctx context.Context, key string) (leave func(), err error) {
	place := t.places[maphash.String(t.seed, key)%uint64(len(t.places))]
	select {
	case place <- struct{}{}:
		return func() { <-place }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
