package broker

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"
)

// BenchmarkProduce measures acknowledged records of 500 bytes in batches of 500,
// eight in flight over four partitions.
func BenchmarkProduce(b *testing.B) {
	for _, mode := range []SyncMode{SyncAcks, SyncInterval} {
		b.Run(string(mode), func(b *testing.B) {
			opt := options(b.TempDir())
			opt.Sync = mode
			br, err := Start(b.Context(), opt)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = br.Stop(context.Background()) }()
			if err := br.CreateTopic(b.Context(), topic, 4); err != nil {
				b.Fatal(err)
			}
			const batch = 500
			values := make([]string, batch)
			for i := range values {
				values[i] = fmt.Sprintf("%d%s", i, strings.Repeat("abcdefghij", 49))
			}
			var worker atomic.Int64
			b.SetParallelism(4)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				p := int(worker.Add(1)) % 4
				c := client(nil, br)
				defer c.Transport.(*kafka.Transport).CloseIdleConnections()
				for pb.Next() {
					if _, err := produce(context.Background(), c, p, values...); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
