package oauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"usher"
)

// Refusals of the routes. The codes are FastAPI Users' own where it has one.
var (
	ErrBadRequest        = &usher.Error{Status: http.StatusBadRequest, Code: "Bad Request"}
	ErrInvalidState      = &usher.Error{Status: http.StatusBadRequest, Code: "OAUTH_INVALID_STATE"}
	ErrMalformedState    = &usher.Error{Status: http.StatusBadRequest, Code: "ACCESS_TOKEN_DECODE_ERROR"}
	ErrExpiredState      = &usher.Error{Status: http.StatusBadRequest, Code: "ACCESS_TOKEN_ALREADY_EXPIRED"}
	ErrNoEmail           = &usher.Error{Status: http.StatusBadRequest, Code: "OAUTH_NOT_AVAILABLE_EMAIL"}
	ErrUserExists        = &usher.Error{Status: http.StatusBadRequest, Code: "OAUTH_USER_ALREADY_EXISTS"}
	ErrAccountLinked     = &usher.Error{Status: http.StatusBadRequest, Code: "OAUTH_ACCOUNT_ALREADY_LINKED"}
	ErrLastWayIn         = &usher.Error{Status: http.StatusBadRequest, Code: "OAUTH_LAST_WAY_IN"}
	ErrRedirectForbidden = &usher.Error{Status: http.StatusBadRequest, Code: "OAUTH_REDIRECT_NOT_ALLOWED"}
	// ErrProvider: the provider refused, or gave an answer that makes no sense.
	ErrProvider = &usher.Error{Status: http.StatusBadRequest, Code: "OAUTH_PROVIDER_ERROR"}
)

// ErrNoToken: no token of the provider is stored, or it has expired and there is
// nothing to refresh it with.
var ErrNoToken = errors.New("oauth: no token of the provider")

// because returns the refusal with the cause, for the log.
func because(refusal *usher.Error, cause error) *usher.Error {
	return &usher.Error{Status: refusal.Status, Code: refusal.Code, Err: cause}
}

// unavailable is the refusal of what may go well in a moment.
func unavailable(cause error) *usher.Error {
	return &usher.Error{Status: http.StatusServiceUnavailable, Code: "Service Unavailable", RetryAfter: 5 * time.Second, Err: cause}
}

// providerError tells apart a provider that is away from one that says no. Its
// text never holds what the provider sent, which may be secret, or long.
func providerError(ctx context.Context, doing string, err error) *usher.Error {
	var (
		known   *usher.Error
		refused *oauth2.RetrieveError
		status  statusError
		network *url.Error // of http.Client.Do
		reading net.Error  // of a body
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &refused):
		cause := fmt.Errorf("%s: status %d, error %.40q", doing, refused.Response.StatusCode, refused.ErrorCode)
		if isOutage(refused.Response.StatusCode) {
			return unavailable(cause)
		}
		return because(ErrProvider, cause)
	case errors.As(err, &status) && isOutage(int(status)),
		errors.As(err, &network), errors.As(err, &reading), ctx.Err() != nil:
		return unavailable(fmt.Errorf("%s: %w", doing, err))
	}
	return because(ErrProvider, fmt.Errorf("%s: %.300s", doing, err))
}

// statusError is an HTTP status that is not 200.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

func isOutage(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
