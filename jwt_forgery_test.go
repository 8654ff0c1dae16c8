package usher_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"usher"
)

// E1: no bit of a token can be changed.
func TestS_E1_EveryByteIsSigned(t *testing.T) {
	t.Parallel()
	token := signed(plainHeader, claims())
	s := hs256()
	accepts(t, "the token", s, token)
	for i := range len(token) {
		for _, c := range []byte("AZaz09-_.") {
			if token[i] != c {
				refuses(t, fmt.Sprintf("byte %d", i), s, token[:i]+string(c)+token[i+1:])
			}
		}
		refuses(t, fmt.Sprintf("without byte %d", i), s, token[:i]+token[i+1:])
		refuses(t, fmt.Sprintf("cut at %d", i), s, token[:i])
	}
	parts := strings.Split(token, ".")
	other := strings.Split(signed(plainHeader, claims("sub", `"evil"`)), ".")
	refuses(t, "another payload", s, parts[0]+"."+other[1]+"."+parts[2])
	refuses(t, "no signature", s, parts[0]+"."+parts[1]+".")
	refuses(t, "signature of zeros", s, parts[0]+"."+parts[1]+"."+b64(strings.Repeat("\x00", 32)))
	refuses(t, "half a signature", s, parts[0]+"."+parts[1]+"."+parts[2][:20])
}

// E2: the key decides the algorithm, the header has to agree.
func TestS_E2_Algorithm(t *testing.T) {
	t.Parallel()
	unsigned := func(alg string) string { return b64(`{"alg":`+alg+`}`) + "." + b64(claims()) + "." }
	accepts(t, "HS256", hs256(), signed(`{"alg":"HS256"}`, claims()))
	for _, alg := range []string{
		`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `" none"`, `"none "`, `"n\u006fne"`, `""`, `null`, `0`, `true`, `[]`, `["HS256"]`, `{}`,
		`"hs256"`, `"Hs256"`, `"HS256 "`, `"HS256\u0000"`, `"HS384"`, `"HS512"`, `"RS256"`, `"ES256"`, `"PS256"`, `"EdDSA"`, `"dir"`, `"A128KW"`,
	} {
		refuses(t, "unsigned, alg "+alg, hs256(), unsigned(alg))
		refuses(t, "signature of HS256, alg "+alg, hs256(), signed(`{"alg":`+alg+`}`, claims()))
	}
	refuses(t, "no alg", hs256(), signed(`{"typ":"JWT"}`, claims()))
	refuses(t, "Alg", hs256(), signed(`{"Alg":"HS256"}`, claims()))
	refuses(t, "HS384 with the secret", hs256(), sign(sha512.New384, secret, b64(`{"alg":"HS384"}`), b64(claims())))
	refuses(t, "HS512 with the secret", hs256(), sign(sha512.New, secret, b64(`{"alg":"HS512"}`), b64(claims())))
	for name, key := range map[string][]byte{"empty": {}, "another": []byte(strings.Repeat("another-", 8)), "the secret and more": append(slices.Clone(secret), 0), "less": secret[:32]} {
		if name == "the secret and more" && len(secret) < 64 {
			// HMAC pads keys with zeros up to its block of 64 bytes: it is the same key.
			continue
		}
		refuses(t, "key: "+name, hs256(), sign(sha256.New, key, b64(plainHeader), b64(claims())))
	}
}

// E2, CVE-2026-48526, CVE-2022-29217: a public key, in whatever spelling, is no
// HMAC secret.
func TestS_E2_PublicKeyIsNoSecret(t *testing.T) {
	t.Parallel()
	ed, ec, rs := edKey().Public().(ed25519.PublicKey), &ecKey().PublicKey, &rsKey().PublicKey
	spki := func(key any) []byte { return must(x509.MarshalPKIXPublicKey(key)) }
	armoured := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	ecPoint := must(ec.Bytes())
	jwk := map[string]string{
		"ed": fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s"}`, b64(string(ed))),
		"ec": fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, b64(string(ecPoint[1:33])), b64(string(ecPoint[33:]))),
		"rs": fmt.Sprintf(`{"kty":"RSA","n":"%s","e":"AQAB"}`, b64(string(rs.N.Bytes()))),
	}
	for _, test := range []struct {
		name   string
		key    usher.Key
		public [][]byte
	}{
		{"EdDSA", usher.PrivateKey("", edKey()), [][]byte{ed, spki(ed), armoured("PUBLIC KEY", spki(ed)), []byte(jwk["ed"]), []byte(`{"keys":[` + jwk["ed"] + `]}`)}},
		{"ES256", usher.PrivateKey("", ecKey()), [][]byte{ecPoint, spki(ec), armoured("PUBLIC KEY", spki(ec)), []byte(jwk["ec"]), []byte(`{"keys":[` + jwk["ec"] + `]}`)}},
		{"RS256", usher.PrivateKey("", rsKey()), [][]byte{
			spki(rs), x509.MarshalPKCS1PublicKey(rs), armoured("PUBLIC KEY", spki(rs)), armoured("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rs)),
			[]byte(strings.TrimSpace(string(armoured("PUBLIC KEY", spki(rs))))), []byte(jwk["rs"]), []byte(`{"keys":[` + jwk["rs"] + `]}`), rs.N.Bytes(),
		}},
	} {
		alone, mixed := jwtOf(test.key), jwtOf(test.key, usher.SecretKey("", secret))
		good, err := alone.WriteToken(t.Context(), &usher.Authentication{UserID: somebody})
		if err != nil {
			t.Fatal(err)
		}
		accepts(t, test.name, alone, good)
		accepts(t, test.name, mixed, good)
		accepts(t, "HS256 with the secret, beside "+test.name, mixed, signed(plainHeader, claims()))
		for i, key := range test.public {
			for _, alg := range []string{"HS256", test.name} {
				forged := sign(sha256.New, key, b64(`{"alg":"`+alg+`"}`), b64(claims()))
				refuses(t, fmt.Sprintf("%s: HMAC with spelling %d of the public key, alg %s", test.name, i, alg), alone, forged)
				refuses(t, fmt.Sprintf("%s and HS256: HMAC with spelling %d of the public key, alg %s", test.name, i, alg), mixed, forged)
			}
		}
	}
}

