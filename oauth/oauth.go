package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"usher"
)

// OAuth signs users in with their accounts at providers. It is safe for concurrent
// use.
type OAuth[U any] struct {
	auth      *usher.Auth[U]
	config    Config[U]
	providers []*provider
	states    *states
	sealer    *sealer
	ambient   bool // the backend uses cookies
	refreshes turns
}

// New checks the configuration and returns the OAuth. The error names every fault.
// The providers are not spoken to before they are needed.
func New[U any](auth *usher.Auth[U], c Config[U]) (*OAuth[U], error) {
	c = c.withDefaults()
	if err := c.validate(auth); err != nil {
		return nil, err
	}
	o := &OAuth[U]{auth: auth, config: c, refreshes: newTurns()}
	backend, _ := auth.Backend(c.Backend)
	o.ambient = backend.Transport != nil && backend.Ambient()
	var err error
	if o.states, err = newStates(c.Secret, c.StateLifetime, c.Now); err != nil {
		return nil, err
	}
	if o.sealer, err = newSealer(c.EncryptionKeys); err != nil {
		return nil, err
	}
	client := providerClient(c.HTTPClient, c.ProviderTimeout)
	for _, data := range c.Providers {
		p := &provider{Provider: data, client: client, now: c.Now}
		if data.Issuer != "" {
			p.discovery = &discovery{
				issuer: data.Issuer, clientID: data.ClientID, client: client, timeout: c.ProviderTimeout,
				now: c.Now, insecureHTTP: c.InsecureHTTP, turn: make(chan struct{}, 1),
			}
		}
		o.providers = append(o.providers, p)
	}
	return o, nil
}

// route is where one provider's authorize and callback are, for one purpose.
type route struct {
	*provider
	path      string // without /authorize or /callback; the state is bound to it
	associate bool   // to link, not to sign in
}

func (o *OAuth[U]) routes() (routes []route) {
	for _, p := range o.providers {
		if o.config.Path != noRoutes {
			routes = append(routes, route{p, o.config.Path + "/" + p.Name, false})
		}
		if o.config.AssociatePath != noRoutes {
			routes = append(routes, route{p, o.config.AssociatePath + "/" + p.Name, true})
		}
	}
	return routes
}

// handler answers a request, or returns an error and has written nothing.
type handler func(http.ResponseWriter, *http.Request) error

// Mount adds the routes in the package's comment to mux. Paths take no method in
// mux's patterns: a wrong one is answered here, with 405.
func (o *OAuth[U]) Mount(mux *http.ServeMux) {
	for _, t := range o.routes() {
		mux.Handle(t.path+"/authorize", o.serve(map[string]handler{"GET": o.authorize(t)}))
		methods := map[string]handler{"GET": o.callback(t)}
		if t.FormPost {
			methods["POST"] = o.formPost
		}
		mux.Handle(t.path+"/callback", o.serve(methods))
	}
	if accounts := o.config.AccountsPath; accounts != noRoutes {
		mux.Handle(accounts, o.serve(map[string]handler{"GET": o.listAccounts}))
		mux.Handle(accounts+"/{id}", o.serve(map[string]handler{"DELETE": o.unlinkAccount}))
	}
}

// Handler returns the routes as a handler of its own, which answers 404 to every
// other path.
func (o *OAuth[U]) Handler() http.Handler {
	mux := http.NewServeMux()
	o.Mount(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { o.auth.Refuse(w, r, usher.ErrNotFound) })
	return mux
}

func (o *OAuth[U]) serve(methods map[string]handler) http.Handler {
	var allowed []string
	for method := range methods {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle, ok := methods[r.Method]
		if !ok {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			o.auth.Refuse(w, r, usher.ErrMethodNotAllowed)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), o.config.ProviderTimeout+o.auth.RequestTimeout())
		defer cancel()
		if err := handle(w, r.WithContext(ctx)); err != nil {
			o.auth.Refuse(w, r, err)
		}
	})
}

// writeJSON answers 200 with the headers of usher's own answers.
func writeJSON(w http.ResponseWriter, v any) error {
	var body bytes.Buffer
	text := json.NewEncoder(&body)
	text.SetEscapeHTML(false) // a URL that can be copied
	if err := text.Encode(v); err != nil {
		return err
	}
	body.Truncate(body.Len() - 1) // the newline
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = body.WriteTo(w) // the client is gone: nobody to tell
	return nil
}
