// Package core is the Postgres service on which tenantwatch stands: tenants,
// people, keys, alerts and their triage, webhooks and what is owed to them.
//
// Invariant: a statement sees the rows of the tenant whose transaction it runs
// in, and no others. There are two ways to the data: InTenant (with its
// read-only sisters InTenantRead, and InGranted for an analyst's set of
// tenants) and InPlatform for the operations listed in operation.go. Each
// selects its database role and its tenant inside the transaction, so that
// nothing outlives it on a pooled connection; the role the program signs in as
// holds no privilege of its own. catalogue.go says of every table whose it is,
// and CheckCatalogue proves that the database agrees.
//
// The package must not take a tenant from a context, set anything outside a
// transaction, or import another part of the product beyond core/tenant,
// core/access, core/seal and detectors/alert.
//
// # Setting up the database
//
// Migrate makes roles, schema and tables. Its connection must not go through a
// transaction pooler. On a server where it may not create roles, the
// administrator runs RolesSQL once, then
//
//	alter role tenantwatch_service login password '…';
//	create database tenantwatch;
//	\c tenantwatch
//	create schema tenantwatch authorization tenantwatch_owner;
//	grant tenantwatch_owner to <the role that migrates>;
//
// and Migrate does the rest. It can be repeated at any time.
package core
