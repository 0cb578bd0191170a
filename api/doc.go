// Package api is what people and programs talk to: the REST interface of
// openapi.yaml, the live stream, and the web application's files.
//
// Invariant: a request is answered within the tenants of its credential. Every
// operation stands in one table (Routes) with its permission and its tenancy
// mode; the table is applied before a handler runs, and handlers only ever see
// the tenants that passed. What lies outside answers exactly as what does not
// exist. Requests and answers keep to openapi.yaml, which is written first and
// from which the handlers' types are generated.
//
// The package stores nothing and knows no database: it declares small
// interfaces, which cmd satisfies. It is the only importer of gin.
package api
