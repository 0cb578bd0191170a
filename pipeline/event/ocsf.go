package event

import (
	"encoding/json"
	"strings"
	"time"
)

// The parts of an OCSF 1.8 event that the record fills. Names and numbers are
// those of the schema: type_uid is class_uid × 100 + activity_id, category_uid
// the class by thousands; times are milliseconds since 1970.
type ocsfEvent struct {
	ActivityID  uint8             `json:"activity_id"`
	CategoryUID uint32            `json:"category_uid"`
	ClassUID    uint32            `json:"class_uid"`
	TypeUID     uint64            `json:"type_uid"`
	Time        int64             `json:"time"`
	TimeDT      string            `json:"time_dt"`
	SeverityID  uint8             `json:"severity_id"`
	StatusID    uint8             `json:"status_id"`
	Count       uint32            `json:"count,omitempty"`
	Duration    int64             `json:"duration,omitempty"` // milliseconds
	Metadata    ocsfMetadata      `json:"metadata"`
	User        *ocsfUser         `json:"user,omitempty"`
	Actor       *ocsfActor        `json:"actor,omitempty"`
	Src         *ocsfEndpoint     `json:"src_endpoint,omitempty"`
	API         *ocsfAPI          `json:"api,omitempty"`
	Request     *ocsfRequest      `json:"http_request,omitempty"`
	Response    *ocsfResponse     `json:"http_response,omitempty"`
	Resources   []ocsfResource    `json:"resources,omitempty"`
	Device      *ocsfDevice       `json:"device,omitempty"`
	Session     *ocsfUID          `json:"session,omitempty"`
	Traffic     *ocsfTraffic      `json:"traffic,omitempty"`
	RawData     string            `json:"raw_data,omitempty"`
	Unmapped    map[string]string `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version    string      `json:"version"`
	UID        string      `json:"uid"`
	TenantUID  string      `json:"tenant_uid"`
	Product    ocsfProduct `json:"product"`
	LogName    string      `json:"log_name,omitempty"`
	LoggedTime int64       `json:"logged_time,omitempty"`
	Profiles   []string    `json:"profiles,omitempty"`
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

type ocsfUser struct {
	Name   string     `json:"name"`
	TypeID uint8      `json:"type_id"`
	Groups []ocsfName `json:"groups,omitempty"`
}

type ocsfName struct {
	Name string `json:"name"`
}

type ocsfUID struct {
	UID string `json:"uid"`
}

type ocsfActor struct {
	User    *ocsfUser `json:"user,omitempty"`
	Session *ocsfUID  `json:"session,omitempty"`
}

type ocsfEndpoint struct {
	IP       string        `json:"ip,omitempty"`
	Location *ocsfLocation `json:"location,omitempty"`
	AS       *ocsfAS       `json:"autonomous_system,omitempty"`
}

type ocsfLocation struct {
	Country string   `json:"country,omitempty"`
	City    string   `json:"city,omitempty"`
	Lat     *float64 `json:"lat,omitempty"`
	Long    *float64 `json:"long,omitempty"`
}

type ocsfAS struct {
	Number uint32 `json:"number"`
}

type ocsfAPI struct {
	Operation string    `json:"operation"`
	Service   *ocsfName `json:"service,omitempty"`
}

type ocsfRequest struct {
	Method    string   `json:"http_method,omitempty"`
	UserAgent string   `json:"user_agent,omitempty"`
	URL       *ocsfURL `json:"url,omitempty"`
}

type ocsfURL struct {
	Path string `json:"path"`
}

type ocsfResponse struct {
	Code uint16 `json:"code"`
}

type ocsfResource struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
}

type ocsfDevice struct {
	Name   string `json:"name"`
	TypeID uint8  `json:"type_id"`
}

type ocsfTraffic struct {
	In  uint64 `json:"bytes_in,omitempty"`
	Out uint64 `json:"bytes_out,omitempty"`
}

// AppendOCSF appends e as one OCSF 1.8 event on one line. What the schema has
// no place for (the verb of classes without an API call, labels, cohort of
// nobody) stands in unmapped; raw_data is the original line.
func AppendOCSF(dst []byte, e *Event) []byte {
	o := ocsfEvent{ActivityID: e.Activity, CategoryUID: uint32(e.Class) / 1000, ClassUID: uint32(e.Class), TypeUID: uint64(e.Class)*100 + uint64(e.Activity),
		Time: e.Time / 1e6, TimeDT: e.At().Format(time.RFC3339Nano), SeverityID: e.Severity, StatusID: uint8(e.Outcome), Duration: int64(e.Duration), RawData: e.Raw,
		Metadata: ocsfMetadata{Version: "1.8.0", UID: e.ID, TenantUID: e.Tenant.String(), Product: ocsfProduct{"tenantwatch", "tenantwatch"}, LogName: e.Source, LoggedTime: e.IngestedAt / 1e6}}
	if e.Count > 1 {
		o.Count = e.Count
	}
	o.who(e)
	o.where(e)
	o.what(e)
	for _, l := range e.Labels {
		o.unmapped(l.Key, l.Value)
	}
	b, err := json.Marshal(o)
	if err != nil { // a position that is no number cannot be said in JSON
		o.Src.Location.Lat, o.Src.Location.Long = nil, nil
		b, _ = json.Marshal(o) // texts and whole numbers marshal
	}
	return append(dst, b...)
}

func (o *ocsfEvent) unmapped(key, value string) {
	if value == "" {
		return
	}
	if o.Unmapped == nil {
		o.Unmapped = map[string]string{}
	}
	o.Unmapped[key] = value
}

func (o *ocsfEvent) who(e *Event) {
	var u *ocsfUser
	if e.Actor != "" {
		u = &ocsfUser{Name: e.Actor, TypeID: map[string]uint8{"user": 1, "service": 4}[e.ActorType]}
		if e.Cohort != "" {
			u.Groups = []ocsfName{{e.Cohort}}
		}
	}
	var s *ocsfUID
	if e.Session != "" {
		s = &ocsfUID{e.Session}
	}
	if e.Class == ClassAuthentication {
		o.User, o.Session = u, s
	} else if u != nil || s != nil {
		o.Actor = &ocsfActor{u, s}
	}
}

func (o *ocsfEvent) where(e *Event) {
	src := ocsfEndpoint{IP: e.SrcIP}
	if e.Country != "" || e.City != "" || e.HasPosition {
		src.Location = &ocsfLocation{Country: e.Country, City: e.City}
		if e.HasPosition {
			lat, long := e.Latitude, e.Longitude
			src.Location.Lat, src.Location.Long = &lat, &long
		}
	}
	if e.ASN != 0 {
		src.AS = &ocsfAS{e.ASN}
	}
	if src != (ocsfEndpoint{}) {
		o.Src = &src
	}
	if e.Device != "" {
		o.Device = &ocsfDevice{Name: e.Device}
	}
	if e.BytesIn != 0 || e.BytesOut != 0 {
		o.Traffic = &ocsfTraffic{e.BytesIn, e.BytesOut}
	}
}

func (o *ocsfEvent) what(e *Event) {
	request := ocsfRequest{Method: e.HTTPMethod, UserAgent: e.UserAgent}
	switch e.Class {
	case ClassAPIActivity:
		service, operation, named := strings.Cut(e.Action, ":")
		if o.API = (&ocsfAPI{Operation: e.Action}); named {
			o.API = &ocsfAPI{Operation: operation, Service: &ocsfName{service}}
		}
	case ClassHTTPActivity:
		if e.Resource != "" {
			request.URL = &ocsfURL{e.Resource}
		}
		o.unmapped("action", e.Action)
	case ClassAccountChange:
		if e.Resource != "" {
			o.User = &ocsfUser{Name: e.Resource}
		}
		o.unmapped("action", e.Action)
	default:
		o.unmapped("action", e.Action)
	}
	if e.Resource != "" && request.URL == nil && e.Class != ClassAccountChange {
		o.Resources = []ocsfResource{{e.Resource, e.ResourceType}}
	}
	if request != (ocsfRequest{}) {
		o.Request = &request
	}
	if e.Status != 0 {
		o.Response = &ocsfResponse{e.Status}
	}
}
