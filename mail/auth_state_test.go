package mail_test

import (
	"testing"

	"usher"
)

// A link is made when its mail is delivered, for the state of the user when it
// was asked for: nobody gets one to what the user has become meanwhile (G4, G5,
// B13).
func TestS_G4_StaleMessagesAreNotSent(t *testing.T) {
	t.Parallel()
	victim, password := "victim@corp.example", "new battery staple horse"
	for _, test := range []struct {
		name, mailedTo string
		ask            func(p *program, id usher.ID) error
		change         usher.Change[usher.User]
	}{
		{"address moved before the verify mail", "ann@evil.example", func(p *program, _ usher.ID) error {
			return p.auth.RequestVerify(t.Context(), "ann@evil.example")
		}, usher.Change[usher.User]{Email: &victim}},
		{"address moved before the reset mail", "ann@evil.example", func(p *program, _ usher.ID) error {
			return p.auth.ForgotPassword(t.Context(), "ann@evil.example")
		}, usher.Change[usher.User]{Email: &victim}},
		{"password changed before a thief's change of address is mailed", "eve@evil.example", func(p *program, id usher.ID) error {
			return p.auth.RequestEmailChange(t.Context(), id, "eve@evil.example")
		}, usher.Change[usher.User]{Password: &password}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProgram(t)
			u := &usher.User{Email: "ann@evil.example"}
			p.ok(p.auth.Register(t.Context(), u, "correct horse battery staple"))
			p.ok(test.ask(p, u.ID))
			_, err := p.auth.UpdateUser(t.Context(), u.ID, test.change)
			p.ok(err)
			_, err = p.worker.DeliverDue(t.Context())
			p.ok(err)
			if token := p.sink.Token(test.mailedTo); token != "" {
				t.Errorf("%s got a link", test.mailedTo)
			}
		})
	}
}
