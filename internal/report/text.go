package report

import (
	"fmt"
	"io"
	"time"

	"mapiscope/internal/account"
)

// TextOptions say how text for people looks.
type TextOptions struct {
	Color    bool
	Width    int // columns of the terminal, 0 when unknown
	Location *time.Location
}

// WriteText writes a document for people.
func WriteText(w io.Writer, d *account.Document, _ TextOptions) error {
	t := &d.Totals
	_, err := fmt.Fprintf(w, "%d packets, %d TCP connections, %d of them MAPI, %d escaped\n", t.Packets, t.TCPConnections, t.MAPIConnections, t.EscapedConnections)
	return err
}
