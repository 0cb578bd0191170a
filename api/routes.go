package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
)

// Tenancy says how an operation finds the tenants it may touch.
type Tenancy string

// The tenancy modes. "Single" is a credential of one tenant: whatever the
// mode, naming a tenant is an error for it.
const (
	// TenancyNone: the operation touches no tenant's data.
	TenancyNone Tenancy = "none"
	// TenancySet: reads the credential's whole set; tenant_id in the query
	// narrows it.
	TenancySet Tenancy = "set"
	// TenancyOne: reads one tenant; tenant_id in the query is required unless
	// the credential is single.
	TenancyOne Tenancy = "one"
	// TenancyWrite: changes one tenant; tenant_id in the body is required
	// unless the credential is single. DELETE also takes it in the query.
	TenancyWrite Tenancy = "write"
	// TenancyPath: is about the one tenant that the path names by its slug.
	TenancyPath Tenancy = "path"
	// TenancyPeople: is about the people of the tenant that is named, in the
	// query of a read and in the body of a write, or about the operator's own
	// when none is.
	TenancyPeople Tenancy = "people"
	// TenancyPlatform: changes the list of tenants itself.
	TenancyPlatform Tenancy = "platform"
)

// Route is one operation of the API.
type Route struct {
	Method     string
	Path       string            // as in openapi.yaml, e.g. /api/v1/alerts/{id}
	Operation  string            // operationId
	Public     bool              // needs no credential
	Permission access.Permission // "" when any credential will do
	Tenancy    Tenancy
	// FromElsewhere: a browser comes here from another site. Only for a public
	// GET that proves by other means where the browser began.
	FromElsewhere bool
	Streams       bool // lasts as long as the client listens, so no deadline
}

// route is a Route with what answers it.
type route struct {
	Route
	handle func(*rest.ServerInterfaceWrapper, *gin.Context)
}

type wrapper = rest.ServerInterfaceWrapper

