package archtest

// The rules of the project. To add a package, give it a layer; to add a
// dependency, say who may import it. ARCHITECTURE.md tells the same in prose.

// layers goes from the bottom to the top. Arrows never turn round: a lower
// layer does not know the upper ones.
var layers = []Layer{
	{"internal/wire", nil, "the cursor stands under everything, its tests need bytes only"},
	{"internal/hist", nil, "a histogram knows numbers only"},
	{"internal/budget", nil, "an account of memory knows numbers only"},
	{"internal/escape", nil, "it knows forms of output and not what they tell"},
	{"internal/archtest", nil, "it judges the others and depends on none"},
	{"pcaps", []string{"internal/wire"}, "a capture is packets with times; what they carry is not its business"},
	{"flows", []string{"internal/budget", "internal/wire", "pcaps"},
		"TCP does not know RPC, so that the reassembler can be tested with random bytes"},
	{"dcerpc/auth", []string{"internal/wire"}, "tokens are bytes, whatever carried them"},
	{"dcerpc/ndr", []string{"internal/wire"}, "NDR is an encoding, not a protocol"},
	{"dcerpc/epm", []string{"dcerpc/ndr", "internal/wire"}, "EPM is stubs: it does not know connections"},
	{"dcerpc", []string{"dcerpc/auth", "internal/budget", "internal/hist", "internal/wire"},
		"RPC works on bytes and positions: it does not know TCP, captures, or any one interface"},
	{"internal/continuity", []string{"dcerpc"}, "it counts call ids and knows neither packets nor hosts"},
	{"emsmdb", []string{"dcerpc", "dcerpc/ndr", "internal/budget", "internal/hist", "internal/wire"},
		"EMSMDB is stubs of calls: it does not know TCP, and groups are above it"},
	{"assoc", []string{"dcerpc", "dcerpc/auth", "dcerpc/epm", "dcerpc/ndr", "emsmdb", "flows", "internal/budget", "internal/wire", "pcaps"},
		"it links connections and judges nothing that a report would word"},
	{"internal/compare", []string{"assoc", "dcerpc", "emsmdb", "flows", "internal/wire", "pcaps"},
		"it puts two capture points side by side and words nothing for a report"},
	{"internal/verdict", []string{"assoc", "flows", "internal/compare", "internal/continuity", "internal/wire", "pcaps"},
		"one pure function from facts to what they prove; it words nothing for a report and writes into nobody"},
	{"internal/finding", []string{"assoc", "dcerpc", "dcerpc/auth", "dcerpc/epm", "emsmdb", "flows", "internal/compare", "internal/verdict", "internal/wire", "pcaps"},
		"it says what follows from facts and verdicts, and knows no document"},
	{"internal/document", []string{"assoc", "dcerpc", "emsmdb", "flows", "internal/compare", "internal/finding", "internal/hist", "internal/verdict", "internal/wire", "pcaps"},
		"it gives what was found the shape of the document, concludes nothing, and does not know how that is read or printed"},
	{"internal/run", []string{"assoc", "emsmdb", "flows", "internal/budget", "internal/compare", "internal/document", "internal/finding", "internal/verdict", "pcaps"}, "it wires the parts and decodes nothing itself"},
	{"internal/sink", []string{"pcaps"}, "it keeps lines and packets and does not know what they tell"},
	{"internal/live", []string{"internal/document", "internal/hist", "internal/run", "pcaps"}, "a live job is packets that come in while it runs; who shows it stands above"},
	{"internal/metrics", []string{"internal/document", "internal/escape", "internal/hist", "internal/live"}, "it shows figures of a live job to a monitoring system and works none out"},
	{"internal/report", []string{"internal/document", "internal/escape"}, "it prints the document and works nothing out"},
	{"internal/screen", []string{"internal/document", "internal/live", "internal/report"}, "it shows the documents of a live job in the words of the report and works nothing out"},
	{"internal/device", []string{"internal/document", "internal/escape", "internal/report"}, "it shows the document as a device prints its own and works no traffic out"},
	{"internal/livelog", []string{"internal/document", "internal/device", "internal/live", "internal/report", "internal/sink"}, "it writes what a live job finds in the words of the report and of a device"},
	{"cmd/mapiscope", []string{"internal/document", "internal/device", "internal/escape", "internal/live", "internal/livelog", "internal/metrics", "internal/report", "internal/run", "internal/screen", "internal/sink", "pcaps"},
		"the command is flags, files and exit statuses; what it knows of traffic stands in a document"},
	{"cmd/mapiscope-bench", []string{"internal/pcaptest", "pcaps"}, "it makes captures and runs programs; it links nothing of what it measures"},
	{"internal/samples", []string{"internal/pcaptest"}, "shipped captures are written by hand, none by a decoder"},
	{"internal/pcaptest", []string{"pcaps"}, "a second opinion shares no decoder with what it tests"},
}

