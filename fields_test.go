package usher_test

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"usher"
)

type audit struct {
	CreatedBy string `usher:"admin"`
}

type Address struct {
	Street string `json:"street" usher:"write"`
	audit
}

type Role string

type richUser struct {
	FirstName string `json:"first_name" usher:"write"`
	usher.User
	Plan   string `json:"plan,omitempty" db:"tier" usher:"admin"`
	Score  int    `json:"score"`
	Notes  string `json:"-"`
	Invite string `json:"invite" db:"-" usher:"write"`
	//lint:ignore SA5008 the name "-" is what is tested
	Dash     string          `json:"-,"`
	HTTPPort int             `json:",omitempty"`
	UserID   *int64          // no tags at all
	Billing  Address         `json:"billing" usher:"write"`
	Profile  json.RawMessage `json:"profile" usher:"write"`
	Born     time.Time
	Friend   usher.User `json:"friend"` // a field like any other: only embedding makes the user
	Address
	Role
	secret string
}

func TestFieldsPlan(t *testing.T) {
	t.Parallel()
	plan, err := usher.FieldsOf[richUser]()
	if err != nil {
		t.Fatal(err)
	}
	want := []usher.Field{
		{Name: "FirstName", JSON: "first_name", Column: "first_name", Write: true, Admin: true},
		{Name: "Plan", JSON: "plan", Column: "tier", Admin: true},
		{Name: "Score", JSON: "score", Column: "score"},
		{Name: "Notes", JSON: "", Column: "notes"},
		{Name: "Invite", JSON: "invite", Column: "", Write: true, Admin: true},
		{Name: "Dash", JSON: "-", Column: "dash"},
		{Name: "HTTPPort", JSON: "HTTPPort", Column: "http_port"},
		{Name: "UserID", JSON: "UserID", Column: "user_id"},
		{Name: "Billing", JSON: "billing", Column: "billing", Write: true, Admin: true},
		{Name: "Profile", JSON: "profile", Column: "profile", Write: true, Admin: true},
		{Name: "Born", JSON: "Born", Column: "born"},
		{Name: "Friend", JSON: "friend", Column: "friend"},
		{Name: "Street", JSON: "street", Column: "street", Write: true, Admin: true},
		{Name: "CreatedBy", JSON: "CreatedBy", Column: "created_by", Admin: true},
		{Name: "Role", JSON: "Role", Column: "role"},
	}
	got := plan.Custom()
	if len(got) != len(want) {
		t.Fatalf("%d fields, want %d: %+v", len(got), len(want), got)
	}
	user := richUser{secret: "s"}
	for i, field := range got {
		value := reflect.ValueOf(&user).Elem().FieldByIndex(field.Index)
		if value.Type() != field.Type || !value.CanSet() {
			t.Errorf("%s: Index %v leads to a %s (settable: %v), Type is %s", field.Name, field.Index, value.Type(), value.CanSet(), field.Type)
		}
		field.Type, field.Index = nil, nil
		if !reflect.DeepEqual(field, want[i]) {
			t.Errorf("field %d: %+v, want %+v", i, field, want[i])
		}
	}
	if plan.Base(&user) != &user.User {
		t.Error("Base is not the embedded User")
	}
}

// What the plan says of the wire is what encoding/json does.
func TestFieldsAgreeWithJSON(t *testing.T) {
	t.Parallel()
	plan, err := usher.FieldsOf[richUser]()
	if err != nil {
		t.Fatal(err)
	}
	user := richUser{Plan: "x", HTTPPort: 1, Profile: json.RawMessage("{}"), Notes: "canary"}
	user.HashedPassword = "$argon2id$canary"
	text, err := json.Marshal(&user)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id", "email", "is_active", "is_superuser", "is_verified"} {
		if _, there := members[name]; !there {
			t.Errorf("no %q on the wire: %s", name, text)
		}
		delete(members, name)
	}
	for _, field := range plan.Custom() {
		if field.JSON == "" {
			continue
		}
		if _, there := members[field.JSON]; !there {
			t.Errorf("%s: no %q on the wire: %s", field.Name, field.JSON, text)
		}
		delete(members, field.JSON)
	}
	if len(members) > 0 || strings.Contains(string(text), "canary") {
		t.Errorf("on the wire, but not in the plan: %v in %s", members, text)
	}
}