// E2: of four keys with four algorithms each verifies its own signatures, under
// its own name.
func TestS_E2_CrossAlgorithm(t *testing.T) {
	t.Parallel()
	keys := map[string]usher.Key{
		"HS256": usher.SecretKey("", secret), "EdDSA": usher.PrivateKey("", edKey()), "ES256": usher.PrivateKey("", ecKey()), "RS256": usher.PrivateKey("", rsKey()),
	}
	all := jwtOf(slices.Collect(maps.Values(keys))...)
	for name, key := range keys {
		token, err := jwtOf(key).WriteToken(t.Context(), &usher.Authentication{UserID: somebody})
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(token, ".")
		if alg := decoded(t, parts[0])["alg"]; alg != name {
			t.Errorf("%s: alg %v", name, alg)
		}
		accepts(t, name+" among all", all, token)
		for other, otherKey := range keys {
			if other == name {
				continue
			}
			refuses(t, name+" read with "+other, jwtOf(otherKey), token)
			refuses(t, name+" renamed to "+other, all, b64(`{"alg":"`+other+`","typ":"JWT"}`)+"."+parts[1]+"."+parts[2])
		}
	}
}

// E3: nothing in a token chooses the key, and nothing is fetched.
func TestS_E3_KeysInTheToken(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		fmt.Fprintf(w, `{"keys":[{"kty":"oct","k":%q}]}`, b64("evil"))
	}))
	t.Cleanup(server.Close)
	evil := ed25519.NewKeyFromSeed([]byte(strings.Repeat("evil", 8)))
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s"}`, b64(string(evil.Public().(ed25519.PublicKey))))
	ours := jwtOf(usher.PrivateKey("k1", edKey()))
	selfSigned := func(header string) string {
		text := b64(header) + "." + b64(claims())
		return text + "." + b64(string(ed25519.Sign(evil, []byte(text))))
	}
	accepts(t, "the forger's own key: the positive control", jwtOf(usher.PrivateKey("", evil)), selfSigned(`{"alg":"EdDSA"}`))
	for _, member := range []string{
		`"jwk":` + jwk, `"jku":"` + server.URL + `/jwks.json"`, `"x5u":"` + server.URL + `/cert.pem"`, `"x5c":["MIIB"]`, `"x5t":"AAAA"`,
		`"kid":"` + server.URL + `"`, `"kid":"k1"`, `"kid":"k2"`, `"kid":""`, `"kid":"../../../dev/null"`, `"kid":"/dev/null"`, `"kid":"' or 1=1 --"`, `"kid":"k1\u0000"`,
		`"kid":null`, `"kid":1`, `"kid":["k1"]`, `"kid":{"k1":1}`, `"kid":true`,
	} {
		refuses(t, "self-signed with "+member, ours, selfSigned(`{"alg":"EdDSA",`+member+`}`))
		refuses(t, "empty HMAC with "+member, hs256(), sign(sha256.New, nil, b64(`{"alg":"HS256",`+member+`}`), b64(claims())))
	}
	// A good signature does not go bad by an ignored member, and no kid but the
	// key's own will do.
	for member, good := range map[string]bool{
		`"jwk":` + jwk: true, `"jku":"` + server.URL + `"`: true, `"x5u":"` + server.URL + `"`: true, `"cty":"JWT"`: true,
		`"kid":"k1"`: true, `"kid":""`: true, `"kid":"k2"`: false, `"kid":"K1"`: false, `"kid":"k1 "`: false, `"kid":null`: false, `"kid":1`: false, `"kid":["k1"]`: false,
	} {
		token, check := signed(`{"alg":"HS256",`+member+`}`, claims()), refuses
		if good {
			check = func(t *testing.T, what string, s *usher.JWT, token string) { t.Helper(); accepts(t, what, s, token) }
		}
		check(t, "good signature with "+member, jwtOf(usher.SecretKey("k1", secret)), token)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d outgoing calls", n)
	}
}

