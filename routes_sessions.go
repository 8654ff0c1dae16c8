package usher

import "net/http"

// sessionView is a Session as its user sees it.
type sessionView struct {
	Session
	Current bool `json:"current"` // the one that authenticated this request
}

func (a *Auth[U]) mySessions(w http.ResponseWriter, r *http.Request) error {
	_, authn, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	return a.writeSessions(w, r, authn.UserID, authn.SessionID)
}

func (a *Auth[U]) revokeMySession(w http.ResponseWriter, r *http.Request) error {
	_, authn, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	return a.writeRevoked(w, a.RevokeSession(r.Context(), authn.UserID, r.PathValue("session")))
}

func (a *Auth[U]) revokeMySessions(w http.ResponseWriter, r *http.Request) error {
	_, authn, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	_, err = a.RevokeSessions(r.Context(), authn.UserID, authn.SessionID)
	return a.writeRevoked(w, err)
}

func (a *Auth[U]) userSessions(w http.ResponseWriter, r *http.Request) error {
	user, err := a.userInPath(r)
	if err != nil {
		return err
	}
	return a.writeSessions(w, r, a.fields.Base(user).ID, "")
}

func (a *Auth[U]) revokeUserSession(w http.ResponseWriter, r *http.Request) error {
	user, err := a.userInPath(r)
	if err != nil {
		return err
	}
	return a.writeRevoked(w, a.RevokeSession(r.Context(), a.fields.Base(user).ID, r.PathValue("session")))
}

func (a *Auth[U]) revokeUserSessions(w http.ResponseWriter, r *http.Request) error {
	user, err := a.userInPath(r)
	if err != nil {
		return err
	}
	_, err = a.RevokeSessions(r.Context(), a.fields.Base(user).ID, "")
	return a.writeRevoked(w, err)
}

func (a *Auth[U]) writeSessions(w http.ResponseWriter, r *http.Request, user ID, current string) error {
	sessions, err := a.ListSessions(r.Context(), user)
	if err != nil {
		return err
	}
	views := make([]sessionView, len(sessions))
	for i, s := range sessions {
		views[i] = sessionView{s, s.ID == current}
	}
	writeJSON(w, http.StatusOK, views)
	return nil
}

func (a *Auth[U]) writeRevoked(w http.ResponseWriter, err error) error {
	if err == nil {
		writeNoContent(w)
	}
	return err
}
