package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

func mysqlSyntax() syntax {
	return syntax{
		rebind: func(query string) string { return query },
		quote:  func(name string) string { return "`" + name + "`" },
		// As text: drivers would convert a time to the zone they are set to, and the
		// zero time to a date that strict servers refuse.
		time:       func(t time.Time) any { return t.UTC().Format("2006-01-02 15:04:05.000000") },
		uuid:       mysqlUUID,
		read:       mysqlRead,
		separator:  `char(31 USING utf8mb4)`,
		refuse:     func(_ kind, text string) error { return refuseInvalid(text) },
		settings:   mysqlSettings,
		discreet:   mysqlDiscreet,
		orNothing:  func(string) string { return "" },
		isolation:  sql.LevelReadCommitted,
		skipLocked: ` FOR UPDATE SKIP LOCKED`,
		columnType: mysqlColumnType,
		holds:      mysqlHolds,
		exact:      mysqlExact,

		double: func(err error, table, column string) bool {
			key := table + "_" + column
			if column == "hash" {
				key = "PRIMARY" // of used_tokens, which has no other
			}
			return strings.Contains(err.Error(), errDouble) &&
				(strings.HasSuffix(err.Error(), "'"+key+"'") || strings.HasSuffix(err.Error(), "."+key+"'")) // as mysqlDiscreet has it
		},
		userMissing: func(err error) bool { return strings.Contains(err.Error(), "Error 1452 ") },
		misfit:      mysqlMisfit,
		// A deadlock; and a row that another changed meanwhile, which MariaDB says with
		// innodb_snapshot_isolation (by default since 11.6).
		again: func(err error) bool {
			return strings.Contains(err.Error(), "Error 1213 ") || strings.Contains(err.Error(), "Error 1020 ")
		},
		// A subquery would have it read the whole table.
		sweep: func(table, _ string) string {
			return `DELETE FROM ` + table + ` WHERE expires_at < ? ORDER BY expires_at LIMIT ?`
		},
		columns: `SELECT column_name, concat_ws(' COLLATE ', column_type, collation_name), is_nullable = 'NO' AND column_default IS NULL AND extra NOT LIKE '%auto_increment%' AND extra NOT LIKE '%GENERATED%'
			FROM information_schema.columns WHERE table_schema = database() AND table_name = ?`,
		uniques: `SELECT index_name, column_name FROM information_schema.statistics WHERE table_schema = database() AND table_name = ? AND non_unique = 0`,

		placeholders: map[kind][]string{
			kindUUID: {"{users.id}", "BINARY(16)    NOT NULL PRIMARY KEY,  -- UUID", "{user_id}", "BINARY(16)"},
			kindInt:  {"{users.id}", "BIGINT        NOT NULL PRIMARY KEY AUTO_INCREMENT,", "{user_id}", "BIGINT    "},
		},
		begin:      mysqlBegin,
		end:        `DO release_lock(` + mysqlLock + `)`,
		tableThere: func(err error) bool { return strings.Contains(err.Error(), "Error 1050 ") },
		forGood:    true,
		versions: []string{
			`CREATE TABLE IF NOT EXISTS ` + versionTable + ` (
    id         SERIAL,
    version_id BIGINT    NOT NULL,
    is_applied BOOLEAN   NOT NULL,
    tstamp     TIMESTAMP DEFAULT now(),
    PRIMARY KEY (id)
) ENGINE = InnoDB`,
			`INSERT INTO ` + versionTable + ` (version_id, is_applied)
    SELECT 0, TRUE FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ` + versionTable + `)`,
		},
	}
}

// Errors are known by their text: it begins with the number in go-sql-driver,
// and the package is to need no driver.
const errDouble = "Error 1062 "

// mysqlDiscreet: some texts quote the value, and then say for which key or column.
func mysqlDiscreet(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, driver.ErrBadConn) { // what go-sql-driver says after a failover, too, of one that does not write
		return fmt.Errorf("the server only reads, or ended the connection: %w", err)
	}
	text := err.Error()
	for number, where := range map[string]string{errDouble: " for key ", "Error 1292 ": " for column ", "Error 1366 ": " for column "} {
		if !strings.Contains(text, number) {
			continue
		}
		if i := strings.LastIndex(text, where); i >= 0 {
			return errors.New(number + "(without the value)" + text[i:])
		}
		if quoted := strings.Split(text, "'"); number == errDouble && len(quoted) > 2 { // in another language the key is what is quoted last, too
			return errors.New(number + "(without the value)" + where + "'" + quoted[len(quoted)-2] + "'")
		}
		return errors.New(number + "(without the value)")
	}
	return err
}

// mysqlMisfit: out of range, cut off, wrong, too long; then JSON of which MariaDB, in
// the CHECK of such a column, and MySQL say that it is none or nested too deeply; and
// MySQL's other CHECKs.
func mysqlMisfit(err error) bool {
	return slices.ContainsFunc([]string{"1264", "1265", "1292", "1366", "1406", "4025", "3140", "3157", "3819"}, func(number string) bool {
		return strings.Contains(err.Error(), "Error "+number+" ")
	})
}

