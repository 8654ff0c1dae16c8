package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"testing/fstest"
	"time"
)

//go:embed migrations
var migrationFiles embed.FS

// versionTable has the form of goose's own table, under another name: the
// application may use goose for its own migrations in the same database.
const versionTable = "usher_migrations"

// Migrations returns the migrations of a dialect: numbered SQL files as the
// goose command reads them. An operator may apply them with
//
//	goose -table usher_migrations -dir <copy of the files> sqlite app.db up
//
// instead of Migrate. (os.CopyFS makes that copy: the files in usher's source have
// placeholders.) It has no files for an unknown dialect.
func Migrations(d Dialect, options ...Option) fs.FS {
	files := fstest.MapFS{}
	y, err := d.syntax(options)
	if err != nil {
		return files
	}
	migrations, err := migrationsOf(d, y)
	if err != nil { // which a test would have shown
		return files
	}
	for _, m := range migrations {
		files[m.name] = &fstest.MapFile{Data: []byte(m.text), Mode: 0o444}
	}
	return files
}

// Migrate brings the schema up to date and returns the names of the files it
// applied. Each is applied in a transaction of its own; callers at the same
// time wait for each other. The error says so if the schema is newer than this
// program, which must not write to it then, or has ids of another kind.
func Migrate(ctx context.Context, db *sql.DB, d Dialect, options ...Option) (applied []string, err error) {
	y, err := d.syntax(options)
	if err != nil {
		return nil, err
	}
	migrations, err := migrationsOf(d, y)
	if err != nil {
		return nil, err
	}
	for _, m := range migrations {
		err := inTransaction(ctx, db, y, func(conn *sql.Conn) error {
			done, err := versionsOf(ctx, conn, y)
			if err != nil {
				return err
			}
			if err := refuseNewer(done, migrations); err != nil {
				return err
			}
			if done[migrations[0].version] { // else the table is not usher's
				live, err := columnsOf(ctx, conn, y, usersTable)
				if err != nil {
					return err
				}
				if err := y.checkUserIDs(live); err != nil {
					return err
				}
			}
			if done[m.version] {
				return nil
			}
			if err := m.apply(ctx, conn, y, done); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			applied = append(applied, m.name)
			return nil
		})
		if err != nil {
			return applied, fmt.Errorf("sqlstore: migrate: %w", err)
		}
	}
	return applied, nil
}

// refuseNewer says which applied version this program does not know.
func refuseNewer(versions map[int64]bool, migrations []migration) error {
	known := migrations[len(migrations)-1].version
	newest := known
	for version, applied := range versions {
		if applied {
			newest = max(newest, version)
		}
	}
	if newest > known {
		return fmt.Errorf("the schema has version %d in table %s, but this program knows only up to %d: run a newer one", newest, versionTable, known)
	}
	return nil
}

// upToDate tells whether all migrations are marked as applied. It refuses a schema
// that is newer than this program, of which the tables alone do not tell. It is no
// error that the table of the versions is missing: the application may have its own
// way to migrate.
func upToDate(ctx context.Context, db queryer, d Dialect, y syntax) (bool, error) {
	migrations, err := migrationsOf(d, y)
	if err != nil {
		return false, err
	}
	versions, err := versionsThere(ctx, db, y)
	if err == nil {
		err = refuseNewer(versions, migrations)
	}
	if err != nil {
		return false, fmt.Errorf("look at table %s: %w", versionTable, err)
	}
	for _, m := range migrations {
		if !versions[m.version] {
			return false, nil
		}
	}
	return true, nil
}

// versionsThere returns which versions are applied, and none if there is no table
// of them.
func versionsThere(ctx context.Context, db queryer, y syntax) (map[int64]bool, error) {
	live, err := columnsOf(ctx, db, y, versionTable)
	if err != nil || len(live) == 0 {
		return nil, err
	}
	return readVersions(ctx, db)
}

// Script returns the SQL of the migrations after a version (0: of all), with
// what marks them as applied, for operators who rather run it themselves.
func Script(d Dialect, after int64, options ...Option) (string, error) {
	y, err := d.syntax(options)
	if err != nil {
		return "", err
	}
	migrations, err := migrationsOf(d, y)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	write := func(name string, statements []string) {
		fmt.Fprintf(&b, "-- %s\nBEGIN;\n%s;\nCOMMIT;\n\n", name, strings.Join(statements, ";\n"))
	}
	write(versionTable, y.versions)
	for _, m := range migrations {
		if m.version > after {
			write(m.name, m.bookedStatements())
		}
	}
	return b.String(), nil
}

type migration struct {
	version    int64
	name, text string
	statements []string
}

