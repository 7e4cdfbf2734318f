package document

// Connection returns the connection with a number, nil when the document does
// not list it.
func (d *Document) Connection(id int) *Connection {
	if i, ok := d.Position(id); ok {
		return &d.Connections[i]
	}
	return nil
}

// Position returns where a connection stands in the list. The numbers of one
// document are positions from 1; those of a live job hold for its whole life.
func (d *Document) Position(id int) (int, bool) {
	if i := id - 1; i >= 0 && i < len(d.Connections) && d.Connections[i].ID == id {
		return i, true
	}
	if d.Places != nil {
		i, ok := d.Places[id]
		return i, ok
	}
	for i := range d.Connections {
		if d.Connections[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// index makes the look-up of numbers that are no positions cheap.
func (d *Document) index() {
	for i := range d.Connections {
		if d.Connections[i].ID == i+1 {
			continue
		}
		d.Places = make(map[int]int, len(d.Connections))
		for i := range d.Connections {
			d.Places[d.Connections[i].ID] = i
		}
		return
	}
}

// Main reports whether a row stands for its connection: it is the only one, or
// of those of several capture points the one that counts.
func (c *Connection) Main() bool { return c.Conversation == nil || *c.Conversation == c.ID }

// Stands returns the number of the row that stands for a connection.
func (c *Connection) Stands() int {
	if c.Conversation == nil {
		return c.ID
	}
	return *c.Conversation
}

// Legs returns the other rows of the connection of a row, in the order of the
// document.
func (d *Document) Legs(c *Connection) []*Connection {
	if c.Conversation == nil {
		return nil
	}
	var out []*Connection
	for i := range d.Connections {
		if o := &d.Connections[i]; o.ID != c.ID && o.Stands() == *c.Conversation {
			out = append(out, o)
		}
	}
	return out
}

// MainEvents returns the events of each connection once: those of the row that
// stands for it.
func (d *Document) MainEvents() []Event {
	var out []Event
	for _, e := range d.Events {
		if c := d.Connection(e.Connection); c == nil || c.Main() {
			out = append(out, e)
		}
	}
	return out
}
