package report

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"

	"mapiscope/internal/document"
	"mapiscope/internal/escape"
)

// WriteJSON writes the document as one indented JSON object. The elements of
// its lists are written one by one, so that a long list is never held as
// text.
func WriteJSON(w io.Writer, d *document.Document) error {
	e := &indenter{w: w}
	e.text("{")
	first := true
	v := reflect.ValueOf(d).Elem()
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "-" || option == "omitempty" && v.Field(i).IsZero() {
			continue
		}
		if !first {
			e.text(",")
		}
		first = false
		e.text("\n  \"" + name + "\": ")
		f := v.Field(i)
		if f.Kind() != reflect.Slice || f.Len() == 0 {
			e.value(f.Interface(), "  ")
			continue
		}
		e.text("[")
		for j := range f.Len() {
			if j > 0 {
				e.text(",")
			}
			e.text("\n    ")
			e.value(f.Index(j).Addr().Interface(), "    ")
		}
		e.text("\n  ]")
	}
	e.text("\n}\n")
	return e.err
}

// indenter writes pieces of a JSON text and keeps the first error.
type indenter struct {
	w   io.Writer
	raw bytes.Buffer
	buf []byte
	err error
}

func (e *indenter) text(s string) {
	if e.err == nil {
		_, e.err = io.WriteString(e.w, s)
	}
}

func (e *indenter) value(v any, prefix string) {
	if e.err != nil {
		return
	}
	e.raw.Reset()
	if e.err = encode(&e.raw, v); e.err != nil {
		return
	}
	e.buf = appendIndented(e.buf[:0], e.raw.Bytes(), prefix)
	_, e.err = e.w.Write(e.buf)
}

// WriteObject writes any value as one indented JSON object, as WriteJSON does
// the document.
func WriteObject(w io.Writer, v any) error {
	e := &indenter{w: w}
	e.value(v, "")
	e.text("\n")
	return e.err
}

// encode appends the JSON of v to b. Names of interfaces and annotations come
// with "<" and "&" in them, which only HTML would mind; what a terminal would
// act on is escaped.
func encode(b *bytes.Buffer, v any) error {
	at := b.Len()
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line feed that Encode adds
	text := b.Bytes()[at:]
	if escaped := escape.JSON(text); len(escaped) != len(text) {
		b.Truncate(at)
		b.Write(escaped)
	}
	return nil
}