// apply runs the statements and marks them as applied. Where that cannot be one
// transaction, a mark says that they have begun: who comes after an interruption
// goes on.
func (m migration) apply(ctx context.Context, conn *sql.Conn, y syntax, versions map[int64]bool) error {
	_, begun := versions[m.version]
	if y.forGood && !begun {
		if _, err := conn.ExecContext(ctx, m.booking(false)); err != nil {
			return err
		}
	}
	for i, statement := range m.bookedStatements() {
		_, err := conn.ExecContext(ctx, statement)
		if err == nil || begun && y.forGood && y.tableThere(err) {
			continue
		}
		if y.tableThere(err) {
			err = fmt.Errorf("there is a table already that table %s does not have as usher's: is it another program's? Then give usher a database of its own. Or was usher's %s lost? Then restore it: %w", versionTable, versionTable, err)
		}
		if y.forGood && i == 0 && !begun { // nothing was done
			_, undone := conn.ExecContext(ctx, fmt.Sprintf("DELETE FROM %s WHERE version_id = %d AND is_applied = FALSE", versionTable, m.version))
			err = errors.Join(err, undone)
		}
		return err
	}
	return nil
}

func (m migration) booking(applied bool) string {
	return fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (%d, %t)", versionTable, m.version, applied)
}

// bookedStatements are the statements and the one that marks them as applied.
func (m migration) bookedStatements() []string {
	return append(m.statements[:len(m.statements):len(m.statements)], m.booking(true))
}

// migrationsOf reads the migrations of a dialect in the order of their versions.
func migrationsOf(d Dialect, y syntax) (migrations []migration, err error) {
	files, err := fs.Sub(migrationFiles, path.Join("migrations", string(d)))
	if err != nil {
		return nil, err
	}
	placeholders := strings.NewReplacer(y.placeholders[y.ids.kind]...)
	names, err := fs.Glob(files, "*.sql") // sorted, and the numbers have zeros in front
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		template, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: migration %s has no number", name)
		}
		text := placeholders.Replace(string(template))
		migrations = append(migrations, migration{version, name, text, upStatements(text)})
	}
	return migrations, nil
}

// upStatements splits the Up part of a migration as goose does: a statement
// ends with a line that ends with a semicolon, but for those within
// StatementBegin and StatementEnd.
func upStatements(text string) (statements []string) {
	var b strings.Builder
	up, block := false, false
	flush := func() {
		if s := strings.TrimSuffix(strings.TrimSpace(b.String()), ";"); s != "" {
			statements = append(statements, s)
		}
		b.Reset()
	}
	for line := range strings.Lines(text) {
		code, comment, _ := strings.Cut(line, "--")
		switch strings.TrimSpace(comment) {
		case "+goose Up":
			up = true
			continue
		case "+goose Down":
			up = false
			continue
		case "+goose StatementBegin":
			block = true
			continue
		case "+goose StatementEnd":
			block = false
			flush()
			continue
		}
		if !up || strings.TrimSpace(code) == "" {
			continue
		}
		b.WriteString(line)
		if !block && strings.HasSuffix(strings.TrimSpace(code), ";") {
			flush()
		}
	}
	flush()
	return statements
}

// versionsOf returns which versions are applied, and makes their table if there
// is none.
func versionsOf(ctx context.Context, conn *sql.Conn, y syntax) (map[int64]bool, error) {
	versions, err := versionsThere(ctx, conn, y)
	if _, whole := versions[0]; whole || err != nil { // then the right to make tables is not needed
		return versions, err
	}
	if err := execEach(y.versions...)(ctx, conn); err != nil {
		return nil, err
	}
	return readVersions(ctx, conn)
}

// readVersions returns which versions are applied, of which the last word counts.
func readVersions(ctx context.Context, db queryer) (map[int64]bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT version_id, is_applied FROM `+versionTable+` ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	versions := map[int64]bool{}
	for rows.Next() {
		var version int64
		var applied bool
		if err := rows.Scan(&version, &applied); err != nil {
			return nil, err
		}
		versions[version] = applied // if not: taken back by goose, or begun
	}
	return versions, rows.Err()
}

// inTransaction calls f in a transaction that waits for all others which change
// the schema. database/sql has no way to begin one.
func inTransaction(ctx context.Context, db *sql.DB, y syntax, f func(conn *sql.Conn) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	end := func(statement string) {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, failed := conn.ExecContext(last, statement); failed != nil {
			// Nobody may get this connection with half a transaction: drop it.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}
	if err := y.begin(ctx, conn); err != nil {
		return err
	}
	if y.end != "" {
		defer end(y.end)
	}
	if err = f(conn); err == nil {
		_, err = conn.ExecContext(ctx, `COMMIT`)
	}
	if err == nil {
		return nil
	}
	end(`ROLLBACK`)
	return err
}
