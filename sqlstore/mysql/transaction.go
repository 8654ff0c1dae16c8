package mysql

import (
	"context"
	"database/sql/driver"
	"time"
)

// connector makes connections that begin in time and whose transactions end in time.
type connector struct {
	driver.Connector
	timeout time.Duration // until we are let in: the driver's own is until somebody listens
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return connection{made.(driverConn)}, nil
}

// driverConn is what the driver's connections can do.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type connection struct{ driverConn }

// BeginTx begins a transaction whose end is limited: the driver's own waits for the
// answer to COMMIT and ROLLBACK for as long as the network says nothing.
func (c connection) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if _, err := c.driverConn.BeginTx(ctx, options); err != nil {
		return nil, err
	}
	return transaction{ctx, c.driverConn}, nil
}

type transaction struct {
	ctx  context.Context
	conn driverConn
}

func (t transaction) Commit() error { return t.end(t.ctx, "COMMIT") }

// Rollback often comes when the transaction's context is over.
func (t transaction) Rollback() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return t.end(ctx, "ROLLBACK")
}

// end runs a statement. If that fails the transaction may be open, and nobody may
// get its connection.
func (t transaction) end(ctx context.Context, statement string) error {
	_, err := t.conn.ExecContext(ctx, statement, nil)
	if err != nil {
		_ = t.conn.Close()
	}
	return err
}