type clashingUser struct {
	usher.User
	A string `json:"is_superuser"`
	B string `json:"password"`
	C string `json:"current_password" usher:"write"`
	D string `db:"email_key"`
	E string `json:"F"`
	F string
	G string `db:"twin"`
	H string `db:"twin"`
	I string `usher:"writes"`
	J string `json:"-" usher:"write"`
	K string `json:"-" usher:"admin"`
	L string `db:"drop table"`
	M string `db:"Upper"`
	N string `db:"1st"`
	Ö string
	P int `json:"p,omitempty,string" usher:"write"`
	*Address
	audit
	CreatedBy string `json:"CreatedBy" db:"-"` // encoding/json would choose this one
}

type pointerUser struct{ *usher.User }

type nestedUser struct {
	usher.User `json:"user"`
}

type hiddenUser struct {
	usher.User `json:"-"`
}

type base struct{ usher.User }

type deepNestedUser struct {
	Base base `json:"-"`
	base `json:"base"`
}

// Every fault has its own words in the one error.
func TestFieldsFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		err   error
		wants []string
	}{
		{"clashes", second(usher.FieldsOf[clashingUser]()), []string{
			`A: json name "is_superuser" is already taken by usher.User`,
			`B: json name "password" is already taken by usher.User`,
			`C: json name "current_password" is already taken by usher.User`,
			`D: column "email_key" is already taken by usher.User`,
			`F: json name "F" is already taken by E`,
			`H: column "twin" is already taken by G`,
			`I: unknown tag usher:"writes"`,
			`J: usher:"write" needs a name on the wire`,
			`K: usher:"admin" needs a name on the wire`,
			`L: column "drop table" is not of the form`,
			`M: column "Upper" is not of the form`,
			`N: column "1st" is not of the form`,
			`Ö: column "ö" is not of the form`,
			`P: the json option string is not supported`,
			`Address: embed structs by value, not by pointer`,
			`CreatedBy: json name "CreatedBy" is already taken by CreatedBy`,
		}},
		{"pointer to User", second(usher.FieldsOf[pointerUser]()), []string{"User: embed structs by value, not by pointer"}},
		{"User under a name", second(usher.FieldsOf[nestedUser]()), []string{`User: a json tag would hide usher.User's fields`}},
		{"hidden User", second(usher.FieldsOf[hiddenUser]()), []string{`User: a json tag would hide usher.User's fields`}},
		{"base under a name", second(usher.FieldsOf[deepNestedUser]()), []string{`base: a json tag would hide usher.User's fields`}},
	} {
		if test.err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range test.wants {
			if !strings.Contains(test.err.Error(), want) {
				t.Errorf("%s: the error does not say %q:\n%v", test.name, want, test.err)
			}
		}
		if got := len(strings.Split(test.err.Error(), "\n")); got != len(test.wants) {
			t.Errorf("%s: %d faults, want %d:\n%v", test.name, got, len(test.wants), test.err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// The compiler refuses a user type that does not embed usher.User once.
func TestUserTypeIsCheckedByCompiler(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the go command")
	}
	out, err := exec.Command("go", "build", "./testdata/usertypes/...").CombinedOutput()
	if err == nil {
		t.Error("go build ./testdata/usertypes/... succeeds")
	}
	for _, bad := range []string{"missing", "twice", "impostor", "number"} {
		if !strings.Contains(string(out), "usertypes/"+bad+"/user.go") {
			t.Errorf("%s compiles", bad)
		}
	}
	if n := strings.Count(string(out), "does not satisfy usher.UserOf[User]"); n != 4 {
		t.Errorf("%d user types were refused, want 4", n)
	}
	// The positive control.
	if strings.Contains(string(out), "usertypes/embeds/user.go") {
		t.Error("embeds does not compile")
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}
