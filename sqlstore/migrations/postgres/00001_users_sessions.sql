-- +goose Up
-- E-mail addresses are compared byte by byte: they are normalised already.

CREATE TABLE users (
    id              {users.id}
    email           text        NOT NULL,               -- as its user typed it
    email_key       text        COLLATE "C" NOT NULL,   -- normalised and case-folded
    hashed_password text        NOT NULL,               -- PHC string; '': no password
    is_active       boolean     NOT NULL,
    is_superuser    boolean     NOT NULL,
    is_verified     boolean     NOT NULL,
    epoch           bigint      NOT NULL DEFAULT 0,     -- counts what ended old links
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT users_email_key_key UNIQUE (email_key)
);

CREATE TABLE sessions (
    token_hash   bytea       PRIMARY KEY,               -- SHA-256; the token is nowhere
    id           text        NOT NULL UNIQUE,           -- public
    user_id      {user_id}      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    auth_time    timestamptz NOT NULL,
    methods      jsonb,                                 -- array (RFC 8176 amr)
    scopes       jsonb,                                 -- array; NULL: no restriction
    ip           text        NOT NULL,
    user_agent   text        NOT NULL,
    data         jsonb                                  -- object
);

CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- +goose Down
DROP TABLE sessions;
DROP TABLE users;
