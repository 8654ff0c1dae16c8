package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"

	"usher/internal/testservices"
)

// A connection whose transaction did not end is not used again.
func TestCommitTooLate(t *testing.T) {
	t.Parallel()
	config, _, err := parse(testservices.MariaDB(t))
	if err != nil {
		t.Fatal(err)
	}
	made, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connector{made, config.Timeout}.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, giveUp := context.WithCancel(t.Context())
	tx, err := conn.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	giveUp()
	if err := tx.Commit(); !errors.Is(err, context.Canceled) {
		t.Errorf("the commit ended with %v", err)
	}
	if conn.(driver.Validator).IsValid() {
		t.Error("the connection can be used again")
	}
}
