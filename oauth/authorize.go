package oauth

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"usher"
)

// authorize says where to send the browser, or sends it there if the callback is
// to redirect too.
func (o *OAuth[U]) authorize(t route) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		query := r.URL.Query()
		s := state{CSRF: newCSRF(), Route: t.path, RedirectTo: query.Get("redirect_to")}
		if t.associate {
			user, _, err := o.auth.Authenticate(r)
			if err != nil {
				return err
			}
			s.Subject = string(o.auth.Base(user).ID)
		} else if s.Invitation = query.Get("invitation"); len(s.Invitation) > maxInvitation {
			return usher.ErrBadInvitation
		}
		if err := o.checkRedirect(t, r, s.RedirectTo); err != nil {
			return err
		}
		e, err := t.endpoints(r.Context())
		if err != nil {
			return err
		}
		token, err := o.states.sign(s)
		if err != nil {
			return err
		}
		target := t.authorizationURL(e, token, o.redirectURL(t, r), o.verifierFor(t, s), o.states.nonce(s), query["scopes"])
		http.SetCookie(w, o.config.csrfCookie(s.CSRF))
		if s.RedirectTo != "" {
			redirect(w, target)
			return nil
		}
		return writeJSON(w, struct {
			URL string `json:"authorization_url"`
		}{target})
	}
}

// checkRedirect judges redirect_to, empty if there is none.
func (o *OAuth[U]) checkRedirect(t route, r *http.Request, target string) error {
	switch {
	case target == "":
		return nil
	case !allowsRedirect(target, o.config.RedirectTargets):
		return ErrRedirectForbidden
	case t.associate && r.Header.Get("Sec-Fetch-Site") != "same-origin":
		// The link must be on one of our pages. Else another site could make the
		// browser link the account that is signed in at the provider, which may be
		// one of its own (CVE-2015-9284).
		return usher.ErrCrossOrigin
	case !t.associate && !o.ambient: // a token in a URL would end up in logs
		return ErrRedirectForbidden
	}
	return nil
}

// redirectURL is where the provider sends the browser (redirect_uri).
func (o *OAuth[U]) redirectURL(t route, r *http.Request) string {
	switch {
	case t.RedirectURL != "":
		return t.RedirectURL
	case o.config.RedirectURLFunc != nil:
		return o.config.RedirectURLFunc(r)
	}
	return o.config.BaseURL + t.path + "/callback"
}

// verifierFor returns "" for a provider without PKCE.
func (o *OAuth[U]) verifierFor(t route, s state) string {
	if t.InsecureNoPKCE {
		return ""
	}
	return o.states.verifier(s)
}

// authorizationURL lists its parameters in the order that FastAPI Users has.
func (t route) authorizationURL(e endpoints, state, redirectURL, verifier, nonce string, wanted []string) string {
	var b strings.Builder
	b.WriteString(e.auth)
	separator := byte('?')
	if strings.Contains(e.auth, "?") {
		separator = '&'
	}
	add := func(name, value string) {
		b.WriteByte(separator)
		b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(value))
		separator = '&'
	}
	add("response_type", "code")
	add("client_id", t.ClientID)
	add("redirect_uri", redirectURL)
	add("state", state)
	if scopes := t.scopes(wanted); len(scopes) > 0 {
		add("scope", strings.Join(scopes, " "))
	}
	if verifier != "" {
		add("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
		add("code_challenge_method", "S256")
	}
	if e.issuer != nil {
		add("nonce", nonce)
	}
	if t.FormPost {
		add("response_mode", "form_post")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Params)) {
		add(name, t.Params[name])
	}
	return b.String()
}
