-- One row: how many paragraphs have a score of their present text.
--
-- scored: the number of paragraphs with a score
-- unlabelled: the number of scored paragraphs that have no label, of multi-label models
-- outdated: scored paragraphs that are also dead letters: their present text could not be scored
-- dead_letters: the number of paragraphs without a score of their present text
-- coverage: (scored - outdated) divided by (scored - outdated + dead_letters), or NULL without any
-- deleted: the number of paragraphs that are no longer in the source; not counted elsewhere
-- documents: the number of stories
-- truncated: the number of scored paragraphs whose end was ignored
-- flagged: the number of scored paragraphs whose score is not reliable
-- tokens: the number of tokens of the scored paragraphs
-- first_day: the date of the oldest score, in UTC
-- last_day: the date of the newest score, in UTC
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
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND LABEL_COUNT(scores) = 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS unlabelled,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND failed.id IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS outdated,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS deleted,
    COUNT(DISTINCT CASE WHEN scores.deleted_at IS NULL THEN scores.document END) AS documents,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND scores.truncated THEN 1 ELSE 0 END), 0) AS BIGINT) AS truncated,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL AND COALESCE(scores.flags, '') <> '' THEN 1 ELSE 0 END), 0) AS BIGINT) AS flagged,
    CAST(COALESCE(SUM(CASE WHEN scores.deleted_at IS NULL THEN CAST(scores.tokens AS BIGINT) ELSE 0 END), 0) AS BIGINT) AS tokens,
    MIN(CASE WHEN scores.deleted_at IS NULL THEN DAY_IN_UTC(scores.scored_at) END) AS first_day,
    MAX(CASE WHEN scores.deleted_at IS NULL THEN DAY_IN_UTC(scores.scored_at) END) AS last_day
  FROM scores
  LEFT JOIN (SELECT DISTINCT id FROM dead_letters) AS failed ON failed.id = scores.id
) AS paragraphs_now
CROSS JOIN (SELECT COUNT(*) AS dead_letters FROM dead_letters) AS failures
