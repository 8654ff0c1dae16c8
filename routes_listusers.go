package usher

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	defaultPage = 20
	maxPage     = 100
)

// listUsers answers one page. The cursor is the last id of the page: it stays
// good whatever is added or deleted meanwhile.
func (a *Auth[U]) listUsers(w http.ResponseWriter, r *http.Request) error {
	if _, _, err := a.Authenticate(r, a.superuser); err != nil {
		return err
	}
	query, err := readUserQuery(r.URL.Query())
	if err != nil {
		return err
	}
	limit := query.Limit
	query.Limit++ // one more tells whether there is a next page
	users, err := a.ListUsers(r.Context(), query)
	if err != nil {
		return err
	}
	page := struct {
		Items []*U `json:"items"`
		Next  *ID  `json:"next"` // for the parameter after; null on the last page
	}{Items: append([]*U{}, users...)}
	if len(users) > limit {
		page.Items = page.Items[:limit]
		page.Next = &a.fields.Base(users[limit-1]).ID
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func readUserQuery(values url.Values) (UserQuery, error) {
	q := UserQuery{After: ID(values.Get("after")), Limit: defaultPage, Email: values.Get("email")}
	var b body
	fault := func(name, kind, msg string) {
		input, _ := json.Marshal(values.Get(name)) // a string always is JSON
		b.faults = append(b.faults, FieldError{Type: kind, Loc: []any{"query", name}, Msg: msg, Input: input})
	}
	if values.Has("limit") {
		n, err := strconv.Atoi(values.Get("limit"))
		if err != nil || n < 1 || n > maxPage {
			fault("limit", "int_parsing", "Input should be an integer from 1 to "+strconv.Itoa(maxPage))
		}
		q.Limit = n
	}
	for name, target := range map[string]**bool{"is_active": &q.IsActive, "is_superuser": &q.IsSuperuser, "is_verified": &q.IsVerified} {
		if !values.Has(name) {
			continue
		}
		is, err := strconv.ParseBool(values.Get(name))
		if err != nil {
			fault(name, "bool_parsing", "Input should be a valid boolean, unable to interpret input")
		}
		*target = &is
	}
	for name, target := range map[string]*time.Time{"created_after": &q.CreatedAfter, "created_before": &q.CreatedBefore} {
		if !values.Has(name) {
			continue
		}
		t, err := time.Parse(time.RFC3339, values.Get(name))
		if year := t.UTC().Year(); err != nil || year < 0 || year > 9999 {
			fault(name, "datetime_from_date_parsing", "Input should be a time as in RFC 3339")
		}
		*target = t
	}
	return q, b.err()
}
