// Package delivery sends what core's outbox owes to webhooks.
//
// Each stored alert revision goes to each endpoint at least once, in the order
// of its seq, as an OCSF Detection Finding signed by Standard Webhooks. A
// revision that an endpoint does not take holds back only that endpoint; it is
// tried again with growing pauses until the endpoint has been failing for
// Options.GiveUpAfter, then it is dead and can be redelivered by hand. An
// answer of 410 makes the endpoint gone.
//
// Invariant: an endpoint is served by one sender at a time, under a lease that
// each recorded attempt extends; an attempt is recorded before the next is
// made. No connection is made to an address that is private, loopback,
// link-local or a cloud's metadata service unless the operator allows its
// network; the address that is dialled is checked, so a name that resolves
// differently the second time gains nothing. Redirects are not followed and
// the environment's proxy is not used.
//
// The package must not read an alert otherwise than through core.Webhooks.
package delivery
