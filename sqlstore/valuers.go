package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"reflect"
	"time"
)

// Types with driver.Valuer and sql.Scanner say themselves what they are kept as.

func isValuer(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[driver.Valuer]())
}

// valuerCodec gives a Scanner what the Valuer gave, whatever the driver makes of it.
func valuerCodec(t reflect.Type, y syntax) codec {
	k := valuedKind(t)
	return codec{k, true,
		func(v reflect.Value) (any, error) {
			x, err := valueOf(v)
			if t, ok := x.(time.Time); ok && k == kindTime {
				return y.time(t), err
			}
			return x, err
		},
		func(v reflect.Value, src any) error {
			return v.Addr().Interface().(sql.Scanner).Scan(asKind(k, src))
		},
	}
}

// valuedKind is the kind of what the values of a type are kept as: of its zero
// value, or if that is NULL of one which is not. It is kindText if there is none.
func valuedKind(t reflect.Type) kind {
	v := reflect.New(t).Elem()
	x, err := valueOf(v)
	if err == nil && x == nil {
		switch t.Kind() {
		case reflect.Slice:
			v.Set(reflect.MakeSlice(t, 0, 0))
		case reflect.Map:
			v.Set(reflect.MakeMap(t))
		case reflect.Struct: // sql.NullInt64 and all that are made after it
			if f, there := t.FieldByName("Valid"); there && f.IsExported() && f.Type.Kind() == reflect.Bool {
				if valid, err := v.FieldByIndexErr(f.Index); err == nil {
					valid.SetBool(true)
				}
			}
		}
		x, err = valueOf(v)
	}
	if err != nil {
		return kindText
	}
	switch x.(type) {
	case int64:
		return kindInt
	case float64:
		return kindFloat
	case bool:
		return kindBool
	case []byte:
		return kindBytes
	case time.Time:
		return kindTime
	}
	return kindText
}

// valueOf is what a Valuer gives, as one of the types of driver.Value: sql.Null
// gives others too.
func valueOf(v reflect.Value) (any, error) {
	x, err := v.Addr().Interface().(driver.Valuer).Value()
	if err != nil {
		return nil, err
	}
	return driver.DefaultParameterConverter.ConvertValue(x)
}

// asKind converts what a driver yields to what is kept as a kind, if it can: the
// application may have made the column otherwise.
func asKind(k kind, src any) any {
	var x any
	var err error
	switch k {
	case kindInt:
		x, err = scalar[int64](src)
	case kindFloat:
		x, err = scalar[float64](src)
	case kindBool:
		x, err = scalar[bool](src)
	case kindBytes:
		x, err = scalar[[]byte](src)
	case kindTime:
		var t timeValue
		err = t.Scan(src)
		x = time.Time(t)
	default:
		x, err = scalar[string](src)
	}
	if err != nil {
		return src
	}
	return x
}
