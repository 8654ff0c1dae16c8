package usher

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	errBodyTooLarge = &Error{Status: http.StatusRequestEntityTooLarge, Code: "Request body is too large"}
	errBodyTimeout  = &Error{Status: http.StatusRequestTimeout, Code: "Request body took too long"}
	errBodyBroken   = &Error{Status: http.StatusBadRequest, Code: "There was an error parsing the body"}
	errNoBoundary   = &Error{Status: http.StatusBadRequest, Code: "Missing boundary in multipart."}
)

// limitBody gives the client BodyTimeout to send the body, if there is one. Also
// where no handler reads it: net/http itself does before it answers.
func (a *Auth[U]) limitBody(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.config.BodyTimeout)) // some servers cannot
	}
}

// readBody reads the whole body, within the limit of size. That of time, which
// limitBody has set, ends with it.
func (a *Auth[U]) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.config.MaxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		// Not after a failure: net/http would go on reading the rest of the body
		// before it answers, for as long as the client likes.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		return body, nil
	case errors.As(err, &tooLarge):
		return nil, errBodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errBodyTimeout
	}
	return nil, errBodyBroken
}

// body is a decoded request body: its members, and what was wrong with them.
type body struct {
	members map[string]json.RawMessage // nil if the body is no object
	whole   json.RawMessage            // of which they are, if it may be repeated
	faults  []FieldError
	twice   bool // a member was given twice
}

// readJSON reads a JSON object. Its error is for a body that cannot be read at
// all; one that is no object is a fault of the body, to be told after 401 and
// 403, as FastAPI does.
func (a *Auth[U]) readJSON(w http.ResponseWriter, r *http.Request) (*body, error) {
	raw, err := a.readBody(w, r)
	if err != nil {
		return nil, err
	}
	faulty := func(kind, msg string, input json.RawMessage, loc ...any) (*body, error) {
		return &body{faults: []FieldError{{Type: kind, Loc: append([]any{"body"}, loc...), Msg: msg, Input: input}}}, nil
	}
	const notObject = "Input should be a valid dictionary or object to extract fields from"
	switch {
	case len(raw) == 0:
		return faulty("missing", "Field required", nil)
	case !isJSONType(r.Header.Get("Content-Type")):
		// Also keeps forms of other sites out, which cannot send this type
		// without asking first (CVE-2021-32677).
		return faulty("model_attributes_type", notObject, nil)
	case !utf8.Valid(raw):
		return nil, errBodyBroken
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff")) // RFC 8259 §8.1
	members, err := jsonMembers(raw)
	var syntax *jsonSyntaxError
	var twice *duplicateMember
	switch {
	case err == nil:
		return &body{members: members, whole: openly(members, raw)}, nil
	case string(raw) == "null":
		return faulty("missing", "Field required", nil)
	case errors.Is(err, errNotObject):
		return faulty("model_attributes_type", notObject, without(`"`, raw))
	case errors.As(err, &twice):
		b, err := faulty("value_error", "Value error, the field is given more than once", nil, twice.name)
		b.twice = true
		return b, err
	case errors.As(err, &syntax):
		return nil, &ValidationError{Fields: []FieldError{{
			Type: "json_invalid", Loc: []any{"body", syntax.pos}, Msg: "JSON decode error",
			Input: json.RawMessage("{}"), Ctx: map[string]any{"error": syntax.msg},
		}}}
	}
	return nil, errBodyBroken
}

func isJSONType(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return false
	}
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

// text returns a string member. A secret one is never repeated in an error.
func (b *body) text(name string, required, secret bool) *string {
	raw, present := b.members[name]
	if !present {
		if required && b.members != nil {
			b.fault(name, "missing", "Field required", b.whole)
		}
		return nil
	}
	if string(raw) == "null" && !required {
		return nil
	}
	if hasLoneSurrogate(raw) {
		b.fault(name, "string_unicode", "Input should be a valid string, unable to parse raw data as a unicode string", nil)
		return nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		if secret { // which somebody may have taken for a number
			raw = without(`"0123456789`, raw)
		}
		b.fault(name, "string_type", "Input should be a valid string", raw)
		return nil
	}
	return s
}

// flag returns a boolean member in one of the spellings that Pydantic takes.
func (b *body) flag(name string) *bool {
	raw, present := b.members[name]
	if !present || string(raw) == "null" {
		return nil
	}
	if hasLoneSurrogate(raw) {
		b.fault(name, "string_unicode", "Input should be a valid string, unable to parse raw data as a unicode string", nil)
		return nil
	}
	var value any
	_ = json.Unmarshal(raw, &value) // valid JSON: jsonMembers has read it
	var spelled string
	switch v := value.(type) {
	case bool:
		return &v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 { // any whole number is a word to Pydantic
			spelled = strconv.FormatInt(int64(v), 10)
			break
		}
		b.fault(name, "bool_type", "Input should be a valid boolean", raw)
		return nil
	case string:
		spelled = strings.ToLower(v)
	default:
		b.fault(name, "bool_type", "Input should be a valid boolean", raw)
		return nil
	}
	switch spelled {
	case "1", "on", "t", "true", "y", "yes":
		is := true
		return &is
	case "0", "off", "f", "false", "n", "no":
		is := false
		return &is
	}
	b.fault(name, "bool_parsing", "Input should be a valid boolean, unable to interpret input", raw)
	return nil
}

// without returns raw, to be repeated in an error, unless it is long or contains one
// of these characters.
func without(characters string, raw json.RawMessage) json.RawMessage {
	if len(raw) > maxEcho || bytes.ContainsAny(raw, characters) || !json.Valid(raw) {
		return nil
	}
	return raw
}

// openly returns a body that may be repeated: none of its members can be a secret,
// not even one whose name was misspelled.
func openly(members map[string]json.RawMessage, raw json.RawMessage) json.RawMessage {
	for name := range members {
		if name != "email" && name != "is_active" && name != "is_superuser" && name != "is_verified" {
			return nil
		}
	}
	return without("", raw)
}

// fault notes what is wrong with a member. Its value is repeated unless it is
// something that JSON proper cannot say.
func (b *body) fault(name, kind, msg string, input json.RawMessage) {
	if !json.Valid(input) {
		input = nil
	}
	b.faults = append(b.faults, FieldError{Type: kind, Loc: []any{"body", name}, Msg: msg, Input: input})
}

// hasLoneSurrogate tells whether a JSON string has an escape that stands for half
// a character. encoding/json would replace it, so that two texts become one.
func hasLoneSurrogate(raw json.RawMessage) bool {
	for i := 0; i+6 <= len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] != 'u' {
			i++
			continue
		}
		unit := func(at int) rune {
			if at+6 > len(raw) || raw[at] != '\\' || raw[at+1] != 'u' {
				return 0
			}
			n, _ := strconv.ParseUint(string(raw[at+2:at+6]), 16, 16)
			return rune(n)
		}
		if high := unit(i); utf16.IsSurrogate(high) {
			if utf16.DecodeRune(high, unit(i+6)) == unicode.ReplacementChar {
				return true
			}
			i += 6
		}
		i += 5
	}
	return false
}

