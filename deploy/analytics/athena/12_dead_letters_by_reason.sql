-- The dead letters (paragraphs without a score) by gRPC status and reason.
CREATE OR REPLACE VIEW emotions.stories_dead_letters_by_reason AS
SELECT
  status,
  reason,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER () AS share,
  CAST(SUM(attempts) AS BIGINT) AS calls,
  CAST(AT_TIMEZONE(MIN(failed_at), 'UTC') AS TIMESTAMP) AS first_failed_at,
  CAST(AT_TIMEZONE(MAX(failed_at), 'UTC') AS TIMESTAMP) AS last_failed_at
FROM emotions.stories_dead_letters AS dead_letters
GROUP BY
  status,
  reason
