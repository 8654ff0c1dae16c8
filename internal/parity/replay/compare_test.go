package replay

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	const (
		jsonType = "Content-Type: application/json\r\n"
		plain    = `{"status":200,"headers":{"content-type":"application/json"},"json":{"id":"{{id1}}"}}`
		good     = `{"id":"0a1b-2c3D"}`
		bare     = `{"status":204,"text":""}`
		allow    = `{"status":405,"headers":{"allow":"GET, POST"},"text":""}`
		cookie   = `{"status":204,"headers":{"set-cookie":["ck={{id1}}; HttpOnly; Max-Age=3600; Path=/; SameSite=lax"]},"text":""}`
		cleared  = `{"status":204,"headers":{"set-cookie":["ck=\"\"; Max-Age=0"]},"text":""}`
		failed   = `{"status":500,"headers":{"content-type":"text/plain; charset=utf-8"},"text":"Internal Server Error"}`
		invalid  = `{"status":422,"headers":{"content-type":"application/json"},"json":{"detail":[{"loc":["body","a"],"msg":"{{id1}}"},{"loc":["body",1],"msg":"y"}]}}`
	)
	tests := []struct {
		name, want   string
		status       int
		header, body string
		differs      string
	}{
		{"equal", plain, 200, jsonType, good, ""},
		{"other headers are not compared", plain, 200, jsonType + "Cache-Control: no-store\r\nVary: Cookie\r\nRetry-After: 1\r\n", good, ""},
		{"status", plain, 201, jsonType, good, "status"},
		{"500 for a 200", plain, 500, jsonType, good, "status"},
		{"content type", plain, 200, "Content-Type: application/json; charset=utf-8\r\n", good, "content-type"},
		{"content type missing", plain, 200, "", good, "content-type"},
		{"content type twice", plain, 200, jsonType + jsonType, good, "content-type"},
		{"content type added", bare, 204, "Content-Type: text/plain\r\n", "", "content-type"},
		{"location added", plain, 200, jsonType + "Location: /x\r\n", good, "location"},
		{"empty location added", plain, 200, jsonType + "Location:\r\n", good, "location"},
		{"location", `{"status":307,"headers":{"location":"{{base}}/a"},"text":""}`, 307, "Location: http://127.0.0.1:9000/a\r\n", "", ""},
		{"other location", `{"status":307,"headers":{"location":"{{base}}/a"},"text":""}`, 307, "Location: /a\r\n", "", "location"},
		{"challenge added", plain, 200, jsonType + "WWW-Authenticate: Bearer\r\n", good, "www-authenticate"},
		{"challenge added to a 401", `{"status":401,"text":""}`, 401, "WWW-Authenticate: Bearer\r\n", "", ""},
		{"challenge added to a 403", `{"status":403,"text":""}`, 403, "WWW-Authenticate: Bearer\r\n", "", "www-authenticate"},
		{"recorded challenge", `{"status":401,"headers":{"www-authenticate":"Basic"},"text":""}`, 401, "WWW-Authenticate: Basic\r\n", "", ""},
		{"recorded challenge missing", `{"status":401,"headers":{"www-authenticate":"Basic"},"text":""}`, 401, "", "", "www-authenticate"},
		{"allow in another order", allow, 405, "Allow: post,  get\r\n", "", ""},
		{"allow in two headers", allow, 405, "Allow: POST\r\nAllow: GET\r\n", "", ""},
		{"allow names more", allow, 405, "Allow: GET, HEAD, POST\r\n", "", "allow"},
		{"allow missing", allow, 405, "", "", "allow"},
		{"allow added", bare, 204, "Allow: GET\r\n", "", "allow"},
		{"text", `{"status":400,"text":"no {{run}}"}`, 400, "", "no rbcdfg23", ""},
		{"other text", `{"status":400,"text":"no {{run}}"}`, 400, "", "no rbcdfg23\n", "body"},
		{"text expected empty", `{"status":400,"text":""}`, 400, "", "x", "body"},
		{"body", plain, 200, jsonType, `{"id":"x"}`, "body"},
		{"body with more", plain, 200, jsonType, `{"id":"0a1b-2c3D","x":1}`, "body"},
		{"body not JSON", plain, 200, jsonType, `0a1b-2c3D`, "body"},
		{"body empty", plain, 200, jsonType, ``, "body"},
		{"null recorded", `{"status":200,"json":null}`, 200, "", "null", ""},
		{"null recorded, empty body", `{"status":200,"json":null}`, 200, "", "", "body"},
		{"json_text", `{"status":200,"json_text":"{\"exp\": {{now+1}}, \"a\": [1e2]}"}`, 200, "", `{"a":[100.0],"exp":1800000001}`, ""},
		{"other json_text", `{"status":200,"json_text":"{\"exp\": {{now+1}}}"}`, 200, "", `{"exp":1800000002}`, "body"},
		{"json_text that is no JSON", `{"status":200,"json_text":"{{id1}}"}`, 200, "", `"0a1b-2c3D"`, "body"},
		{"value missing", `{"status":200,"json":"{{id2}}"}`, 200, "", `""`, "body"},
		{"value missing in text", `{"status":200,"text":"{{id2}}"}`, 200, "", ``, "body"},
		{"value missing in location", `{"status":307,"headers":{"location":"{{id2}}"},"text":""}`, 307, "Location: \r\n", "", "location"},
		{"value missing in cookie", `{"status":204,"headers":{"set-cookie":["{{id2}}"]},"text":""}`, 204, "", "", "set-cookie"},

		{"cookie", cookie, 204, "Set-Cookie: ck=0a1b-2c3D; samesite=Lax; path=/;max-age=3600; HTTPONLY\r\n", "", ""},
		{"cookie value", cookie, 204, "Set-Cookie: ck=x; SameSite=lax; Path=/; Max-Age=3600; HttpOnly\r\n", "", "set-cookie"},
		{"cookie name", cookie, 204, "Set-Cookie: Ck=0a1b-2c3D; SameSite=lax; Path=/; Max-Age=3600; HttpOnly\r\n", "", "set-cookie"},
		{"cookie attribute missing", cookie, 204, "Set-Cookie: ck=0a1b-2c3D; SameSite=lax; Path=/; Max-Age=3600\r\n", "", "set-cookie"},
		{"cookie attribute added", cookie, 204, "Set-Cookie: ck=0a1b-2c3D; SameSite=lax; Path=/; Max-Age=3600; HttpOnly; Secure\r\n", "", "set-cookie"},
		{"cookie attribute value", cookie, 204, "Set-Cookie: ck=0a1b-2c3D; SameSite=lax; Path=/; Max-Age=3601; HttpOnly\r\n", "", "set-cookie"},
		{"same site", cookie, 204, "Set-Cookie: ck=0a1b-2c3D; SameSite=strict; Path=/; Max-Age=3600; HttpOnly\r\n", "", "set-cookie"},
		{"cookie missing", cookie, 204, "", "", "set-cookie"},
		{"cookie added", bare, 204, "Set-Cookie: a=b\r\n", "", "set-cookie"},
		{"cleared", cleared, 204, "Set-Cookie: ck=\"\"; Max-Age=0\r\n", "", ""},
		{"cleared without quotes", cleared, 204, "Set-Cookie: ck=; Max-Age=0\r\n", "", ""},
		{"not cleared", cleared, 204, "Set-Cookie: ck=x; Max-Age=0\r\n", "", "set-cookie"},
		{"cookies in order", `{"status":204,"headers":{"set-cookie":["a=1","b=2"]},"text":""}`, 204, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", "", ""},
		{"cookies out of order", `{"status":204,"headers":{"set-cookie":["a=1","b=2"]},"text":""}`, 204, "Set-Cookie: b=2\r\nSet-Cookie: a=1\r\n", "", "set-cookie"},

		{"500 bettered", failed, 400, jsonType + "Location: /\r\nSet-Cookie: a=b\r\n", `{}`, ""},
		{"500 bettered by a 499", failed, 499, "", "", ""},
		{"500 copied", failed, 500, "Content-Type: text/plain; charset=utf-8\r\n", "Internal Server Error", "status"},
		{"500 and 200", failed, 200, "", "", "status"},
		{"500 and 503", failed, 503, "", "", "status"},
		{"500 and 302", failed, 302, "", "", "status"},

		{"422 other words", invalid, 422, jsonType, `{"detail":[{"loc":["body",1]},{"loc":["body","a"]},{"loc":["body","a"],"type":"z"}],"more":1}`, ""},
		{"422 one place less", invalid, 422, jsonType, `{"detail":[{"loc":["body","a"]}]}`, "locs"},
		{"422 one place more", invalid, 422, jsonType, `{"detail":[{"loc":["body","a"]},{"loc":["body",1]},{"loc":["body","b"]}]}`, "locs"},
		{"422 number and text", invalid, 422, jsonType, `{"detail":[{"loc":["body","a"]},{"loc":["body","1"]}]}`, "locs"},
		{"422 without loc", invalid, 422, jsonType, `{"detail":[{"loc":["body","a"]},{"loc":["body",1]},{}]}`, "locs"},
		{"422 without list", invalid, 422, jsonType, `{"detail":"no"}`, "locs"},
		{"422 not JSON", invalid, 422, jsonType, `no`, "body"},
		{"422 content type", invalid, 422, "", `{"detail":[{"loc":["body","a"]},{"loc":["body",1]}]}`, "content-type"},
		{"422 and 400", invalid, 400, jsonType, `{"detail":[{"loc":["body","a"],"msg":"0a1b-2c3D"},{"loc":["body",1],"msg":"y"}]}`, "status"},
		{"422 and 400 with other words", invalid, 400, jsonType, `{"detail":[{"loc":["body","a"]},{"loc":["body",1]}]}`, "status, body"},
		{"422 of no places", `{"status":422,"json":{"detail":"a"}}`, 422, "", `{"detail":"b"}`, "body"},
		{"422 tolerance is for 422", plain, 422, jsonType, `{"detail":[]}`, "status, body"},
		{"everything", cookie, 200, jsonType + "Location: /\r\nWWW-Authenticate: x\r\nAllow: GET\r\n", "x", "status, content-type, location, www-authenticate, allow, set-cookie, body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want response
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			ds, exact := testPlay().compare(want, answerFrom(t, tt.status, tt.header, tt.body))
			if got := whats(ds); got != tt.differs {
				t.Errorf("differs in %q, want %q: %q", got, tt.differs, ds)
			}
			if exact && strings.Contains(tt.differs, "body") {
				t.Error("bodies differ and are exactly equal")
			}
		})
	}
}

func TestExact422(t *testing.T) {
	var want response
	if err := json.Unmarshal([]byte(`{"status":422,"json":{"detail":[{"loc":["body"],"msg":"{{id1}}"}]}}`), &want); err != nil {
		t.Fatal(err)
	}
	for body, exactly := range map[string]bool{
		`{"detail":[{"msg":"0a1b-2c3D","loc":["body"]}]}`:          true,
		`{"detail":[{"msg":"x","loc":["body"]}]}`:                  false,
		`{"detail":[{"msg":"0a1b-2c3D","loc":["body"],"ctx":{}}]}`: false,
	} {
		ds, exact := testPlay().compare(want, answerFrom(t, 422, "", body))
		if len(ds) > 0 || exact != exactly {
			t.Errorf("%s: exact %v, %q", body, exact, ds)
		}
	}
}
