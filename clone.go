package usher

import "reflect"

// clone copies a user with all that the stored ones of its own fields lead to, so that
// whoever changes a map, slice or pointee of the copy in place does not change the
// original too: the store would see no difference between them, and write nothing.
func (f *Fields[U]) clone(u *U) *U {
	c := *u
	v := reflect.ValueOf(&c).Elem()
	for _, field := range f.custom {
		if field.Column != "" {
			place := v.FieldByIndex(field.Index)
			place.Set(cloneOf(place))
		}
	}
	return &c
}

// refers tells whether values of a kind share what they lead to when they are copied.
func refers(k reflect.Kind) bool {
	return k == reflect.Pointer || k == reflect.Interface || k == reflect.Map || k == reflect.Slice
}

// cloneOf copies what v leads to, but for unexported fields of structs, which are for
// their own package to change.
func cloneOf(v reflect.Value) reflect.Value {
	if refers(v.Kind()) && v.IsNil() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		c.Set(reflect.New(v.Type().Elem()))
		c.Elem().Set(cloneOf(v.Elem()))
	case reflect.Interface:
		c.Set(cloneOf(v.Elem()))
	case reflect.Map:
		c.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for key, value := range v.Seq2() {
			c.SetMapIndex(key, cloneOf(value))
		}
	case reflect.Slice:
		c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			c.Index(i).Set(cloneOf(v.Index(i)))
		}
	case reflect.Array:
		for i := range v.Len() {
			c.Index(i).Set(cloneOf(v.Index(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if c.Field(i).CanSet() {
				c.Field(i).Set(cloneOf(v.Field(i)))
			}
		}
	}
	return c
}
