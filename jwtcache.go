package usher

import "sync"

// verifiedTokens remembers which JWTs were verified, by digest, in bounded
// memory. When the young generation is full it becomes the old one, and the old
// one is forgotten.
type verifiedTokens struct {
	mu         sync.RWMutex
	young, old map[TokenHash]Authentication
}

// generation is how many tokens make one, about 4 MB.
const generation = 8192

func (v *verifiedTokens) get(digest TokenHash) (Authentication, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if a, ok := v.young[digest]; ok {
		return a, true
	}
	a, ok := v.old[digest]
	return a, ok
}

func (v *verifiedTokens) put(digest TokenHash, a Authentication) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= generation || v.young == nil {
		v.old, v.young = v.young, make(map[TokenHash]Authentication)
	}
	v.young[digest] = a
}
