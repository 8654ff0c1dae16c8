-- +goose Up
-- Text is compared byte by byte, but for spaces at its end, so ids are bytes: e-mail
-- addresses are normalised already. Times are in UTC. Each table has its indexes in
-- one statement, so that a migration that was interrupted can go on after the tables
-- that are there. Long keys need the row format that is the default unless a server
-- was told otherwise.

CREATE TABLE users (
    id              {users.id}
    email           VARCHAR(320)  NOT NULL,           -- as its user typed it
    email_key       VARCHAR(320)  NOT NULL,           -- normalised and case-folded
    hashed_password VARCHAR(1024) NOT NULL,           -- PHC string; '': no password
    is_active       BOOLEAN       NOT NULL,
    is_superuser    BOOLEAN       NOT NULL,
    is_verified     BOOLEAN       NOT NULL,
    epoch           BIGINT        NOT NULL DEFAULT 0, -- counts what ended old links
    created_at      DATETIME(6)   NOT NULL,
    updated_at      DATETIME(6)   NOT NULL,
    UNIQUE KEY users_email_key (email_key)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE sessions (
    token_hash   BINARY(32)   NOT NULL PRIMARY KEY,   -- SHA-256; the token is nowhere
    id           VARBINARY(64) NOT NULL,              -- public
    user_id      {user_id}   NOT NULL,
    created_at   DATETIME(6)  NOT NULL,
    last_seen_at DATETIME(6)  NOT NULL,
    expires_at   DATETIME(6)  NOT NULL,
    auth_time    DATETIME(6)  NOT NULL,
    methods      JSON,                                -- array (RFC 8176 amr)
    scopes       JSON,                                -- array; NULL: no restriction
    ip           TEXT         NOT NULL,
    user_agent   TEXT         NOT NULL,
    data         JSON,                                -- object
    UNIQUE KEY sessions_id (id),
    KEY sessions_user_id (user_id),
    KEY sessions_expires_at (expires_at),
    CONSTRAINT sessions_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE sessions;
DROP TABLE users;
