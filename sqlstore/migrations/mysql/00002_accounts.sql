-- +goose Up
-- What was used and must not be used again.

CREATE TABLE used_tokens (
    hash       BINARY(32)  NOT NULL PRIMARY KEY,      -- SHA-256; the token is nowhere
    expires_at DATETIME(6) NOT NULL,                  -- of no use to anybody after it
    KEY used_tokens_expires_at (expires_at)
) ENGINE = InnoDB;

-- Accounts at providers. What a provider calls an account is bytes to us: no
-- collation makes one of two, not even for a space at the end.

CREATE TABLE oauth_accounts (
    id            VARBINARY(64)  NOT NULL PRIMARY KEY, -- UUID in canonical text
    user_id       {user_id}     NOT NULL,
    provider      VARBINARY(255) NOT NULL,            -- by its name in the configuration
    account_id    VARBINARY(1024) NOT NULL,           -- the provider's own
    email         TEXT           NOT NULL,            -- as the provider gave it
    access_token  LONGBLOB,                           -- sealed; NULL: none
    refresh_token LONGBLOB,                           -- sealed; NULL: none
    expires_at    DATETIME(6),                        -- of the access token; NULL: unknown
    created_at    DATETIME(6)    NOT NULL,
    updated_at    DATETIME(6)    NOT NULL,
    UNIQUE KEY oauth_accounts_account_id (provider, account_id),
    KEY oauth_accounts_user_id (user_id),
    CONSTRAINT oauth_accounts_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Mail that waits to be delivered. It outlives its user: "your account was
-- deleted" is for somebody who is gone.

CREATE TABLE outbox (
    id         VARBINARY(64) NOT NULL PRIMARY KEY,    -- UUID of version 7: in the order of time
    kind       VARCHAR(255) NOT NULL,
    user_id    VARCHAR(64),                           -- NULL: nobody's
    email      TEXT         NOT NULL,
    data       JSON,                                  -- object
    created_at DATETIME(6)  NOT NULL,
    due_at     DATETIME(6)  NOT NULL,                 -- hidden before, also from who claims
    attempts   BIGINT       NOT NULL,
    last_error TEXT         NOT NULL,
    dead       BOOLEAN      NOT NULL,                 -- given up
    KEY outbox_due_at (dead, due_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE outbox;
DROP TABLE oauth_accounts;
DROP TABLE used_tokens;
