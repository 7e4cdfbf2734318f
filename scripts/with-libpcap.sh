#!/bin/sh
# with-libpcap.sh COMMAND... runs a command of Go with libpcap where this
# machine has it or can be given it, else without cgo, and says so. The
# program then does all but BPF filters and reads the same captures.
if [ "${CGO_ENABLED:-1}" != 0 ] && ! "$(dirname "$0")/deps.sh" pcap; then
	echo "without libpcap: going on with CGO_ENABLED=0, which has no BPF filters" >&2
	CGO_ENABLED=0
	export CGO_ENABLED
fi
exec "$@"
