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
	if d.places != nil {
		i, ok := d.places[id]
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
		d.places = make(map[int]int, len(d.Connections))
		for i := range d.Connections {
			d.places[d.Connections[i].ID] = i
		}
		return
	}
}