// err returns the faults found so far as one error.
func (b *body) err() error {
	if len(b.faults) == 0 {
		return nil
	}
	return &ValidationError{Fields: b.faults}
}

// maxEcho is the longest value that an error repeats, in bytes.
const maxEcho = 256

// echo repeats a value in an error, unless it is long.
func echo(s string) json.RawMessage {
	if len(s) > maxEcho {
		return nil
	}
	raw, _ := json.Marshal(s) // a string always is JSON
	return raw
}

// readForm reads the fields of a form, or of a JSON object with string members.
// A field without a value counts as absent (RFC 6749 §3.1).
func (a *Auth[U]) readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	contentType := r.Header.Get("Content-Type")
	if isJSONType(contentType) {
		return a.readJSONForm(w, r)
	}
	raw, err := a.readBody(w, r)
	if err != nil {
		return nil, err
	}
	media, params, _ := mime.ParseMediaType(contentType)
	switch media {
	case "application/x-www-form-urlencoded":
		return parseForm(string(raw)), nil
	case "multipart/form-data":
		if params["boundary"] == "" {
			return nil, errNoBoundary
		}
		return parseMultipart(string(raw), params["boundary"])
	}
	return url.Values{}, nil
}

func (a *Auth[U]) readJSONForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	b, err := a.readJSON(w, r)
	if err != nil {
		return nil, err
	}
	if b.members == nil {
		return nil, b.err()
	}
	form := url.Values{}
	for name := range b.members {
		if value := b.text(name, false, true); value != nil {
			form.Set(name, *value)
		}
	}
	for _, fault := range b.faults {
		if name := fault.Loc[1]; name == "username" || name == "password" || name == "grant_type" {
			return nil, b.err()
		}
	}
	return form, nil
}

// parseForm decodes as browsers encode (WHATWG URL §5.1): what is no percent
// escape stands for itself.
func parseForm(s string) url.Values {
	form := url.Values{}
	for pair := range strings.SplitSeq(s, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if pair != "" {
			form.Add(formUnescape(name), formUnescape(value))
		}
	}
	return form
}

func formUnescape(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	var b strings.Builder
	for s != "" {
		n := 1
		if s[0] == '%' && len(s) >= 3 {
			n = 3
		}
		piece, err := url.QueryUnescape(s[:n])
		if err != nil {
			piece, n = s[:1], 1
		}
		b.WriteString(piece)
		s = s[n:]
	}
	return b.String()
}

// parseMultipart returns the complete text parts. A part that breaks off is
// none. Nothing may stand before the first: another program could read the parts of
// another boundary there.
func parseMultipart(s, boundary string) (url.Values, error) {
	form := url.Values{}
	start := strings.TrimLeft(s, "\r\n")
	if rest, found := strings.CutPrefix(start, "--"+boundary); start != "" && !(found && (strings.HasPrefix(rest, "\r\n") || strings.HasPrefix(rest, "--"))) {
		return nil, errBodyBroken
	}
	reader := multipart.NewReader(strings.NewReader(s), boundary)
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return form, nil
		}
		if err != nil {
			return nil, errBodyBroken
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return form, nil
		}
		if part.FileName() == "" {
			form.Add(part.FormName(), string(value))
		}
	}
}
