package usher_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A 422 repeats what was sent, as FastAPI does, unless a secret might be in it, also one
// whose name was misspelled or that was taken for a number (DEFECTS D).
func TestDefect_D_WhatErrorsRepeat(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, test := range []struct{ path, body, input string }{
		{"/auth/register", `{}`, `{}`},
		{"/auth/register", `{"email":"a@example.com","is_active":true}`, `{"email":"a@example.com","is_active":true}`},
		{"/auth/register", `{"email":"a@example.com","pasword":"s"}`, `null`},
		{"/auth/register", `{"password":"s"}`, `null`},
		{"/auth/register", `{"email":1,"password":"s"}`, `1`},
		{"/auth/register", `{"email":"a@example.com","password":true}`, `true`},
		{"/auth/register", `{"email":"a@example.com","password":[]}`, `[]`},
		{"/auth/register", `{"email":"a@example.com","password":12345678}`, `null`},
		{"/auth/register", `{"email":"a@example.com","password":[1]}`, `null`},
		{"/auth/register", `{"email":"a@example.com","password":{"p":true}}`, `null`},
		{"/auth/reset-password", `{"token":{},"password":"s"}`, `{}`},
		{"/auth/reset-password", `{"token":1,"password":"s"}`, `null`},
		{"/auth/verify", `{}`, `null`}, // its members are embedded
		{"/auth/register", `[]`, `[]`},
		{"/auth/register", `7`, `7`},
		{"/auth/register", `"s"`, `null`},
		{"/auth/register", `["s"]`, `null`},
		{"/auth/register", `NaN`, `null`},
	} {
		a := s.send(t, "POST", test.path, test.body, "Content-Type: application/json").want(t, 422)
		var invalid struct {
			Detail []struct{ Input json.RawMessage }
		}
		a.json(t, &invalid)
		if got := string(invalid.Detail[0].Input); got != test.input {
			t.Errorf("%s %s: input %s, want %s", test.path, test.body, got, test.input)
		}
	}
}

// Faults come in the order of FastAPI Users' models, which clients show them in.
func TestOrderOfFaults(t *testing.T) {
	t.Parallel()
	s, u, header := rootSite(t)
	body := map[string]any{"first_name": 1, "is_active": "x", "is_superuser": "x", "is_verified": "x", "email": "x", "password": 1}
	flags := []string{"is_active", "is_superuser", "is_verified", "first_name"}
	for request, first := range map[string][]string{
		"POST /auth/register": {"email", "password"}, "PATCH /users/me": {"password", "email"}, "PATCH /users/" + string(u.ID): {"password", "email"},
	} {
		method, path, _ := strings.Cut(request, " ")
		var invalid struct{ Detail []struct{ Loc []string } }
		s.send(t, method, path, body, header).want(t, 422).json(t, &invalid)
		var got []string
		for _, fault := range invalid.Detail {
			got = append(got, fault.Loc[1])
		}
		if want := append(first, flags...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}

// What Pydantic takes for a boolean, and how it refuses the rest (recordings
// register.types and users.patch; compared with Pydantic 2.13).
func TestBooleans(t *testing.T) {
	t.Parallel()
	s, u, header := rootSite(t)
	for value, want := range map[string]string{
		`true`: "true", `1`: "true", `1.0`: "true", `10e-1`: "true", `"1"`: "true", `"true"`: "true", `"tRUE"`: "true", `"t"`: "true", `"Y"`: "true", `"yes"`: "true", `"ON"`: "true",
		`false`: "false", `0`: "false", `-0.0`: "false", `0e5`: "false", `"0"`: "false", `"False"`: "false", `"f"`: "false", `"N"`: "false", `"no"`: "false", `"off"`: "false",
		`2`: "bool_parsing", `-1`: "bool_parsing", `2.0`: "bool_parsing", `""`: "bool_parsing", `" true"`: "bool_parsing", `"1.0"`: "bool_parsing", `"01"`: "bool_parsing", `"null"`: "bool_parsing", `"ｔｒｕｅ"`: "bool_parsing",
		`0.5`: "bool_type", `1e20`: "bool_type", `1e400`: "bool_type", `NaN`: "bool_type", `[]`: "bool_type", `[true]`: "bool_type", `{}`: "bool_type", `null`: "bool_type",
		`"\ud800"`: "string_unicode",
	} {
		a := s.send(t, "PATCH", "/users/"+string(u.ID), fmt.Sprintf(`{"is_verified":%s}`, value), header, "Content-Type: application/json")
		var answer struct {
			IsVerified bool `json:"is_verified"`
			Detail     []struct{ Type string }
		}
		a.json(t, &answer)
		got := fmt.Sprint(answer.IsVerified)
		if a.status == 422 {
			got = answer.Detail[0].Type
		}
		if got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}
