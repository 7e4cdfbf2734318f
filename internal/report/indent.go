package report

// appendIndented appends compact JSON, as json.Encoder writes it, with the line breaks
// of json.Indent and two spaces a level. It trusts its input, so it takes a
// fraction of the time.
func appendIndented(out, text []byte, prefix string) []byte {
	depth := 0
	line := func() {
		out = append(out, '\n')
		out = append(out, prefix...)
		for range depth {
			out = append(out, "  "...)
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			end := i + 1
			for text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			out = append(out, text[i:end+1]...)
			i = end
		case '{', '[':
			out = append(out, c)
			if text[i+1] == c+2 { // the bracket that closes it
				out = append(out, text[i+1])
				i++
				break
			}
			depth++
			line()
		case '}', ']':
			depth--
			line()
			out = append(out, c)
		case ',':
			out = append(out, c)
			line()
		case ':':
			out = append(out, ": "...)
		default:
			out = append(out, c)
		}
	}
	return out
}
