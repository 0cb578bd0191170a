package grafana

// query is one line of a panel.
type query struct{ expr, legend string }

// panel is one plot. Width is of 24 columns.
type panel struct {
	title, help, unit string
	stat              bool // the newest value instead of a plot
	width             int
	queries           []query
}

// board is one dashboard.
type board struct {
	uid, title, help string
	panels           []panel
}

// rate is a counter per second over the dashboard's interval.
func rate(metric string) string { return "rate(" + metric + "[$__rate_interval])" }

// quantile of a histogram's metric, by further labels.
func quantile(q, metric, by string) string {
	if by != "" {
		by = ", " + by
	}
	return "histogram_quantile(" + q + ", sum by (le" + by + ") (rate(" + metric + "_bucket[$__rate_interval])))"
}

var boards = []board{
	{"tenantwatch-pipeline", "tenantwatch: pipeline", "From the push to the readable row: what comes in, what waits, what is slow.", []panel{
		{"Lines accepted", "Durable lines a second, by format.", "short", false, 8, []query{{`sum by (format) (` + rate(`tenantwatch_collector_lines_total{result="accepted"}`) + `)`, "{{format}}"}}},
		{"Lines quarantined", "Lines that no parser took, a second. They are kept and can be replayed.", "short", false, 8, []query{{`sum by (format) (` + rate(`tenantwatch_collector_lines_total{result="quarantined"}`) + `)`, "{{format}}"}}},
		{"Push requests by class", "5xx: the event log and the buffer were away; senders keep their events.", "reqps", false, 8, []query{{`sum by (code) (` + rate("tenantwatch_collector_requests_total") + `)`, "{{code}}"}}},
		{"Push to answer", "Time until a push is acknowledged.", "s", false, 8, []query{{quantile("0.5", "tenantwatch_collector_request_seconds", ""), "p50"}, {quantile("0.99", "tenantwatch_collector_request_seconds", ""), "p99"}}},
		{"Push to readable row", "Age of a batch's oldest record when its rows were readable.", "s", false, 8, []query{{quantile("0.5", "tenantwatch_ingest_freshness_seconds", ""), "p50"}, {quantile("0.99", "tenantwatch_ingest_freshness_seconds", ""), "p99"}}},
		{"Lag", "Records in the log that a group has not committed yet.", "short", false, 8, []query{{`sum by (group, topic) (tenantwatch_eventlog_lag_records)`, "{{group}} {{topic}}"}}},
		{"Rows stored", "Rows a second, by table.", "rowsps", false, 8, []query{{`sum by (table) (` + rate("tenantwatch_ingest_rows_total") + `)`, "{{table}}"}}},
		{"Time to store a batch", "", "s", false, 8, []query{{quantile("0.5", "tenantwatch_ingest_batch_seconds", ""), "p50"}, {quantile("0.99", "tenantwatch_ingest_batch_seconds", ""), "p99"}}},
		{"Doubts and retries", "Blocks whose rows were counted because an answer was lost, and statements tried again.", "short", false, 8, []query{{`sum(` + rate("tenantwatch_ingest_doubts_total") + `)`, "doubts"}, {`sum(` + rate("tenantwatch_ingest_retries_total") + `)`, "retries"}}},
		{"Buffer on disk", "What waits because the event log was away.", "bytes", false, 8, []query{{`sum(tenantwatch_buffer_bytes)`, "waiting"}, {`sum(tenantwatch_buffer_max_bytes)`, "limit"}}},
		{"Oldest in the buffer", "", "s", false, 8, []query{{`max(tenantwatch_buffer_oldest_age_seconds)`, "age"}}},
		{"Records lost or set aside", "Must stay at zero: offsets gone before they were read, records that could not be decoded, partitions stopped.", "short", true, 8, []query{{`sum(tenantwatch_eventlog_skipped_records_total)`, "skipped"}, {`sum(tenantwatch_eventlog_poison_records_total)`, "poison"}, {`sum(tenantwatch_eventlog_stopped)`, "stopped"}}},
	}},
	{"tenantwatch-detectors", "tenantwatch: detectors", "How fast the detectors score, and what their checkpoints cost.", []panel{
		{"Events scored", "", "short", false, 12, []query{{`sum(` + rate("tenantwatch_detectors_events_total") + `)`, "events a second"}}},
		{"Alert revisions", "Raised, amended and retracted alerts handed to the core.", "short", false, 12, []query{{`sum(` + rate("tenantwatch_detectors_alert_revisions_total") + `)`, "a second"}, {`sum(` + rate("tenantwatch_detectors_refused_revisions_total") + `)`, "refused"}}},
		{"Lag of the detectors", "", "short", false, 12, []query{{`sum by (topic) (tenantwatch_eventlog_lag_records{group=~".*detect.*"})`, "{{topic}}"}}},
		{"Checkpoint", "", "s", false, 6, []query{{quantile("0.99", "tenantwatch_detectors_checkpoint_seconds", ""), "p99"}}},
		{"Size of a checkpoint", "", "bytes", false, 6, []query{{`max(tenantwatch_detectors_checkpoint_bytes)`, "bytes"}}},
	}},
	{"tenantwatch-api", "tenantwatch: API", "What people and programs ask for, and how long it takes.", []panel{
		{"Requests", "", "reqps", false, 12, []query{{`sum by (status) (` + rate("tenantwatch_api_requests_total") + `)`, "{{status}}"}}},
		{"Slowest operations", "p99 by route.", "s", false, 12, []query{{`topk(10, ` + quantile("0.99", "tenantwatch_api_request_seconds", "route") + `)`, "{{route}}"}}},
		{"In flight", "", "short", false, 8, []query{{`sum(tenantwatch_api_requests_in_flight)`, "requests"}, {`sum(tenantwatch_api_streams)`, "streams"}}},
		{"Reads of the event store", "", "s", false, 8, []query{{quantile("0.99", "tenantwatch_eventstore_read_seconds", ""), "p99"}}},
		{"Transactions", "p99 by way in: one tenant, the granted ones, the platform.", "s", false, 8, []query{{quantile("0.99", "tenantwatch_core_transaction_seconds", "way"), "{{way}}"}}},
		{"Sign-ins", "", "short", false, 12, []query{{`sum by (outcome) (` + rate("tenantwatch_core_sign_ins_total") + `)`, "{{outcome}}"}}},
		{"Rows exported", "", "rowsps", false, 12, []query{{`sum(` + rate("tenantwatch_api_exported_rows_total") + `)`, "rows"}}},
	}},
	{"tenantwatch-delivery", "tenantwatch: deliveries", "Alerts on their way to webhooks and SIEMs.", []panel{
		{"Owed", "Alert revisions that no endpoint has taken yet.", "short", false, 12, []query{{`sum(tenantwatch_delivery_pending)`, "pending"}}},
		{"Oldest owed", "", "s", false, 12, []query{{`max(tenantwatch_delivery_oldest_pending_seconds)`, "age"}}},
		{"Time until an answer", "", "s", false, 12, []query{{quantile("0.5", "tenantwatch_delivery_attempt_seconds", ""), "p50"}, {quantile("0.99", "tenantwatch_delivery_attempt_seconds", ""), "p99"}}},
		{"Revisions stored", "", "short", false, 12, []query{{`sum(` + rate("tenantwatch_core_alert_revisions_stored_total") + `)`, "stored"}, {`sum(` + rate("tenantwatch_core_alert_revisions_repeated_total") + `)`, "repeats dropped"}}},
	}},
	{"tenantwatch-resources", "tenantwatch: resources", "Processes, memory and disks, role by role.", []panel{
		{"Processor", "Cores used by each process.", "short", false, 8, []query{{`sum by (instance) (` + rate("process_cpu_seconds_total") + `)`, "{{instance}}"}}},
		{"Memory", "", "bytes", false, 8, []query{{`process_resident_memory_bytes`, "{{instance}}"}, {`tenantwatch_clickhouse_engine_resident_bytes`, "{{instance}} engine"}}},
		{"Goroutines", "", "short", false, 8, []query{{`go_goroutines`, "{{instance}}"}}},
		{"Embedded parts", "1 while a part serves.", "short", true, 8, []query{{`min by (part) (tenantwatch_embedded_ready)`, "{{part}}"}}},
		{"Restarts of embedded parts", "", "short", false, 8, []query{{`sum by (part) (increase(tenantwatch_embedded_restarts_total[1h]))`, "{{part}}"}}},
		{"Embedded broker's disk", "", "bytes", false, 8, []query{{`tenantwatch_broker_disk_bytes`, "{{instance}}"}}},
		{"Rows removed by retention", "", "short", false, 12, []query{{`sum by (why) (increase(tenantwatch_retention_removed_rows_total[1h]))`, "{{why}}"}}},
		{"fsync of the embedded broker", "", "s", false, 12, []query{{quantile("0.99", "tenantwatch_broker_fsync_seconds", ""), "p99"}}},
	}},
}

