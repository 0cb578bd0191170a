// Package graph is the GraphQL face of the API. Each field asks the REST
// operation of the same name, within the process and as the same caller: what
// it may see, what is written into trails, and how it is refused are decided
// there, once. The package adds the schema, batching, and bounds of its own on
// what one request may cost.
//
// Invariant: no field is answered but through Backend. The package must not
// know a store.
package graph

//go:generate go run github.com/99designs/gqlgen --config gqlgen.yml
