package replay

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func answerFrom(t *testing.T, status int, header, body string) *answer {
	t.Helper()
	raw := "HTTP/1.1 " + strconv.Itoa(status) + " X\r\n" + header + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	a, err := receive(bufio.NewReader(strings.NewReader(raw)), "GET")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func bindingFrom(t *testing.T, s string) binding {
	t.Helper()
	var b binding
	if err := json.Unmarshal([]byte(s), &b); err != nil {
		t.Fatal(err)
	}
	if err := b.validate(); err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	aUUID  = "0a1b2c3d-0000-4000-8000-00000000000f"
	aToken = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-_"
	aHash  = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAA+/$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+/"
)

func jwtOf(header, claims, secret string) string {
	e := base64.RawURLEncoding
	h, c := e.EncodeToString([]byte(header)), e.EncodeToString([]byte(claims))
	key, _ := secretNamed(secret)
	return h + "." + c + "." + sign(hashNamed("HS256"), key, h, c)
}

func TestBind(t *testing.T) {
	token := jwtOf(`{}`, `{"sub":"`+aUUID+`","n":1}`, "auth")
	tests := []struct{ name, binding, header, body, want string }{
		{"uuid", `{"type":"uuid","json":"/id"}`, "", `{"id":"` + aUUID + `"}`, aUUID},
		{"upper-case uuid", `{"type":"uuid","json":"/id"}`, "", `{"id":"` + strings.ToUpper(aUUID) + `"}`, ""},
		{"uuid and more", `{"type":"uuid","json":"/id"}`, "", `{"id":"` + aUUID + `\n"}`, ""},
		{"token", `{"type":"token","json":"/id"}`, "", `{"id":"` + aToken + `"}`, aToken},
		{"short token", `{"type":"token","json":"/id"}`, "", `{"id":"` + aToken[1:] + `"}`, ""},
		{"hash", `{"type":"hash","json":"/id"}`, "", `{"id":"` + aHash + `"}`, aHash},
		{"cheap hash", `{"type":"hash","json":"/id"}`, "", `{"id":"` + strings.Replace(aHash, "t=3", "t=2", 1) + `"}`, ""},
		{"jwt", `{"type":"jwt","json":"/id"}`, "", `{"id":"a.b.c"}`, "a.b.c"},
		{"unsigned jwt", `{"type":"jwt","json":"/id"}`, "", `{"id":"a.b."}`, ""},
		{"number", `{"type":"uuid","json":"/id"}`, "", `{"id":1}`, ""},
		{"null", `{"type":"uuid","json":"/id"}`, "", `{"id":null}`, ""},
		{"missing", `{"type":"uuid","json":"/id"}`, "", `{}`, ""},
		{"not JSON", `{"type":"uuid","json":"/id"}`, "", aUUID, ""},
		{"whole body", `{"type":"uuid","json":""}`, "", `"` + aUUID + `"`, aUUID},
		{"pointer", `{"type":"uuid","json":"/a~1b~01/1/c"}`, "", `{"a/b~1":[0,{"c":"` + aUUID + `"}]}`, aUUID},
		{"index too large", `{"type":"uuid","json":"/1"}`, "", `["` + aUUID + `"]`, ""},
		{"negative index", `{"type":"uuid","json":"/-1"}`, "", `["` + aUUID + `"]`, ""},
		{"into a string", `{"type":"uuid","json":"/0/0"}`, "", `["` + aUUID + `"]`, ""},
		{"query", `{"type":"jwt","json":"/u","query":"state"}`, "", `{"u":"http://x/y?a=1&state=a.%62.c"}`, "a.b.c"},
		{"no such query", `{"type":"jwt","json":"/u","query":"state"}`, "", `{"u":"http://x/y?a=1"}`, ""},
		{"no URL", `{"type":"jwt","json":"/u","query":"state"}`, "", `{"u":"http://%zz/?state=a.b.c"}`, ""},
		{"cookie", `{"type":"token","cookie":"ck"}`, "Set-Cookie: other=x\r\nSet-Cookie: ck=" + aToken + "; Path=/\r\n", "", aToken},
		{"cookie of another name", `{"type":"token","cookie":"ck"}`, "Set-Cookie: CK=" + aToken + "; Path=/\r\n", "", ""},
		{"claim", `{"type":"uuid","claim":"sub","of":"jwt1"}`, "", "", aUUID},
		{"claim missing", `{"type":"uuid","claim":"id","of":"jwt1"}`, "", "", ""},
		{"claim not text", `{"type":"uuid","claim":"n","of":"jwt1"}`, "", "", ""},
		{"claim of nothing", `{"type":"uuid","claim":"sub","of":"jwt2"}`, "", "", ""},
		{"claim of no token", `{"type":"uuid","claim":"sub","of":"id1"}`, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testPlay()
			p.vars["jwt1"] = token
			p.vars["v"] = "stale"
			err := p.bind(bindingFrom(t, `{"var":"v",`+tt.binding[1:]), answerFrom(t, 200, tt.header, tt.body))
			v, bound := p.vars["v"]
			if v != tt.want || bound != (tt.want != "") || (err == nil) != bound {
				t.Errorf("got %q, %v", v, err)
			}
		})
	}
}