// mysqlUUID is the UUID's 16 bytes; the caller has checked the text.
func mysqlUUID(id string) any {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil {
		return nil
	}
	return b
}

func mysqlRead(k kind, column string) string {
	switch k {
	case kindTime:
		return `timestampdiff(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', ` + column + `)`
	case kindUUID: // uuid_to_bin and bin_to_uuid are MySQL's alone
		return `insert(insert(insert(insert(lower(hex(` + column + `)), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')`
	}
	return column
}

func mysqlSettings(ctx context.Context, db *sql.DB) error {
	var strict, emptyIsNull bool
	if err := db.QueryRowContext(ctx, `SELECT @@sql_mode LIKE '%STRICT_TRANS_TABLES%' OR @@sql_mode LIKE '%STRICT_ALL_TABLES%', @@sql_mode LIKE '%EMPTY_STRING_IS_NULL%'`).Scan(&strict, &emptyIsNull); err != nil {
		return err
	}
	if emptyIsNull {
		return errors.New("every connection needs a sql_mode without EMPTY_STRING_IS_NULL, or nothing that is empty could be kept")
	}
	if !strict {
		return errors.New("every connection needs STRICT_TRANS_TABLES in sql_mode, or values that are too long would be cut off")
	}
	// Goose's version 0 is there, and its row is not changed by this.
	result, err := db.ExecContext(ctx, `UPDATE `+versionTable+` SET is_applied = is_applied WHERE version_id = 0`)
	if err != nil {
		if strings.Contains(err.Error(), "Error 1146 ") { // the application migrates in its own way
			return nil
		}
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.New("every connection needs clientFoundRows=true, or a row that is found as it should become counts as not found")
	}
	return nil
}

// mysqlLock is the name of the lock on the schema of a database. (A lock is the
// server's, and its name has 64 characters at most.)
const mysqlLock = `concat('usher migrations ', md5(database()))`

// mysqlBegin waits as long as the context allows.
func mysqlBegin(ctx context.Context, conn *sql.Conn) error {
	for {
		var got sql.NullBool
		if err := conn.QueryRowContext(ctx, `SELECT get_lock(`+mysqlLock+`, 1)`).Scan(&got); err != nil {
			return err
		}
		if got.Bool {
			_, err := conn.ExecContext(ctx, `START TRANSACTION`)
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("another process changes the schema: %w", err)
		}
	}
}

var mysqlTypes = map[kind]string{
	kindText: "LONGTEXT", kindBool: "BOOLEAN", kindInt: "BIGINT", kindFloat: "DOUBLE",
	kindBytes: "LONGBLOB", kindTime: "DATETIME(6)", kindJSON: "JSON", kindUUID: "BINARY(16)",
}

func mysqlColumnType(k kind, nullable bool) string {
	t := mysqlTypes[k]
	if k == kindText {
		t += ` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`
	}
	switch {
	case nullable:
		return t
	case k == kindText:
		return t + ` NOT NULL DEFAULT ('')`
	case k == kindBool || k == kindInt || k == kindFloat:
		return t + ` NOT NULL DEFAULT 0`
	}
	return t // NULL is read as the zero value
}

// mysqlHolds: MariaDB keeps JSON as LONGTEXT.
func mysqlHolds(columnType string, k kind) bool {
	base := strings.ToLower(strings.FieldsFunc(columnType+" ", func(c rune) bool { return c == '(' || c == ' ' })[0])
	for _, family := range []struct {
		types []string
		kinds []kind
	}{
		{[]string{"char", "varchar", "varbinary", "tinytext", "enum", "set"}, []kind{kindText}},
		{[]string{"text", "mediumtext", "longtext"}, []kind{kindText, kindJSON}},
		{[]string{"json"}, []kind{kindJSON}},
		{[]string{"tinyint"}, []kind{kindBool, kindInt}},
		{[]string{"smallint", "mediumint", "int", "bigint"}, []kind{kindInt}},
		{[]string{"decimal"}, []kind{kindInt, kindFloat}},
		{[]string{"float", "double"}, []kind{kindFloat}},
		{[]string{"blob", "mediumblob", "longblob", "tinyblob"}, []kind{kindBytes}},
		{[]string{"binary"}, []kind{kindBytes, kindUUID}},
		{[]string{"datetime", "timestamp"}, []kind{kindTime}},
		{[]string{"date", "time", "year", "bit", "inet6", "uuid"}, nil},
	} {
		if slices.Contains(family.types, base) {
			return k == kindOther || slices.Contains(family.kinds, k)
		}
	}
	return k != kindUUID
}

// mysqlExact: a DATETIME cuts off what is below a second, and a collation that is
// not binary takes one address for another. (VARBINARY has none.)
func mysqlExact(columnType string, k kind) bool {
	_, collation, text := strings.Cut(columnType, " COLLATE ")
	switch {
	case k == kindTime:
		return strings.Contains(columnType, "(6)")
	case k == kindText && text:
		return strings.HasPrefix(collation, "utf8mb4_") && strings.HasSuffix(collation, "_bin")
	}
	return true
}