// E4, CVE-2026-32597, RFC 7797: no extension is understood, so none may be asked
// for.
func TestS_E4_CritRefused(t *testing.T) {
	t.Parallel()
	for _, member := range []string{
		`"crit":["x"],"x":1`, `"crit":["x"]`, `"crit":[]`, `"crit":["exp"]`, `"crit":["alg"]`, `"crit":["crit"]`, `"crit":["b64"],"b64":false`, `"crit":["b64"],"b64":true`,
		`"crit":"x"`, `"crit":null`, `"crit":false`, `"crit":{}`, `"crit":""`, `"b64":false`, `"b64":true`, `"b64":null`, `"cr\u0069t":["x"]`,
	} {
		refuses(t, member, hs256(), signed(`{"alg":"HS256",`+member+`}`, claims()))
	}
	accepts(t, "an unknown member that is not critical", hs256(), signed(`{"alg":"HS256","x":1,"Crit":["x"]}`, claims()))
	// b64:false signs the payload as it is.
	refuses(t, "unencoded payload", hs256(), sign(sha256.New, secret, b64(`{"alg":"HS256","b64":false,"crit":["b64"]}`), strings.ReplaceAll(claims(), ".", "")))
}

// E5: one token has one spelling. Every one here has a good signature over
// exactly what it says.
func TestS_E5_StrictBase64(t *testing.T) {
	t.Parallel()
	s := hs256()
	header, payload := b64(`{"alg":"HS256","x":1}`), b64(claims("x", `"ab"`))
	for len(payload)%4 != 2 { // its last character has four spare bits
		payload = b64(claims("x", `"`+strings.Repeat("a", len(payload)%7)+`"`, "y", `"`+payload[:len(payload)%11]+`"`))
	}
	resign := func(header, payload string) string { return sign(sha256.New, secret, header, payload) }
	good := resign(header, payload)
	accepts(t, "good", s, good)
	text, signature := good[:strings.LastIndex(good, ".")], good[strings.LastIndex(good, ".")+1:]
	for _, test := range []struct{ name, token string }{
		{"padded header", resign(b64(`{"alg":"HS256"}`)+"=", payload)},
		{"padded payload", resign(header, payload+"==")},
		{"padded signature", good + "="},
		{"spare bits in the payload", resign(header, payload[:len(payload)-1]+string(next(payload[len(payload)-1])))},
		{"spare bits in the signature", text + "." + signature[:42] + string(next(signature[42]))},
		{"line feed in the header", resign(header[:8]+"\n"+header[8:], payload)},
		{"CR LF in the payload", resign(header, payload[:8]+"\r\n"+payload[8:])},
		{"line feed behind the payload", resign(header, payload+"\n")},
		{"line feed in the signature", text + "." + signature[:8] + "\n" + signature[8:]},
		{"line feed behind the token", good + "\n"},
		{"space in front", " " + good},
		{"space behind", good + " "},
		{"space in the payload", resign(header, payload[:8]+" "+payload[8:])},
		{"tab in the header", resign(header[:8]+"\t"+header[8:], payload)},
		{"NUL behind", good + "\x00"},
		{"standard alphabet", resign(header, base64.RawStdEncoding.EncodeToString([]byte(claims("x", `"\u003f???>>>~~~"`))))},
		{"not encoded", resign(`{"alg":"HS256"}`, claims())},
		{"hexadecimal", resign(fmt.Sprintf("%x", plainHeader), fmt.Sprintf("%x", claims()))},
		{"encoded twice", resign(b64(header), b64(payload))},
		{"one byte too many", resign(header+"A", payload)},
		{"two parts", text},
		{"two parts and a dot", text + "."},
		{"four parts", good + "." + signature},
		{"four parts, the last empty", good + "."},
		{"empty first part", "." + good},
		{"five parts: JWE, CVE-2026-34986", b64(`{"alg":"dir","enc":"A128GCM"}`) + ".." + b64("123456789012") + "." + b64("cipher") + "." + b64("1234567890123456")},
		{"empty header", resign("", payload)},
		{"empty payload", resign(header, "")},
		{"JSON serialisation", fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, header, payload, signature)},
		{"JSON serialisation with dots: CVE-2024-21664", `{"a":"..","signatures":[]}`},
		{"{}", "{}"},
		{"empty", ""}, {"dot", "."}, {"two dots", ".."}, {"three dots", "..."}, {"a.b.c", "a.b.c"}, {"Bearer", "Bearer " + good},
	} {
		refuses(t, test.name, s, test.token)
	}
	if got := base64.RawStdEncoding.EncodeToString([]byte(claims("x", `"\u003f???>>>~~~"`))); !strings.ContainsAny(got, "+/") {
		t.Error("the token in the standard alphabet is also one in ours")
	}
}

