package report

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mapiscope/internal/document"
	"mapiscope/internal/escape"
)

// notAvailable stands where the packets do not give a figure.
const notAvailable = "n/a"

// safe makes text that came off the wire fit to print.
func safe(s string) string { return escape.Text(s) }

// count prints a number of things with the right form of their name.
func count(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, plural(one))
}

// plural forms the plural of the nouns that the report uses.
func plural(one string) string {
	switch {
	case strings.HasSuffix(one, "y"):
		return one[:len(one)-1] + "ies"
	case strings.HasSuffix(one, "s"), strings.HasSuffix(one, "ch"):
		return one + "es"
	}
	return one + "s"
}

// size prints bytes in decimal units, three digits, k = 1000: "812 B",
// "69.0 kB", "1.25 MB".
func size(n int64) string { return scaled(n) + "B" }

// scaled prints a number with a decimal prefix and a space before it:
// "812 ", "69.0 k", "1.25 M".
func scaled(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d ", n)
	}
	v, prefix := float64(n), ""
	for _, prefix = range []string{"k", "M", "G", "T", "P", "E"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	return digits(v) + " " + prefix
}

// tight is scaled without the space, for narrow columns.
func tight(n int64) string { return strings.ReplaceAll(scaled(n), " ", "") }

// digits prints a positive number below 1000 with three digits.
func digits(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// span prints a duration of microseconds: "850 µs", "41.9 ms", "1.25 s",
// "3 min 20 s", "2 h 5 min", "3 d 4 h".
func span(us int64) string {
	sign := ""
	if us < 0 {
		sign, us = "-", -us
	}
	v := float64(us)
	switch {
	case us < 1000:
		return fmt.Sprintf("%s%d µs", sign, us)
	case us < 999_500:
		return sign + digits(v/1e3) + " ms"
	case us < 120e6:
		return sign + digits(v/1e6) + " s"
	case us < 2*3600e6:
		return fmt.Sprintf("%s%d min %d s", sign, us/60e6, us/1e6%60)
	}
	if us < 48*3600e6 {
		return fmt.Sprintf("%s%d h %d min", sign, us/3600e6, us/60e6%60)
	}
	return fmt.Sprintf("%s%d d %d h", sign, us/(24*3600e6), us/3600e6%24)
}

// spanOf is span of a figure that may be missing.
func spanOf(us *int64) string {
	if us == nil {
		return notAvailable
	}
	return span(*us)
}

// amount is a figure that may be missing.
func amount(n *int64) string {
	if n == nil {
		return notAvailable
	}
	return strconv.FormatInt(*n, 10)
}

// pair prints what the client and what the server sent.
func pair(p document.PerSide, f func(int64) string) string {
	return f(p.Client) + "/" + f(p.Server)
}

// endpoint prints an address with its port, IPv6 in brackets.
func endpoint(h document.Host) string {
	if strings.Contains(h.IP, ":") {
		return fmt.Sprintf("[%s]:%d", h.IP, h.Port)
	}
	return fmt.Sprintf("%s:%d", h.IP, h.Port)
}

// ends prints client and server of a connection.
func ends(c *document.Connection) string { return endpoint(c.Client) + " > " + endpoint(c.Server) }

// byAddress orders addresses as numbers, what is none behind them as text.
func byAddress(a, b string) int {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil || errY != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}

// clock prints times of the document in one zone.
type clock struct{ zone *time.Location }

func newClock(zone *time.Location) clock {
	if zone == nil {
		zone = time.UTC
	}
	return clock{zone}
}

// parse reads a time of the document.
func (k clock) parse(stamp string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, stamp)
	return t.In(k.zone), err == nil
}

// day prints the time of day to the microsecond.
func (k clock) day(stamp string) string {
	t, ok := k.parse(stamp)
	if !ok {
		return stamp
	}
	return t.Format("15:04:05.000000")
}

// second prints the time of day to the second.
func (k clock) second(stamp string) string {
	t, ok := k.parse(stamp)
	if !ok {
		return stamp
	}
	return t.Format(time.TimeOnly)
}

// period prints from when to when, and how long that is.
func (k clock) period(first, last string) string {
	a, okA := k.parse(first)
	b, okB := k.parse(last)
	if !okA || !okB {
		return first + " to " + last
	}
	end := "2006-01-02 15:04:05.000000 MST"
	if a.Year() == b.Year() && a.YearDay() == b.YearDay() {
		end = "15:04:05.000000 MST"
	}
	out := a.Format("2006-01-02 15:04:05.000000") + " to " + b.Format(end)
	if b.Before(a) { // a clock was set back: how long is not known
		return out
	}
	return out + " (" + span(b.Sub(a).Microseconds()) + ")"
}

// list joins words and cuts the list after max of them, saying so.
func list(words []string, max int) string {
	if len(words) <= max {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:max], ", "), len(words)-max)
}

// numbers joins numbers, runs of them as a range: "1-4, 7".
func numbers(ns []int, max int) string {
	var words []string
	for i := 0; i < len(ns); {
		j := i
		for j+1 < len(ns) && ns[j+1] == ns[j]+1 {
			j++
		}
		switch {
		case j > i+1:
			words = append(words, fmt.Sprintf("%d-%d", ns[i], ns[j]))
		default:
			j = i
			words = append(words, strconv.Itoa(ns[i]))
		}
		i = j + 1
	}
	return list(words, max)
}
