package pcaptest

// Positions renumbers connections and association groups in a document that
// was read from JSON: each gets its place in its list. Two documents of the
// same packets that were numbered at other moments are the same then.
func Positions(doc map[string]any) {
	conns, groups := places(doc["connections"]), places(doc["association_groups"])
	var walk func(name string, v any) any
	walk = func(name string, v any) any {
		switch x := v.(type) {
		case map[string]any:
			for k, below := range x {
				x[k] = walk(k, below)
			}
		case []any:
			for i := range x {
				x[i] = walk(name, x[i])
			}
		case float64:
			switch name {
			case "connection", "connections", "conversation", "flows", "inferred", "escaped", "possible", "alone":
				return conns[x]
			case "group", "groups":
				return groups[x]
			}
		}
		return v
	}
	for name, part := range doc {
		switch name {
		case "connections", "association_groups":
			for i, row := range part.([]any) {
				x := walk("", row).(map[string]any)
				x["id"] = float64(i + 1)
			}
		case "endpoints", "findings", "encryption", "kerberos_errors":
			doc[name] = walk(name, part)
		}
	}
}

// places returns the place of each number in a list, from 1.
func places(list any) map[float64]float64 {
	at := make(map[float64]float64)
	for i, row := range list.([]any) {
		at[row.(map[string]any)["id"].(float64)] = float64(i + 1)
	}
	return at
}
