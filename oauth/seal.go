package oauth

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"

	"usher"
)

// Key is an AES-256 key that seals the providers' tokens before they are stored.
// To rotate, put the new key first and keep the old one: an account is sealed anew
// when its user signs in with it or its token is refreshed.
type Key struct {
	ID     string // is stored with what the key sealed; 1 to 32 bytes
	Secret []byte // 32 bytes from a random source
}

const (
	keySize     = 32
	maxKeyID    = 32
	sealVersion = 1
)

func checkKeys(keys []Key) error {
	var faults []error
	seen := map[string]bool{}
	for i, key := range keys {
		if key.ID == "" || len(key.ID) > maxKeyID {
			faults = append(faults, fmt.Errorf("key %d: the ID has %d bytes, not 1 to %d", i, len(key.ID), maxKeyID))
		}
		if seen[key.ID] {
			faults = append(faults, fmt.Errorf("two keys have the ID %q", key.ID))
		}
		seen[key.ID] = true
		if len(key.Secret) != keySize {
			faults = append(faults, fmt.Errorf("key %d has %d bytes, AES-256 needs %d", i, len(key.Secret), keySize))
		} else if err := usher.CheckSecret(key.Secret); err != nil {
			faults = append(faults, fmt.Errorf("key %d: %w", i, err))
		}
	}
	return errors.Join(faults...)
}

// sealer seals and opens the tokens of accounts. What it seals is
//
//	version (1 byte), length of the key's ID (1 byte), ID, nonce, ciphertext, tag
//
// and opens only for the account and the purpose that it was sealed for.
type sealer struct {
	ids   []string
	aeads []cipher.AEAD
}

func newSealer(keys []Key) (*sealer, error) {
	s := &sealer{}
	for _, key := range keys {
		block, err := aes.NewCipher(key.Secret)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		s.ids, s.aeads = append(s.ids, key.ID), append(s.aeads, aead)
	}
	return s, nil
}

// sealedFor is what a sealed token is bound to.
type sealedFor struct{ purpose, provider, accountID string }

func (f sealedFor) data() []byte {
	return fmt.Appendf(nil, "usher/oauth\x00%s\x00%s\x00%s", f.purpose, f.provider, f.accountID)
}

// seal returns nil for an empty token, and if there are no keys.
func (s *sealer) seal(token string, f sealedFor) []byte {
	if token == "" || len(s.aeads) == 0 {
		return nil
	}
	head := append([]byte{sealVersion, byte(len(s.ids[0]))}, s.ids[0]...)
	return s.aeads[0].Seal(head, nil, []byte(token), f.data())
}

// open returns "" for nil.
func (s *sealer) open(sealed []byte, f sealedFor) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	if len(sealed) < 2 || sealed[0] != sealVersion || len(sealed) < 2+int(sealed[1]) {
		return "", errors.New("oauth: sealed token is malformed")
	}
	id, ciphertext := sealed[2:2+int(sealed[1])], sealed[2+int(sealed[1]):]
	i := slices.Index(s.ids, string(id))
	if i < 0 {
		return "", fmt.Errorf("oauth: sealed with the key %q, which is not configured", id)
	}
	token, err := s.aeads[i].Open(nil, nil, ciphertext, f.data())
	if err != nil {
		return "", fmt.Errorf("oauth: sealed token: %w", err)
	}
	return string(token), nil
}
