package redisstore

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"usher"
)

// FuzzScan: whatever the scanner reads, encoding/json reads as the same; and
// the scanner does read ordinary sessions.
func FuzzScan(f *testing.F) {
	now := time.Now()
	for _, s := range []usher.Session{
		{},
		{ID: "1", UserID: "2", CreatedAt: now, LastSeenAt: now, ExpiresAt: now, AuthTime: now, Methods: []string{"pwd"}, IP: "::1", UserAgent: "test"},
		{UserID: "3", Methods: []string{}, Scopes: []string{}},
		{UserID: "4", Methods: []string{"pwd", "otp"}, Scopes: []string{"a", "b"}},
		{UserID: "日本", UserAgent: "🎉"},
	} {
		text, err := encode(s)
		if err != nil {
			f.Fatal(err)
		}
		if !scan(string(text), &record{}) {
			f.Errorf("the scanner does not read %s", text)
		}
		f.Add(string(text))
	}
	for _, s := range []usher.Session{
		{UserAgent: `\`}, {IP: `"`}, {ID: "\n"}, {UserID: "<"}, {Data: map[string]any{}}, {Scopes: []string{"\u2028"}},
	} {
		text, err := encode(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var scanned, decoded record
		if !scan(text, &scanned) || json.Unmarshal([]byte(text), &decoded) != nil {
			return
		}
		if again, err := json.Marshal(decoded); err != nil || string(again) != text {
			return // encode does not write this: repeated names, bytes that are not UTF-8
		}
		if !reflect.DeepEqual(scanned, decoded) {
			t.Errorf("%s: scanned %+v, decoded %+v", text, scanned, decoded)
		}
	})
}
