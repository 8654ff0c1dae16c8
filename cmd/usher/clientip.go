package main

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientIP returns how the address of a client is found: it is the connection's,
// unless that is a trusted proxy's. Each proxy appends to X-Forwarded-For who
// called it, so the header is read from its end, for as long as it is proxies of
// ours that speak; what a client itself has put before is never reached.
func (c Config) clientIP() func(*http.Request) string {
	var proxies []netip.Prefix
	for _, s := range c.TrustedProxies {
		if proxy, err := parseProxy(s); err == nil { // check has named the others
			proxies = append(proxies, proxy)
		}
	}
	trusted := func(addr netip.Addr) bool {
		for _, proxy := range proxies {
			if proxy.Contains(addr) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) string {
		addr, ok := parseHop(r.RemoteAddr)
		if !ok {
			return r.RemoteAddr
		}
		hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
		for i := len(hops) - 1; i >= 0 && trusted(addr); i-- {
			hop, ok := parseHop(strings.TrimSpace(hops[i]))
			if !ok {
				break
			}
			addr = hop
		}
		return addr.String()
	}
}

// parseHop reads an address with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), true
}
