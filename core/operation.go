package core

// Operation names one thing that may be done across tenants. Anything else
// goes through InTenant or InGranted.
type Operation int

// The operations. The zero value is none and is refused.
const (
	OpTenants Operation = iota + 1
	OpOperators
	OpSignIn
	OpSession
	OpResolveKey
	OpTouchKeys
	OpWatchAlerts
	OpClaimDeliveries
	OpPrune
	OpSchema
	OpReadPolicies
	OpRecordTrail
	OpRelayTrail
	OpMeterUsage
	OpRunExports
	OpRunStreams
	OpClaimBacktests
)

// operations says what each operation is called (the policies of the schema
// name it) and why it must cross tenants.
var operations = map[Operation]struct{ name, reason string }{
	OpTenants:         {"tenants", "the list of tenants itself, from slug to internal id, belongs to no tenant"},
	OpOperators:       {"operators", "the operator's people, their grants and tokens belong to no tenant"},
	OpSignIn:          {"sign_in", "an e-mail address and password come before any tenant is known"},
	OpSession:         {"resolve_session", "a session's cookie comes before any tenant is known"},
	OpResolveKey:      {"resolve_key", "a key's id comes before any tenant is known"},
	OpTouchKeys:       {"touch_keys", "when keys were last used is written for many tenants at once"},
	OpWatchAlerts:     {"watch_alerts", "streams and senders are woken for whichever tenant's feed grew"},
	OpClaimDeliveries: {"claim_deliveries", "one sender serves every tenant's endpoints and must find those that are due"},
	OpPrune:           {"prune", "expired sessions and old delivery attempts of all tenants are removed together"},
	OpReadPolicies:    {"read_policies", "the detectors serve every tenant and must know what each has suppressed"},
	OpClaimBacktests:  {"claim_backtests", "one worker runs every tenant's backtests and must find those that wait"},
	OpSchema:          {"schema", "the schema's version belongs to no tenant"},
	OpRecordTrail:     {"record_trail", "what an operator did to several tenants at once is written into the trail of each"},
	OpRelayTrail:      {"relay_trail", "one relay turns every tenant's trail into events and must find what is new"},
	OpMeterUsage:      {"meter_usage", "what was counted for many tenants is added up together"},
	OpRunExports:      {"run_exports", "whichever process is free runs the next export job, of whatever tenant"},
	OpRunStreams:      {"run_streams", "one sender serves every tenant's log streams and must find those that are due"},
}

// String is the operation's name; empty for an unknown one.
func (o Operation) String() string { return operations[o].name }

// Reason says why the operation must cross tenants.
func (o Operation) Reason() string { return operations[o].reason }
