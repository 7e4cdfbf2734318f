package pcaps

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// expand returns the files that a path stands for: itself, the files of a
// folder that are not hidden, or those that a pattern matches where no file has
// its name. They are in order of their names.
func expand(path string) ([]string, error) {
	info, err := os.Stat(path)
	switch {
	case path == "-":
		return []string{path}, nil
	case err == nil && info.IsDir():
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, cause(err)
		}
		var files []string
		for _, e := range entries {
			name := filepath.Join(path, e.Name())
			// A link counts as what it leads to.
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, name)
			}
		}
		if len(files) == 0 {
			return nil, errors.New("is a folder without files")
		}
		return files, nil
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(path, "*?["):
		files, err := filepath.Glob(path)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, errors.New("no file matches the pattern")
		}
		return files, nil
	}
	return []string{path}, nil
}

// cause returns the error of a file without the path, which an OpenError names.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// fail gives a source up before its first packet: it is no capture, or one that
// is damaged at its head.
func (s *source) fail(err error) {
	_ = s.close() // there is an error already
	s.dec, s.capture.Format, s.capture.Err = nil, "", err
}

// prime reads the first packet of a source, so that its time is known.
func (s *source) prime() {
	if s.ready = s.advance(); s.ready {
		s.first = s.head.Time
	} else {
		_ = s.close() // nothing is left to read
	}
}

// park closes a source whose first packet was read. Its capture stays as it was
// before that.
func (s *source) park() {
	_ = s.close() // it is opened again
	s.parked, s.ready, s.dec = true, false, nil
}

// unpark opens a parked source again and reads its first packet.
func (s *source) unpark(m *meter, o *Options, chunk int) bool {
	*s = source{
		capture: Capture{Path: s.capture.Path}, index: s.index, at: s.at, site: s.site, filter: s.filter, several: true, again: true,
	}
	if err := openSource(s, m, o, chunk); err != nil {
		s.fail(err)
		return false
	}
	return s.advance()
}
