-- The dead letters (paragraphs without a score) by gRPC status and reason.
CREATE OR REPLACE VIEW stories_dead_letters_by_reason AS
SELECT
  status,
  reason,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER () AS share,
  CAST(SUM(attempts) AS BIGINT) AS calls,
  CAST(MIN(failed_at) AT TIME ZONE 'UTC' AS TIMESTAMP) AS first_failed_at,
  CAST(MAX(failed_at) AT TIME ZONE 'UTC' AS TIMESTAMP) AS last_failed_at
FROM undertone.emotions.stories_dead_letters AS dead_letters
GROUP BY
  status,
  reason