// reserved are the dependencies, and the parts of the standard library that
// are not for everybody.
var reserved = []Reserved{
	{"github.com/google/gopacket/...", []string{"pcaps", "cmd/mapiscope-bench"}, false, "only pcaps knows how captures are stored and taken"},
	{"github.com/klauspost/compress/...", []string{"pcaps", "internal/sink"}, false, "pcaps opens compressed files, sink makes them"},
	{"github.com/therootcompany/xz", []string{"pcaps"}, false, "only pcaps opens compressed files; of the xz readers it is the one that bounds the dictionary"},
	{"github.com/pierrec/lz4/...", []string{"pcaps"}, false, "only pcaps opens compressed files"},
	{"github.com/satta/gommunityid", []string{"internal/document"}, false, "the Community ID is a figure of the document"},
	{"github.com/jcmturner/gokrb5/v8/...", []string{"dcerpc/auth"}, false, "only dcerpc/auth reads Kerberos"},
	{"golang.org/x/crypto/...", []string{"dcerpc/auth"}, false, "only dcerpc/auth reads ASN.1"},
	{"github.com/spf13/cobra", []string{"cmd/..."}, false, "only cmd has a command line"},
	{"github.com/spf13/pflag", []string{"cmd/..."}, false, "only cmd has flags"},
	{"github.com/schollz/progressbar/v3", []string{"cmd/..."}, false, "only cmd knows the terminal"},
	{"golang.org/x/sys/...", []string{"pcaps", "internal/pcaptest"}, false, "only pcaps asks the kernel for packets"},
	{"github.com/dustin/go-humanize", []string{"cmd/..."}, false, "only cmd has flags"},
	{"golang.org/x/term", []string{"cmd/...", "internal/screen"}, false, "only cmd and the screen know the terminal"},
	{"github.com/olekukonko/tablewriter/...", []string{"internal/report", "internal/device"}, false, "text is laid out where it is printed"},
	{"github.com/fatih/color", []string{"internal/report", "internal/device"}, false, "text is coloured where it is printed"},
	{"charm.land/bubbletea/v2", []string{"internal/screen"}, false, "only the screen takes a terminal over"},
	{"github.com/mattn/go-runewidth", []string{"internal/screen"}, false, "only the screen measures what a terminal does with a character"},
	{"github.com/creack/pty", nil, false, "a help of tests"},
	{"github.com/charmbracelet/x/vt", nil, false, "a help of tests"},
	{"github.com/prometheus/client_golang/...", []string{"internal/metrics"}, false, "only internal/metrics knows who monitors"},
	{"golang.org/x/net/netutil", []string{"internal/metrics"}, false, "only internal/metrics has a server"},
	{"net/http", []string{"internal/metrics"}, false, "only internal/metrics has a server"},
	{"github.com/rogpeppe/go-internal/...", nil, false, "a help of tests"},
	{"github.com/google/go-cmp/...", nil, false, "a help of tests"},
	{"testing", []string{"internal/pcaptest"}, false, "a help of tests"},
	{"flag", []string{"cmd/mapiscope-bench"}, false, "only cmd has flags, by cobra"},
	{"unsafe", []string{"pcaps"}, false, "a block of packets is handed over by a word that the kernel shares; else bytes from the wire are read through a cursor"},
	{"log/...", []string{"internal/metrics"}, false, "libraries return what they have to say; a server of net/http has to be told to be quiet"},
	{"reflect", []string{"internal/report"}, false, "fields are read by name; reflection hides what a decoder does and costs"},
	{"encoding/gob", nil, true, "nothing is stored in a form of Go's own"},
	{"math/rand", nil, true, "math/rand/v2 has seeds of its own"},
}

