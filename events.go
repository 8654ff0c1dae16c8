package usher

import (
	"context"
	"log/slog"
	"time"
)

// EventKind names a flow.
type EventKind string

// The flows that end in an event.
const (
	EventLogin          EventKind = "login"
	EventLogout         EventKind = "logout"
	EventRegister       EventKind = "register"
	EventUpdate         EventKind = "update"
	EventDelete         EventKind = "delete"
	EventRequestVerify  EventKind = "request_verify"
	EventVerify         EventKind = "verify"
	EventForgotPassword EventKind = "forgot_password"
	EventResetPassword  EventKind = "reset_password"
	EventPasswordRehash EventKind = "password_rehash" // the stored hash was brought up to date
	EventSessionRevoke  EventKind = "session_revoke"
)

// Event is what happened in one flow, for logs, audits and metrics. It never
// holds a secret.
type Event struct {
	Kind      EventKind
	Time      time.Time
	UserID    ID     // whom it is about; empty when nobody is known
	SessionID string // the session made or ended
	Backend   string
	IP        string // of the client
	UserAgent string
	Err       error // nil: it succeeded; else why it did not
}

// emit ends a flow. It fills in the time, logs the event and hands it to the
// application: that something succeeded, when it is committed.
func (a *Auth[U]) emit(ctx context.Context, e Event) {
	e.Time = a.config.now()
	if e.Err == nil {
		a.whenCommitted(ctx, func(ctx context.Context) { a.tell(ctx, e) })
		return
	}
	a.tell(ctx, e)
}

func (a *Auth[U]) tell(ctx context.Context, e Event) {
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("user", string(e.UserID))}
	for name, value := range map[string]string{"session": e.SessionID, "backend": e.Backend, "ip": e.IP} {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	if e.Err != nil {
		if refusal, _ := asRefusal(e.Err); refusal != nil && refusal.Status >= 500 {
			level = slog.LevelError
		}
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	a.config.Logger.LogAttrs(ctx, level, "usher: "+string(e.Kind), attrs...)
	if hook := a.config.Hooks.OnEvent; hook != nil {
		a.call("OnEvent", func() { hook(ctx, e) })
	}
}
