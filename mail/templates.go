package mail

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"

	"usher"
)

// A template set is a directory for each language (en, de, pt-BR) with
//
//	verify.txt    the mail as text; it defines "subject"
//	verify.html   the same as HTML; empty, or missing beside the .txt of a language
//	              that usher does not come with: text only
//	layout.html   what the HTML files share; those of the default language serve
//	              languages without it
//
// and so on for each of Kinds. Files of Config.Templates take the place of
// usher's own, one by one.

//go:embed templates
var embedded embed.FS

// Kinds returns the kinds of mail that have templates.
func Kinds() []usher.MessageKind {
	return []usher.MessageKind{
		usher.MailVerify, usher.MailReset, usher.MailAlreadyRegistered, usher.MailPasswordChanged,
		usher.MailEmailChanged, usher.MailConfirmEmail, usher.MailNewSignIn,
		usher.MailAccountLinked, usher.MailAccountUnlinked,
	}
}

// template is one kind of mail in one language.
type template struct {
	text *texttemplate.Template
	html *htmltemplate.Template // nil: text only
}

func (t template) execute(d data) (subject, text, html string, err error) {
	var b strings.Builder
	if err := t.text.ExecuteTemplate(&b, "subject", subjectData{d.Product}); err != nil {
		return "", "", "", err
	}
	subject = strings.TrimSpace(b.String())
	b.Reset()
	if err := t.text.Execute(&b, d); err != nil {
		return "", "", "", err
	}
	text = strings.TrimSpace(b.String()) + "\n"
	if t.html != nil {
		b.Reset()
		if err := t.html.Execute(&b, d); err != nil {
			return "", "", "", err
		}
		html = strings.TrimSpace(b.String()) + "\n"
	}
	return subject, text, html, nil
}

// templates are all mails in all languages.
type templates struct {
	language string // the default
	byName   map[string]map[usher.MessageKind]template
}

// find returns the mail in the language, in the one that it is a variety of
// (de for de-AT), or in the default language.
func (t templates) find(language string, kind usher.MessageKind) (template, bool) {
	language = strings.ToLower(language)
	base, _, _ := strings.Cut(language, "-")
	for _, name := range []string{language, base, t.language} {
		if found, ok := t.byName[name][kind]; ok {
			return found, true
		}
	}
	return template{}, false
}

// source finds the files of a set.
type source struct {
	layers   []fs.FS // the first that has a file decides
	language string
}

func newSource(override fs.FS, language string) (source, error) {
	own, err := fs.Sub(embedded, "templates")
	if err != nil {
		return source{}, err
	}
	s := source{layers: []fs.FS{own}, language: language}
	if override != nil {
		s.layers = []fs.FS{override, own}
	}
	return s, nil
}

// read returns a file's text, and whether there is one.
func (s source) read(name string) (string, bool, error) {
	for _, layer := range s.layers {
		b, err := fs.ReadFile(layer, name)
		if err == nil {
			return string(b), true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", false, err
		}
	}
	return "", false, nil
}

// directories returns the languages, in the spelling of their directories.
func (s source) directories() ([]string, error) {
	var names []string
	for _, layer := range s.layers {
		entries, err := fs.ReadDir(layer, ".")
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			// Stat follows the symbolic links that a mounted configuration is made of.
			info, err := fs.Stat(layer, entry.Name())
			if err != nil {
				return nil, err
			}
			if info.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
				names = append(names, entry.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// load parses every template. The error names every fault with its file and line.
func load(override fs.FS, language string) (templates, error) {
	src, err := newSource(override, language)
	if err != nil {
		return templates{}, err
	}
	directories, err := src.directories()
	if err != nil {
		return templates{}, err
	}
	t := templates{language: strings.ToLower(language), byName: map[string]map[usher.MessageKind]template{}}
	var faults []error
	for _, dir := range directories {
		faults = append(faults, src.checkNames(dir))
		kinds := map[usher.MessageKind]template{}
		for _, kind := range Kinds() {
			found, ok, err := src.parse(dir, string(kind))
			faults = append(faults, err)
			if ok {
				kinds[kind] = found
			}
		}
		t.byName[strings.ToLower(dir)] = kinds
	}
	if err := errors.Join(faults...); err != nil {
		return templates{}, err
	}
	for _, kind := range Kinds() {
		if _, ok := t.byName[t.language][kind]; !ok {
			return templates{}, fmt.Errorf("there is no %s/%s.txt, and %s is the default language", language, kind, language)
		}
	}
	return t, nil
}

// checkNames finds files whose names are misspelt: nothing would ever use them.
func (s source) checkNames(dir string) error {
	var faults []error
	for _, layer := range s.layers {
		entries, err := fs.ReadDir(layer, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			name := entry.Name()
			kind := usher.MessageKind(strings.TrimSuffix(name, path.Ext(name)))
			isTemplate := path.Ext(name) == ".txt" || path.Ext(name) == ".html"
			if isTemplate && name != "layout.html" && !slices.Contains(Kinds(), kind) {
				faults = append(faults, fmt.Errorf("%s: usher sends no such mail", path.Join(dir, name)))
			}
		}
	}
	return errors.Join(faults...)
}

// parse reads one kind of mail in one language, if there is one.
func (s source) parse(dir, kind string) (t template, ok bool, err error) {
	textName, htmlName := path.Join(dir, kind+".txt"), path.Join(dir, kind+".html")
	text, hasText, err := s.read(textName)
	if err != nil {
		return template{}, false, err
	}
	html, hasHTML, err := s.read(htmlName)
	switch {
	case err != nil:
		return template{}, false, err
	case !hasText && hasHTML:
		return template{}, false, fmt.Errorf("%s: there is no %s beside it", htmlName, textName)
	case !hasText:
		return template{}, false, nil
	}
	if t.text, err = texttemplate.New(textName).Parse(text); err != nil {
		return template{}, false, err
	}
	if t.text.Lookup("subject") == nil {
		return template{}, false, fmt.Errorf(`%s:1: does not {{define "subject"}}`, textName)
	}
	if strings.TrimSpace(html) == "" {
		return t, true, nil
	}
	if t.html, err = s.parseLayout(dir); err != nil {
		return template{}, false, err
	}
	if t.html, err = t.html.New(htmlName).Parse(html); err != nil {
		return template{}, false, err
	}
	return t, true, nil
}

func (s source) parseLayout(dir string) (*htmltemplate.Template, error) {
	for _, dir := range []string{dir, s.language} {
		name := path.Join(dir, "layout.html")
		text, ok, err := s.read(name)
		if err != nil {
			return nil, err
		}
		if ok {
			return htmltemplate.New(name).Parse(text)
		}
	}
	return htmltemplate.New("layout.html"), nil
}
