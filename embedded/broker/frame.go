package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxOtherFrame bounds every request but produce: group assignments and
	// commit metadata are the largest of them.
	maxOtherFrame = 4 << 20
	minFrame      = 10 // key, version, correlation id, empty client id
	maxPartitions = 1024
	batchHeader   = 61 // of a record batch, magic 2
)

// refusal is why the guard closes a connection; reason is a metric label.
type refusal struct {
	reason string
	err    error
}

func (r *refusal) Error() string { return r.reason + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(reason, format string, args ...any) error {
	return &refusal{reason, fmt.Errorf(format, args...)}
}

// request is what the guard knows of a request that it let through.
type request struct {
	key  int16
	corr int32
	dirs []string // partition directories that a produce request writes to
	all  bool     // the topics were named by id: any partition may be written
}

// allowed lists the requests that a client of ours, or a common tool, needs.
// Left out are those that could take data away (DeleteRecords, config changes)
// or that only widen what a hostile frame can reach.
func allowed(key kmsg.Key) bool {
	switch key {
	case kmsg.Produce, kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata, kmsg.OffsetCommit, kmsg.OffsetFetch,
		kmsg.FindCoordinator, kmsg.JoinGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.SyncGroup,
		kmsg.DescribeGroups, kmsg.ListGroups, kmsg.ApiVersions, kmsg.CreateTopics, kmsg.DeleteTopics,
		kmsg.InitProducerID, kmsg.OffsetForLeaderEpoch, kmsg.DescribeConfigs, kmsg.CreatePartitions,
		kmsg.DeleteGroups, kmsg.DescribeCluster:
		return true
	}
	return false
}

// frameLimit is the longest frame of a request, by its key.
func frameLimit(key int16, maxFrame int) int {
	if kmsg.Key(key) == kmsg.Produce {
		return maxFrame
	}
	return min(maxOtherFrame, maxFrame)
}

// parse decodes a whole request body the way kfake will, so that what would
// make kfake panic makes this return an error instead.
func parse(body []byte) (rq request, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refuse("malformed", "request does not decode: %v", p)
		}
	}()
	r := kbin.Reader{Src: body}
	key, version, corr := r.Int16(), r.Int16(), r.Int32()
	r.NullableString() // client id
	if !r.Ok() {
		return rq, refuse("malformed", "request header is cut short")
	}
	rq = request{key: key, corr: corr}
	if !allowed(kmsg.Key(key)) {
		return rq, refuse("forbidden", "request key %d is not served", key)
	}
	req := kmsg.RequestForKey(key)
	// An unknown version of ApiVersions is how clients feel their way.
	if version < 0 || version > req.MaxVersion() && kmsg.Key(key) != kmsg.ApiVersions {
		return rq, refuse("malformed", "request key %d has unknown version %d", key, version)
	}
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return rq, refuse("malformed", "request key %d version %d does not decode: %w", key, version, err)
	}
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		return rq, rq.checkProduce(req)
	case *kmsg.CreateTopicsRequest:
		return rq, checkCreate(req)
	case *kmsg.CreatePartitionsRequest:
		for _, t := range req.Topics {
			if t.Count < 1 || t.Count > maxPartitions {
				return rq, refuse("malformed", "topic of %d partitions: want 1 to %d", t.Count, maxPartitions)
			}
		}
	}
	return rq, nil
}

func (rq *request) checkProduce(req *kmsg.ProduceRequest) error {
	if req.TransactionID != nil {
		return refuse("forbidden", "transactions are not served")
	}
	if req.Acks == 0 {
		// The default of some clients. What is sent so is lost silently.
		return refuse("forbidden", "produce without acknowledgement: set acks to all")
	}
	for _, t := range req.Topics {
		if t.TopicID != ([16]byte{}) {
			rq.all = true
		} else if !validTopic(t.Topic) {
			return refuse("malformed", "produce to topic %q", t.Topic)
		}
		for _, p := range t.Partitions {
			if len(p.Records) >= batchHeader {
				// kfake moves the log end by this number, unchecked.
				if n := int32(binary.BigEndian.Uint32(p.Records[57:])); n < 1 {
					return refuse("malformed", "record batch of %d records", n)
				}
			}
			if t.Topic != "" {
				rq.dirs = append(rq.dirs, partitionDir(t.Topic, p.Partition))
			}
		}
	}
	return nil
}

func checkCreate(req *kmsg.CreateTopicsRequest) error {
	for _, t := range req.Topics {
		if !validTopic(t.Topic) {
			return refuse("malformed", "create topic %q: no topic name", t.Topic)
		}
		if n := max(int(t.NumPartitions), len(t.ReplicaAssignment)); n > maxPartitions {
			return refuse("malformed", "create topic %s with %d partitions: want at most %d", t.Topic, n, maxPartitions)
		}
	}
	return nil
}

// validTopic is Kafka's rule for topic names, which kfake does not enforce.
func validTopic(s string) bool {
	if s == "" || len(s) > 249 || s == "." || s == ".." {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// partitionDir is kfake's directory of a partition, below "partitions".
func partitionDir(topic string, partition int32) string {
	return url.PathEscape(topic) + "-" + strconv.Itoa(int(partition))
}

var errProtocol = errors.New("answer does not belong to a request")
