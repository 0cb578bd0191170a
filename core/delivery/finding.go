package delivery

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// finding is an OCSF 1.8 Detection Finding (class 2004). Times are
// milliseconds since 1970. The alert itself, with the field names of the
// product's contract, is under unmapped.alert, byte for byte as it was hashed;
// its place in the tenant's chain is under unmapped.chain.
type finding struct {
	ActivityID   int          `json:"activity_id"`
	ActivityName string       `json:"activity_name"`
	CategoryUID  int          `json:"category_uid"`
	CategoryName string       `json:"category_name"`
	ClassUID     int          `json:"class_uid"`
	ClassName    string       `json:"class_name"`
	TypeUID      int          `json:"type_uid"`
	TypeName     string       `json:"type_name"`
	Time         int64        `json:"time"`
	StartTime    int64        `json:"start_time"`
	EndTime      int64        `json:"end_time"`
	SeverityID   int          `json:"severity_id"`
	Severity     string       `json:"severity"`
	StatusID     int          `json:"status_id"`
	Status       string       `json:"status"`
	Message      string       `json:"message"`
	Count        uint64       `json:"count"`
	IsAlert      bool         `json:"is_alert"`
	RiskScore    int64        `json:"risk_score"`
	Metadata     metadata     `json:"metadata"`
	FindingInfo  findingInfo  `json:"finding_info"`
	Observables  []observable `json:"observables"`
	Unmapped     unmapped     `json:"unmapped"`
}

type metadata struct {
	Version   string  `json:"version"` // of OCSF
	UID       string  `json:"uid"`
	TenantUID string  `json:"tenant_uid"`
	Sequence  uint64  `json:"sequence"`
	Product   product `json:"product"`
}

type product struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor_name"`
	Version string `json:"version,omitempty"`
}

type findingInfo struct {
	UID         string     `json:"uid"`
	Title       string     `json:"title"`
	Desc        string     `json:"desc"`
	CreatedTime int64      `json:"created_time"`
	FirstSeen   int64      `json:"first_seen_time"`
	LastSeen    int64      `json:"last_seen_time"`
	Analytic    *analytic  `json:"analytic,omitempty"`
	Related     []analytic `json:"related_analytics,omitempty"`
	Attacks     []attack   `json:"attacks,omitempty"`
}

type analytic struct {
	Name    string `json:"name"`
	UID     string `json:"uid"`
	Version string `json:"version"`
	TypeID  int    `json:"type_id"`
	Type    string `json:"type"`
}

type attack struct {
	Technique named `json:"technique"`
}

type named struct {
	UID string `json:"uid"`
}

type observable struct {
	Name   string `json:"name"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

type unmapped struct {
	Alert json.RawMessage `json:"alert"`
	Chain chain           `json:"chain"`
}

// chain lets a receiver see a gap: prev_hash is the hash of seq-1, 64 zeros
// before the first. hash = SHA-256(prev_hash's 32 bytes || alert's bytes).
type chain struct {
	Seq      uint64 `json:"seq"`
	PrevHash string `json:"prev_hash"`
	Hash     string `json:"hash"`
}

var severities = map[alert.Severity]struct {
	id   int
	name string
}{
	alert.Informational: {1, "Informational"}, alert.Low: {2, "Low"}, alert.Medium: {3, "Medium"},
	alert.High: {4, "High"}, alert.Critical: {5, "Critical"},
}

// activities: a new alert is created, an amended one updated, a retracted one
// closed.
var activities = map[alert.State]struct {
	id, statusID int
	name, status string
}{
	alert.Raised: {1, 1, "Create", "New"}, alert.Amended: {2, 1, "Update", "New"}, alert.Retracted: {3, 4, "Close", "Resolved"},
}

// observables maps an entity to OCSF's types of observable; 0 is Unknown.
var observableTypes = map[alert.EntityType]struct {
	id   int
	name string
}{
	alert.User: {4, "User Name"}, alert.Address: {2, "IP Address"}, alert.Device: {1, "Hostname"}, alert.Resource: {10, "Resource UID"},
}

// Body is the message for one revision.
func Body(r core.Revision, productVersion string) ([]byte, error) {
	a, err := r.Alert()
	if err != nil {
		return nil, fmt.Errorf("delivery: revision %d: %w", r.Seq, err)
	}
	sev, act := severities[a.Severity], activities[a.State]
	f := finding{
		ActivityID: act.id, ActivityName: act.name, StatusID: act.statusID, Status: act.status,
		CategoryUID: 2, CategoryName: "Findings", ClassUID: 2004, ClassName: "Detection Finding",
		TypeUID: 2004*100 + act.id, TypeName: "Detection Finding: " + act.name,
		Time: ms(a.RaisedAt), StartTime: ms(a.FirstSeen), EndTime: ms(a.LastSeen),
		SeverityID: sev.id, Severity: sev.name, Message: a.Title, Count: a.Count, IsAlert: true,
		RiskScore: (int64(a.Score) + 500) / 1000,
		Metadata: metadata{Version: "1.8.0", UID: fmt.Sprintf("%s.%d", a.ID, a.Revision), TenantUID: a.Tenant.String(), Sequence: r.Seq,
			Product: product{Name: "tenantwatch", Vendor: "tenantwatch", Version: productVersion}},
		FindingInfo: findingInfo{UID: a.ID, Title: a.Title, Desc: a.Reason, CreatedTime: ms(a.RaisedAt), FirstSeen: ms(a.FirstSeen), LastSeen: ms(a.LastSeen)},
		Observables: []observable{},
		Unmapped: unmapped{Alert: r.Document, Chain: chain{Seq: r.Seq, PrevHash: hex.EncodeToString(r.PrevHash),
			Hash: hex.EncodeToString(r.Hash)}},
	}
	for i, d := range a.Detectors {
		an := analytic{Name: d.Name, UID: d.Name, Version: d.Version, TypeID: 3, Type: "Statistical"}
		if i == 0 {
			f.FindingInfo.Analytic = &an
		} else {
			f.FindingInfo.Related = append(f.FindingInfo.Related, an)
		}
	}
	for _, t := range a.Technique {
		f.FindingInfo.Attacks = append(f.FindingInfo.Attacks, attack{named{t}})
	}
	for i, e := range append([]alert.Entity{a.Entity}, a.Related...) {
		name := "entity"
		if i > 0 {
			name = fmt.Sprintf("related[%d]", i-1)
		}
		typ, ok := observableTypes[e.Type]
		if !ok {
			typ.name = "Unknown"
		}
		f.Observables = append(f.Observables, observable{Name: name, TypeID: typ.id, Type: typ.name, Value: e.ID})
	}
	return json.Marshal(f)
}

func ms(t time.Time) int64 { return t.UnixMilli() }
