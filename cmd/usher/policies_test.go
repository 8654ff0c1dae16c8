package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usher/password/breach"
)

func registration(email, password string) string {
	return jsonOf(map[string]string{"email": email, "password": password})
}

func TestRegistrationIsClosedButForTheInvited(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Registration.Closed = true
	b := boot(t, c)
	if a := b.want(403, "POST", "/auth/register", registration("ada@example.com", goodPassword)); a.detail() != "REGISTER_CLOSED" {
		t.Error(a.body)
	}
	output, err := exec.Command("usher", "invite", "ada@example.com", "--lifetime", "1h", "--database", c.Database).Output()
	if err != nil {
		t.Fatal(err)
	}
	with := func(email string) string {
		return jsonOf(map[string]string{"email": email, "password": goodPassword, "invitation": strings.TrimSpace(string(output))})
	}
	b.want(400, "POST", "/auth/register", with("eve@example.com"))
	b.want(201, "POST", "/auth/register", with("ADA@example.com"))
	b.want(400, "POST", "/auth/register", with("ada@example.com"))
	if output, err := exec.Command("usher", "invite", "ada@example.com", "--lifetime", "0s").CombinedOutput(); err == nil {
		t.Errorf("a lifetime of 0: %s", output)
	}
}

func TestRegistrationDomains(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Registration.Domains = []string{"Example.com", "xn--bcher-kva.example"}
	b := boot(t, c)
	b.want(201, "POST", "/auth/register", registration("ada@EXAMPLE.com", goodPassword))
	b.want(201, "POST", "/auth/register", registration("ada@bücher.example", goodPassword))
	b.want(403, "POST", "/auth/register", registration("ada@example.org", goodPassword))
	b.want(403, "POST", "/auth/register", registration("ada@sub.example.com", goodPassword))
}

func TestHideExistingAccounts(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Registration.HideExistingAccounts = true
	b := boot(t, c)
	for range 2 {
		b.want(202, "POST", "/auth/register", registration("ada@example.com", goodPassword))
	}
	b.mail("ada@example.com", "already")
}

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	builder, err := breach.NewBuilder(10, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := builder.AddPassword("known from a leak"); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, "breached.bloom"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := builder.WriteTo(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	c := testConfig(t)
	c.Password.MinLength, c.Password.MaxBytes = 10, 64
	c.Password.Breach.Filter = file.Name()
	b := boot(t, c)
	for password, reason := range map[string]string{
		"ninechars":             "at least 10 characters",
		strings.Repeat("x", 65): "at most 64 bytes",
		"1234567890":            "one of the most common",
		"known from a leak":     "known from a data breach",
	} {
		if a := b.want(400, "POST", "/auth/register", registration("ada@example.com", password)); !strings.Contains(a.body, reason) {
			t.Errorf("%s: %s", password, a.body)
		}
	}
	b.want(201, "POST", "/auth/register", registration("ada@example.com", "not known at all"))

	c = testConfig(t)
	c.Password.InsecureAllowCommon = true
	boot(t, c).want(201, "POST", "/auth/register", registration("ada@example.com", "password"))
}

func TestInsecurePolicies(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	b.register("ada@example.com")
	b.want(422, "PATCH", "/users/me", `{"email":"new@example.com"}`, "Cookie", b.cookie("ada@example.com"))

	c := testConfig(t)
	c.InsecureUpdateWithoutPassword, c.InsecureUnconfirmedEmailChange, c.InsecureKeepSessions = true, true, true
	b = boot(t, c)
	b.register("ada@example.com")
	cookie, other := b.cookie("ada@example.com"), b.cookie("ada@example.com")
	b.want(200, "PATCH", "/users/me", `{"email":"new@example.com"}`, "Cookie", cookie)
	b.want(200, "PATCH", "/users/me", `{"password":"another good password"}`, "Cookie", cookie)
	b.want(200, "GET", "/users/me", "", "Cookie", other)
	b.want(200, "POST", "/auth/jwt/login", "username=new@example.com&password=another good password")
}

func TestMailNewSignIn(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.MailNewSignIn = true
	b := boot(t, c)
	b.register("ada@example.com")
	b.cookie("ada@example.com")
	b.mail("ada@example.com", "sign-in")
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Lifetimes = LifetimesConfig{Verify: 2 * time.Hour, Reset: 30 * time.Minute, DeadMail: time.Hour}
	b := boot(t, c)
	b.register("ada@example.com")
	if m := b.mail("ada@example.com", "Confirm"); !strings.Contains(m.text, "for 2 hours") {
		t.Error(m.text)
	}
	b.want(202, "POST", "/auth/forgot-password", `{"email":"ada@example.com"}`)
	if m := b.mail("ada@example.com", "password"); !strings.Contains(m.text, "30 minutes") {
		t.Error(m.text)
	}
}

// Links and secrets of a deployment that moved from FastAPI Users.
func TestFastAPIUsersSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := testConfig(t)
	for target, name := range map[*string]string{&c.FastAPIUsers.VerifySecretFile: "verify", &c.FastAPIUsers.ResetSecretFile: "reset"} {
		write(t, dir, name, string(newSecret())+"\n")
		*target = filepath.Join(dir, name)
	}
	c.FastAPIUsers.ResetTokens = true
	b := boot(t, c)
	b.register("ada@example.com")
	b.want(202, "POST", "/auth/forgot-password", `{"email":"ada@example.com"}`)
	token := b.token("ada@example.com", "password")
	b.want(200, "POST", "/auth/reset-password", jsonOf(map[string]string{"token": token, "password": "another good password"}))

	// Another secret: the old links are good no more.
	b.want(202, "POST", "/auth/forgot-password", `{"email":"ada@example.com"}`)
	var fresh string
	eventually(t, 10*time.Second, "the second link", func() bool {
		m, err := newestMail(b.mails, "ada@example.com")
		fresh = m.token()
		return err == nil && fresh != "" && fresh != token
	})
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	c.FastAPIUsers = FastAPIUsersConfig{}
	b = boot(t, c)
	b.want(400, "POST", "/auth/reset-password", jsonOf(map[string]string{"token": fresh, "password": "a third good password"}))
}
