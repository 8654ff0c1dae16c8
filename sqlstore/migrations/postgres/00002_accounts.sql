-- +goose Up
-- What was used and must not be used again.

CREATE TABLE used_tokens (
    hash       bytea       PRIMARY KEY,                 -- SHA-256; the token is nowhere
    expires_at timestamptz NOT NULL                     -- of no use to anybody after it
);

CREATE INDEX used_tokens_expires_at ON used_tokens (expires_at);

-- Accounts at providers.

CREATE TABLE oauth_accounts (
    id            text        PRIMARY KEY,              -- UUID in canonical text
    user_id       {user_id}      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider      text        NOT NULL,                 -- by its name in the configuration
    account_id    text        NOT NULL,                 -- the provider's own
    email         text        NOT NULL,                 -- as the provider gave it
    access_token  bytea,                                -- sealed; NULL: none
    refresh_token bytea,                                -- sealed; NULL: none
    expires_at    timestamptz,                          -- of the access token; NULL: unknown
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    UNIQUE (provider, account_id)
);

CREATE INDEX oauth_accounts_user_id ON oauth_accounts (user_id);

-- Mail that waits to be delivered. It outlives its user: "your account was
-- deleted" is for somebody who is gone.

CREATE TABLE outbox (
    id         text        COLLATE "C" PRIMARY KEY,     -- UUID of version 7: in the order of time
    kind       text        NOT NULL,
    user_id    text,                                    -- NULL: nobody's
    email      text        NOT NULL,
    data       jsonb,                                   -- object
    created_at timestamptz NOT NULL,
    due_at     timestamptz NOT NULL,                    -- hidden before, also from who claims
    attempts   bigint      NOT NULL,
    last_error text        NOT NULL,
    dead       boolean     NOT NULL                     -- given up
);

CREATE INDEX outbox_due_at ON outbox (dead, due_at, id);

-- +goose Down
DROP TABLE outbox;
DROP TABLE oauth_accounts;
DROP TABLE used_tokens;
