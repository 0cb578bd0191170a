package clickhouse

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is the C interface of libchdb, bound without cgo. The struct fields
// carry the C names less their prefix; a uintptr is an opaque C handle, a size
// is size_t. All are safe for concurrent use; a connection runs one statement
// at a time.
type library struct {
	version                  func() string
	setSignalHandlersEnabled func(int32)
	shutdown                 func() int32
	connect                  func(argc int32, argv **byte) *uintptr
	closeConn                func(conn *uintptr)

	query        func(conn uintptr, q *byte, ql uintptr, f *byte, fl uintptr, n **byte, nl *uintptr, v **byte, vl *uintptr, c uintptr) uintptr
	streamQuery  func(conn uintptr, q *byte, ql uintptr, f *byte, fl uintptr, n **byte, nl *uintptr, v **byte, vl *uintptr, c uintptr) uintptr
	streamFetch  func(conn, result uintptr) uintptr
	streamCancel func(conn, result uintptr)
	destroy      func(result uintptr)

	insert        func(conn uintptr, q *byte, ql uintptr, f *byte, fl uintptr, n **byte, nl *uintptr, v **byte, vl *uintptr, c uintptr) uintptr
	insertAppend  func(stream uintptr, data *byte, n uintptr) int32
	insertDone    func(stream uintptr) uintptr
	insertCancel  func(stream uintptr)
	insertError   func(stream uintptr) string
	insertDestroy func(stream uintptr)

	resultBuffer  func(result uintptr) unsafe.Pointer
	resultLength  func(result uintptr) uintptr
	resultError   func(result uintptr) string
	resultWritten func(result uintptr) uint64

	classify func(conn uintptr, q *byte, ql uintptr, db *byte, dbl uintptr, out *queryAnalysis) int32
}

// queryAnalysis is chdb_query_analysis_v1.
type queryAnalysis struct {
	structSize, statements, _, class uint32
}

// The classes of chdb_query_class that this package tells apart.
const classReadOnly = 0

// loadLibrary binds every function before the engine is started, so that a
// library of another version is an error and not a crash later.
func loadLibrary(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load engine library %s: %w (fetch it with `make engine`)", path, err)
	}
	l := &library{}
	for _, f := range []struct {
		name string
		fn   any
	}{
		{"chdb_version", &l.version},
		{"chdb_set_signal_handlers_enabled", &l.setSignalHandlersEnabled},
		{"chdb_shutdown", &l.shutdown},
		{"chdb_connect", &l.connect},
		{"chdb_close_conn", &l.closeConn},
		{"chdb_query_with_params_n", &l.query},
		{"chdb_stream_query_with_params_n", &l.streamQuery},
		{"chdb_stream_fetch_result", &l.streamFetch},
		{"chdb_stream_cancel_query", &l.streamCancel},
		{"chdb_destroy_query_result", &l.destroy},
		{"chdb_stream_insert_with_params_n", &l.insert},
		{"chdb_stream_append", &l.insertAppend},
		{"chdb_stream_done", &l.insertDone},
		{"chdb_stream_cancel_insert", &l.insertCancel},
		{"chdb_stream_insert_error", &l.insertError},
		{"chdb_destroy_insert_stream", &l.insertDestroy},
		{"chdb_result_buffer", &l.resultBuffer},
		{"chdb_result_length", &l.resultLength},
		{"chdb_result_error", &l.resultError},
		{"chdb_result_rows_written", &l.resultWritten},
		{"chdb_classify_query_n", &l.classify},
	} {
		sym, err := purego.Dlsym(handle, f.name)
		if err != nil {
			return nil, fmt.Errorf("engine library %s lacks %s: want libchdb 26.7 (fetch it with `make engine`): %w", path, f.name, err)
		}
		purego.RegisterFunc(f.fn, sym)
	}
	// Go owns the signals of the child; the engine's handlers would turn a
	// SIGTERM into its own ideas of an orderly end.
	l.setSignalHandlersEnabled(0)
	return l, nil
}

// session is one connection of the engine, with settings of its own.
// It is used by one goroutine at a time.
type session struct {
	lib  *library
	conn *uintptr // chdb_connection *
}

// open starts a session; the first one of a process starts the engine on the
// path in args, later ones must name the same path.
func (l *library) open(args []string) (*session, error) {
	argv := make([]*byte, len(args)+1)
	for i, a := range args {
		argv[i] = &append([]byte(a), 0)[0]
	}
	conn := l.connect(int32(len(args)), &argv[0])
	runtime.KeepAlive(argv)
	if conn == nil || *conn == 0 {
		return nil, errors.New("the engine refused to open a session")
	}
	return &session{lib: l, conn: conn}, nil
}

func (s *session) close() {
	if s.conn != nil {
		s.lib.closeConn(s.conn)
		s.conn = nil
	}
}

// param is one bound parameter, {name:Type} in the SQL text. The value is in
// ClickHouse's escaped text form, as in the URL of its HTTP interface.
type param struct{ name, value string }

// cParams lays parameters out as the four parallel arrays of the C interface.
type cParams struct {
	names, values       []*byte
	nameLens, valueLens []uintptr
}

func newCParams(ps []param) cParams {
	c := cParams{}
	for _, p := range ps {
		c.names, c.nameLens = append(c.names, bytePtr(p.name)), append(c.nameLens, uintptr(len(p.name)))
		c.values, c.valueLens = append(c.values, bytePtr(p.value)), append(c.valueLens, uintptr(len(p.value)))
	}
	return c
}

