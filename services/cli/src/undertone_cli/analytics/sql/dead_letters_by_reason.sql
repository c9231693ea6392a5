-- The dead letters (paragraphs without a score) by gRPC status and reason.
--
-- status: the gRPC status code, such as INVALID_ARGUMENT
-- reason: the reason
-- paragraphs: the number of paragraphs
-- share: paragraphs divided by all dead letters
-- calls: the number of calls that were made for these paragraphs
-- first_failed_at: the time of the oldest failure in UTC, without a time zone, or NULL
-- last_failed_at: the time of the newest failure in UTC, without a time zone, or NULL
SELECT
  status,
  reason,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER () AS share,
  CAST(SUM(attempts) AS BIGINT) AS calls,
  TIME_IN_UTC(MIN(failed_at)) AS first_failed_at,
  TIME_IN_UTC(MAX(failed_at)) AS last_failed_at
FROM dead_letters
GROUP BY status, reason