// uses are names and statements that are not for everybody.
var uses = []Reserved{
	{What: "fmt.Print*", Packages: []string{"cmd/..."}, Why: "only cmd prints"},
	{What: "print", Why: "only cmd prints, through a writer"},
	{What: "println", Why: "only cmd prints, through a writer"},
	{What: "os.Stdout", Packages: []string{"cmd/..."}, Why: "only cmd knows where output goes"},
	{What: "os.Stderr", Packages: []string{"cmd/..."}, Why: "only cmd knows where messages go"},
	{What: "os.Stdin", Packages: []string{"cmd/...", "pcaps"}, Why: "only cmd and the path \"-\" know where input comes from"},
	{What: "os.Exit", Packages: []string{"cmd/..."}, Why: "only cmd ends the process"},
	{What: "os.Getenv", Packages: []string{"cmd/...", "internal/pcaptest"}, Why: "settings are arguments below cmd; tests ask for CI"},
	{What: "time.Now", Packages: []string{"cmd/...", "internal/pcaptest"}, Why: "time is the capture's, so that results repeat; a test waits for the kernel"},
	{What: "time.Since", Packages: []string{"cmd/..."}, Why: "time is the capture's, so that results repeat"},
	{What: "recover", Why: "a panic is a defect; catching it hides one"},
	{What: "go", Packages: []string{"internal/run", "internal/metrics", "internal/screen", "internal/sink", "pcaps", "cmd/..."}, Why: "a goroutine has one owner (pcaps has one for each interface of a live capture, for each input that it reads ahead or follows, and for each that it waits to open, the screen one that writes); decoders run where they are called"},
}

// variables are the package variables that are no constant tables, and the
// init functions.
var variables = map[string]string{
	"cmd/mapiscope.release": "the linker sets it",
	"dcerpc.buffers":        "a pool of buffers, which carry nothing from one use to the next",
	"dcerpc.stubs":          "a pool of buffers, which carry nothing from one use to the next",
	"emsmdb.scratches":      "a pool of buffers, which carry nothing from one use to the next",
	"emsmdb.pendings":       "a pool of calls, which carry nothing from one use to the next",
	"emsmdb.tables":         "a pool of tables, which carry nothing from one use to the next",
	"emsmdb.layouts":        "walkers point at its rows and do not write",
}

// assignments are the types whose fields another package sets: options before
// the value is used, hooks, and places that a type keeps for whoever uses it.
var assignments = map[string]string{
	"assoc.Config from internal/run":                "options, fitted to the memory that a job may use",
	"flows.Limits from internal/run":                "options, shared out among the workers",
	"flows.Frame from internal/run":                 "a copy in a batch, which gets bytes of its own",
	"internal/run.Config from cmd/mapiscope":        "options of a job, which each command completes",
	"internal/device.Comparison from cmd/mapiscope": "the name of the file, which only the command knows",
	"dcerpc.Call from assoc":                        "Data is kept for whoever takes the calls",
	"dcerpc.Conn from assoc":                        "Hash is a hook",
	"emsmdb.Conn from assoc":                        "Hash and OnCall are hooks",
}
