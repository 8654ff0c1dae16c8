package password

import (
	"strings"
	"testing"
)

// everything is a limit that allows all parameters.
var everything = limit{memory: 1<<32 - 1, work: 1<<64 - 1}

const (
	salt8 = "c29tZXNhbHQ"
	tag32 = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
)

func TestParseArgon2(t *testing.T) {
	t.Parallel()
	const head = "$argon2id$v=19$m=65536,t=3,p=4$"
	b64 := func(bytes int) string { // of zero bytes
		return strings.Repeat("A", (bytes*8+5)/6)
	}
	tests := []struct {
		name    string
		encoded string
		want    bool
	}{
		{"argon2id", head + salt8 + "$" + tag32, true},
		{"argon2i", "$argon2i$v=19$m=65536,t=3,p=4$" + salt8 + "$" + tag32, true},
		{"argon2d", "$argon2d$v=19$m=65536,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"unknown variant", "$argon2x$v=19$m=65536,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"upper case variant", "$Argon2id$v=19$m=65536,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"version 16", "$argon2id$v=16$m=65536,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"no version", "$argon2id$m=65536,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"empty", "", false},
		{"dollars", "$$$$$", false},
		{"many dollars", strings.Repeat("$", 300), false},
		{"text before", "x" + head + salt8 + "$" + tag32, false},
		{"text after", head + salt8 + "$" + tag32 + "$", false},
		{"newline after", head + salt8 + "$" + tag32 + "\n", false},
		{"newline in salt", head + "c29tZX\nNhbHQ$" + tag32, false},
		{"padded salt", head + salt8 + "=$" + tag32, false},
		{"url-safe tag", head + salt8 + "$" + strings.Repeat("_-", 21) + "8", false},
		{"trailing bits in tag", head + salt8 + "$" + tag32[:42] + "d", false},
		{"salt 7 bytes", head + b64(7) + "$" + tag32, false},
		{"salt 64 bytes", head + b64(64) + "$" + tag32, true},
		{"salt 65 bytes", head + b64(65) + "$" + tag32, false},
		{"no salt", head + "$" + tag32, false},
		{"tag 3 bytes", head + salt8 + "$" + b64(3), false},
		{"tag 4 bytes", head + salt8 + "$" + b64(4), true},
		{"tag 128 bytes", head + salt8 + "$" + b64(128), true},
		{"tag 129 bytes", head + salt8 + "$" + b64(129), false},
		{"longest", "$argon2id$v=19$m=4294967295,t=4294967295,p=255$" + b64(64) + "$" + b64(128), true},
		{"leading zero", "$argon2id$v=19$m=065536,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"sign", "$argon2id$v=19$m=+65536,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"space", "$argon2id$v=19$m=65536, t=3,p=4$" + salt8 + "$" + tag32, false},
		{"other order", "$argon2id$v=19$t=3,m=65536,p=4$" + salt8 + "$" + tag32, false},
		{"secret key id", "$argon2id$v=19$m=65536,t=3,p=4,keyid=a$" + salt8 + "$" + tag32, false},
		{"missing lanes", "$argon2id$v=19$m=65536,t=3$" + salt8 + "$" + tag32, false},
		{"zero passes", "$argon2id$v=19$m=65536,t=0,p=4$" + salt8 + "$" + tag32, false},
		{"zero lanes", "$argon2id$v=19$m=65536,t=3,p=0$" + salt8 + "$" + tag32, false},
		{"256 lanes", "$argon2id$v=19$m=65536,t=3,p=256$" + salt8 + "$" + tag32, false},
		{"255 lanes", "$argon2id$v=19$m=65536,t=3,p=255$" + salt8 + "$" + tag32, true},
		{"under 8 KiB per lane", "$argon2id$v=19$m=31,t=3,p=4$" + salt8 + "$" + tag32, false},
		{"memory overflow", "$argon2id$v=19$m=4294967296,t=3,p=4$" + salt8 + "$" + tag32, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, ok := parseArgon2(tt.encoded, everything); ok != tt.want {
				t.Errorf("parseArgon2(%q) = %v, want %v", tt.encoded, ok, tt.want)
			}
		})
	}
}

