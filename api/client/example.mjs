// Search a tenant's events from JavaScript or TypeScript: node example.mjs.
// The types are generated from openapi.yaml (npm run gen in dashboards/web).
/** @typedef {import('../../dashboards/web/src/api/schema').components['schemas']['EventPage']} EventPage */
const { TENANTWATCH_URL: address, TENANTWATCH_TOKEN: token, TENANTWATCH_QUERY: query = '' } = process.env;
const answer = await fetch(`${address}/api/v1/audit/events?${new URLSearchParams({ q: query })}`, {
  headers: { Authorization: `Bearer ${token}` },
});
if (!answer.ok) throw new Error((await answer.json()).detail);
const page = /** @type {EventPage} */ (await answer.json());
for (const event of page.items) console.log(event.time, event.actor, event.action);