// rule is one alert for the operator.
type rule struct {
	name, expr, hold, severity, summary, todo string
}

var rules = []rule{
	{"TenantwatchNotIngesting", `sum(rate(tenantwatch_collector_requests_total{code="5xx"}[5m])) > 0`, "5m", "critical", "Pushed events are being refused.", "The event log and its buffer are away or full: look at /readyz of the collector and at the broker. Senders keep their events and try again."},
	{"TenantwatchBufferFilling", `sum(tenantwatch_buffer_bytes) / sum(tenantwatch_buffer_max_bytes) > 0.5`, "5m", "warning", "More than half of the buffer on disk is used.", "The event log has been away: bring it back before senders get 503."},
	{"TenantwatchPipelineStopped", `max(tenantwatch_eventlog_stopped) > 0`, "0m", "critical", "A partition was stopped because its rows do not add up.", "Read the pipeline's log: it names the topic, partition and offsets, what was expected and what was found."},
	{"TenantwatchRecordsLost", `increase(tenantwatch_eventlog_skipped_records_total[10m]) > 0`, "0m", "critical", "Records were gone from the log before they were read.", "Retention of the topic is shorter than an outage: lengthen it, and restore what was lost from its source."},
	{"TenantwatchLagGrowing", `sum by (group) (tenantwatch_eventlog_lag_records) > 100000 and sum by (group) (deriv(tenantwatch_eventlog_lag_records[15m])) > 0`, "15m", "warning", "A consumer group falls further behind.", "Add members of its role (serve --role=pipeline or detectors), up to the number of partitions."},
	{"TenantwatchSlowToRead", `histogram_quantile(0.99, sum by (le) (rate(tenantwatch_ingest_freshness_seconds_bucket[5m]))) > 10`, "10m", "warning", "Events take more than 10 s until they can be read.", "Look at the lag and at the time to store a batch: the store is slow or too busy."},
	{"TenantwatchDeliveriesStuck", `max(tenantwatch_delivery_oldest_pending_seconds) > 3600`, "10m", "warning", "An alert has waited for an hour to be delivered.", "Look at the webhook's attempts: its endpoint refuses or does not answer."},
	{"TenantwatchApiErrors", `sum(rate(tenantwatch_api_requests_total{status=~"5.."}[5m])) / sum(rate(tenantwatch_api_requests_total[5m])) > 0.02`, "10m", "warning", "More than 2 % of the API's answers are errors of its own.", "Look at /readyz of the api role and at its log by request id."},
	{"TenantwatchRetentionFailing", `increase(tenantwatch_retention_failures_total[3h]) > 0`, "0m", "warning", "Old events could not be removed.", "They are tried again every hour; the pipeline's log says why it failed."},
	{"TenantwatchPartRestarted", `increase(tenantwatch_embedded_restarts_total[15m]) > 0`, "0m", "warning", "An embedded part ended and was started again.", "Its last words are in the log of the process; look at memory and disk."},
	{"TenantwatchDown", `up{job="tenantwatch"} == 0`, "2m", "critical", "A process of tenantwatch does not answer.", "Look at its log; /livez says whether it runs, /readyz what it waits for."},
}
