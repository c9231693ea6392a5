-- The dead letters (paragraphs without a score) by gRPC status and reason.
CREATE OR REPLACE TEMPORARY VIEW stories_dead_letters_by_reason AS
SELECT
  status,
  reason,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER () AS share,
  CAST(SUM(attempts) AS BIGINT) AS calls,
  CAST('1970-01-01 00:00:00' AS TIMESTAMP_NTZ) + MAKE_DT_INTERVAL(0, 0, 0, UNIX_MICROS(MIN(failed_at)) / CAST('1000000' AS DECIMAL(7, 0))) AS first_failed_at,
  CAST('1970-01-01 00:00:00' AS TIMESTAMP_NTZ) + MAKE_DT_INTERVAL(0, 0, 0, UNIX_MICROS(MAX(failed_at)) / CAST('1000000' AS DECIMAL(7, 0))) AS last_failed_at
FROM undertone.emotions.stories_dead_letters AS dead_letters
GROUP BY
  status,
  reason
