package sink

import "time"

const day = 24 * time.Hour

// boundary returns when a file that begins now ends: the next time at which
// the clock on the wall shows a multiple of every. Where summer time begins or
// ends, a file is longer or shorter.
func boundary(now time.Time, every time.Duration) time.Time {
	now = now.Round(0)
	next := now.Add(left(now, every))
	_, before := now.Zone()
	_, after := next.Zone()
	if before != after && left(next, every) != every {
		shifted := next.Add(time.Duration(before-after) * time.Second)
		if left(shifted, every) == every && shifted.After(now) {
			return shifted
		}
	}
	return next
}

// left is how long the clock on the wall needs from t to the next multiple of
// every: since midnight, and at midnight, of less than a day; else since a
// Monday.
func left(t time.Time, every time.Duration) time.Duration {
	h, m, s := t.Clock()
	today := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
	if every < day {
		return min(every-today%every, day-today)
	}
	year, month, date := t.Date()
	wall := time.Date(year, month, date, 0, 0, 0, 0, time.UTC).Add(today)
	return wall.Truncate(every).Add(every).Sub(wall)
}
