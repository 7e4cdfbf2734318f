package samples

import "encoding/binary"

var le = binary.LittleEndian

// The ROPs here are requests and successful responses with the fields of
// [MS-OXCROPS] in their order. Handles are numbers in the table that follows
// the ROPs.

// logonRequest is RopLogon to a private mailbox (2.2.3.1.1).
func logonRequest(dn string) []byte {
	b := []byte{0xfe, 0, 0, 0x01}             // RopId, LogonId, OutputHandleIndex, LogonFlags: private
	b = le.AppendUint32(b, 0x01000000)        // OpenFlags
	b = le.AppendUint32(b, 0)                 // StoreState
	b = le.AppendUint16(b, uint16(len(dn)+1)) // EssdnSize
	return append(append(b, dn...), 0)
}

// logonResponse is its answer (2.2.3.1.2).
func logonResponse() []byte {
	b := []byte{0xfe, 0}
	b = le.AppendUint32(b, 0)
	b = append(b, 0x01)
	for i := range 13 {
		b = le.AppendUint64(b, uint64(i+1)<<48|1) // FolderIds
	}
	b = append(b, 0x07)                         // ResponseFlags
	b = append(b, filler(16, 1)...)             // MailboxGuid
	b = le.AppendUint16(b, 1)                   // ReplId
	b = append(b, filler(16, 2)...)             // ReplGuid
	b = append(b, 0, 0, 8, 1, 1, 6, 0xd9, 0x07) // LogonTime
	b = le.AppendUint64(b, 0x01c9e28f00000000)  // GwartTime
	return le.AppendUint32(b, 0)                // StoreState
}

// openFolder is RopOpenFolder (2.2.4.1).
func openFolder() (request, response []byte) {
	request = append([]byte{0x02, 0, 0, 1}, le.AppendUint64(nil, 5<<48|1)...)
	return append(request, 0), []byte{0x02, 1, 0, 0, 0, 0, 0, 0}
}

// contentsTable is RopGetContentsTable (2.2.4.14) on a folder of some rows.
func contentsTable(rows uint32) (request, response []byte) {
	return []byte{0x05, 0, 1, 2, 0}, le.AppendUint32([]byte{0x05, 2, 0, 0, 0, 0}, rows)
}

// openStream is RopOpenStream (2.2.9.1) on the body of a message.
func openStream(size uint32) (request, response []byte) {
	request = append([]byte{0x2b, 0, 0, 1}, le.AppendUint32(nil, 0x10090102)...)
	return append(request, 0), le.AppendUint32([]byte{0x2b, 1, 0, 0, 0, 0}, size)
}

// readStream is RopReadStream (2.2.9.2): asks for up to ask bytes, gets n.
func readStream(ask uint16, n int) (request, response []byte) {
	response = le.AppendUint16([]byte{0x2c, 1, 0, 0, 0, 0}, uint16(n))
	return le.AppendUint16([]byte{0x2c, 0, 1}, ask), append(response, filler(n, uint32(n))...)
}

// synchronize is RopSynchronizationConfigure (2.2.13.1) for contents.
func synchronize() (request, response []byte) {
	request = []byte{0x70, 0, 1, 2, 0x01, 0x01}
	request = le.AppendUint16(request, 0x0081) // SynchronizationFlags
	request = le.AppendUint16(request, 0)      // RestrictionDataSize
	request = le.AppendUint32(request, 0x05)   // SynchronizationExtraFlags
	return le.AppendUint16(request, 0), []byte{0x70, 2, 0, 0, 0, 0}
}

// getBuffer is RopFastTransferSourceGetBuffer (2.2.12.3), which gets n bytes
// as step number step of total.
func getBuffer(n int, step, total uint16) (request, response []byte) {
	request = le.AppendUint16([]byte{0x4e, 0, 2}, 0xbabe)
	request = le.AppendUint16(request, 31680)
	status := uint16(1) // partial
	if step == total {
		status = 3 // done
	}
	response = []byte{0x4e, 2, 0, 0, 0, 0}
	response = le.AppendUint16(response, status)
	response = le.AppendUint16(response, step)
	response = le.AppendUint16(response, total)
	response = append(response, 0)
	response = le.AppendUint16(response, uint16(n))
	return request, append(response, filler(n, uint32(step))...)
}

// release is RopRelease (2.2.15.3), which has no answer.
func release(handle byte) []byte { return []byte{0x01, 0, handle} }
