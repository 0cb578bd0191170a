-- How long events are kept is each tenant's own setting, from a day to seven
-- years: the pipeline removes what is over, and no fixed limit stands above it.
ALTER TABLE events REMOVE TTL;
ALTER TABLE quarantine REMOVE TTL;
ALTER TABLE duplicates MODIFY TTL hour + INTERVAL 2600 DAY;