// next returns another character of the same bits but the spare one.
func next(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// E6: one object, no name twice, valid UTF-8; all rightly signed.
func TestS_E6_StrictJSON(t *testing.T) {
	t.Parallel()
	s := hs256()
	good := claims()
	inner := strings.Trim(good, "{}")
	for _, header := range []string{
		`{"alg":"HS256","alg":"HS256"}`, `{"alg":"none","alg":"HS256"}`, `{"alg":"HS256","alg":"none"}`, `{"alg":"HS256","\u0061lg":"HS256"}`,
		`{"alg":"HS256","typ":"JWT","typ":"JWT"}`, `{"alg":"HS256","kid":"","kid":""}`, `{"alg":"HS256","x":1,"x":2}`, `{"alg":"HS256","":1,"":2}`,
		`[]`, `null`, `"HS256"`, `1`, ``, ` `, `{`, `{"alg":"HS256"}}`, `{"alg":"HS256"} {}`, `{"alg":"HS256",}`, `{alg:"HS256"}`, `{'alg':'HS256'}`, `{"alg":"HS256"}x`,
		"{\"alg\":\"HS256\",\"x\":\"\xff\"}", "{\"alg\":\"HS256\",\"\xff\":1}", "\ufeff" + plainHeader, "{\"alg\":\"HS256\"}\x00", `{"alg":"HS256","x":NaN}`,
	} {
		refuses(t, "header "+header, s, signed(header, good))
	}
	for _, payload := range []string{
		`{` + inner + `,"sub":"evil"}`, `{"sub":"evil",` + inner + `}`, `{` + inner + `,"s\u0075b":"evil"}`, `{` + inner + `,"exp":9999999999}`, `{` + inner + `,"aud":"fastapi-users:auth"}`,
		`{` + inner + `,"x":1,"x":1}`, `{` + inner + `,"":1,"":1}`, `[` + good + `]`, `"` + string(somebody) + `"`, `null`, `true`, `1`, `[]`, `{}`, ``, ` `, `{` + inner,
		good + good, good + "x", good + "\x00", `{` + inner + `,}`, "{" + inner + ",\"x\":\"\xff\"}", "{" + inner + ",\"\xc3\":1}", "\ufeff" + good, `{` + inner + `,"x":Infinity}`,
	} {
		refuses(t, "payload "+payload, s, signed(plainHeader, payload))
	}
	accepts(t, "white space", s, signed("\r\n{ \"alg\" :\t\"HS256\" }\n", " { "+inner+" } "))
	accepts(t, "other members", s, signed(`{"alg":"HS256","é":{"a":[1,{"alg":"none"}]}}`, `{`+inner+`,"Sub":"evil","é":{"sub":"evil","sub":"x"}}`))
}
