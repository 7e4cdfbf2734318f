package samples

import (
	"time"

	"mapiscope/internal/pcaptest"
)

// open binds EMSMDB on a new connection of small segments, so that an answer
// takes several.
func open(options ...pcaptest.Option) *session {
	s := scene()
	options = append([]pcaptest.Option{pcaptest.MSS(536), pcaptest.RTT(5 * time.Millisecond)}, options...)
	c := s.Dial("10.10.1.21:1069", exchange+":"+mdbPort, options...)
	return bind(c, 0, 0x000212d4, mdbPort, pcaptest.EMSMDB)
}

// finish makes one more call, which shows that reading goes on, and closes.
func (s *session) finish() []byte {
	s.pair(contentsTable(3))
	return s.c.Close().Scene().Pcap()
}

// ask sends a request for part of a stream and returns the PDU of its answer.
func (s *session) ask(n int) []byte {
	s.call++
	request, response := readStream(4096, n)
	in := pcaptest.RpcExt2{Handle: handle, In: pcaptest.Plain(pcaptest.ROPs([]uint32{1, 2}, request)), MaxOut: 0x8000}
	out := pcaptest.RpcExt2Result{Handle: handle, Out: pcaptest.Plain(pcaptest.ROPs([]uint32{1, 2}, response))}
	s.c.Client(pcaptest.Request(0, pcaptest.OpEcDoRpcExt2, in.Request(pcaptest.NDR{})).Call(s.call).Bytes())
	return pcaptest.Response(0, out.Response(pcaptest.NDR{})).Call(s.call).Bytes()
}

func tcpGap() []byte {
	s := open()
	answer := s.ask(900)
	s.c.Server(answer[:300])
	s.c.Drop(1).Server(answer[300:600])
	s.c.Server(answer[600:])
	return s.finish()
}

func tcpReorder() []byte {
	s := open()
	s.c.Reorder().Server(s.ask(900))
	return s.finish()
}

func tcpRetransmit() []byte {
	s := open()
	answer := s.ask(600)
	s.c.Server(answer[:200]).Sleep(200 * time.Millisecond).Retransmit()
	s.c.Drop(1).Server(answer[200:400])
	s.c.Sleep(200 * time.Millisecond).Retransmit()
	s.c.Server(answer[400:])
	return s.finish()
}

func tcpOverlap() []byte {
	s := open()
	answer := s.ask(600)
	s.c.Server(answer[:300])
	s.c.Overlap(pcaptest.Server, 100, answer[300:500])
	s.c.Segment(pcaptest.Server, -50, filler(50, 99), pcaptest.ACK).Ack(pcaptest.Client)
	s.c.Server(answer[500:])
	s.c.Sleep(2 * time.Second).KeepAlive(pcaptest.Client)
	return s.finish()
}

func tcpWrap() []byte {
	s := open(pcaptest.ISNs(0xffffffff-100, 0xffffffff-700))
	s.c.Server(s.ask(900))
	return s.finish()
}
