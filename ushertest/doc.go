// Package ushertest proves that an implementation of one of usher's interfaces
// keeps the contract which the interface's comments state: every sentence there
// is a test here. The stores, strategies and transports that come with usher
// pass the same suites.
//
//	func TestMyStore(t *testing.T) {
//		ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
//			return newMyStore(t), nil
//		})
//	}
//
// Run them with -race: much of a contract is about calls at the same time.
//
// [Clock] is a clock that stands still until a test moves it, [FakeProvider] a
// provider of OAuth 2.0 and OpenID Connect, [MailSink] a mail server that keeps
// what it gets.
package ushertest