// zero stands in for the data of an empty string, which may be a nil pointer.
var zero = [1]byte{}

func bytePtr(s string) *byte {
	if s == "" {
		return &zero[0]
	}
	return unsafe.StringData(s) // #nosec G103 -- the C API reads it during the call
}

func first[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

type statementFunc = func(uintptr, *byte, uintptr, *byte, uintptr, **byte, *uintptr, **byte, *uintptr, uintptr) uintptr

func (s *session) call(fn statementFunc, sql, format string, params []param) uintptr {
	c := newCParams(params)
	h := fn(*s.conn, bytePtr(sql), uintptr(len(sql)), bytePtr(format), uintptr(len(format)),
		first(c.names), first(c.nameLens), first(c.values), first(c.valueLens), uintptr(len(params)))
	runtime.KeepAlive(c)
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	return h
}

// chunk is a piece of a result in memory of the engine; data is valid until
// free is called, which must happen exactly once.
type chunk struct {
	data []byte
	free func()
}

// take turns a C result into a chunk, or into its error.
func (s *session) take(result uintptr) (chunk, error) {
	if result == 0 {
		return chunk{}, errors.New("the engine returned no result")
	}
	free := func() { s.lib.destroy(result) }
	if msg := s.lib.resultError(result); msg != "" {
		free()
		return chunk{}, parseException(msg)
	}
	n := s.lib.resultLength(result)
	if n == 0 {
		return chunk{free: free}, nil
	}
	return chunk{data: unsafe.Slice((*byte)(s.lib.resultBuffer(result)), int(n)), free: free}, nil // #nosec G103 -- the library says pointer and length, free ends both
}

// exec runs any statement to its end and holds its whole result.
func (s *session) exec(sql, format string, params []param) (chunk, error) {
	return s.take(s.call(s.lib.query, sql, format, params))
}

// run is exec for statements without a result worth reading.
func (s *session) run(sql string) error {
	c, err := s.exec(sql, "TabSeparated", nil)
	if err != nil {
		return err
	}
	c.free()
	return nil
}

// analyse says what class a statement has and how many statements the text holds.
func (s *session) analyse(sql string) (queryAnalysis, error) {
	a := &queryAnalysis{structSize: uint32(unsafe.Sizeof(queryAnalysis{}))}
	if s.lib.classify(*s.conn, bytePtr(sql), uintptr(len(sql)), nil, 0, a) != 0 {
		return queryAnalysis{}, errors.New("the engine could not classify the statement")
	}
	return *a, nil
}

// resultStream is a SELECT whose result is fetched block by block.
type resultStream struct {
	s      *session
	handle uintptr
}

// errNotStreamable is returned by stream for statements other than SELECT.
var errNotStreamable = errors.New("statement cannot be streamed")

// stream starts a SELECT. Every chunk holds complete rows and is a complete
// document of the format, so that only formats without head and tail can be
// joined (see streamable).
func (s *session) stream(sql, format string, params []param) (*resultStream, error) {
	h := s.call(s.lib.streamQuery, sql, format, params)
	if h == 0 {
		return nil, errors.New("the engine returned no result")
	}
	if msg := s.lib.resultError(h); msg != "" {
		s.lib.destroy(h)
		if isNotStreamable(msg) {
			return nil, errNotStreamable
		}
		return nil, parseException(msg)
	}
	return &resultStream{s: s, handle: h}, nil
}

// next returns the next chunk; one without data is the end.
func (r *resultStream) next() (chunk, error) {
	return r.s.take(r.s.lib.streamFetch(*r.s.conn, r.handle))
}

// close ends the stream; cancel stops a query that has not come to its end.
func (r *resultStream) close(cancel bool) {
	if cancel {
		r.s.lib.streamCancel(*r.s.conn, r.handle)
	}
	r.s.lib.destroy(r.handle)
}

// insertStream is an INSERT whose data is appended piece by piece.
type insertStream struct {
	s      *session
	handle uintptr
}

func (s *session) insert(sql, format string, params []param) (*insertStream, error) {
	h := s.call(s.lib.insert, sql, format, params)
	if h == 0 {
		return nil, errors.New("the engine returned no insert stream")
	}
	if msg := s.lib.insertError(h); msg != "" {
		s.lib.insertDestroy(h)
		return nil, parseException(msg)
	}
	return &insertStream{s: s, handle: h}, nil
}

// append hands over data, which the engine copies; it blocks while the engine is behind.
func (i *insertStream) append(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if i.s.lib.insertAppend(i.handle, &data[0], uintptr(len(data))) != 0 {
		if msg := i.s.lib.insertError(i.handle); msg != "" {
			return parseException(msg)
		}
		return errors.New("the engine took no more data for the insert")
	}
	return nil
}

// commit ends the data and returns the rows written, views included.
func (i *insertStream) commit() (uint64, error) {
	res := i.s.lib.insertDone(i.handle)
	if res == 0 {
		return 0, errors.New("the engine returned no result for the insert")
	}
	c, err := i.s.take(res)
	if err != nil {
		return 0, err
	}
	defer c.free()
	return i.s.lib.resultWritten(res), nil
}

// close frees the stream; one that was not committed is cancelled: nothing of
// the block under way is stored.
func (i *insertStream) close(committed bool) {
	if !committed {
		i.s.lib.insertCancel(i.handle)
	}
	i.s.lib.insertDestroy(i.handle)
}
