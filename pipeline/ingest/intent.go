package ingest

import (
	"encoding/json"
	"fmt"

	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// mark is what is committed with an offset.
type mark struct {
	Topic string `json:"topic"` // the topic's id
	// Incarnation counts how often the log lost records under this topic id, so
	// that offsets given twice do not mean the same.
	Incarnation int     `json:"inc,omitempty"`
	Intent      *intent `json:"intent,omitempty"`
}

// intent is a block about to be inserted, of the range that begins at the
// committed offset.
type intent struct {
	First   int64            `json:"first"`
	Last    int64            `json:"last"`
	Block   int              `json:"block"` // from 0
	Blocks  int              `json:"of"`
	Table   eventstore.Table `json:"table"`
	Month   int              `json:"month"`
	Rows    int              `json:"rows"`
	Sum     uint64           `json:"sum,string"` // JSON numbers lose bits of it
	Attempt int              `json:"try,omitempty"`
}

func (m mark) encode() (string, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("write the commit's metadata: %w", err)
	}
	return string(b), nil
}

// origin is the topic id that rows carry.
func (m mark) origin() string {
	if m.Incarnation == 0 {
		return m.Topic
	}
	return fmt.Sprintf("%s~%d", m.Topic, m.Incarnation)
}

// parseMark reads the metadata of a commit. What an operator's tool committed
// has none, and then nothing is known: the ids decide.
func parseMark(s string) (mark, bool) {
	var m mark
	if s == "" || json.Unmarshal([]byte(s), &m) != nil || m.Topic == "" {
		return mark{}, false
	}
	return m, true
}

func newIntent(r eventstore.Range, blocks []*eventstore.Block, k, attempt int) intent {
	b := blocks[k]
	return intent{First: r.First, Last: r.Last, Block: k, Blocks: len(blocks), Table: b.Table(), Month: b.Month(), Rows: b.Rows(), Sum: b.Sum(), Attempt: attempt}
}

// token makes the engine tell this block's insert from every other.
func (i intent) token(r eventstore.Range) string {
	return fmt.Sprintf("%s/%s/%d/%d-%d/%d.%d/%d/%d/%016x/%d", i.Table, r.TopicID, r.Partition, i.First, i.Last, i.Block, i.Blocks, i.Month, i.Rows, i.Sum, i.Attempt)
}

// same reports whether the block planned anew is the one intended before.
func (i intent) same(o intent) bool {
	i.Attempt, o.Attempt = 0, 0
	return i == o
}
