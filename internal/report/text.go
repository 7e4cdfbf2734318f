package report

import (
	"io"
	"time"

	"mapiscope/internal/document"
)

// TextOptions says how a page is printed.
type TextOptions struct {
	Color    bool           // colour severities and verdicts
	Width    int            // columns of the page; 0 is 120, the least is 80
	Location *time.Location // zone of all times; nil is UTC
}

// WriteText writes the report as a page for people, verdicts first: what was
// captured, how the association groups fared, what stands out and what to do,
// then the tables. A capture without DCE/RPC gets a page that says so.
func WriteText(w io.Writer, d *document.Document, o TextOptions) error {
	p := newPage(w, d, o)
	p.scope()
	if p.nothing() {
		p.standsOut()
		p.captureTable()
		p.books()
		return p.err
	}
	p.verdicts()
	p.standsOut()
	p.todo()
	p.captureTable()
	p.clientTable()
	p.serverTable()
	p.endpointTable()
	p.groupTable()
	p.connectionTable()
	p.encryptionTable()
	p.kerberosTable()
	p.operationTable()
	p.returnTable()
	p.ropTable()
	p.acceleratorTables()
	p.books()
	return p.err
}

// nothing reports whether the capture holds nothing that this program is
// about.
func (p *page) nothing() bool {
	t := &p.doc.Totals
	return t.DCERPCConnections == 0 && t.MAPIConnections == 0 && t.EPMConnections == 0 && len(p.doc.Connections) == 0 && len(p.doc.Kerberos) == 0
}