// A13: what a stored hash may cost.
func TestLimit(t *testing.T) {
	t.Parallel()
	strong := Params{Memory: 256 * mib, Time: 3, Lanes: 4}
	tests := []struct {
		current, stored Params
		want            bool
	}{
		{DefaultParams(), DefaultParams(), true},
		{DefaultParams(), Params{64 * mib, 8, 1}, true},
		{DefaultParams(), Params{64 * mib, 9, 1}, false},
		{DefaultParams(), Params{128 * mib, 4, 4}, true},
		{DefaultParams(), Params{128*mib + 1, 1, 4}, false},
		{DefaultParams(), Params{8, 64 * mib, 1}, true},
		{DefaultParams(), Params{8, 64*mib + 1, 1}, false},
		{DefaultParams(), Params{1<<32 - 1, 1<<32 - 1, 255}, false},
		{DefaultParams(), strong, false},
		{strong, strong, true}, // own hashes are always verifiable
		{strong, Params{256 * mib, 4, 4}, false},
		{strong, DefaultParams(), true},
	}
	for _, tt := range tests {
		if got := limitFor(tt.current).allows(tt.stored); got != tt.want {
			t.Errorf("with %+v, %+v: %v, want %v", tt.current, tt.stored, got, tt.want)
		}
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	// The estimate of the greatest parameters must not overflow.
	for _, p := range []Params{DefaultParams(), {8, 1, 1}, {maxMemory, maxTime, 1}} {
		if d := p.estimate(); d <= 0 || d.Hours() > 24 {
			t.Errorf("%+v: %v", p, d)
		}
	}
}

func addStoredHashes(f *testing.F) {
	for _, encoded := range []string{
		"", "!", "$", "$$$$$",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt8 + "$" + tag32,
		"$argon2i$v=19$m=256,t=2,p=2$" + salt8 + "$" + tag32,
		"$argon2d$v=19$m=65536,t=3,p=4$" + salt8 + "$" + tag32,
		"$argon2id$m=65536,t=3,p=4$" + salt8 + "$" + tag32,
		"$argon2id$v=19$m=4294967295,t=4294967295,p=255$" + salt8 + "$" + tag32,
		"$argon2id$v=A&$m==,p=$c29tZXNhbHQ$arQWpIVsXmUQDj660XNQBCR3AeZaVN7ChRcM97sGDK4",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
		"$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
		"$2b$31$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
	} {
		f.Add(encoded, "U*U")
	}
}

// A13: the parser never panics, accepts one spelling and stays in its bounds.
func FuzzParsePHC(f *testing.F) {
	addStoredHashes(f)
	within := limitFor(DefaultParams())
	f.Fuzz(func(t *testing.T, encoded, _ string) {
		h, ok := parseArgon2(encoded, within)
		if !ok {
			return
		}
		if h.String() != encoded {
			t.Errorf("%q parsed as %q", encoded, h)
		}
		if !within.allows(h.params) || h.params.Time == 0 || h.params.Lanes == 0 || h.params.Memory < 8*uint32(h.params.Lanes) {
			t.Errorf("%q: parameters %+v", encoded, h.params)
		}
		if len(h.salt) < 8 || len(h.salt) > 64 || len(h.tag) < 4 || len(h.tag) > 128 {
			t.Errorf("%q: %d bytes of salt, %d of tag", encoded, len(h.salt), len(h.tag))
		}
	})
}

// A13, B4: whatever is stored and typed, Verify computes one hash and does not
// fail.
func FuzzVerify(f *testing.F) {
	addStoredHashes(f)
	h, err := New(Config{Params: Params{Memory: 8, Time: 1, Lanes: 1}, InsecureAllowWeak: true})
	if err != nil {
		f.Fatal(err)
	}
	h.limit = limit{memory: 1024, work: 4096} // keep every input cheap
	f.Fuzz(func(t *testing.T, encoded, password string) {
		before := h.Hashes()
		result, err := h.Verify(t.Context(), encoded, password)
		if err != nil {
			t.Fatal(err)
		}
		if n := h.Hashes() - before; n != 1 {
			t.Errorf("computed %d hashes", n)
		}
		if result.Upgrade && !result.OK {
			t.Errorf("refused and to be upgraded: %+v", result)
		}
	})
}
