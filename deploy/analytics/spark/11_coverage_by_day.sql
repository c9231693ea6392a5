-- The scores and the dead letters of each day.
CREATE OR REPLACE TEMPORARY VIEW stories_coverage_by_day AS
SELECT
  day,
  CAST(SUM(scored) AS BIGINT) AS scored,
  CAST(SUM(unlabelled) AS BIGINT) AS unlabelled,
  CAST(SUM(failed) AS BIGINT) AS dead_letters,
  CAST(SUM(scored) AS DOUBLE) / SUM(scored + failed) AS coverage,
  CAST(SUM(truncated) AS BIGINT) AS truncated,
  CAST(SUM(flagged) AS BIGINT) AS flagged,
  CAST(SUM(tokens) AS BIGINT) AS tokens,
  CAST(SUM(tokens) AS DOUBLE) / NULLIF(SUM(scored), 0) AS mean_tokens,
  SUM(confidence) / NULLIF(SUM(scored), 0) AS mean_confidence
FROM (
  SELECT
    day,
    1 AS scored,
    CASE WHEN label_count = 0 THEN 1 ELSE 0 END AS unlabelled,
    0 AS failed,
    CASE WHEN truncated THEN 1 ELSE 0 END AS truncated,
    CASE WHEN flagged THEN 1 ELSE 0 END AS flagged,
    CAST(tokens AS BIGINT) AS tokens,
    confidence
  FROM stories_paragraphs AS paragraphs
  UNION ALL
  SELECT
    DATE_ADD(CAST('1970-01-01' AS DATE), CAST(FLOOR(UNIX_MICROS(failed_at) / 86400000000) AS INT)) AS day,
    0 AS scored,
    0 AS unlabelled,
    1 AS failed,
    0 AS truncated,
    0 AS flagged,
    0 AS tokens,
    CAST(0 AS DOUBLE) AS confidence
  FROM undertone.emotions.stories_dead_letters AS dead_letters
) AS events
GROUP BY
  day
