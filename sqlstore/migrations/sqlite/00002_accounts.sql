-- +goose Up
-- What was used and must not be used again.

CREATE TABLE used_tokens (
    hash       BLOB    NOT NULL PRIMARY KEY,      -- SHA-256; the token is nowhere
    expires_at INTEGER NOT NULL                   -- of no use to anybody after it
) STRICT, WITHOUT ROWID;

CREATE INDEX used_tokens_expires_at ON used_tokens (expires_at);

-- Accounts at providers. (Not clustered: providers' tokens make long rows.)

CREATE TABLE oauth_accounts (
    id            TEXT    NOT NULL PRIMARY KEY,   -- UUID in canonical text
    user_id       {user_id} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider      TEXT    NOT NULL,               -- by its name in the configuration
    account_id    TEXT    NOT NULL,               -- the provider's own
    email         TEXT    NOT NULL,               -- as the provider gave it
    access_token  BLOB,                           -- sealed; NULL: none
    refresh_token BLOB,                           -- sealed; NULL: none
    expires_at    INTEGER,                        -- of the access token; NULL: unknown
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (provider, account_id)
) STRICT;

CREATE INDEX oauth_accounts_user_id ON oauth_accounts (user_id);

-- Mail that waits to be delivered. It outlives its user: "your account was
-- deleted" is for somebody who is gone.

CREATE TABLE outbox (
    id         TEXT    NOT NULL PRIMARY KEY,      -- UUID of version 7: in the order of time
    kind       TEXT    NOT NULL,
    user_id    TEXT,                              -- NULL: nobody's
    email      TEXT    NOT NULL,
    data       TEXT,                              -- JSON object
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,                  -- hidden before, also from who claims
    attempts   INTEGER NOT NULL,
    last_error TEXT    NOT NULL,
    dead       INTEGER NOT NULL                   -- given up
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_due_at ON outbox (dead, due_at);

-- +goose Down
DROP TABLE outbox;
DROP TABLE oauth_accounts;
DROP TABLE used_tokens;
