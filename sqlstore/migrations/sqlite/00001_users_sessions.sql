-- +goose Up
-- Times are microseconds since 1970-01-01 UTC. The tables are clustered on what
-- every request looks them up by (WITHOUT ROWID), which saves it a lookup each.

CREATE TABLE users (
    id              {users.id}
    email           TEXT    NOT NULL,             -- as its user typed it
    email_key       TEXT    NOT NULL UNIQUE,      -- normalised and case-folded
    hashed_password TEXT    NOT NULL,             -- PHC string; '': no password
    is_active       INTEGER NOT NULL,
    is_superuser    INTEGER NOT NULL,
    is_verified     INTEGER NOT NULL,
    epoch           INTEGER NOT NULL DEFAULT 0,   -- counts what ended old links
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) {users};

CREATE TABLE sessions (
    token_hash   BLOB    NOT NULL PRIMARY KEY,    -- SHA-256; the token is nowhere
    id           TEXT    NOT NULL UNIQUE,         -- public
    user_id      {user_id} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    auth_time    INTEGER NOT NULL,
    methods      TEXT,                            -- JSON array (RFC 8176 amr)
    scopes       TEXT,                            -- JSON array; NULL: no restriction
    ip           TEXT    NOT NULL,
    user_agent   TEXT    NOT NULL,
    data         TEXT                             -- JSON object
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- +goose Down
DROP TABLE sessions;
DROP TABLE users;
