package usher

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
)

func (a *Auth[U]) me(w http.ResponseWriter, r *http.Request) error {
	user, _, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, user)
	return nil
}

func (a *Auth[U]) patchMe(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readJSON(w, r)
	if err != nil {
		return err
	}
	user, authn, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	change, err := a.readChange(b, false)
	if err != nil {
		return err
	}
	change.KeepSession = authn.SessionID
	if change.Email != nil && *change.Email == a.fields.Base(user).Email {
		change.Email = nil // a front end that sends all fields back changes none
	}
	proves := (change.Password != nil || change.Email != nil) && !a.config.InsecureUpdateWithoutPassword
	a.confirmFirst(user, &change)
	if !proves {
		return a.writeUpdate(w, r, authn.UserID, change)
	}
	for range 3 { // the password may change between the proof and the update
		if err = a.proveCurrentPassword(r, user, b); err != nil {
			return err
		}
		then := user
		change.onlyIf = func(now *U) bool { return a.provesStill(now, then) }
		if err = a.writeUpdate(w, r, authn.UserID, change); !errors.Is(err, errUserChanged) {
			return err
		}
		if user, _, err = a.Authenticate(r); err != nil { // his session may have ended, too
			return err
		}
	}
	return unavailable(ErrConflict)
}

// confirmFirst makes a new address one that takes effect when it is confirmed,
// unless the configuration says otherwise.
func (a *Auth[U]) confirmFirst(user *U, change *Change[U]) {
	if a.config.Outbox == nil || a.config.InsecureUnconfirmedEmailChange || change.Email == nil || sameEmail(*change.Email, a.fields.Base(user).Email) {
		return
	}
	change.asks, _, _ = parseEmail(*change.Email) // readChange has checked it
	change.Email = nil
	change.members = slices.DeleteFunc(change.members, func(name string) bool { return name == "email" })
}

// freshSignIn is how old a sign-in may be that stands in for a password.
const freshSignIn = 10 * time.Minute

// deleteMe deletes the own account. It needs the password, or, where there is
// none, a sign-in that is fresh.
func (a *Auth[U]) deleteMe(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readJSON(w, r)
	if err != nil {
		return err
	}
	user, authn, err := a.Authenticate(r)
	if err != nil {
		return err
	}
	for range 3 { // the password may change between the proof and the deletion
		if a.fields.Base(user).HashedPassword == "" {
			if authn.Machine || a.config.now().Sub(authn.AuthTime) > freshSignIn {
				return &Error{Status: http.StatusForbidden, Code: "FRESH_SIGN_IN_REQUIRED"}
			}
		} else if err := a.proveCurrentPassword(r, user, b); err != nil {
			return err
		}
		then := user
		err = a.deleteUserIf(r.Context(), authn.UserID, func(now *U) bool { return a.provesStill(now, then) })
		if err == nil {
			writeNoContent(w)
			return nil
		}
		if !errors.Is(err, errUserChanged) {
			return err
		}
		if user, authn, err = a.Authenticate(r); err != nil { // his session may have ended, too
			return err
		}
	}
	return unavailable(ErrConflict)
}

// proveCurrentPassword keeps whoever finds an open browser from taking the
// account (ASVS 6.2.3).
func (a *Auth[U]) proveCurrentPassword(r *http.Request, user *U, b *body) error {
	current := b.text("current_password", true, true)
	if err := b.err(); err != nil {
		return err
	}
	result, err := a.config.Passwords.Verify(r.Context(), a.fields.Base(user).HashedPassword, *current)
	if err != nil {
		return unavailable(err)
	}
	if !result.OK {
		return &Error{Status: http.StatusBadRequest, Code: "UPDATE_USER_BAD_CURRENT_PASSWORD"}
	}
	return nil
}

func (a *Auth[U]) user(w http.ResponseWriter, r *http.Request) error {
	user, err := a.userInPath(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, user)
	return nil
}

func (a *Auth[U]) patchUser(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readJSON(w, r)
	if err != nil {
		return err
	}
	user, err := a.userInPath(r)
	if err != nil {
		return err
	}
	change, err := a.readChange(b, true)
	if err != nil {
		return err
	}
	return a.writeUpdate(w, r, a.fields.Base(user).ID, change)
}

func (a *Auth[U]) deleteUser(w http.ResponseWriter, r *http.Request) error {
	user, err := a.userInPath(r)
	if err != nil {
		return err
	}
	if err := a.DeleteUser(r.Context(), a.fields.Base(user).ID); err != nil {
		return err
	}
	writeNoContent(w)
	return nil
}

// userInPath returns the user whom a superuser names in the path. Anybody else
// learns nothing about the id.
func (a *Auth[U]) userInPath(r *http.Request) (*U, error) {
	if _, _, err := a.Authenticate(r, a.superuser); err != nil {
		return nil, err
	}
	return a.config.Store.UserByID(r.Context(), ID(r.PathValue("id")))
}

func (a *Auth[U]) superuser(user *U, _ Authentication) error {
	if !a.fields.Base(user).IsSuperuser {
		return ErrForbidden
	}
	return nil
}

// readChange reads the members of a PATCH. An absent member changes nothing.
// What the caller may not set is checked and then ignored, as in FastAPI Users.
func (a *Auth[U]) readChange(b *body, admin bool) (Change[U], error) {
	change := Change[U]{Password: b.text("password", false, true), Email: b.text("email", false, false)} // faults in FastAPI Users' order
	if raw, present := b.members["email"]; present && string(raw) == "null" {
		b.fault("email", "string_type", "Input should be a valid string", raw)
	}
	if change.Email != nil {
		if _, err := EmailKey(*change.Email); err != nil {
			b.faults = append(b.faults, invalidEmail(*change.Email, err))
		}
	}
	change.IsActive, change.IsSuperuser, change.IsVerified = b.flag("is_active"), b.flag("is_superuser"), b.flag("is_verified")
	if admin {
		for _, name := range []string{"is_active", "is_superuser", "is_verified"} {
			if raw, present := b.members[name]; present && string(raw) == "null" {
				b.fault(name, "bool_type", "Input should be a valid boolean", raw)
			}
		}
	} else {
		change.IsActive, change.IsSuperuser, change.IsVerified = nil, nil, nil
	}
	sent := Sent{Members: b.members, Admin: admin}
	b.faults = append(b.faults, a.set(new(U), sent)...)
	change.Set = func(user *U) { a.set(user, sent) }
	settable := append(a.fields.settable(admin), "email", "password")
	if admin {
		settable = append(settable, "is_active", "is_superuser", "is_verified")
	}
	for _, name := range slices.Sorted(maps.Keys(b.members)) {
		if slices.Contains(settable, name) {
			change.members = append(change.members, name)
		}
	}
	return change, b.err()
}

func (a *Auth[U]) writeUpdate(w http.ResponseWriter, r *http.Request, id ID, change Change[U]) error {
	user, err := a.UpdateUser(r.Context(), id, change)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, user)
	return nil
}
