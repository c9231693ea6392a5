-- One row: how many paragraphs have a score of their present text.
CREATE OR REPLACE VIEW emotions.stories_coverage AS
SELECT
  scored,
  unlabelled,
  outdated,
  dead_letters,
  CAST(scored - outdated AS DOUBLE) / NULLIF(scored - outdated + dead_letters, 0) AS coverage,
  deleted,
  documents,
  truncated,
  flagged,
  tokens,
  first_day,
  last_day
FROM (
  SELECT
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS scored,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND 1 = 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS unlabelled,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND NOT failed.id IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS outdated,
    CAST(COALESCE(SUM(CASE WHEN NOT scores.deleted_at IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS deleted,
    COUNT(DISTINCT CASE WHEN scores.deleted_at IS NULL THEN scores.document END) AS documents,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND scores.truncated THEN 1 ELSE 0 END), 0) AS BIGINT) AS truncated,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND COALESCE(scores.flags, '') <> '' THEN 1 ELSE 0 END), 0) AS BIGINT) AS flagged,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL THEN CAST(scores.tokens AS BIGINT) ELSE 0 END), 0) AS BIGINT) AS tokens,
    MIN(CASE WHEN scores.deleted_at IS NULL THEN CAST(AT_TIMEZONE(scores.scored_at, 'UTC') AS DATE) END) AS first_day,
    MAX(CASE WHEN scores.deleted_at IS NULL THEN CAST(AT_TIMEZONE(scores.scored_at, 'UTC') AS DATE) END) AS last_day
  FROM emotions.stories AS scores
  LEFT JOIN (
    SELECT DISTINCT
      id
    FROM emotions.stories_dead_letters AS dead_letters
  ) AS failed
    ON failed.id = scores.id
) AS paragraphs_now
CROSS JOIN (
  SELECT
    COUNT(*) AS dead_letters
  FROM emotions.stories_dead_letters AS dead_letters
) AS failures