func TestCompareToken(t *testing.T) {
	const b = `{"var":"v","type":"jwt","json":"/t","secret":"auth","header":{"alg":"HS256","typ":"JWT"},` +
		`"claims":{"sub":"{{id1}}","aud":["a"],"exp":{"$now":3600}}}`
	const header, claims = `{"typ":"JWT","alg":"HS256"}`, `{"exp":1800003610,"aud":["a"],"sub":"0a1b-2c3D"}`
	tests := []struct{ name, token, want string }{
		{"good", jwtOf(header, claims, "auth"), ""},
		{"extras", jwtOf(`{"typ":"JWT","alg":"HS256","kid":"1"}`, `{"iss":1,"iat":1,"jti":1,"sid":1,"auth_time":1,"amr":[],`+claims[1:], "auth"), ""},
		{"another extra claim", jwtOf(header, `{"nbf":1,`+claims[1:], "auth"), "v claims"},
		{"extra claim in the header", jwtOf(`{"iss":1,`+header[1:], claims, "auth"), "v header"},
		{"claim missing", jwtOf(header, `{"exp":1800003610,"sub":"0a1b-2c3D"}`, "auth"), "v claims"},
		{"other subject", jwtOf(header, strings.Replace(claims, "0a1b", "0a1c", 1), "auth"), "v claims"},
		{"audience not a list", jwtOf(header, strings.Replace(claims, `["a"]`, `"a"`, 1), "auth"), "v claims"},
		{"expires later", jwtOf(header, strings.Replace(claims, "3610", "3699", 1), "auth"), "v claims"},
		{"fractional time", jwtOf(header, strings.Replace(claims, "3610", "3610.5", 1), "auth"), "v claims"},
		{"other algorithm", jwtOf(`{"typ":"JWT","alg":"HS512"}`, claims, "auth"), "v header"},
		{"other secret", jwtOf(header, claims, "verify"), "v signature"},
		{"claims not an object", jwtOf(header, `[]`, "auth"), "v claims"},
		{"not JSON", jwtOf(header, `x`, "auth"), "v decodes"},
		{"claim twice", jwtOf(header, `{"sub":"x",`+claims[1:], "auth"), "v decodes"},
		{"everything", jwtOf(`{}`, `{}`, "reset"), "v header, v claims, v signature"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testPlay()
			p.vars["v"] = tt.token
			if got := whats(p.compareToken(bindingFrom(t, b))); got != tt.want {
				t.Errorf("differs in %q, want %q", got, tt.want)
			}
		})
	}
	p := testPlay()
	p.vars["v"] = jwtOf(header, claims, "auth")
	delete(p.vars, "id1")
	if got := whats(p.compareToken(bindingFrom(t, b))); got != "v claims" {
		t.Errorf("without a value to compare with: differs in %q", got)
	}
}

// An extra claim that was recorded is no longer extra.
func TestRecordedExtraClaim(t *testing.T) {
	b := bindingFrom(t, `{"var":"v","type":"jwt","json":"/t","secret":"auth","header":{},"claims":{"iss":"a"}}`)
	for claims, want := range map[string]string{`{"iss":"a"}`: "", `{"iss":"b"}`: "v claims", `{}`: "v claims"} {
		p := testPlay()
		p.vars["v"] = jwtOf(`{}`, claims, "auth")
		if got := whats(p.compareToken(b)); got != want {
			t.Errorf("%s: differs in %q, want %q", claims, got, want)
		}
	}
}

// whats lists what differs.
func whats(ds []Difference) string {
	var names []string
	for _, d := range ds {
		names = append(names, d.What)
	}
	return strings.Join(names, ", ")
}
