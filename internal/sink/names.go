package sink

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Suffixes of what lies beside a file, or in its place.
const (
	suffixZstd = ".zst"
	suffixTemp = ".part" // not complete: removed at the next start when nobody writes it
)

// series is all files of one name: NAME-20261125-153700-000001.EXT, with the
// local date of their first record and a number that never comes again.
type series struct {
	name, ext string
}

func (s series) file(at time.Time, number int) string {
	return fmt.Sprintf("%s-%s-%06d.%s", s.name, at.Format("20060102-150405"), number, s.ext)
}

// maxDigits bounds the numbers of files: one more can always be counted.
const maxDigits = 18

// number returns the number of a file of the series, without suffixes.
func (s series) number(file string) (int, bool) {
	rest, ok := strings.CutPrefix(file, s.name+"-")
	if !ok {
		return 0, false
	}
	if rest, ok = strings.CutSuffix(rest, "."+s.ext); !ok {
		return 0, false
	}
	const date = len("20060102-150405-")
	if len(rest) < date+6 || rest[8] != '-' || rest[15] != '-' || len(rest) > date+maxDigits || strings.Trim(rest[:8]+rest[9:15]+rest[date:], "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(rest[date:])
	return n, err == nil
}

// entry is a file of a series, in one or both forms.
type entry struct {
	number       int
	file         string // without suffix
	plain, small bool   // as it was written, compressed
	temp         string // a leftover of either, or ""
}

// entries finds the files of the series in a folder's list, oldest first.
func (s series) entries(list []string) []entry {
	var all []entry
	index := map[string]int{}
	for _, name := range list {
		file, temp := strings.CutSuffix(name, suffixTemp)
		file, small := strings.CutSuffix(file, suffixZstd)
		n, ok := s.number(file)
		if !ok {
			continue
		}
		i, known := index[file]
		if !known {
			i = len(all)
			index[file] = i
			all = append(all, entry{number: n, file: file})
		}
		switch e := &all[i]; {
		case temp:
			e.temp = name
		case small:
			e.small = true
		default:
			e.plain = true
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		if a.number != b.number {
			return a.number - b.number
		}
		return strings.Compare(a.file, b.file)
	})
	return all
}
