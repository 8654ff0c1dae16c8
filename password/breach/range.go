package breach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Range checks passwords with the range API of Have I Been Pwned
// (https://haveibeenpwned.com/API/v3#PwnedPasswords) or a server that speaks it.
// The server is told the first 5 of the 40 hexadecimal digits of the password's
// SHA-1, and answers with the hundreds of hashes that begin so; which one was
// meant it does not learn. Padding hides from others how long the answer is.
//
// The zero value is ready to use. It is safe for concurrent use.
type Range struct {
	// URL is that of the range endpoint, without the 5 digits, which are added
	// as a path element. Give https, or others on the way can choose the
	// answer. Empty: https://api.pwnedpasswords.com/range
	URL string

	// Timeout bounds the whole exchange. Zero: 1 second.
	Timeout time.Duration

	// Client makes the requests. Nil: one that uses [http.DefaultTransport].
	// Redirects are not followed, whatever its CheckRedirect says.
	Client *http.Client

	// UserAgent is the header User-Agent, which Have I Been Pwned asks for.
	// Empty: usher
	UserAgent string
}

// maxAnswer has room for over 20 000 hashes, where about a thousand are usual.
const maxAnswer = 1 << 20

// Breached reports whether the server knows the password from a breach. It
// fails if there is no complete, well-formed answer of at most 1 MiB in time.
func (r Range) Breached(ctx context.Context, password string) (bool, error) {
	breached, err := r.ask(ctx, digestOf(password))
	if err != nil {
		return false, fmt.Errorf("breach: asking the range API: %w", withoutURL(err))
	}
	return breached, nil
}

func (r Range) ask(ctx context.Context, wanted digest) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Timeout, time.Second))
	defer cancel()
	prefix := fmt.Sprintf("%X", wanted[:])[:5]
	resp, err := r.get(ctx, prefix)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the server answered with status %d", resp.StatusCode)
	}
	found := false
	answer := &io.LimitedReader{R: resp.Body, N: maxAnswer + 1}
	err = readDigests(answer, prefix, func(d digest) error {
		found = found || d == wanted
		return nil
	})
	switch {
	case found: // whatever is wrong with the rest
		return true, nil
	case answer.N == 0:
		return false, errors.New("the answer is longer than 1 MiB")
	}
	return false, err
}

func (r Range) get(ctx context.Context, prefix string) (*http.Response, error) {
	endpoint, err := url.Parse(cmp.Or(r.URL, "https://api.pwnedpasswords.com/range"))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.JoinPath(prefix).String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", cmp.Or(r.UserAgent, "usher"))
	var client http.Client
	if r.Client != nil {
		client = *r.Client
	}
	// The API has no redirects. Another host should not learn the prefix.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client.Do(req)
}

// withoutURL takes the URL out of an error that is going to be logged, perhaps
// next to the name of the account: the prefix in it would help to guess the
// password, and there may be credentials in it.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
