package oauth

import "usher"

// SealTokens puts the tokens that another program had in clear into an account
// that is about to be stored, sealed with the first of the keys. Without keys, or
// where a token is empty, there is none in the account afterwards. The error names
// what is wrong with the keys.
func SealTokens(keys []Key, account *usher.OAuthAccount, access, refresh string) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	s, err := newSealer(keys)
	if err != nil {
		return err
	}
	account.AccessToken = s.seal(access, accessOf(*account))
	account.RefreshToken = s.seal(refresh, refreshOf(*account))
	return nil
}
