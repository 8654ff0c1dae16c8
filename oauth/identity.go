package oauth

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"usher"
)

// identify tells whose token it is.
func (p *provider) identify(ctx context.Context, e endpoints, token *oauth2.Token, nonce string) (Identity, error) {
	var claims json.RawMessage
	var err error
	id := Identity{Provider: p.Name}
	if e.issuer != nil {
		claims, err = p.idTokenClaims(ctx, e.issuer, token, nonce)
	} else {
		claims, err = getJSON(ctx, p.client, p.UserInfoURL, token.AccessToken)
	}
	if err != nil {
		return id, err
	}
	members, err := readMembers(claims)
	if err != nil {
		return id, err
	}
	id.Claims = claims
	if id.AccountID, err = accountID(members[p.idField()]); err != nil {
		return id, err
	}
	email, verified := p.emailOf(members), isTrue(members[p.verifiedField()])
	if email == "" && e.issuer != nil && e.issuer.UserInfoURL != "" {
		email, verified, err = p.emailOfUserInfo(ctx, e.issuer, token, id.AccountID)
	} else if p.EmailsURL != "" {
		email, verified, err = p.primaryEmail(ctx, token)
	}
	if err != nil {
		return id, err
	}
	if _, err := usher.EmailKey(email); err == nil {
		id.Email, id.EmailVerified = email, verified || p.TrustEmail
	}
	return id, nil
}

func (p *provider) idField() string {
	if p.Issuer != "" {
		return "sub"
	}
	return or(p.IDField, "id")
}

// emailOf returns the address among the members, empty if there is none.
func (p *provider) emailOf(members map[string]any) string {
	for name := range strings.FieldsSeq(or(p.EmailField, "email")) {
		email := text(members[name])
		if _, err := usher.EmailKey(email); err == nil {
			return email
		}
	}
	return ""
}

func (p *provider) verifiedField() string {
	if p.Issuer != "" {
		return or(p.VerifiedField, "email_verified")
	}
	return p.VerifiedField
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// idTokenClaims verifies the ID token (OpenID Connect Core §3.1.3.7) and returns
// its claims.
func (p *provider) idTokenClaims(ctx context.Context, iss *issuer, token *oauth2.Token, nonce string) (json.RawMessage, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, errors.New("there is no ID token")
	}
	idToken, err := iss.verifier.Verify(ctx, raw) // signature, iss, aud, exp, nbf
	if err != nil {
		return nil, err
	}
	var claims struct {
		AuthorizedParty *string `json:"azp"`
	}
	var all json.RawMessage
	if err := errors.Join(idToken.Claims(&claims), idToken.Claims(&all)); err != nil {
		return nil, err
	}
	switch azp := claims.AuthorizedParty; {
	case azp != nil && *azp != p.ClientID:
		return nil, fmt.Errorf("the ID token is for %.100q (azp)", *azp)
	case azp == nil && len(idToken.Audience) > 1:
		return nil, errors.New("the ID token has several audiences and no azp")
	case subtle.ConstantTimeCompare([]byte(idToken.Nonce), []byte(nonce)) != 1:
		return nil, errors.New("the ID token has another nonce")
	}
	if idToken.AccessTokenHash != "" {
		if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// emailOfUserInfo asks the user info for what the ID token does not say.
func (p *provider) emailOfUserInfo(ctx context.Context, iss *issuer, token *oauth2.Token, subject string) (string, bool, error) {
	raw, err := getJSON(ctx, p.client, iss.UserInfoURL, token.AccessToken)
	if err != nil {
		return "", false, fmt.Errorf("user info: %w", err)
	}
	info, err := readMembers(raw)
	if err != nil {
		return "", false, fmt.Errorf("user info: %w", err)
	}
	if info["sub"] != subject { // OpenID Connect Core §5.3.2
		return "", false, errors.New("the user info is of somebody else")
	}
	return p.emailOf(info), isTrue(info[p.verifiedField()]), nil
}

func (p *provider) primaryEmail(ctx context.Context, token *oauth2.Token) (email string, verified bool, err error) {
	raw, err := getJSON(ctx, p.client, p.EmailsURL, token.AccessToken)
	if err != nil {
		return "", false, fmt.Errorf("e-mail addresses: %w", err)
	}
	var addresses []struct {
		Email             string
		Primary, Verified bool
	}
	if err := json.Unmarshal(raw, &addresses); err != nil {
		return "", false, fmt.Errorf("e-mail addresses: %w", err)
	}
	for _, a := range addresses {
		if a.Primary {
			return a.Email, a.Verified, nil
		}
	}
	return "", false, nil
}

// readMembers reads a JSON object and keeps numbers as they are spelled.
func readMembers(raw json.RawMessage) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var members map[string]any
	if err := d.Decode(&members); err != nil {
		return nil, errors.New("the answer is not a JSON object")
	}
	return members, nil
}

// maxAccountID is the most bytes that an account's id may have; OpenID Connect
// allows a sub 255.
const maxAccountID = 255

var integer = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

// accountID reads an id that is a string or a whole number.
func accountID(v any) (string, error) {
	var id string
	switch v := v.(type) {
	case string:
		id = v
	case json.Number:
		if integer.MatchString(v.String()) {
			id = v.String()
		}
	}
	if id == "" || len(id) > maxAccountID || !utf8.ValidString(id) {
		return "", errors.New("the account has no usable id")
	}
	for _, c := range id {
		if unicode.IsControl(c) {
			return "", errors.New("the account has no usable id")
		}
	}
	return id, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// isTrue also takes "true" for true, as some providers write it.
func isTrue(v any) bool { return v == true || v == "true" }