// routes is the one table of operations: nothing is served under /api/v1 that
// is not in it, and what it says is applied before any handler runs.
var routes = []route{
	{Route{Method: http.MethodPost, Path: "/api/v1/session", Operation: "createSession", Public: true, Tenancy: TenancyNone}, (*wrapper).CreateSession},
	{Route{Method: http.MethodGet, Path: "/api/v1/session", Operation: "getSession", Tenancy: TenancyNone}, (*wrapper).GetSession},
	{Route{Method: http.MethodDelete, Path: "/api/v1/session", Operation: "deleteSession", Tenancy: TenancyNone}, (*wrapper).DeleteSession},

	{Route{Method: http.MethodPost, Path: "/api/v1/session/password", Operation: "changePassword", Tenancy: TenancyNone}, (*wrapper).ChangePassword},
	{Route{Method: http.MethodPost, Path: "/api/v1/session/totp", Operation: "beginTotp", Tenancy: TenancyNone}, (*wrapper).BeginTotp},
	{Route{Method: http.MethodPost, Path: "/api/v1/session/totp/confirm", Operation: "confirmTotp", Tenancy: TenancyNone}, (*wrapper).ConfirmTotp},
	{Route{Method: http.MethodDelete, Path: "/api/v1/session/totp", Operation: "removeTotp", Tenancy: TenancyNone}, (*wrapper).RemoveTotp},
	{Route{Method: http.MethodPost, Path: "/api/v1/session/view-as", Operation: "viewAs", Permission: access.TenantsViewAs, Tenancy: TenancyWrite}, (*wrapper).ViewAs},
	{Route{Method: http.MethodDelete, Path: "/api/v1/session/view-as", Operation: "endViewAs", Tenancy: TenancyNone}, (*wrapper).EndViewAs},
	{Route{Method: http.MethodGet, Path: "/api/v1/session/providers", Operation: "listProviders", Public: true, Tenancy: TenancyNone}, (*wrapper).ListProviders},
	{Route{Method: http.MethodGet, Path: "/api/v1/session/oidc/{provider}", Operation: "startOidc", Public: true, FromElsewhere: true, Tenancy: TenancyNone}, (*wrapper).StartOidc},
	{Route{Method: http.MethodGet, Path: "/api/v1/session/oidc/{provider}/callback", Operation: "finishOidc", Public: true, FromElsewhere: true, Tenancy: TenancyNone}, (*wrapper).FinishOidc},
	{Route{Method: http.MethodGet, Path: "/api/v1/sessions", Operation: "listSessions", Tenancy: TenancyNone}, (*wrapper).ListSessions},
	{Route{Method: http.MethodDelete, Path: "/api/v1/sessions", Operation: "deleteSessions", Tenancy: TenancyNone}, (*wrapper).DeleteSessions},
	{Route{Method: http.MethodDelete, Path: "/api/v1/sessions/{id}", Operation: "endSession", Tenancy: TenancyNone}, (*wrapper).EndSession},

	{Route{Method: http.MethodGet, Path: "/api/v1/audit/trail", Operation: "listTrail", Permission: access.AuditRead, Tenancy: TenancyPeople}, (*wrapper).ListTrail},
	{Route{Method: http.MethodGet, Path: "/api/v1/users", Operation: "listUsers", Permission: access.UsersRead, Tenancy: TenancyPeople}, (*wrapper).ListUsers},
	{Route{Method: http.MethodPost, Path: "/api/v1/users", Operation: "createUser", Permission: access.UsersManage, Tenancy: TenancyPeople}, (*wrapper).CreateUser},
	{Route{Method: http.MethodPatch, Path: "/api/v1/users/{id}", Operation: "updateUser", Permission: access.UsersManage, Tenancy: TenancyPeople}, (*wrapper).UpdateUser},
	{Route{Method: http.MethodDelete, Path: "/api/v1/users/{id}", Operation: "deleteUser", Permission: access.UsersManage, Tenancy: TenancyPeople}, (*wrapper).DeleteUser},
	{Route{Method: http.MethodPost, Path: "/api/v1/users/{id}/reset", Operation: "resetUser", Permission: access.UsersManage, Tenancy: TenancyPeople}, (*wrapper).ResetUser},
	{Route{Method: http.MethodPost, Path: "/api/v1/keys/{id}/rotate", Operation: "rotateKey", Permission: access.KeysManage, Tenancy: TenancyWrite}, (*wrapper).RotateKey},
	{Route{Method: http.MethodGet, Path: "/api/v1/usage", Operation: "getUsage", Permission: access.AccountingRead, Tenancy: TenancyOne}, (*wrapper).GetUsage},

	{Route{Method: http.MethodGet, Path: "/api/v1/overview", Operation: "getOverview", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).GetOverview},
	{Route{Method: http.MethodGet, Path: "/api/v1/alerts", Operation: "listAlerts", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).ListAlerts},
	{Route{Method: http.MethodPost, Path: "/api/v1/alerts/bulk", Operation: "bulkTriage", Permission: access.AlertsTriage, Tenancy: TenancyWrite}, (*wrapper).BulkTriage},
	{Route{Method: http.MethodGet, Path: "/api/v1/alerts/sla", Operation: "getSLA", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).GetSLA},
	{Route{Method: http.MethodPut, Path: "/api/v1/alerts/sla", Operation: "setSLA", Permission: access.AlertsTune, Tenancy: TenancyWrite}, (*wrapper).SetSLA},
	{Route{Method: http.MethodGet, Path: "/api/v1/alerts/{id}/history", Operation: "listAlertHistory", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).ListAlertHistory},
	{Route{Method: http.MethodPost, Path: "/api/v1/alerts/{id}/comments", Operation: "commentAlert", Permission: access.AlertsTriage, Tenancy: TenancyWrite}, (*wrapper).CommentAlert},
	{Route{Method: http.MethodPost, Path: "/api/v1/alerts/{id}/undo", Operation: "undoTriage", Permission: access.AlertsTriage, Tenancy: TenancyWrite}, (*wrapper).UndoTriage},
	{Route{Method: http.MethodGet, Path: "/api/v1/suppressions", Operation: "listSuppressions", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).ListSuppressions},
	{Route{Method: http.MethodPost, Path: "/api/v1/suppressions", Operation: "createSuppression", Permission: access.AlertsTune, Tenancy: TenancyWrite}, (*wrapper).CreateSuppression},
	{Route{Method: http.MethodPost, Path: "/api/v1/suppressions/preview", Operation: "previewSuppression", Permission: access.AlertsTune, Tenancy: TenancyWrite}, (*wrapper).PreviewSuppression},
	{Route{Method: http.MethodDelete, Path: "/api/v1/suppressions/{id}", Operation: "endSuppression", Permission: access.AlertsTune, Tenancy: TenancyWrite}, (*wrapper).EndSuppression},
	{Route{Method: http.MethodGet, Path: "/api/v1/suppressions/{id}/alerts", Operation: "listHiddenAlerts", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).ListHiddenAlerts},
	{Route{Method: http.MethodGet, Path: "/api/v1/alerts/{id}", Operation: "getAlert", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).GetAlert},
	{Route{Method: http.MethodGet, Path: "/api/v1/alerts/{id}/events", Operation: "listAlertEvents", Permission: access.EventsRead, Tenancy: TenancySet}, (*wrapper).ListAlertEvents},
	{Route{Method: http.MethodPatch, Path: "/api/v1/alerts/{id}/triage", Operation: "triageAlert", Permission: access.AlertsTriage, Tenancy: TenancyWrite}, (*wrapper).TriageAlert},
	{Route{Method: http.MethodGet, Path: "/api/v1/stream", Operation: "streamAlerts", Permission: access.AlertsRead, Tenancy: TenancySet, Streams: true}, (*wrapper).StreamAlerts},

	{Route{Method: http.MethodGet, Path: "/api/v1/audit/events", Operation: "searchEvents", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).SearchEvents},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/histogram", Operation: "getHistogram", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).GetHistogram},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/facets", Operation: "getFacets", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).GetFacets},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/fields", Operation: "listFields", Permission: access.EventsRead, Tenancy: TenancyNone}, (*wrapper).ListFields},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/export", Operation: "exportEvents", Permission: access.EventsExport, Tenancy: TenancyOne, Streams: true}, (*wrapper).ExportEvents},

	{Route{Method: http.MethodGet, Path: "/api/v1/exports", Operation: "listExports", Permission: access.EventsExport, Tenancy: TenancySet}, (*wrapper).ListExports},
	{Route{Method: http.MethodPost, Path: "/api/v1/exports", Operation: "createExport", Permission: access.EventsExport, Tenancy: TenancyWrite}, (*wrapper).CreateExport},
	{Route{Method: http.MethodGet, Path: "/api/v1/exports/{id}", Operation: "getExport", Permission: access.EventsExport, Tenancy: TenancySet}, (*wrapper).GetExport},
	{Route{Method: http.MethodDelete, Path: "/api/v1/exports/{id}", Operation: "deleteExport", Permission: access.EventsExport, Tenancy: TenancyWrite}, (*wrapper).DeleteExport},
	{Route{Method: http.MethodGet, Path: "/api/v1/exports/{id}/file", Operation: "downloadExport", Public: true, Tenancy: TenancyNone, Streams: true}, (*wrapper).DownloadExport},
	{Route{Method: http.MethodGet, Path: "/api/v1/streams", Operation: "listStreams", Permission: access.WebhooksRead, Tenancy: TenancySet}, (*wrapper).ListStreams},
	{Route{Method: http.MethodPost, Path: "/api/v1/streams", Operation: "createStream", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).CreateStream},
	{Route{Method: http.MethodGet, Path: "/api/v1/streams/{id}", Operation: "getStream", Permission: access.WebhooksRead, Tenancy: TenancySet}, (*wrapper).GetStream},
	{Route{Method: http.MethodPatch, Path: "/api/v1/streams/{id}", Operation: "updateStream", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).UpdateStream},
	{Route{Method: http.MethodDelete, Path: "/api/v1/streams/{id}", Operation: "deleteStream", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).DeleteStream},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/suggest", Operation: "suggestQuery", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).SuggestQuery},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/explain", Operation: "explainQuery", Permission: access.EventsRead, Tenancy: TenancyNone}, (*wrapper).ExplainQuery},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/events/{id}", Operation: "getEvent", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).GetEvent},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/events/{id}/around", Operation: "listEventsAround", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).ListEventsAround},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/seen", Operation: "getSeen", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).GetSeen},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/day", Operation: "getActorDay", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).GetActorDay},
	{Route{Method: http.MethodGet, Path: "/api/v1/audit/diff", Operation: "diffPeriods", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).DiffPeriods},
	{Route{Method: http.MethodGet, Path: "/api/v1/searches", Operation: "listSearches", Permission: access.EventsRead, Tenancy: TenancySet}, (*wrapper).ListSearches},
	{Route{Method: http.MethodPost, Path: "/api/v1/searches", Operation: "createSearch", Permission: access.EventsRead, Tenancy: TenancyWrite}, (*wrapper).CreateSearch},
	{Route{Method: http.MethodGet, Path: "/api/v1/searches/{id}", Operation: "getSearch", Permission: access.EventsRead, Tenancy: TenancySet}, (*wrapper).GetSearch},
	{Route{Method: http.MethodPatch, Path: "/api/v1/searches/{id}", Operation: "updateSearch", Permission: access.EventsRead, Tenancy: TenancyWrite}, (*wrapper).UpdateSearch},
	{Route{Method: http.MethodDelete, Path: "/api/v1/searches/{id}", Operation: "deleteSearch", Permission: access.EventsRead, Tenancy: TenancyWrite}, (*wrapper).DeleteSearch},
	{Route{Method: http.MethodGet, Path: "/api/v1/entities", Operation: "listEntities", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).ListEntities},
	{Route{Method: http.MethodGet, Path: "/api/v1/entities/{id}", Operation: "getEntity", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).GetEntity},
	{Route{Method: http.MethodGet, Path: "/api/v1/baselines", Operation: "getBaseline", Permission: access.EventsRead, Tenancy: TenancyOne}, (*wrapper).GetBaseline},
	{Route{Method: http.MethodGet, Path: "/api/v1/detectors", Operation: "listDetectors", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).ListDetectors},
	{Route{Method: http.MethodGet, Path: "/api/v1/activity", Operation: "getActivity", Permission: access.EventsRead, Tenancy: TenancySet}, (*wrapper).GetActivity},

	{Route{Method: http.MethodGet, Path: "/api/v1/tenants", Operation: "listTenants", Permission: access.TenantsRead, Tenancy: TenancySet}, (*wrapper).ListTenants},
	{Route{Method: http.MethodPost, Path: "/api/v1/tenants", Operation: "createTenant", Permission: access.TenantsManage, Tenancy: TenancyPlatform}, (*wrapper).CreateTenant},
	{Route{Method: http.MethodGet, Path: "/api/v1/tenants/{id}", Operation: "getTenant", Permission: access.TenantsRead, Tenancy: TenancyPath}, (*wrapper).GetTenant},
	{Route{Method: http.MethodPatch, Path: "/api/v1/tenants/{id}", Operation: "renameTenant", Permission: access.TenantsManage, Tenancy: TenancyPath}, (*wrapper).RenameTenant},
	{Route{Method: http.MethodDelete, Path: "/api/v1/tenants/{id}", Operation: "deleteTenant", Permission: access.TenantsManage, Tenancy: TenancyPath}, (*wrapper).DeleteTenant},
	{Route{Method: http.MethodPost, Path: "/api/v1/tenants/{id}/suspend", Operation: "suspendTenant", Permission: access.TenantsManage, Tenancy: TenancyPath}, (*wrapper).SuspendTenant},
	{Route{Method: http.MethodPost, Path: "/api/v1/tenants/{id}/resume", Operation: "resumeTenant", Permission: access.TenantsManage, Tenancy: TenancyPath}, (*wrapper).ResumeTenant},
	{Route{Method: http.MethodPost, Path: "/api/v1/tenants/{id}/restore", Operation: "restoreTenant", Permission: access.TenantsManage, Tenancy: TenancyPath}, (*wrapper).RestoreTenant},
	{Route{Method: http.MethodGet, Path: "/api/v1/tenants/{id}/settings", Operation: "getTenantSettings", Permission: access.TenantsRead, Tenancy: TenancyPath}, (*wrapper).GetTenantSettings},
	{Route{Method: http.MethodPatch, Path: "/api/v1/tenants/{id}/settings", Operation: "updateTenantSettings", Permission: access.SettingsManage, Tenancy: TenancyPath}, (*wrapper).UpdateTenantSettings},
	{Route{Method: http.MethodGet, Path: "/api/v1/keys", Operation: "listKeys", Permission: access.KeysRead, Tenancy: TenancySet}, (*wrapper).ListKeys},
	{Route{Method: http.MethodPost, Path: "/api/v1/keys", Operation: "createKey", Permission: access.KeysManage, Tenancy: TenancyWrite}, (*wrapper).CreateKey},
	{Route{Method: http.MethodDelete, Path: "/api/v1/keys/{id}", Operation: "deleteKey", Permission: access.KeysManage, Tenancy: TenancyWrite}, (*wrapper).DeleteKey},
	{Route{Method: http.MethodGet, Path: "/api/v1/alerts/{id}/replay", Operation: "replayAlert", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).ReplayAlert},
	{Route{Method: http.MethodGet, Path: "/api/v1/backtests", Operation: "listBacktests", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).ListBacktests},
	{Route{Method: http.MethodPost, Path: "/api/v1/backtests", Operation: "createBacktest", Permission: access.AlertsTriage, Tenancy: TenancyWrite}, (*wrapper).CreateBacktest},
	{Route{Method: http.MethodGet, Path: "/api/v1/backtests/{id}", Operation: "getBacktest", Permission: access.AlertsRead, Tenancy: TenancySet}, (*wrapper).GetBacktest},
	{Route{Method: http.MethodDelete, Path: "/api/v1/backtests/{id}", Operation: "deleteBacktest", Permission: access.AlertsTriage, Tenancy: TenancyWrite}, (*wrapper).DeleteBacktest},
	{Route{Method: http.MethodGet, Path: "/api/v1/webhooks", Operation: "listWebhooks", Permission: access.WebhooksRead, Tenancy: TenancySet}, (*wrapper).ListWebhooks},
	{Route{Method: http.MethodPost, Path: "/api/v1/webhooks", Operation: "createWebhook", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).CreateWebhook},
	{Route{Method: http.MethodDelete, Path: "/api/v1/webhooks/{id}", Operation: "deleteWebhook", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).DeleteWebhook},
	{Route{Method: http.MethodPatch, Path: "/api/v1/webhooks/{id}", Operation: "updateWebhook", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).UpdateWebhook},
	{Route{Method: http.MethodGet, Path: "/api/v1/webhooks/{id}/attempts", Operation: "listAttempts", Permission: access.WebhooksRead, Tenancy: TenancySet}, (*wrapper).ListAttempts},
	{Route{Method: http.MethodPost, Path: "/api/v1/webhooks/{id}/redeliver", Operation: "redeliverWebhook", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).RedeliverWebhook},
	{Route{Method: http.MethodPost, Path: "/api/v1/webhooks/{id}/test", Operation: "testWebhook", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).TestWebhook},
	{Route{Method: http.MethodPost, Path: "/api/v1/webhooks/{id}/rotate", Operation: "rotateWebhook", Permission: access.WebhooksManage, Tenancy: TenancyWrite}, (*wrapper).RotateWebhook},
	{Route{Method: http.MethodGet, Path: "/api/v1/webhooks/{id}/deliveries", Operation: "listDeliveries", Permission: access.WebhooksRead, Tenancy: TenancySet}, (*wrapper).ListDeliveries},

	{Route{Method: http.MethodGet, Path: "/api/v1/quarantine", Operation: "listQuarantine", Permission: access.QuarantineRead, Tenancy: TenancyOne}, (*wrapper).ListQuarantine},
	{Route{Method: http.MethodGet, Path: "/api/v1/quarantine/groups", Operation: "listQuarantineGroups", Permission: access.QuarantineRead, Tenancy: TenancyOne}, (*wrapper).ListQuarantineGroups},
	{Route{Method: http.MethodGet, Path: "/api/v1/quarantine/{id}", Operation: "getQuarantinedLine", Permission: access.QuarantineRead, Tenancy: TenancyOne}, (*wrapper).GetQuarantinedLine},
	{Route{Method: http.MethodPost, Path: "/api/v1/quarantine/replay", Operation: "replayQuarantine", Permission: access.QuarantineReplay, Tenancy: TenancyWrite}, (*wrapper).ReplayQuarantine},
	{Route{Method: http.MethodGet, Path: "/api/v1/accounting/ingest", Operation: "getIngestAccounting", Permission: access.AccountingRead, Tenancy: TenancyOne}, (*wrapper).GetIngestAccounting},
	{Route{Method: http.MethodGet, Path: "/api/v1/accounting/findings", Operation: "getFindingsAccounting", Permission: access.AccountingRead, Tenancy: TenancyOne}, (*wrapper).GetFindingsAccounting},
}

// Routes is a copy of the table, for documentation and tests.
func Routes() []Route {
	out := make([]Route, len(routes))
	for i, r := range routes {
		out[i] = r.Route
	}
	return out
}
