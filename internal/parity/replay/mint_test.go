package replay

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func mintOne(t *testing.T, p *play, spec string) (header, payload, signature string) {
	t.Helper()
	var c crafted
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		t.Fatal(err)
	}
	if err := c.validate(); err != nil {
		t.Fatal(err)
	}
	p.scenario.JWTs = map[string]crafted{"j1": c}
	p.tokens = map[string]minted{}
	token, err := p.expand("{{jwt:j1}}")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	for i := range 2 {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = string(data)
	}
	return parts[0], parts[1], parts[2]
}

func TestMintContents(t *testing.T) {
	tests := []struct{ name, spec, header, payload string }{
		{"order and numbers kept", `{"header":{"typ":"JWT","alg":"none"},"claims":{"z":1.0,"a":[1e3,null],"sub":"{{id1}}"}}`,
			`{"typ":"JWT","alg":"none"}`, `{"z":1.0,"a":[1e3,null],"sub":"0a1b-2c3D"}`},
		{"relative times are exact", `{"header":{},"claims":{"exp":{"$now":3600},"x":[{"$now":-1}],"f":{"$now":0.5},"g":{"$now":2.0}}}`,
			`{}`, `{"exp":1800003600,"x":[1799999999],"f":1800000000.5,"g":1800000002.0}`},
		{"raw", `{"header_raw":"{\"alg\":\"{{run}}\"}","payload_raw":"ÿ{{now+1}}"}`,
			`{"alg":"rbcdfg23"}`, "\xff1800000001"},
		{"empty payload", `{"header_raw":"xx","payload_raw":""}`, "xx", ""},
		{"member names and headers are strings too", `{"header":{"kid":"{{id1}}"},"claims":{"{{run}}":true}}`,
			`{"kid":"0a1b-2c3D"}`, `{"rbcdfg23":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, pl, s := mintOne(t, testPlay(), tt.spec)
			if h != tt.header || pl != tt.payload || s != "" {
				t.Errorf("got %s . %s . %s", h, pl, s)
			}
		})
	}
}

// The expected signatures were made with openssl dgst -hmac.
func TestMintSignature(t *testing.T) {
	const rest = `"header":{"alg":"none"},"claims":{"a":1}`
	for spec, want := range map[string]string{
		`{"sign":"HS256","secret":"auth",` + rest + `}`:                       "DgNEDym_9aPrkWfrAuns-ugAGox9aF5yrKLfQxLptsU",
		`{"sign":"HS384","secret":"verify",` + rest + `}`:                     "yrYn-9AyGBz7-i41J9yiQKee9Qgok-L1PjVQbEQLJ3o2JlLkTEJzGktvVNDMpquG",
		`{"sign":"HS512","secret":"reset",` + rest + `}`:                      "m1L2EBfbvtkYEDn7N1Cc9NZOuZXfmHiLHK8_GE5F3Gq7yhLAtEp5TSm33t0c1nP583clmTGyh8adS7Tq2UmxQw",
		`{"sign":"HS256","secret":"state",` + rest + `}`:                      "SAdsRIetch-qrDBeIf2TrUccpsg3V2DGv1QvhLhf6ME",
		`{"sign":"HS256","key":"k",` + rest + `}`:                             "c5KyTbIdvQizEG7Ps2vrITAQ1Akif3FFfXTMJrntJKY",
		`{"sign":"HS256","secret":"auth","signature":"{{run}}",` + rest + `}`: "rbcdfg23",
		`{"signature":"",` + rest + `}`:                                       "",
	} {
		if _, _, got := mintOne(t, testPlay(), spec); got != want {
			t.Errorf("%s: got %s, want %s", spec, got, want)
		}
	}
}

func TestMintKeepsToken(t *testing.T) {
	p := testPlay()
	p.scenario.JWTs = map[string]crafted{"j1": {Header: jsonMember{true, object{}}, Claims: jsonMember{true, object{{"exp", object{{"$now", json.Number("0")}}}}}}}
	first, err := p.expand("{{jwt:j1}}")
	if err != nil {
		t.Fatal(err)
	}
	p.now = func() time.Time { return time.Unix(1_900_000_000, 0) }
	again, err := p.expand("{{jwt:j1.h}}.{{jwt:j1.p}}.{{jwt:j1.s}}")
	if err != nil || again != first {
		t.Errorf("got %s, %v; want %s", again, err, first)
	}
	if got, err := p.expand("{{jwt:j1.x}}"); err == nil {
		t.Errorf("segment x is %s", got)
	}
}

func TestMintFails(t *testing.T) {
	p := testPlay()
	text := func(s string) *string { return &s }
	p.scenario.JWTs = map[string]crafted{
		"unbound":   {Header: jsonMember{true, object{}}, Claims: jsonMember{true, object{{"sub", "{{id2}}"}}}},
		"header":    {HeaderRaw: text("{{id2}}"), PayloadRaw: text("")},
		"wide":      {HeaderRaw: text("€"), PayloadRaw: text("")},
		"signature": {HeaderRaw: text(""), PayloadRaw: text(""), Signature: text("{{id2}}")},
		"key":       {HeaderRaw: text(""), PayloadRaw: text(""), Sign: "HS256", Key: text("{{id2}}")},
		"loop":      {HeaderRaw: text(""), PayloadRaw: text("{{jwt:loop}}")},
	}
	for name := range p.scenario.JWTs {
		if got, err := p.expand("{{jwt:" + name + "}}"); err == nil {
			t.Errorf("%s is minted: %s", name, got)
		}
	}
}
