package fastapiusers

import (
	"reflect"
	"slices"

	"usher"
)

// Column is where an application's own column of the users goes.
type Column[U any] struct {
	Name string // in usher
	// Set puts a value of the source into u: nil (NULL), or what the driver yields;
	// Convert helps. The error says what is wrong with the value and does not quote
	// it.
	Set func(u *U, value any) error
	// Get returns the value of u as something that JSON can say, nil if it is empty.
	Get func(u *U) any
	// Copy puts the value of one user into another.
	Copy func(to, from *U)
}

// Convert puts a value as a driver yields it into the variable that target points
// to: texts into strings, 0 and 1 into booleans, times without a zone as UTC, the
// text of JSON into everything else. The error does not quote the value.
func Convert(value, target any) error {
	return assign(reflect.ValueOf(target).Elem(), value)
}

// columnsOf are the columns of the fields of a user type.
func columnsOf[U any](fields []usher.Field) (columns []Column[U]) {
	for _, f := range fields {
		if f.Column == "" {
			continue
		}
		in := func(u *U) reflect.Value { return reflect.ValueOf(u).Elem().FieldByIndex(f.Index) }
		columns = append(columns, Column[U]{
			Name: f.Column,
			Set:  func(u *U, value any) error { return assign(in(u), value) },
			Get: func(u *U) any {
				if v := in(u); !v.IsZero() {
					return v.Addr().Interface()
				}
				return nil
			},
			Copy: func(to, from *U) { in(to).Set(in(from)) },
		})
	}
	return columns
}

// matchColumns finds where the own columns of the source go.
func (im *importer[U]) matchColumns(columns []Column[U]) {
	for _, name := range im.from.users.own {
		i := slices.IndexFunc(columns, func(c Column[U]) bool { return c.Name == name })
		if i < 0 {
			im.report.NotCarried = append(im.report.NotCarried, name)
			continue
		}
		im.own = append(im.own, columns[i])
		im.report.Columns = append(im.report.Columns, name)
	}
}
