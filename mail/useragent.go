package mail

import "strings"

// describeUserAgent tells what a User-Agent header claims to be in words of
// ours, such as "Firefox, Linux": the header itself is a stranger's text, and a
// mail is no place for it. It is empty when there is nothing that we know.
func describeUserAgent(header string) string {
	// Browsers name those that they want to be taken for, too: the order decides.
	browser := firstIn(header, [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"Chrome/", "Chrome"}, {"CriOS/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	})
	system := firstIn(header, [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Macintosh", "macOS"},
		{"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	})
	if browser != "" && system != "" {
		return browser + ", " + system
	}
	return browser + system
}

func firstIn(header string, names [][2]string) string {
	for _, name := range names {
		if strings.Contains(header, name[0]) {
			return name[1]
		}
	}
	return ""
}
