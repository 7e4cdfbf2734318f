package emsmdb

// Digest describes a request so that it can be found again in another capture
// of the same conversation, behind an accelerator that numbers calls and
// handles its own way.
type Digest struct {
	// Sum stands for the ROPs with their ids, object ids, positions and sizes;
	// handle indexes and the handle table are left out. It is 0 for a request
	// without ROPs that could be read, and unless Conn.Hash is set.
	Sum    uint64
	Reads  bool // it asks for data of a stream or of a FastTransfer
	Writes bool // it changes something at the server
}

// Digest returns the digest of the request.
func (p *Pending) Digest() Digest { return p.digest }

// describe computes the digest of a request from its RopsList. What could not
// be walked goes into the sum as it is.
func (c *Conn) describe(p *Pending, list []byte) {
	if c.Hash == nil {
		return
	}
	masked := append(c.store.masked[:0], list...)
	for i := range p.rops {
		q := &p.rops[i]
		masked[q.start+2] = 0
		if layouts[q.id].output {
			masked[q.start+requestHead] = 0
		}
		p.digest.Reads = p.digest.Reads || q.id == ropReadStream || q.id == ropGetBuffer
		p.digest.Writes = p.digest.Writes || changing[q.id]
	}
	p.digest.Sum = c.Hash(masked)
	c.store.masked = masked
	if cap(c.store.masked) > 1<<14 {
		c.store.masked = nil // large requests are rare and connections many
	}
}

// Delivered returns how many bytes of streams and FastTransfers the answers so
// far have brought.
func (f *Figures) Delivered() int64 { return f.SyncGetBuffer.Answers.Sum + f.ReadStream.Answers.Sum }

// changing are the ROPs that change something at the server and whose answer
// says little more than that it was done ([MS-OXCROPS] 2.2.2): those that an
// accelerator can answer first and send on later.
var changing = [256]bool{
	0x0a: true, // RopSetProperties
	0x0b: true, // RopDeleteProperties
	0x0c: true, // RopSaveChangesMessage
	0x0d: true, // RopRemoveAllRecipients
	0x0e: true, // RopModifyRecipients
	0x11: true, // RopSetMessageReadFlag
	0x1e: true, // RopDeleteMessages
	0x20: true, // RopSetMessageStatus
	0x24: true, // RopDeleteAttachment
	0x25: true, // RopSaveChangesAttachment
	0x2d: true, // RopWriteStream
	0x2f: true, // RopSetStreamSize
	0x32: true, // RopSubmitMessage
	0x33: true, // RopMoveCopyMessages
	0x4a: true, // RopTransportSend
	0x54: true, // RopFastTransferDestinationPutBuffer
	0x5d: true, // RopCommitStream
	0x66: true, // RopSetReadFlags
	0x72: true, // RopSynchronizationImportMessageChange
	0x73: true, // RopSynchronizationImportHierarchyChange
	0x74: true, // RopSynchronizationImportDeletes
	0x76: true, // RopSynchronizationUploadStateStreamContinue
	0x79: true, // RopSetPropertiesNoReplicate
	0x7a: true, // RopDeletePropertiesNoReplicate
	0x80: true, // RopSynchronizationImportReadStateChanges
	0x90: true, // RopWriteAndCommitStream
	0xa3: true, // RopWriteStreamExtended
}
