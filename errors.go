package usher

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"usher/password"
)

// Errors of transports, strategies and stores.
var (
	// ErrInvalidToken: the token is malformed, expired, revoked or unknown.
	// Which of them is nobody's business outside.
	ErrInvalidToken = errors.New("usher: invalid token")
	// ErrNotRevocable: the strategy keeps nothing that could be destroyed; the
	// token lives until it expires.
	ErrNotRevocable = errors.New("usher: token is not revocable")
	// ErrNotFound: no such user or session.
	ErrNotFound = errors.New("usher: not found")
	// ErrEmailTaken: another user has this e-mail address in some spelling.
	ErrEmailTaken = errors.New("usher: e-mail address is taken")
	// ErrAlreadyUsed: a one-time token was used before.
	ErrAlreadyUsed = errors.New("usher: already used")
	// ErrOAuthAccountTaken: the provider's account is linked to a user already.
	ErrOAuthAccountTaken = errors.New("usher: account at the provider is linked already")
	// ErrConflict: the row changed between reading and writing.
	ErrConflict = errors.New("usher: changed by somebody else meanwhile")
)

// Refusals that clients may see. Their codes are FastAPI Users' own.
var (
	ErrUnauthorized     = &Error{Status: http.StatusUnauthorized, Code: "Unauthorized"}
	ErrForbidden        = &Error{Status: http.StatusForbidden, Code: "Forbidden"}
	ErrNoSuchUser       = &Error{Status: http.StatusNotFound, Code: "Not Found"}
	ErrCrossOrigin      = &Error{Status: http.StatusForbidden, Code: "CROSS_ORIGIN_REQUEST"}
	ErrBadCredentials   = &Error{Status: http.StatusBadRequest, Code: "LOGIN_BAD_CREDENTIALS"}
	ErrUserNotVerified  = &Error{Status: http.StatusBadRequest, Code: "LOGIN_USER_NOT_VERIFIED"}
	ErrUserExists       = &Error{Status: http.StatusBadRequest, Code: "REGISTER_USER_ALREADY_EXISTS"}
	ErrEmailExists      = &Error{Status: http.StatusBadRequest, Code: "UPDATE_USER_EMAIL_ALREADY_EXISTS"}
	ErrBadVerifyToken   = &Error{Status: http.StatusBadRequest, Code: "VERIFY_USER_BAD_TOKEN"}
	ErrAlreadyVerified  = &Error{Status: http.StatusBadRequest, Code: "VERIFY_USER_ALREADY_VERIFIED"}
	ErrBadResetToken    = &Error{Status: http.StatusBadRequest, Code: "RESET_PASSWORD_BAD_TOKEN"}
	ErrMethodNotAllowed = &Error{Status: http.StatusMethodNotAllowed, Code: "Method Not Allowed"}
)

// Error is a refusal: what the client may know of it, and the private cause.
type Error struct {
	Status     int           // HTTP status
	Code       string        // stable; `detail` of the answer
	Reason     string        // with it, `detail` is {"code": Code, "reason": Reason}
	RetryAfter time.Duration // when to try again; with status 503
	Err        error         // the cause: logged, never sent
}

// Error describes the refusal with its cause, for logs.
func (e *Error) Error() string {
	s := "usher: " + e.Code
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is a refusal with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Status == e.Status && t.Code == e.Code
}

// unavailable is the refusal of everything that failed without being the
// client's fault: a store away, a queue too long, a hook broken.
func unavailable(cause error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "Service Unavailable", RetryAfter: retryAfter(cause), Err: cause}
}

// answer returns an error that is a client's answer already as it is, such as the
// veto of a hook, and makes any other a 503.
func answer(err error) error {
	var refusal *Error
	var invalid *ValidationError
	if errors.As(err, &refusal) || errors.As(err, &invalid) {
		return err
	}
	return unavailable(err)
}

// retryAfter asks the cause (the gate of the password hasher knows how long its
// queue is); stores do not say, and are tried again soon.
func retryAfter(cause error) time.Duration {
	var busy *password.BusyError
	if errors.As(cause, &busy) {
		return busy.RetryAfter
	}
	return 5 * time.Second
}

// asRefusal turns any error into what the client is told.
func asRefusal(err error) (*Error, *ValidationError) {
	var invalid *ValidationError
	if errors.As(err, &invalid) {
		return nil, invalid
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal, nil
	}
	if errors.Is(err, ErrNotFound) {
		return ErrNoSuchUser, nil
	}
	return unavailable(err), nil
}

// FieldError says what is wrong with one field, in Pydantic's words.
type FieldError struct {
	Type string `json:"type"` // "missing", "string_type", "value_error", …
	Loc  []any  `json:"loc"`  // where: "body" and the field's name
	Msg  string `json:"msg"`
	// Input repeats what was sent. Secrets are never repeated.
	Input json.RawMessage `json:"input"`
	Ctx   map[string]any  `json:"ctx,omitempty"`
}

// ValidationError is a 422: the request was understood, its content is wrong.
// A user type's Validate method may return one.
type ValidationError struct {
	Fields []FieldError `json:"detail"`
}

// Invalid returns a ValidationError for one field of a JSON body.
func Invalid(field, msg string) *ValidationError {
	return &ValidationError{Fields: []FieldError{{
		Type: "value_error", Loc: []any{"body", field}, Msg: "Value error, " + msg, Ctx: map[string]any{"reason": msg},
	}}}
}

// asInvalid makes a plain error of a user type's Validate a 422 for the whole
// body.
func asInvalid(err error) error {
	var refusal *Error
	var invalid *ValidationError
	if err == nil || errors.As(err, &refusal) || errors.As(err, &invalid) {
		return err
	}
	return &ValidationError{Fields: []FieldError{{Type: "value_error", Loc: []any{"body"}, Msg: "Value error, " + err.Error()}}}
}

// Error names every field and its fault.
func (e *ValidationError) Error() string {
	faults := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		faults[i] = fmt.Sprintf("%v: %s", f.Loc, f.Msg)
	}
	return "usher: invalid input: " + strings.Join(faults, "; ")
}
