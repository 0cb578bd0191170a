package eventlog_test

import (
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

// rawProduce writes bytes no Producer would.
func rawProduce(t *testing.T, addr, key string, value []byte) {
	t.Helper()
	tr := &kafka.Transport{}
	defer tr.CloseIdleConnections()
	cl := &kafka.Client{Addr: kafka.TCP(addr), Timeout: 10 * time.Second, Transport: tr}
	res, err := cl.Produce(t.Context(), &kafka.ProduceRequest{Topic: eventlog.EventsTopic, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Key: kafka.NewBytes([]byte(key)), Value: kafka.NewBytes(value)})})
	must(t, err)
	must(t, res.Error)
}
